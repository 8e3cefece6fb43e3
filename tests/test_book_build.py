"""The build of the book, on a book of one chapter: what must fail it fails it, what must re-execute re-executes."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from book_files import ROOT, cells, extension, source

from bnlab.claims import book

pytest.importorskip("jupyter_book", reason="jupyter-book is not installed")

CHAPTER = """
import os, pathlib, time
from uuid import uuid4
import physics
print("run", uuid4())
print("G =", physics.G)
while pathlib.Path(os.environ["BNLAB_BOOK"], "slow").exists():
    time.sleep(0.1)
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


def start(folder, *flags):
    program = Path(sys.executable).parent / "jupyter-book"
    command = [str(program), "build", *flags, "--keep-going", "-W", str(folder)]
    environment = {
        "PATH": str(Path(sys.executable).parent),
        "PYTHONPATH": f"{ROOT / 'lib'}:{folder / 'lib'}",
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "BNLAB_BOOK": str(folder),
        "OMP_NUM_THREADS": "1",
        "LANG": "C.UTF-8",
    }
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def finish(process):
    process.stdout = process.communicate(timeout=300)[0]
    return process


def build(folder, *flags):
    return finish(start(folder, *flags))


def library_says(folder, constant):
    (folder / "lib" / "physics.py").write_text(f"G = {constant}\n")


def page_says(folder, constant):
    page = (folder / "_build" / "html" / "book" / "90_tiny.html").read_text()
    return f"G = {constant}\n" in page


def stamp(folder):
    executed = folder / "_build" / "executed" / "90_tiny.ipynb"
    return [line for line in executed.read_text().splitlines() if "run " in line and "uuid4" not in line]


def test_build_caches_and_forgets_when_the_library_changes(folder):
    write_chapter(folder, VERDICT)
    first = build(folder)
    assert first.returncode == 0, first.stdout[-6000:]
    before = stamp(folder)
    assert before
    assert page_says(folder, 1)
    assert build(folder, "--all").returncode == 0
    assert stamp(folder) == before  # from the cache: nothing that it depends on changed
    library_says(folder, 2)
    assert build(folder).returncode == 0  # without --all: the changed library alone must be enough
    assert stamp(folder) != before
    assert page_says(folder, 2)


def test_what_belongs_to_another_chapter_does_not_make_this_one_run_again(folder):
    write_chapter(folder, VERDICT)
    assert build(folder).returncode == 0
    before = stamp(folder)
    for number, as_before in (("91", True), ("90", False)):
        path = folder / "book" / "presets" / "paper" / f"{number}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("n: 1\n")
        assert build(folder).returncode == 0
        assert (stamp(folder) == before) is as_before


def test_cells_that_come_back_are_not_those_executed_with_an_earlier_preset(folder):
    write_chapter(folder, VERDICT)
    assert build(folder).returncode == 0
    before = stamp(folder)
    path = folder / "book" / "presets" / "paper" / "90.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("n: 2\n")
    write_chapter(folder, VERDICT, "another_cell = 1")
    assert build(folder).returncode == 0
    write_chapter(folder, VERDICT)
    assert build(folder).returncode == 0
    assert stamp(folder) != before


def test_two_builds_at_once_execute_once_and_end_in_right_pages(folder):
    write_chapter(folder, VERDICT)
    library_says(folder, 3)
    both = [start(folder, "--all") for _ in range(2)]
    said = [finish(process).stdout for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(said)[-6000:]
    assert sorted("executing 90_tiny" in text for text in said) == [False, True]
    assert sum("another build of this book is under way: waiting for it." in text for text in said) == 1
    assert page_says(folder, 3)


@pytest.mark.parametrize(("moment", "then"), [("executing 90_tiny", 4), ("writing output", 5)])
def test_a_build_that_is_killed_and_started_again_ends_in_right_pages(folder, moment, then):
    """Killed while a chapter is executed, or while pages are written; and the library is another when it goes on."""
    write_chapter(folder, VERDICT)
    library_says(folder, f"{then} * 100")
    slow = folder / "slow"
    if moment.startswith("executing"):
        slow.touch()
    killed = start(folder)
    assert any(moment in line for line in killed.stdout)
    if slow.exists():
        time.sleep(3)  # into the cell
    killed.kill()
    library_says(folder, then)
    slow.unlink(missing_ok=True)
    again = build(folder)
    assert again.returncode == 0, again.stdout[-6000:]
    assert page_says(folder, then)
    killed.communicate(timeout=60)  # whom it left behind has ended


def test_a_library_that_changes_while_chapters_are_executed_fails_the_build(folder):
    write_chapter(folder, VERDICT)
    library_says(folder, 6)
    (folder / "slow").touch()
    building = start(folder)
    assert any("executing 90_tiny" in line for line in building.stdout)
    library_says(folder, 7)
    (folder / "slow").unlink()
    assert "changed during the build: build again" in finish(building).stdout
    assert building.returncode != 0
    assert build(folder).returncode == 0
    assert page_says(folder, 7)


@pytest.fixture(scope="module")
def execution():
    return extension("execution")


@pytest.fixture
def sources(tmp_path):
    for name in ("lib/bnlab.py", "book/claims.yml", "requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CLAIM if name.endswith("claims.yml") else "")
    return tmp_path


def test_other_draws_change_what_pages_are_built_of(execution, sources):
    seen = [execution.fingerprint(sources)]
    for name, words in (("reseed/06.json", "1"), ("reseed/06.json", "2"), (".partial/reseed-06.json", "1")):
        path = sources / "data" / "recorded" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words)
        seen.append(execution.fingerprint(sources))
    assert len(set(seen)) == 3
    assert seen[2] == seen[3]  # draws under way are on no page


@pytest.mark.parametrize(
    ("name", "words", "whose"),
    [
        ("lib/bnlab/chapters/ch90_tiny/plots.py", "", "90"),
        ("data/recorded/90/provenance.json", "{}", "90"),
        ("data/recorded/reseed/90.json", "{}", "90"),
        ("data/recorded/own/90-0123456789ab/provenance.json", "{}", "90"),
        ("book/presets/paper/90.yml", "", "90"),
        ("book/claims.yml", CLAIM.replace("It does", "It does indeed"), "90"),
        ("lib/bnlab/checks.py", "", ""),
        ("lib/bnlab/chapters/__init__.py", "", ""),
        ("data/recorded/changes.yml", "", ""),
        ("requirements.txt", "torch", ""),
        ("book/claims.yml", f"# The claims.\n{CLAIM}", None),
        ("book/explanations.yml", "", None),
    ],
)
def test_a_change_is_known_to_be_one_chapters_or_everybodys(execution, sources, name, words, whose):
    before, pages = execution.fingerprints(sources), execution.fingerprint(sources)
    (sources / name).parent.mkdir(parents=True, exist_ok=True)
    (sources / name).write_text(words)
    after = execution.fingerprints(sources)
    assert {owner for owner in after if after[owner] != before.get(owner)} == ({whose} if whose is not None else set())
    assert execution.fingerprint(sources) != pages


def test_no_chapter_reads_what_another_recorded():
    for chapter in book.chapters(ROOT):
        code = "".join(source(cell) for cell in cells(chapter.path, "code"))
        assert set(re.findall(r"recorded\.load\([^\n]*\"(\d\d)\"\)", code)) <= {chapter.number}
        assert set(re.findall(r"bnlab\.chapters\.ch(\d\d)_", code)) <= {chapter.number}


def test_a_claim_without_verdict_fails_the_build(folder):
    write_chapter(folder)
    result = build(folder)
    assert result.returncode != 0
    assert "no verdict on C-Tiny" in result.stdout


def test_a_failing_cell_fails_the_build_and_shows_its_traceback(folder):
    write_chapter(folder, "raise RuntimeError('the kettle is cold')", VERDICT)
    result = build(folder)
    assert result.returncode != 0
    assert "the kettle is cold" in result.stdout


def test_a_warning_fails_the_build(folder):
    write_chapter(folder, VERDICT)
    (folder / "book" / "index.md").write_text("# Front\n\n{ref}`nowhere`\n")
    result = build(folder, "--all")
    assert result.returncode != 0
    assert "nowhere" in result.stdout
