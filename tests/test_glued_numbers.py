"""No page shows a number as a program writes it: powers of ten are raised where text is pasted, and nowhere else."""

import re

import book_files
import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed")

from docutils import nodes
from docutils.utils import new_document


@pytest.fixture
def extension():
    return book_files.extension("glued_numbers")


def test_powers_of_ten_are_raised_in_what_is_pasted_alone(extension):
    document = new_document("page")
    for text, classes in (("2e+23 or -1.5e-09", ["pasted-text"]), ("5e-02", ["pasted-text"]), ("2e+23", ["other"])):
        document += nodes.inline(text, text, classes=classes)
    extension.GluedNumbers(document).run()
    first, second, other = document.children
    assert first.astext() == "2\u00a0×\u00a01023 or -1.5\u00a0×\u00a010−9"
    assert [raised.astext() for raised in first.findall(nodes.superscript)] == ["23", "−9"]
    assert (second.astext(), other.astext()) == ("0.05", "2e+23")


def test_pages_show_no_number_as_a_program_writes_it(pages):
    from bs4 import BeautifulSoup

    # Parameters of a recording stand as they are given to the program.
    written = re.compile(r"(?<![\w.])\d+(\.\d+)?e[+-]\d+\b")
    found = {}
    for path in sorted(pages.glob("*.html")):
        body = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find("article")
        for code in body.select("code, pre, script, style, svg, .bn-provenance") if body else ():
            code.decompose()
        if body and (shown := sorted({match[0] for match in written.finditer(body.get_text(" "))})):
            found[path.name] = shown
    assert not found
