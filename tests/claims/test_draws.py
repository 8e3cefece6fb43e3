"""What decides a draw: only what it is made of today, and nothing that only tells takes from a shared generator."""

import ast
import re

import pytest
from book_files import CHAPTERS

from bnlab.claims import book, draws

# Calls that take numbers from a generator, of torch, NumPy or Python; with one of its own they change nothing else.
TAKES = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "normal", "normal_", "uniform", "uniform_",
    "multinomial", "bernoulli", "choice", "permutation", "shuffle", "sample", "integers", "standard_normal", "random",
    "next", "seed", "manual_seed",
}  # fmt: skip
KEYED = {"generator", "normal"}  # a chapter's own `normal` draws from a generator keyed by its purpose


def takes(statement: ast.stmt) -> list[str]:
    fresh = re.compile(r"next\(iter\(")  # the first of something, which is as it was afterwards
    calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call) and not fresh.match(ast.unparse(n))]
    names = [getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls]
    if "generator" in names:
        return []
    return [name for name in names if name in TAKES - KEYED]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_nothing_that_only_tells_takes_from_a_shared_generator(path):
    """Leaving such a statement out would change what comes after it, and outdate no draw."""
    code = draws.code_that_judges(book.read_notebook(path))
    telling = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.stmt) and draws._tells(node)]
    assert telling
    assert {ast.unparse(statement): takes(statement) for statement in telling if takes(statement)} == {}


@pytest.mark.parametrize(
    ("statement", "chosen"),
    [
        ("front = {} if parameters.own_run(globals()) else there", True),
        ("in_front = recording and not parameters.own_run(globals())", True),
        ("shown = recording.tables if recording else tables", True),
        ('recording = recorded.load(book.root() / "data" / "recorded", "09")', True),
        ("tables = parts(data)", False),
        ("shown = recording.tables if recording else make(data)", False),
        ("loss = 3", False),
    ],
)
def test_what_chooses_between_the_recorded_run_and_this_one_decides_nothing(statement, chosen):
    assert (draws.without_telling(statement) == "") is chosen


def names_in(*trees: ast.AST) -> set[str]:
    return {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_no_quick_verdict_looks_at_what_is_recorded(path):
    tree = ast.parse(draws.code_that_judges(book.read_notebook(path)))
    chosen = {"recorded"}  # the module that reads recordings
    for node in tree.body:  # in order: a name that is given another value is another thing
        if isinstance(node, ast.Assign) and "quick" not in ast.unparse(node.targets[0]):
            named = names_in(*node.targets)
            chosen = chosen | named if names_in(node.value) & chosen else chosen - named
    quick = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith("verdicts.quick")]
    assert quick
    for call in quick:
        assert not chosen & names_in(call)


def test_one_that_does_would_be_found():
    (statement,) = ast.parse('glue("x", float(torch.randn(3).mean()))').body
    assert draws._tells(statement)
    assert takes(statement) == ["randn"]


def test_a_module_that_decides_nothing_any_more_outdates_no_draw(mini):
    chapter = book.chapter("90")
    now = draws.facts(chapter)
    assert draws.changed(now, chapter) == []
    assert draws.changed(now | {"sources": now["sources"] | {"bnlab.gone": "a"}}, chapter) == []
    name = next(iter(now["sources"]))
    assert draws.changed(now | {"sources": now["sources"] | {name: "another"}}, chapter) == [name]


def test_what_is_recorded_decides_no_draw():
    found = draws.deciding("from bnlab.records import recorded\nfrom bnlab.theory import modes")
    assert "bnlab.theory.modes" in found
    assert not [name for name in found if name.startswith("bnlab.records.")]
