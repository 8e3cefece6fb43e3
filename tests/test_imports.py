"""What a machine with torch, numpy, pandas, scipy and yaml alone can import: everything but figures and some data."""

import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

import bnlab

ABSENT = [
    *("IPython", "ipykernel", "jupyter_client", "jupyter_core", "jupyter_cache", "nbclient", "nbformat", "papermill"),
    *("matplotlib", "seaborn", "sklearn", "PIL", "torchvision", "sphinx", "myst_nb", "docutils", "traitlets"),
]

WITHOUT = """
import sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
"""
IMPORTS = """
import importlib, random, warnings
import numpy, pandas, scipy, torch, yaml
warnings.simplefilter("error")

def state():
    return (random.getstate(), torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(),
            torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())

before = state()
for name in sys.argv[2].split(","):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: {error}")
if state() != before:
    print("importing changed a global state")
"""
LEDGER = """
from bnlab.claims import ledger
from bnlab.commands import cli
ledger.judge("T-Sum", "reproduced", measured="2")
assert cli.main(["ledger"]) == 0
assert cli.main(["run", "90", "-p", "epochs", "3"]) == 2
"""


def draws(name: str) -> bool:
    """Say whether a module is of figures, which need matplotlib: a shape, or a chapter's module that uses shapes."""
    source = Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
    return name.startswith("bnlab.figures.") or (name.startswith("bnlab.chapters.") and "from bnlab.figures" in source)


# Each data set asks for what it needs when it is loaded.
MODULES = [m.name for m in pkgutil.walk_packages(bnlab.__path__, "bnlab.") if not draws(m.name)]


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_every_module_imports_without_jupyter_and_figures():
    assert {
        "bnlab.commands.cli",
        "bnlab.commands.record",
        "bnlab.claims.pages",
        "bnlab.figures",
        "bnlab.datasets",
        "bnlab.chapters.ch06_speed_and_stability.effects",
    } <= set(MODULES)
    assert run(WITHOUT + IMPORTS, ",".join(ABSENT), ",".join(MODULES)) == ""


def test_the_door_opens_without_torch():
    """Listing chapters and refusing a misspelt name must not wait for torch."""
    names = "['torch', 'matplotlib', 'IPython', 'papermill', 'sklearn']"
    assert run(f"import sys, bnlab.commands.cli; print([n for n in {names} if n in sys.modules])") == "[]\n"


def test_a_verdict_is_reached_without_jupyter(mini):
    assert "papermill is not installed" in run(WITHOUT + LEDGER, ",".join(ABSENT))
