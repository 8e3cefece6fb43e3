"""The API reference: a page a floor, and docstrings shown as they are meant."""

from pathlib import Path

import pytest
from book_files import ROOT, extension

import bnlab

pytest.importorskip("sphinx", reason="Sphinx is not installed")
LIBRARY = Path(bnlab.__file__).parent


@pytest.fixture(scope="module")
def api():
    return extension("bnlab_api")


def test_every_floor_has_its_page():
    floors = {path.parent.name for path in LIBRARY.glob("*/__init__.py")} | {"ground"}
    pages = {path.stem for path in (ROOT / "book" / "api").glob("*.md")}
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert pages == floors
    assert [name for name in floors if f"book/api/{name}\n" not in toc] == []


def test_every_module_is_on_one_page(api):
    floors = [path.parent.name for path in LIBRARY.glob("*/__init__.py")]
    shown = [name for floor in (None, *floors) for name in api.modules(floor)]
    there = {path.relative_to(LIBRARY).with_suffix("") for path in LIBRARY.rglob("*.py")} - {Path("__init__")}
    assert sorted(shown) == sorted("bnlab." + ".".join(p for p in path.parts if p != "__init__") for path in there)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("|x| of `a|b` and ``|c|``", r"\|x\| of `a|b` and ``|c|``"),
        (
            "the *largest value*, of k**2 for H* or (k, *shape)",
            r"the *largest value*, of k\*\*2 for H\* or (k, \*shape)",
        ),
        ("x_ and x_k", r"x\_ and x_k"),
        ("* a list of\n  H* and\n* k * 2", "* a list of\n  H\\* and\n* k \\* 2"),
        (r"\*arguments: as napoleon writes them", r"\*arguments: as napoleon writes them"),
        ("so::\n\n    a | b * c\n\n|d|", "so::\n\n    a | b * c\n\n\\|d\\|"),
        (">>> 2 ** 3 | 1\n9\n\n|d|", ">>> 2 ** 3 | 1\n9\n\n\\|d\\|"),
        (
            "| a | b |\n|---|---|\n| `c` |  |",
            ".. list-table::\n   :header-rows: 1\n\n   * - a\n     - b\n   * - `c`\n     - ",
        ),
    ],
)
def test_a_docstring_is_shown_as_it_is_meant(api, written, meant):
    lines = written.split("\n")
    api.as_meant(None, "function", "f", None, None, lines)
    assert "\n".join(lines) == meant


def test_a_default_made_anew_does_not_hide_the_types(api):
    given = "(rates: Mapping[str, float] = <factory>)"
    assert api.without_factories(None, "class", "Job", None, None, given, None) == (
        "(rates: Mapping[str, float] = ...)",
        None,
    )
    assert api.without_factories(None, "exception", "E", None, None, None, None) == (None, None)


def test_the_lines_of_a_long_signature_are_no_list_of_definitions(api):
    """Sphinx writes them as ``dd`` without a ``dt``, which no list may hold; real lists stay."""
    line = '<dd><em class="sig-param"><span>x</span></em>,</dd>'
    real = "<dl>\n<dt>Returns</dt><dd>a number</dd>\n</dl>"
    context = {"body": f"<span>(</span><dl>\n{line}\n{line}\n</dl>\n<span>)</span>{real}"}
    api.mend_signatures(None, "api/x", "page.html", context, None)
    assert context["body"].endswith(real)
    assert context["body"].count('<span class="bn-parameter"><em') == 2
    assert context["body"].count("<dd>") == context["body"].count("</dd>") == 1
