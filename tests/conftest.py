"""A miniature book, so that the tests of the house depend on no real chapter."""

import json
import signal
import threading
from pathlib import Path

import pytest
import yaml
from book_files import HTML, PAGES, chromium

from bnlab.claims import book, reach
from bnlab.claims import draws as deciding

# A shell's background jobs, and so their children, begin with Ctrl-C ignored; what the tests start answers it.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

CLAIMS = [
    {"id": "T-Sum", "kind": "I", "statement": "$1 + 1 = 2$ & more", "criterion": "exact"},
    {"id": "T-Bound", "kind": "T", "statement": "$a < b$", "criterion": "exact", "errata": ["ERR-4"]},
    {"id": "T-Trend", "kind": "X", "statement": "it grows", "criterion": "five of five seeds"},
    {"id": "T-Head", "kind": "H", "statement": "99 % at full scale", "criterion": "within 1 %"},
]
PARAMETERS = """\
epochs: int = 2  # passes over the data
rates: list = [0.1, 1.0]  # learning rates tried
shuffle: bool = True  # draw a new order every pass
norm: str = "batch"  # batch or none
note: str = "µ → # sign"  # any words
step: float = 0.5  # step size
wait: float = 0.0  # seconds to sleep
device: str = "auto"  # auto, cpu or cuda"""
CHECK = """\
from bnlab.commands import parameters

globals().update(
    parameters.check(
        globals(),
        epochs=parameters.integer(1, 100),
        rates=parameters.list_of(parameters.real(above=0)),
        shuffle=parameters.boolean(),
        norm=parameters.choice("batch", "none"),
        note=parameters.text(),
        step=parameters.real(0, 2),
        wait=parameters.real(0, 600),
        device=parameters.device(),
    )
)"""
WORK = """\
import time

time.sleep(wait)
if note == "fail":
    raise RuntimeError("first line\\nsecond line")
if note == "die":
    import os

    os._exit(3)"""
VERDICTS = """\
import pandas as pd

from bnlab.claims import ledger, pages

verdicts = [
    ledger.judge("T-Sum", ledger.identity(1 + 1 == 2), measured="2"),
    ledger.judge("T-Bound", ledger.correction(False, norm == "batch"), measured=f"norm {norm}"),
    ledger.judge("T-Trend", ledger.trend([True] * 5), measured="grows", seeds=5, data="toy"),
    ledger.judge("T-Head", "not run at full scale", measured="no run"),
]
pages.claim_cards(verdicts)
pages.table(pd.DataFrame({"epoch": range(epochs), "loss": [step**n for n in range(epochs)]}), "losses", "Losses")"""
PRINTED = (
    "print([type(v).__name__ for v in (epochs, rates, shuffle, norm, note, step)], epochs, rates, shuffle, repr(note))"
)


def cell(source: str, kind: str = "code", tags: tuple[str, ...] = (), number: int = 0, **extra) -> dict:
    """Make one cell as nbformat 4.5 has it."""
    made = {"cell_type": kind, "id": f"cell-{number}", "metadata": {"tags": list(tags)}, "source": source, **extra}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" and "outputs" not in extra else {})


def notebook(cells: list[dict], **metadata) -> dict:
    """Make a notebook of cells."""
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": cells, "metadata": kernel | metadata, "nbformat": 4, "nbformat_minor": 5}


def tiny_chapter() -> dict:
    """Make the one chapter of the miniature book."""
    card = "# A tiny chapter\n\n**Settles**: nothing. **Time**: 999 s on 2 CPU cores, no GPU needed."
    sources = [
        (card, "markdown", ()),
        (PARAMETERS, "code", ("parameters",)),
        (CHECK, "code", ("hide-input",)),
        (WORK, "code", ()),
        (VERDICTS, "code", ()),
        (PRINTED, "code", ("nbval-check-output", "keep_output")),
    ]
    return notebook([cell(*parts, number=n) for n, parts in enumerate(sources)], bnlab={"seconds": 7})


def displayed(*entries: dict) -> dict:
    """Make a code cell whose outputs carry ``bnlab`` metadata, as an executed chapter has it."""
    outputs = [
        {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {"bnlab": entry}} for entry in entries
    ]
    return cell("show()", outputs=outputs, execution_count=1)


def verdict_row(claim: str, verdict: str, scale: str = "quick", **more) -> dict:
    """Make a verdict as it travels in a notebook."""
    row = {"id": claim, "verdict": verdict, "measured": "m", "statistic": None, "interval": None, "seeds": None}
    return row | {"scale": scale, "data": ""} | more


def write_json(path: Path, content: object) -> Path:
    """Write JSON, folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def mini(tmp_path, monkeypatch) -> Path:
    """Build the miniature book, name it in BNLAB_BOOK, and work in an empty folder beside it."""
    root = tmp_path / "mini"
    write_json(root / "book" / "90_tiny.ipynb", tiny_chapter())
    common = {"document": "Toy 2020", "place": "Section 1", "chapter": "90"}
    (root / "book" / "claims.yml").write_text(yaml.safe_dump([common | claim for claim in CLAIMS]), encoding="utf-8")
    (root / "_toc.yml").write_text("root: book/index\n", encoding="utf-8")
    (root / "book" / "presets" / "paper").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("BNLAB_BOOK", str(root))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path / "work")
    return root


def write_draws(root: Path, *draws: dict, book_seed: int = 0, **facts) -> Path:
    """Put other draws of chapter 90 beside the miniature book, made with today's code but for the ``facts`` given."""
    path = reach.path_of(root / "data" / "recorded", "90")
    of_today = deciding.facts(book.chapter("90", root))
    write_json(path, of_today | {"book_seed": book_seed, "draws": list(draws)} | facts)
    return path


@pytest.fixture
def built(mini) -> Path:
    """Put beside the miniature book what a build leaves: its chapter executed, with verdicts and one table."""
    entries = [
        {"verdicts": [verdict_row("T-Sum", "reproduced"), verdict_row("T-Bound", "corrected")]},
        {"verdicts": [verdict_row("T-Trend", "partly", data="toy"), verdict_row("T-Head", "not run at full scale")]},
        {"table": "losses", "rows": {"epoch": [0, 1], "loss": [1.0, 0.5]}},
    ]
    executed = book.executed_folder(mini) / "90_tiny.ipynb"
    write_json(executed, notebook([*tiny_chapter()["cells"], displayed(*entries)]))
    return mini


@pytest.fixture
def book_style():
    """Draw in the style of the book."""
    import matplotlib as mpl  # late: most tests draw nothing

    from bnlab.figures.style import use_book_style

    with mpl.rc_context():
        use_book_style()
        yield


def pytest_collection_modifyitems(items):
    """Refuse a test named by an address in memory: two processes would collect different tests, and run none."""
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named:
        raise pytest.UsageError(f"{named[0]} is named by an address in memory: give its parameters ids.")


@pytest.fixture(scope="module")
def browser():
    """Open Chromium."""
    from browsing import SWITCHES
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=chromium(), args=SWITCHES)
        yield program
        program.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Folder of the chapters' pages: of the whole book where it is built, else of the cells that need scripts."""
    if PAGES:
        return HTML / "book"
    import small_book

    return small_book.write(tmp_path_factory.mktemp("small-book"), small_book.chapters())
