import os
import subprocess
import sys

import pytest
from conftest import cell, displayed, notebook, tiny_chapter, write_json

from bnlab.claims import book
from bnlab.claims.book import BookError, Parameter


def refusal(function, *arguments) -> str:
    with pytest.raises(BookError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_root_is_what_the_environment_names(mini, tmp_path, monkeypatch):
    assert book.root() == mini
    monkeypatch.setenv("BNLAB_BOOK", str(tmp_path))
    assert f"BNLAB_BOOK = {str(tmp_path)!r} holds no book" in refusal(book.root)


def test_root_is_a_parent_of_the_working_directory(mini, monkeypatch):
    monkeypatch.delenv("BNLAB_BOOK")
    (mini / "book" / "deep").mkdir()
    monkeypatch.chdir(mini / "book" / "deep")
    assert book.root() == mini


def test_root_is_else_the_checkout_that_the_library_lies_in(mini, monkeypatch):
    monkeypatch.delenv("BNLAB_BOOK")
    monkeypatch.setattr(book, "__file__", str(mini / "lib" / "bnlab" / "claims" / "book.py"))
    assert book.root() == mini


def test_without_the_book_root_says_where_to_get_it(mini, tmp_path, monkeypatch):
    monkeypatch.delenv("BNLAB_BOOK")
    monkeypatch.setattr(book, "__file__", str(tmp_path / "site-packages" / "bnlab" / "book.py"))
    line = refusal(book.root)
    assert "the library is here, the book is not: get the project's source" in line
    assert "BNLAB_BOOK" in line


def test_a_working_directory_that_was_removed_is_no_obstacle(mini, tmp_path, monkeypatch):
    monkeypatch.delenv("BNLAB_BOOK")
    monkeypatch.setattr(book, "__file__", str(mini / "lib" / "bnlab" / "claims" / "book.py"))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert book.root() == mini


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user, who may not look into a folder")
def test_a_folder_that_may_not_be_looked_into_holds_no_book(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = """
import os
from bnlab.claims import book
os.setuid(65534)
try:
    book.root()
except book.BookError:
    print("refused")
"""
    environment = os.environ | {"BNLAB_BOOK": str(closed / "in")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "refused\n", done.stderr


def test_a_chapter_is_read_without_running_it(mini):
    (chapter,) = book.chapters()
    assert (chapter.number, chapter.title, chapter.seconds) == ("90", "A tiny chapter", 7)
    assert [p.name for p in chapter.parameters] == [
        *("epochs", "rates", "shuffle", "norm"),
        *("note", "step", "wait", "device"),
    ]
    assert chapter.parameters[1] == Parameter("rates", "list", [0.1, 1.0], "learning rates tried")
    assert "parameters.check(" in chapter.check_source


@pytest.mark.parametrize("name", ["90", "90_tiny", "90_tiny.ipynb", "some/where/90_tiny.ipynb"])
def test_chapter_by_number_or_name(mini, name):
    assert book.chapter(name).path == mini / "book" / "90_tiny.ipynb"


def test_chapter_by_one_digit(mini):
    write_json(mini / "book" / "04_modes.ipynb", tiny_chapter())
    assert book.chapter("4").number == book.chapter(4).number == book.chapter("04").number == "04"


@pytest.mark.parametrize("name", ["91", "", "90.5", "90_", "tiny", "../90", "009", "90\n"])
def test_no_such_chapter(mini, name):
    if name == "../90":  # a path is read by its last part
        assert book.chapter(name).number == "90"
    else:
        assert refusal(book.chapter, name) == f"chapter {name!r} is not in the book: its chapters are 90."


def test_a_book_without_chapters(mini):
    (mini / "book" / "90_tiny.ipynb").unlink()
    assert "its chapters are none" in refusal(book.chapter, "90")


def test_a_broken_chapter_does_not_stand_in_the_way_of_another(mini):
    (mini / "book" / "10_broken.ipynb").write_text("{")
    assert book.chapter("90").number == "90"
    assert "10_broken.ipynb is not a readable notebook" in refusal(book.chapters)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a: int = 1", Parameter("a", "int", 1, "")),
        ("a: int = -1  #  less  ", Parameter("a", "int", -1, "less")),
        ("a: str = '#'  # a # b", Parameter("a", "str", "#", "a # b")),
        ('a: str = "µµµµµµ"  # micro', Parameter("a", "str", "µµµµµµ", "micro")),
        ('a: str = "\\u2028\u2028"  # lines', Parameter("a", "str", "\u2028\u2028", "lines")),
        ("a: list[float] = [\n 1.0,\n 2.0]  # two", Parameter("a", "list[float]", [1.0, 2.0], "two")),
        ("import os\nb = 3\na: bool = True", Parameter("a", "bool", True, "")),
    ],
)
def test_read_parameters(source, expected):
    assert book.read_parameters(source) == (expected,)


@pytest.mark.parametrize(
    "source",
    ["a: int = f()", "a: int = ", "a: dict = {}", "a: list = {1}", "a: str = None", "a: int = 1j", "a: int = [\0]"],
)
def test_parameters_that_a_command_line_cannot_say_are_refused(mini, source):
    broken = tiny_chapter()
    broken["cells"][1]["source"] = source
    path = write_json(mini / "book" / "90_tiny.ipynb", broken)
    assert str(path) + ": its parameters cell cannot be read (" in refusal(book.chapter, "90")


@pytest.mark.parametrize("kept", [slice(0, 1), slice(0, 2), slice(2, 4)])
def test_a_chapter_without_parameters_or_check_cell(mini, kept):
    write_json(mini / "book" / "90_tiny.ipynb", notebook(tiny_chapter()["cells"][kept]))
    assert "no cell tagged 'parameters' followed by a check cell" in refusal(book.chapter, "90")


@pytest.mark.parametrize(
    ("metadata", "seconds"), [({}, None), ({"bnlab": 3}, None), ({"bnlab": {"seconds": "x"}}, None)]
)
def test_seconds_before_the_first_recording(mini, metadata, seconds):
    write_json(mini / "book" / "90_tiny.ipynb", notebook(tiny_chapter()["cells"], **metadata))
    assert book.chapter("90").seconds is seconds


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json_is_refused(tmp_path, content):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    assert refusal(book.read_notebook, path).startswith(f"{path} is not a readable notebook (")


@pytest.mark.parametrize(
    "content",
    [
        1,
        [],
        {},
        {"cells": []},
        {"cells": {}, "metadata": {}},
        {"cells": [3], "metadata": {}},
        {"cells": [{"cell_type": "code"}], "metadata": {}},
        {"cells": [], "metadata": []},
        notebook([cell("x") | {"source": 3}]),
        notebook([cell("x") | {"source": ["a", 3]}]),
        notebook([cell("x") | {"outputs": None}]),
        notebook([cell("x") | {"metadata": None}]),
        notebook([cell("x") | {"metadata": {"tags": None}}]),
        notebook([cell("x") | {"cell_type": []}]),
        {"worksheets": [], "metadata": {}, "nbformat": 3},
    ],
)
def test_what_is_no_notebook_is_refused(tmp_path, content):
    path = write_json(tmp_path / "x.ipynb", content)
    assert refusal(book.read_notebook, path) == f"{path} is JSON but not a notebook of format 4: name an .ipynb file."


def test_a_notebook_that_is_not_there(tmp_path):
    assert "does not exist" in refusal(book.read_notebook, tmp_path / "x.ipynb")
    assert "IsADirectoryError" in refusal(book.read_notebook, tmp_path)


def test_outputs_metadata_are_the_books_own_entries_in_order():
    outputs = [{"metadata": {"bnlab": 3}}, {"metadata": None}, {}, "text", {"metadata": {"other": 1}}]
    cells = [displayed({"a": 1}, {"b": 2}), cell("x", outputs=outputs), cell("y", "markdown"), displayed({"c": 3})]
    assert book.outputs_metadata(notebook(cells)) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_source_lines_and_source_text_read_the_same(mini):
    lines = tiny_chapter()
    for each in lines["cells"]:
        each["source"] = each["source"].splitlines(keepends=True)
    before = book.chapter("90")
    write_json(mini / "book" / "90_tiny.ipynb", lines)
    after = book.chapter("90")
    assert (before.parameters, before.check_source, before.title) == (after.parameters, after.check_source, after.title)


def test_executed_notebooks_lie_in_the_books_own_build(mini):
    assert book.executed_folder() == book.executed_folder(mini)
    assert book.executed_folder().is_relative_to(mini / "_build")
