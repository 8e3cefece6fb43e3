"""The ledger page: every claim of a chapter with an anchor of its own, counts that add up, every exception told."""

import re

import pytest
import yaml
from book_files import CHAPTERS
from conftest import displayed, notebook, verdict_row, write_draws, write_json

from bnlab.claims import book, ledger, ledger_page, verdicts

CHANGE = {"date": "2026-11-28", "earlier": "above $2$", "why": "the 2 was ours", "says": "not reproduced, 4 of 8"}


@pytest.fixture
def shown(monkeypatch):
    markup = []
    monkeypatch.setattr(ledger_page, "display", lambda html, plain: markup.append(html))
    return markup


def change_claims(mini, **changes: dict) -> None:
    path = mini / "book" / "claims.yml"
    rows = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump([row | changes.get(row["id"].replace("-", "_"), {}) for row in rows]))


def row(markup: str, name: str) -> str:
    return re.search(rf'<tr id="{name}".*?</tr>', markup)[0]


def test_every_claim_of_a_chapter_that_is_there_has_its_row_and_anchor(shown):
    ledger_page.show_claims()
    there = {path.stem[:2] for path in CHAPTERS}
    known = sorted(ledger.claims().values(), key=lambda claim: claim.chapter)
    wanted = [claim.id for claim in known if claim.chapter in there]
    assert re.findall(r'<tr id="([^"]+)"', shown[0]) == wanted


def test_counts_add_up(shown):
    ledger_page.show_counts()
    numbers = [int(n) for n in re.findall(r"<td>(\d+)</td>", shown[0])]
    assert sum(numbers) == len(verdicts.collect()) == ledger_page.counts().to_numpy().sum()
    assert "<th></th>" not in shown[0]


def test_a_row_leads_to_the_card_the_place_and_the_erratum(built, shown):
    change_claims(built, T_Bound={"shown_at": "the-bound"})
    ledger_page.show_claims()
    links = re.findall('href="([^"]+)"', row(shown[0], "T-Bound"))
    assert links == [
        "90_tiny.html#claim-T-Bound",
        "90_tiny.html#claim-T-Bound",
        "90_tiny.html#the-bound",
        "errata.html#err-4",
    ]


def test_what_is_filtered_by_stands_in_a_row(built, shown):
    change_claims(built, T_Sum={"document": 'Toy "2020"'})
    again = {"T-Trend": {"verdict": "reproduced"}, "T-Sum": {"verdict": "reproduced"}}
    write_draws(built, *({"seed": n, "failed": None, "verdicts": again} for n in (100, 200)))
    ledger_page.show_claims()
    data = {
        name: dict(re.findall(r'data-(\w+)="([^"]*)"', row(shown[0], name).partition(">")[0]))
        for name in ("T-Sum", "T-Trend", "T-Head")
    }
    assert data["T-Sum"] == {
        "document": "Toy &quot;2020&quot;", "chapter": "90", "kind": "I", "verdict": "reproduced", "scale": "quick",
        "draws": "steady",
    }  # fmt: skip
    assert (data["T-Trend"]["verdict"], data["T-Trend"]["draws"]) == ("partly", "moves")
    assert (data["T-Head"]["scale"], data["T-Head"]["draws"]) == ("undecided", "none")


def test_a_line_says_what_must_not_be_missed(built, shown):
    change_claims(built, T_Sum={"amended": [CHANGE]}, T_Bound={"settled_after_a_look": ["sizes"]})
    again = {"T-Trend": {"verdict": "partly"}, "T-Sum": {"verdict": "reproduced"}}
    moved = again | {"T-Trend": {"verdict": "reproduced"}}
    draws = [{"seed": n, "failed": None, "verdicts": again if n else moved} for n in range(3)]
    write_draws(built, *draws, book_seed=1)
    ledger_page.show_claims()
    line = {name: row(shown[0], name).rpartition("</details>")[2] for name in ("T-Sum", "T-Bound", "T-Trend", "T-Head")}
    assert "†" in line["T-Sum"]
    assert "amended on 2026-11-28" in row(shown[0], "T-Sum")
    assert "†" not in line["T-Bound"]
    assert "partly settled after a look" in row(shown[0], "T-Bound")
    assert ">2/2</abbr>" in line["T-Sum"]
    assert ">1/2</abbr>" in line["T-Trend"]
    assert "–" in line["T-Head"]
    assert "the same in 2 of 2 other draws" in row(shown[0], "T-Sum")


def test_the_reach_of_a_quick_run_is_not_said_of_full_scale(built, shown):
    both = [verdict_row("T-Trend", "partly"), verdict_row("T-Trend", "partly", "full")]
    write_json(book.executed_folder(built) / "90_tiny.ipynb", notebook([displayed({"verdicts": both})]))
    draws = [{"seed": n, "failed": None, "verdicts": {"T-Trend": {"verdict": "refuted"}}} for n in (100, 200)]
    write_draws(built, *draws)
    ledger_page.show_claims()
    assert "the same in 0 of 2 other draws" in row(shown[0], "T-Trend")
    assert "full scale" in row(shown[0], "T-Trend").rpartition("<td")[2]
    assert "draws" not in row(shown[0], "T-Trend").rpartition("<td")[2]


def test_the_counts_name_every_verdict_that_other_draws_overturn(built, shown):
    ledger_page.show_counts()
    assert shown[0].endswith(" 3 verdicts that a quick run decides, other draws of the seeds are recorded for 0.</p>")
    held = {name: {"verdict": word} for name, word in (("T-Sum", "reproduced"), ("T-Trend", "partly"))}
    draws = [{"seed": n, "failed": None, "verdicts": held} for n in (0, 100, 200)]
    write_draws(built, *draws)
    ledger_page.show_counts()
    assert "recorded for 2. Overturned more often than one time in twenty: none." in shown[1]
    draws[2]["verdicts"] = held | {"T-Trend": {"verdict": "reproduced"}}
    write_draws(built, *draws)
    ledger_page.show_counts()
    assert "in twenty, with how often each came out again: <a" in shown[2]
    assert shown[2].endswith('again: <a href="#T-Trend">T-Trend</a> (1 of 2 draws).</p>')
    write_draws(built, *draws, code="earlier")
    ledger_page.show_counts()
    assert shown[3].endswith(" Drawn before the last change of the code behind them: 2, of chapters 90.</p>")
    assert 'href="#T-Sum"' not in shown[3]


def test_before_a_build_no_cell_is_empty(mini, shown):
    ledger_page.show_claims()
    assert not re.search(r"<t[dh][^>]*></t[dh]>", shown[0])


def test_every_exception_is_listed_and_claims_with_one_text_together(mini, shown):
    change_claims(
        mini,
        T_Sum={"settled_after_a_look": ["sizes for $t$"]},
        T_Trend={"amended": [CHANGE, CHANGE | {"date": "2026-12-01"}], "settled_after_a_look": ["sizes for $t$"]},
    )
    ledger_page.show_exceptions()
    items = re.findall("<li>(.*?)</li>", shown[0])
    assert "amended criterion: 1 of 4." in shown[0]
    assert "settled after a look: 2." in shown[0]
    assert len(items) == 2
    assert re.findall('#claim-([^"]+)', items[0]) == ["T-Trend"]
    assert re.findall("Amended on ([0-9-]+)", items[0]) == ["2026-11-28", "2026-12-01"]
    assert items[0].endswith("<p>Now it reads: five of five seeds</p>")
    assert re.findall('#claim-([^"]+)', items[1]) == ["T-Sum", "T-Trend"]
    assert r'sizes for <span class="math">\(t\)</span>' in items[1]


def test_without_exceptions_the_list_says_so(mini, shown):
    ledger_page.show_exceptions()
    assert "amended criterion: 0 of 4." in shown[0]
    assert "<ul" not in shown[0]


def test_an_exception_of_a_chapter_that_is_not_there_has_no_link(mini, shown):
    change_claims(mini, T_Sum={"settled_after_a_look": ["sizes"], "chapter": "91"})
    ledger_page.show_exceptions()
    assert "<li><p>T-Sum</p>" in shown[0]
