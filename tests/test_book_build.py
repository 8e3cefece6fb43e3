"""The build of the book, on a book of one chapter: what must fail it fails it, what must re-execute re-executes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from book_files import ROOT

pytest.importorskip("jupyter_book", reason="jupyter-book is not installed")

CHAPTER = """
from uuid import uuid4
print("run", uuid4())
"""
VERDICT = """
from bnlab.claims import ledger, pages
pages.claim_cards([ledger.judge("C-Tiny", "reproduced", measured="yes")])
"""
CLAIM = """
- id: C-Tiny
  document: Test
  place: Sec. 1
  kind: I
  statement: It holds.
  criterion: It does.
  chapter: "90"
"""


def code(source, *tags):
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**8}",
        "metadata": {"tags": list(tags)},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


def write_chapter(folder: Path, *extra: str) -> None:
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Tiny"},
        code("n: int = 1  # a number", "parameters"),
        code("from bnlab.commands import parameters as p\nglobals().update(p.check(globals(), n=p.integer(1)))"),
        code(CHAPTER),
        *(code(source) for source in extra),
    ]
    notebook = {
        "cells": cells,
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    }
    (folder / "book" / "90_tiny.ipynb").write_text(json.dumps(notebook))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with one chapter, a library of one line, and the real configuration, extension and styles."""
    place = tmp_path_factory.mktemp("project")
    (place / "book").mkdir()
    for name in ("_static", "_ext", "references.bib"):
        source = ROOT / "book" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, place / "book" / name)
    shutil.copy(ROOT / "_config.yml", place)
    (place / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n- file: book/90_tiny\n- file: book/ledger\n"
    )
    (place / "book" / "index.md").write_text("# Front\n\nWords.\n")
    (place / "book" / "ledger.md").write_text("# Ledger\n\nWords.\n")
    (place / "book" / "claims.yml").write_text(CLAIM)
    (place / "lib").mkdir()
    (place / "lib" / "physics.py").write_text("G = 1\n")
    return place


def build(folder, *flags):
    program = Path(sys.executable).parent / "jupyter-book"
    command = [str(program), "build", *flags, "--keep-going", "-W", str(folder)]
    environment = {
        "PATH": str(Path(sys.executable).parent),
        "HOME": str(folder),
        "BNLAB_BOOK": str(folder),
        "OMP_NUM_THREADS": "1",
        "LANG": "C.UTF-8",
    }
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


def stamp(folder):
    executed = folder / "_build" / "executed" / "90_tiny.ipynb"
    return [line for line in executed.read_text().splitlines() if "run " in line and "uuid4" not in line]


def test_build_caches_and_forgets_when_the_library_changes(folder):
    write_chapter(folder, VERDICT)
    first = build(folder)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    before = stamp(folder)
    assert before
    assert build(folder, "--all").returncode == 0
    assert stamp(folder) == before  # from the cache: nothing that it depends on changed
    (folder / "lib" / "physics.py").write_text("G = 2\n")
    assert build(folder).returncode == 0  # without --all: the changed library alone must be enough
    assert stamp(folder) != before


def test_a_claim_without_verdict_fails_the_build(folder):
    write_chapter(folder)
    result = build(folder)
    assert result.returncode != 0
    assert "no verdict on C-Tiny" in result.stdout + result.stderr


def test_a_failing_cell_fails_the_build_and_shows_its_traceback(folder):
    write_chapter(folder, "raise RuntimeError('the kettle is cold')", VERDICT)
    result = build(folder)
    assert result.returncode != 0
    assert "the kettle is cold" in result.stdout + result.stderr


def test_a_warning_fails_the_build(folder):
    write_chapter(folder, VERDICT)
    (folder / "book" / "index.md").write_text("# Front\n\n{ref}`nowhere`\n")
    result = build(folder, "--all")
    assert result.returncode != 0
    assert "nowhere" in result.stdout + result.stderr
