import json
from pathlib import Path

import nbformat
import pytest
from book_files import ROOT, module
from conftest import cell, notebook, tiny_chapter, write_json


@pytest.fixture
def tool(mini, monkeypatch):
    refresh = module(ROOT / "tools" / "refresh_outputs.py")
    monkeypatch.setattr(refresh, "BOOK", mini / "book")
    return refresh


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_chapter_is_refreshed(tool, mini, capsys):
    path = mini / "book" / "90_tiny.ipynb"
    before = tiny_chapter()
    before["metadata"] |= {"mystnb": {"execution_mode": "force"}, "vscode": "litter", "papermill": {"x": 1}}
    before["cells"][3]["metadata"]["execution"] = {"iopub.status.busy": "now"}
    write_json(path, before)
    assert tool.main(["90"]) == 0
    after = read(path)
    assert after["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "mystnb": {"execution_mode": "force"},
        "bnlab": {"seconds": after["metadata"]["bnlab"]["seconds"]},
    }
    seconds = after["metadata"]["bnlab"]["seconds"]
    assert 1 <= seconds < 120
    assert f"**Time**: {seconds} s on 2 CPU cores, no GPU needed." in "".join(after["cells"][0]["source"])
    assert [len(c["outputs"]) for c in after["cells"] if c["cell_type"] == "code"] == [0, 0, 0, 0, 1]
    assert [c["execution_count"] for c in after["cells"] if c["cell_type"] == "code"] == [None, None, None, None, 5]
    assert after["cells"][5]["outputs"][0]["text"][0].startswith("['int', 'list', 'bool', 'str', 'str', 'float'] 2")
    assert "execution" not in after["cells"][3]["metadata"]
    assert [c["id"] for c in after["cells"]] == [c["id"] for c in before["cells"]]
    assert ["".join(c["source"]) for c in after["cells"][1:]] == [c["source"] for c in before["cells"][1:]]
    assert capsys.readouterr().out.startswith("90_tiny.ipynb: ")
    assert path.read_text(encoding="utf-8").count("\n") > 100  # a line of source a line of the file: diffs can be read
    assert "→" in path.read_text(encoding="utf-8")
    nbformat.validate(nbformat.read(path, as_version=4))


def test_a_failing_cell_leaves_the_file_as_it_was(tool, mini):
    path = write_json(mini / "book" / "05_failing.ipynb", notebook([cell("1 / 0", number=1)]))
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        tool.main(["05"])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.glob(".*")] == []


def test_what_is_no_chapter_gets_no_time_and_keeps_its_folder(tool, mini):
    (mini / "book" / "beside.txt").write_text("beside")
    source = "print(open('beside.txt').read())"
    path = write_json(mini / "book" / "ledger.ipynb", notebook([cell(source, tags=("keep_output",), number=1)]))
    assert tool.main(["ledger"]) == 0
    assert "bnlab" not in read(path)["metadata"]
    assert read(path)["cells"][0]["outputs"][0]["text"] == ["beside\n"]


def test_a_chapter_that_is_not_there_is_said(tool, mini, capsys):
    before = (mini / "book" / "90_tiny.ipynb").read_bytes()
    assert tool.main(["90", "17"]) == 2
    assert capsys.readouterr().err == f"no notebook in {mini / 'book'} begins with '17'.\n"
    assert (mini / "book" / "90_tiny.ipynb").read_bytes() == before


def test_without_names_every_notebook_is_refreshed(tool, mini, monkeypatch):
    write_json(mini / "book" / "ledger.ipynb", notebook([]))
    seen = []
    monkeypatch.setattr(tool, "refresh", lambda path: seen.append(path.name) or 1.0)
    assert tool.main([]) == 0
    assert seen == ["90_tiny.ipynb", "ledger.ipynb"]


def test_the_book_is_the_projects_own_wherever_one_stands():
    path = Path(__file__).resolve().parents[1] / "tools" / "refresh_outputs.py"
    assert 'BOOK = Path(__file__).resolve().parents[1] / "book"' in path.read_text()


def test_times_on_the_card(tool):
    card = "**Data**: digits. **Time**: 12.5 s on 2 CPU cores, no GPU.\n**Time**: on 2 CPU cores"
    assert tool.CARD.sub(r"\g<1>7 s\g<2>", card).startswith("**Data**: digits. **Time**: 7 s on 2 CPU cores, no GPU.\n")
