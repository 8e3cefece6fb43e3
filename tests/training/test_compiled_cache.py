"""Machine code that is kept: never that of other sources; and a house that stands without numba."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bnlab
from bnlab.training.compiled import jit

FOLDER = Path(jit.__file__).parent
FIRST = """
from toy.jit import entry
from toy.second import helper

@entry
def ask(x):
    return helper(x)
"""
SECOND = """
from toy.jit import compiled

@compiled
def helper(x):
    return x + {}
"""
ASK = "from toy.first import ask; print(ask(1), sum(ask.stats.cache_hits.values()))"
WITHOUT_NUMBA = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
import bnlab.training.compiled as package
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{package.__name__}.{module.name}")
from bnlab import datasets
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.training.compiled.network import unsupported
from bnlab.training.many import Job, fastest, train_many
model, data = LeNet(generator=generator(0, "i")), datasets.load("digits").subset(20, 10)
print(unsupported(model), fastest(model, data))
run, = train_many([Job(model, generator(0, "o"), 0.1)], data, steps=1, batch_size=4)
print(len(run.history))
"""


def run(program: str, **environment) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_key_is_of_all_sources_of_machine_code_and_of_the_width(tmp_path):
    for path in FOLDER.glob("*.py"):
        shutil.copy(path, tmp_path)
    key = jit.sources_key(tmp_path, 16)
    assert key == jit.sources_key(FOLDER, 16) != jit.sources_key(FOLDER, 8)
    for path in sorted(tmp_path.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "# another line\n", encoding="utf-8")
        assert (jit.sources_key(tmp_path, 16) == key) == (path.name in jit.PYTHON_ONLY), path.name
        path.write_text(text, encoding="utf-8")
    (tmp_path / "another.py").write_text("", encoding="utf-8")
    assert jit.sources_key(tmp_path, 16) != key


def test_what_is_left_out_of_the_key_compiles_nothing():
    for name in jit.PYTHON_ONLY:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert not any(f"@{word}" in text for word in ("compiled", "inlined", "entry", "intrinsic")), name


def test_an_edit_in_another_file_is_not_answered_by_old_code(tmp_path):
    """Numba's own index looks at the entry's file alone, and would answer 11 a second time."""
    pytest.importorskip("numba", reason="numba is not installed")
    package = tmp_path / "toy"
    package.mkdir()
    shutil.copy(FOLDER / "jit.py", package)
    (package / "first.py").write_text(FIRST, encoding="utf-8")
    here = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    answers = []
    for added in (10, 10, 20):
        (package / "second.py").write_text(SECOND.format(added), encoding="utf-8")
        answers.append(run(ASK, **here).split())
    assert answers == [["11", "0"], ["11", "1"], ["21", "0"]]


def test_the_folder_is_the_users_or_as_numba_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert jit.cache_folder(8).parts[:-2] == (tmp_path / "a").parts
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert jit.cache_folder(8).parts[:-2] == (tmp_path / "b").parts
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Path(bnlab.__file__).parents[2] not in jit.cache_folder(8).parents


def test_a_width_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv("BNLAB_LANES", "12")
    with pytest.raises(ValueError, match="BNLAB_LANES: '12' is not one of 8, 16"):
        jit.vector_width()


TRAINED = """
from bnlab import datasets
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.training.compiled import step
from bnlab.training.compiled.evaluation import evaluate_compiled
from bnlab.training.compiled.train import train_compiled
from bnlab.training.train import Job
data = datasets.load("digits").subset(40, 10)
for norm in ("none", "batch", "nlms_l2", ("batch_prior", "amplify")):
    model = LeNet(norm=norm, generator=generator(0, "i"))
    run = train_compiled(Job(model, generator(0, "o"), 0.1), data, steps=3, batch_size=16, record_at=(0, 1, 2))
    print([loss.hex() for loss in run.history["loss"]], evaluate_compiled(model.eval(), data)[1].hex())
print([sum(entry.stats.cache_misses.values()) for entry in (step.advance, step.count_errors)])
"""


def test_the_first_time_gives_the_bits_of_every_other_time(tmp_path):
    """A process that had compiled the code itself would round otherwise, and another set of types would compile."""
    pytest.importorskip("numba", reason="numba is not installed")
    first, again = (run(TRAINED, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first == again
    assert first.splitlines()[-1] == "[0, 0]"


def test_where_nothing_can_be_kept_nothing_is_compiled_for_keeping_and_a_line_says_so(tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="numba is not installed")
    from bnlab.training.compiled import machine_code

    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(machine_code.subprocess, "run", None)
    with pytest.warns(UserWarning, match=r"could not be prepared: nothing can be kept in .*file.* \(Not a directory\)"):
        machine_code.make_ready.__wrapped__()


@pytest.mark.parametrize(("program", "reason"), [("raise SystemExit('no room')", "no room"), ("exit(3)", "status 3")])
def test_a_preparation_that_fails_is_told(tmp_path, monkeypatch, program, reason):
    pytest.importorskip("numba", reason="numba is not installed")
    from bnlab.training.compiled import machine_code

    really = machine_code.subprocess.run
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine_code.subprocess, "run", lambda command, **how: really([*command[:2], program], **how))
    with pytest.warns(UserWarning, match=rf"could not be prepared: .*{reason}\. Each process compiles it for itself"):
        machine_code.make_ready.__wrapped__()


def test_training_alone_imports_no_numba():
    imports = "import sys, bnlab.training.many, bnlab.training.train, bnlab.training.batched"
    assert run(f"{imports}; print([n for n in ('numba', 'llvmlite') if n in sys.modules])") == "[]\n"


def test_without_numba_torch_does_it():
    words = "numba is not installed (pip install 'bnlab[compiled]') torch\n1\n"
    assert run(WITHOUT_NUMBA) == words


def test_gradients_trajectories_and_divergence_without_avx512():
    """The same tests with code for a processor that has AVX2 alone, where this machine's has vectors of 16 floats."""
    pytest.importorskip("numba", reason="numba is not installed")
    if jit.LANES == 8:
        pytest.skip("this machine has no AVX-512: the tests ran at the only width it has")
    named = {**os.environ, "NUMBA_CPU_NAME": "haswell"}
    lanes = [sys.executable, "-c", "from bnlab.training.compiled import jit; print(jit.LANES)"]
    assert subprocess.run(lanes, capture_output=True, text=True, env=named).stdout == "8\n"
    folder = Path(__file__).parent
    tests = [str(folder / "test_compiled_gradients.py"), str(folder / "test_compiled.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        capture_output=True, text=True, env=named, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
