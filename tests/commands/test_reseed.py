"""Other seeds: which verdicts move, which draws fail, and that nothing finished is lost or counted twice."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from conftest import PARAMETERS, tiny_chapter, write_json

from bnlab.claims import book, reach
from bnlab.commands import cli, reseed
from bnlab.commands.parameters import ParameterError

SEEDED = PARAMETERS + "\nseed: int = 0  # the first"
WORK = """
import time
time.sleep(wait)
if seed == 4100:
    raise RuntimeError("no such luck")
"""
VERDICTS = """
from bnlab.claims import ledger, pages
pages.claim_cards([
    ledger.judge("T-Sum", "reproduced", measured="2"),
    ledger.judge("T-Trend", ledger.trend([seed != 2100] * 5), measured=f"seed {seed}", seeds=5),
], [ledger.judge("T-Trend", "partly", measured="recorded", scale="full")])
"""


@pytest.fixture
def seeded(mini):
    """Make the miniature chapter one with a seed, on which a verdict and a failure depend."""
    chapter = tiny_chapter()
    check = chapter["cells"][2]["source"].replace("wait=", "seed=parameters.integer(0, 10_000),\n        wait=")
    for cell, source in zip(chapter["cells"][1:5], (SEEDED, check, WORK, VERDICTS), strict=True):
        cell["source"] = source
    write_json(mini / "book" / "90_tiny.ipynb", chapter)
    return mini


def lines_of(folder) -> dict[int, dict]:
    return {draw["seed"]: draw for draw in reach.load(folder, "90")["draws"]}


def test_which_verdicts_move_and_which_draws_fail(seeded, capsys):
    folder = seeded / "data" / "recorded"
    assert cli.main(["reseed", "90", "--seeds", "3"]) == 1
    out, told = capsys.readouterr()
    assert "T-Sum        reproduced             the same in 2 of 3 other draws of the seeds (failed in 1)" in out
    assert "T-Trend      reproduced             the same in 1 of 3 other draws of the seeds (not reproduced in 1" in out
    assert out.index("T-Trend") < out.index("T-Sum")  # what moves most stands first
    assert "chapter 90 failed with seed 4100: a cell failed (RuntimeError: no such luck)" in out
    assert len(told.splitlines()) == 4
    kept = lines_of(folder)
    assert list(kept) == [0, 100, 2100, 4100]
    assert kept[0]["verdicts"]["T-Trend"] == {"verdict": "reproduced", "statistic": None, "measured": "seed 0"}
    assert kept[100]["verdicts"]["T-Trend"] == {"verdict": "reproduced", "statistic": None}  # as the book's own
    assert kept[2100]["verdicts"]["T-Trend"]["measured"] == "seed 2100"
    assert (kept[4100]["verdicts"], kept[4100]["failed"]) == ({}, "a cell failed (RuntimeError: no such luck)")
    assert [path.name for path in (folder / "reseed").iterdir()] == ["90.json"]
    assert [path.name for path in (folder / ".partial").iterdir()] == ["reseed-90.lock"]

    first = (folder / "reseed" / "90.json").read_bytes()
    assert cli.main(["reseed", "90", "--seeds", "2", "--json"]) == 1
    answer, told = capsys.readouterr()
    assert told == ""  # both are there
    assert {row["id"]: row["agree"] for row in json.loads(answer)["claims"]} == {"T-Trend": 1, "T-Sum": 2}
    assert (folder / "reseed" / "90.json").read_bytes() == first

    assert cli.main(["reseed", "90", "--seeds", "3"]) == 1
    assert [line.split("seed ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "4100: failed: a cell failed (RuntimeError: no such luck)"  # a failure is looked at again, nothing else
    ]


def stand_in(monkeypatch, decided, delay=0.0) -> list[int]:
    """Make draws without executing anything: ``decided`` gives the verdict of a seed; collect the seeds asked for."""
    asked = []

    class Ended:
        returncode = 0

        def __init__(self):
            self.until = time.monotonic() + delay

        def poll(self):
            return 0 if time.monotonic() > self.until else None

        def send_signal(self, number):
            asked.append(-number)

        def wait(self, timeout=None):
            return 0

    def start(chapter, seed, place):
        asked.append(seed)
        return Ended()

    def draw(process, seed, place, seconds):
        verdict = {"verdict": decided(seed), "statistic": None, "measured": "m"}
        return {"seed": seed, "seconds": 1.0, "failed": None, "verdicts": {"T-Trend": verdict}}

    monkeypatch.setattr(reseed, "_start", start)
    monkeypatch.setattr(reseed, "_draw", draw)
    return asked


def test_draws_are_well_apart_and_more_of_them_are_added(seeded, monkeypatch):
    asked, folder = stand_in(monkeypatch, lambda seed: "partly"), seeded / "data" / "recorded"
    reseed.reseed(book.chapter("90"), 2, 100, folder)
    assert sorted(asked) == [0, 100, 2100]
    kept = reseed.reseed(book.chapter("90"), 4, 100, folder)
    assert sorted(asked) == [0, 100, 2100, 4100, 6100]
    assert [draw["seed"] for draw in kept["draws"]] == [0, 100, 2100, 4100, 6100]
    reseed.reseed(book.chapter("90"), 1, 300, folder)
    assert sorted(lines_of(folder)) == [0, 100, 300, 2100, 4100, 6100]
    with pytest.raises(reseed.ReseedError, match="seeds 100 and 150 are too near"):
        reseed.reseed(book.chapter("90"), 1, 150, folder)


def test_what_a_chapter_draws_beyond_its_seeds_does_not_reach_the_next_draw():
    """Chapter 07 tunes on seeds that begin 1000 above its first; nobody goes further."""
    for chapter in book.chapters():
        defaults = {parameter.name: parameter.default for parameter in chapter.parameters}
        assert max(defaults.get(name, 0) for name in ("seeds", "lms_seeds", "tuning_seeds")) <= 100
        assert "seed" in defaults
    assert reseed.APART > 1000 + 100


def test_the_layout_of_a_chapter_decides_no_draw(seeded, monkeypatch):
    asked, folder = stand_in(monkeypatch, lambda seed: "partly"), seeded / "data" / "recorded"
    reseed.reseed(book.chapter("90"), 1, 100, folder)
    path = seeded / "book" / "90_tiny.ipynb"
    path.write_text(path.read_text().replace("epochs: int = 2", "epochs: int  =  2"))
    reseed.reseed(book.chapter("90"), 1, 100, folder)
    assert sorted(asked) == [0, 100]


def test_what_only_tells_decides_no_draw():
    cells = """
quick = verdicts.quick(tables)
glue(
    "many",
    len(quick),
)
if recording is None:
    print("none")
elif ready:
    pages.provenance(recording)
for k in range(3):
    glue(f"n{k}", k)
plots.lines(tables["runs"])
halfspace_plots.lines(tables)
if quick:
    best = quick[0]
    print(best)
pages.claim_cards(quick, full)
table = pages.table
"""
    kept = reseed.draws.without_telling(cells)
    assert kept.splitlines() == [
        "quick = verdicts.quick(tables)", "if quick:", "    best = quick[0]", "pages.claim_cards(quick, full)",
        "table = pages.table",
    ]  # fmt: skip


def test_what_comes_after_the_verdicts_decides_no_draw():
    sources = ["a = 1", "pages.claim_cards(quick, full)", "import bnlab.theory.modes"]
    notebook = {"cells": [{"cell_type": "code", "source": source} for source in sources]}
    assert reseed.draws.code_that_judges(notebook) == "\n".join(sources[:2])
    notebook["cells"][1]["source"] = "## Limits"
    assert "modes" in reseed.draws.code_that_judges(notebook)


@pytest.mark.parametrize("change", ["code", "default", "library", "version"])
def test_draws_of_another_state_are_not_counted(seeded, monkeypatch, change):
    asked, folder = stand_in(monkeypatch, lambda seed: "partly"), seeded / "data" / "recorded"
    reseed.reseed(book.chapter("90"), 1, 100, folder)
    path = seeded / "book" / "90_tiny.ipynb"
    if change == "code":
        path.write_text(path.read_text().replace("no such luck", "bad luck"))
    elif change == "default":
        path.write_text(path.read_text().replace("epochs: int = 2", "epochs: int = 3"))
    elif change == "library":
        monkeypatch.setattr(reseed.keys, "sources", lambda *names: {"bnlab.claims.ledger": "another"})
    else:
        monkeypatch.setattr(reseed.provenance, "machine", lambda device: {"versions": {"torch": "99"}})
    reseed.reseed(book.chapter("90"), 1, 100, folder)
    assert sorted(asked) == [0, 0, 100, 100]


def test_a_change_under_way_stops_and_is_not_kept(seeded, monkeypatch):
    states = iter(["a", "a", "b"])
    stand_in(monkeypatch, lambda seed: "partly")
    monkeypatch.setattr(reseed.draws, "deciding", lambda code: ["all"])
    monkeypatch.setattr(reseed.keys, "sources", lambda *names: {"bnlab.theory.modes": next(states, "b")})
    monkeypatch.setattr(reseed, "usable_cores", lambda: 1)
    folder = seeded / "data" / "recorded"
    with pytest.raises(reseed.ReseedError, match=r"bnlab\.theory\.modes was changed meanwhile"):
        reseed.reseed(book.chapter("90"), 2, 100, folder)
    assert reach.load(folder, "90") is None
    partial = json.loads((folder / ".partial" / "reseed-90.json").read_text())
    assert [draw["seed"] for draw in partial["draws"]] == [0]


def test_after_an_interrupt_the_rest_is_made_and_draws_under_way_are_stopped(seeded, monkeypatch):
    asked, folder = stand_in(monkeypatch, lambda seed: "partly", delay=0.01), seeded / "data" / "recorded"
    monkeypatch.setattr(reseed, "usable_cores", lambda: 1)

    def tell(line):
        if len(asked) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseed.reseed(book.chapter("90"), 3, 100, folder, tell)
    assert asked == [0, 100]
    assert reach.load(folder, "90") is None
    reseed.reseed(book.chapter("90"), 3, 100, folder)
    assert asked == [0, 100, 2100, 4100]
    assert sorted(lines_of(folder)) == [0, 100, 2100, 4100]


def test_a_stop_after_the_last_draw_loses_nothing(seeded, monkeypatch):
    asked, folder = stand_in(monkeypatch, lambda seed: "partly"), seeded / "data" / "recorded"
    with monkeypatch.context() as patch:
        patch.setattr(reseed, "_without_repetition", lambda made: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            reseed.reseed(book.chapter("90"), 1, 100, folder)
    assert reach.load(folder, "90") is None
    reseed.reseed(book.chapter("90"), 1, 100, folder)
    assert sorted(asked) == [0, 100]
    assert sorted(lines_of(folder)) == [0, 100]


def test_an_earlier_result_stays_until_the_new_one_is_whole(seeded, monkeypatch):
    stand_in(monkeypatch, lambda seed: "partly")
    folder = seeded / "data" / "recorded"
    reseed.reseed(book.chapter("90"), 1, 100, folder)
    before = reach.path_of(folder, "90").read_bytes()
    monkeypatch.setattr(reseed.keys, "sources", lambda *names: {})

    def tell(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseed.reseed(book.chapter("90"), 1, 100, folder, tell)
    assert reach.path_of(folder, "90").read_bytes() == before


def test_what_only_draws_or_displays_is_no_part_of_the_key():
    """An edit of a figure throws no draw away; an edit of what judges does."""
    code = "import os\nfrom bnlab.chapters.ch16_random_matrices import plots, verdicts\nfrom bnlab.claims import pages"
    names = set(reseed.keys.sources(*reseed.draws.deciding(code)))
    assert {"bnlab.chapters.ch16_random_matrices.verdicts", "bnlab.claims.ledger"} <= names
    shown = ("bnlab.figures", "bnlab.claims.pages", "bnlab.claims.cards", "bnlab.commands")
    assert [name for name in names if name.startswith(shown) or name.endswith("plots")] == []


def test_two_at_once_do_not_mix(seeded, monkeypatch):
    stand_in(monkeypatch, lambda seed: "partly")
    folder = seeded / "data" / "recorded"
    with (
        reseed.locked(folder / ".partial" / "reseed-90.lock", "held"),
        pytest.raises(reseed.ReseedError, match="chapter 90 is being drawn again by another process"),
    ):
        reseed.reseed(book.chapter("90"), 1, 100, folder)


def test_bad_input_is_refused_before_anything_runs(seeded, mini, monkeypatch):
    asked, folder = stand_in(monkeypatch, lambda seed: "partly"), seeded / "data" / "recorded"
    for count, first, words in ((0, 100, "0 draws"), (5, 99, "at least 100"), (5, -1, "at least 100")):
        with pytest.raises(reseed.ReseedError, match=words):
            reseed.reseed(book.chapter("90"), count, first, folder)
    with pytest.raises(ParameterError, match="seed = 18100"):  # the chapter's own limit, asked of the last seed
        reseed.reseed(book.chapter("90"), 10, 100, folder)
    write_json(mini / "book" / "90_tiny.ipynb", tiny_chapter())
    with pytest.raises(reseed.ReseedError, match="chapter 90 has no parameter seed"):
        reseed.reseed(book.chapter("90"), 1, 100, folder)
    assert asked == []
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_named(seeded, monkeypatch, tmp_path):
    stand_in(monkeypatch, lambda seed: "partly")
    (tmp_path / "file").write_text("")
    with pytest.raises(reseed.ReseedError, match=r"cannot be written .* -o"):
        reseed.reseed(book.chapter("90"), 1, 100, tmp_path / "file")


def test_a_draw_that_was_killed_is_no_finding(seeded, tmp_path):
    (tmp_path / "said").write_text("")
    with pytest.raises(reseed.ReseedError, match=r"draw of seed 100 could not be made \(exit status -9\)"):
        reseed._draw(SimpleNamespace(returncode=-9), 100, tmp_path, 1.0)


def test_a_damaged_result_is_made_again(seeded, monkeypatch):
    asked, folder = stand_in(monkeypatch, lambda seed: "partly"), seeded / "data" / "recorded"
    path = reach.path_of(folder, "90")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    reseed.reseed(book.chapter("90"), 1, 100, folder)
    assert sorted(asked) == [0, 100]
    assert sorted(lines_of(folder)) == [0, 100]


def processes_of(place: str) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            if place in line:
                found.append(line)
    return found


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_leaves_no_process_and_one_line(seeded, number):
    path = seeded / "book" / "90_tiny.ipynb"
    path.write_text(path.read_text().replace("wait: float = 0.0", "wait: float = 60.0"))
    temporary = seeded / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bnlab.commands.cli", "reseed", "90", "--seeds", "2"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)},
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list(temporary.rglob("*.partial.ipynb")) and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(3)  # into the cell that sleeps
    assert processes_of(str(temporary))
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said == "bnlab: stopped; what was finished is kept.\n"
    assert processes_of(str(temporary)) == []
    assert not list(temporary.glob("bnlab-reseed-*"))
