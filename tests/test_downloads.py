"""What a reader takes along: a zip that installs and runs, the same bytes twice, and an archive of the pages."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from book_files import ROOT, extension, module


@pytest.fixture(scope="module")
def downloads():
    return extension("downloads")


@pytest.fixture
def project(tmp_path) -> Path:
    for name in ("README.md", "lib/bnlab/a.py", "lib/bnlab/__pycache__/a.pyc", "book/90_tiny.ipynb", "tests/test_a.py",
                 "data/recorded/90/x.csv.gz", "data/recorded/.partial/y", "data/downloads/big"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_the_zip_holds_what_runs_a_chapter_and_nothing_else(downloads, project):
    size = downloads.write_zip(project, project / "out" / downloads.NAME)
    with zipfile.ZipFile(project / "out" / downloads.NAME) as archive:
        assert archive.namelist() == [
            "bn-lab/README.md", "bn-lab/book/90_tiny.ipynb", "bn-lab/data/recorded/90/x.csv.gz",
            "bn-lab/lib/bnlab/a.py",
        ]  # fmt: skip
        assert archive.read("bn-lab/README.md") == b"README.md"
    assert size == (project / "out" / downloads.NAME).stat().st_size
    assert list((project / "out").iterdir()) == [project / "out" / downloads.NAME]


def test_the_same_files_give_the_same_bytes(downloads, project):
    downloads.write_zip(project, project / "one.zip")
    (project / "README.md").touch()
    downloads.write_zip(project, project / "two.zip")
    assert (project / "one.zip").read_bytes() == (project / "two.zip").read_bytes()


def test_the_books_own_zip_has_the_command_every_notebook_and_what_they_install_from(downloads):
    names = {path.relative_to(ROOT).as_posix() for path in downloads.files(ROOT)}
    assert {"pyproject.toml", "requirements.txt", "lib/bnlab/commands/cli.py", "book/claims.yml"} <= names
    assert {f"book/{path.name}" for path in (ROOT / "book").glob("*.ipynb")} <= names
    assert not [name for name in names if name.startswith(("tests", "data/downloads", ".venv"))]


@pytest.mark.parametrize(("page", "offered"), [("book/90_tiny", True), ("book/glossary", False)])
def test_a_chapter_offers_the_zip_with_its_size(downloads, project, page, offered):
    app = SimpleNamespace(srcdir=project, bnlab_zip_size=1_234_567)
    context = {"body": "<p>x</p>"}
    downloads.offer(app, page, "page.html", context, None)
    assert ("1.2 MB" in context["body"] and "bnlab run 90" in context["body"]) == offered


def test_an_archive_of_the_pages(tmp_path, capsys):
    archive = module(ROOT / "tools" / "archive.py")
    assert archive.main(tmp_path) == 2
    assert "run make book" in capsys.readouterr().err
    (tmp_path / "_build" / "html" / "book").mkdir(parents=True)
    (tmp_path / "_build" / "html" / "book" / "index.html").write_text("<title>x</title>")
    assert archive.main(tmp_path) == 0
    assert "MB" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "_build" / "bn-lab-pages.zip") as made:
        assert "book/index.html" in made.namelist()
