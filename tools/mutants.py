"""Mutation testing: a seeded sample of small changes of the library, each of which some test should notice.

    make mutants                               100 places of theory/, layers/ and every verdicts module
    python tools/mutants.py --seed 3 --count 20 'theory/*' layers/nlms.py

Cosmic Ray finds the places (an operator, a comparison, a constant) and makes the changes, in a copy of the tree. Each
is put before the tests nearest to its module: those of its own name, its doctests, and those of theory, layers, models
and measures that import it by name; a chapter's verdicts before their own tests. Left out is what nothing can show:
annotations, the `strict` of a zip, and the changes that `EQUIVALENT` lists by name. What no test notices is printed as
a diff, and fewer than nine in ten noticed is exit status 1.
"""

import argparse
import ast
import difflib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")
KINDS = ("ReplaceBinary", "ReplaceComparison", "ReplaceUnary", "ReplaceAnd", "ReplaceOr", "ReplaceTrue", "ReplaceFalse")
WANTED = (*KINDS, "AddNot", "NumberReplacer")
WHERE = ["theory/*", "layers/*", "chapters/*verdicts.py"]
FLOORS = ("theory", "layers", "models", "measures")
FROZEN = "tests/test_public_functions.py::test_results_are_frozen"
ENOUGH = 0.9
SECONDS = 240  # for the tests of one change: longer is a loop without end, which is noticed


def main() -> int:
    """Draw, try and report; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100, help="changes, each at another place")
    parser.add_argument("where", nargs="*", default=WHERE, help="patterns of modules' paths below lib/bnlab")
    asked = parser.parse_args()
    drawn = draw(asked.seed, asked.count, asked.where)
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "_build", "__pycache__", "downloads")
        )
        warm_up()
        control(copy, drawn[0][0])
        for place, (path, operator, occurrence) in enumerate(drawn, 1):
            text = (copy / path).read_text(encoding="utf-8")
            changed = mutate_code(text, cosmic_ray.plugins.get_operator(operator)(), occurrence)
            began = time.monotonic()
            noticed = notices(copy, path, changed, near(path))
            (copy / path).write_text(text, encoding="utf-8")
            word = "noticed " if noticed else "SURVIVED"
            print(f"{place:4} {word} {time.monotonic() - began:5.1f} s  {path}  {operator} {occurrence}", flush=True)
            if not noticed:
                survivors.append(difference(path, text, changed))
                print(survivors[-1], flush=True)
        control(copy, drawn[-1][0])
    caught = len(drawn) - len(survivors)
    print(f"noticed {caught} of {len(drawn)} changes (seed {asked.seed})")
    return int(caught < ENOUGH * len(drawn))


def draw(seed: int, count: int, where: list[str]) -> list[tuple[Path, str, int]]:
    """Places by chance, all alike, and at each one of its changes: (path, operator, occurrence)."""
    unseen = set(EQUIVALENT.read_text(encoding="utf-8").splitlines()) if EQUIVALENT.exists() else set()
    places = defaultdict(list)
    for path in sorted((ROOT / "lib" / "bnlab").rglob("*.py")):
        short = path.relative_to(ROOT)
        if any(fnmatch(short.as_posix(), f"lib/bnlab/{pattern}") for pattern in where):
            for at, operator, occurrence in changes(path.read_text(encoding="utf-8")):
                places[short, at].append((short, operator, occurrence))
    chance = random.Random(seed)
    order = list(places)
    chance.shuffle(order)
    found = []
    for at in order:
        one = chance.choice(places[at])
        if len(found) < count and name(*one) not in unseen:
            found.append(one)
    return found


def changes(text: str) -> list[tuple[tuple[int, int], str, int]]:
    """Every change of a source that is not of an annotation: (line and column, operator, occurrence)."""
    tree, found = ast.parse(text), []
    notes = [node.annotation for node in ast.walk(tree) if getattr(node, "annotation", None) is not None]
    notes += [node.returns for node in ast.walk(tree) if getattr(node, "returns", None) is not None]
    notes += [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "strict"]
    spans = [((note.lineno, note.col_offset), (note.end_lineno, note.end_col_offset)) for note in notes]
    nodes = list(ast_nodes(get_ast(text)))
    for operator in cosmic_ray.plugins.operator_names():
        if not operator.partition("/")[2].startswith(WANTED):
            continue
        made = cosmic_ray.plugins.get_operator(operator)()
        places = [start for node in nodes for start, _ in made.mutation_positions(node)]
        for occurrence, start in enumerate(places):
            if not any(low <= start < high for low, high in spans):
                found.append((start, operator, occurrence))
    return found


def name(path: Path, operator: str, occurrence: int) -> str:
    """A change as `EQUIVALENT` lists it: the module, the changed line before and after, which outlive an edit above."""
    text = (ROOT / path).read_text(encoding="utf-8")
    changed = mutate_code(text, cosmic_ray.plugins.get_operator(operator)(), occurrence)
    lines = [
        line
        for line in difference(path, text, changed).splitlines()
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    return f"{path.relative_to('lib/bnlab')}: {' => '.join(line[1:].strip() for line in lines)}"


def difference(path: Path, before: str, after: str) -> str:
    """Unified diff of one change."""
    return "\n".join(difflib.unified_diff(before.split("\n"), after.split("\n"), str(path), lineterm="", n=1))


def near(path: Path) -> list[str]:
    """Tests nearest to a module: of its own name, its doctests, then those of the floors that import it by name."""
    place = path.relative_to("lib/bnlab").with_suffix("")
    if place.parts[0] == "chapters":
        judges = f"tests/{place.parent}/test_verdicts.py"
        return [f"{judges}::test_every_word_that_is_said", judges, str(path)]
    own = ROOT / "tests" / place.parent / f"test_{place.name}.py"
    floors = [test for floor in FLOORS for test in sorted((ROOT / "tests" / floor).glob("test_*.py"))]
    others = [test for test in floors if test != own and imports(test, "bnlab." + ".".join(place.parts))]
    first = [str(own.relative_to(ROOT)), str(path)] if own.exists() else [str(path)]
    return first + [str(test.relative_to(ROOT)) for test in others] + [FROZEN]


def imports(test: Path, module: str) -> bool:
    """Whether a test imports a module by name."""
    parent, _, last = module.rpartition(".")
    for node in ast.walk(ast.parse(test.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.module == module or (node.module == parent and last in [alias.name for alias in node.names]):
                return True
        elif isinstance(node, ast.Import) and module in [alias.name for alias in node.names]:
            return True
    return False


def warm_up() -> None:
    """Import once what every test needs, for all the processes that branch off here: nothing of bnlab."""
    for module in (
        "matplotlib.pyplot",
        "pandas",
        "pytest",
        "scipy.optimize",
        "scipy.stats",
        "seaborn",
        "torch",
        "yaml",
    ):
        importlib.import_module(module)
    sys.modules["torch"].set_num_threads(1)
    sys.dont_write_bytecode = True


def control(copy: Path, path: Path) -> None:
    """Stop where tests fail without any change: then nothing that they notice means anything."""
    if notices(copy, path, (copy / path).read_text(encoding="utf-8"), near(path)):
        raise SystemExit(f"the tests of {path} fail without a change: mend them, or what is installed, first")


def notices(copy: Path, path: Path, changed: str, tests: list[str]) -> bool:
    """Whether a test fails in the copy with this one change, or never ends; in a process of its own."""
    (copy / path).write_text(changed, encoding="utf-8")
    process = os.fork()
    if process == 0:
        import pytest

        os.setpgrp()
        os.chdir(copy)
        sys.path[:0] = [str(copy / "lib"), str(copy / "tests")]
        os.environ["PYTHONPATH"] = f"{copy / 'lib'}:{copy / 'tests'}"  # for what tests start
        with open(os.devnull, "w") as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
        os._exit(int(pytest.main(["-x", "-q", "--no-header", *tests]) != 0))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.05)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


if __name__ == "__main__":
    sys.exit(main())
