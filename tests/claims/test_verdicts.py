import json
import math

import pytest
import yaml
from conftest import displayed, notebook, verdict_row, write_draws, write_json

from bnlab.claims import book, ledger, verdicts


def as_executed(*metadata: dict) -> dict:
    return notebook([displayed(*(entry["bnlab"] for entry in metadata))])


def test_verdicts_come_back_as_they_left(mini):
    given = [
        ledger.judge("T-Sum", "reproduced", measured="2", statistic=0.0),
        ledger.judge("T-Trend", "partly", measured="4 of 5", interval=(0, 1), seeds=5, data="toy", scale="full"),
        ledger.judge("T-Trend", "reproduced", measured="5 of 5", settings=(2, 3), scale="own"),
    ]
    metadata = json.loads(json.dumps(verdicts.as_metadata(given), allow_nan=False))
    assert verdicts.verdicts_in(as_executed(metadata)) == given


def test_what_json_cannot_say_is_left_out(mini):
    given = ledger.judge("T-Trend", "not reproduced", measured="lost", statistic=math.inf, interval=(0, math.inf))
    metadata = verdicts.as_metadata([given])
    json.dumps(metadata, allow_nan=False)
    (back,) = verdicts.verdicts_in(as_executed(metadata))
    assert (back.statistic, back.interval, back.measured) == (None, None, "lost")


@pytest.mark.parametrize(
    "rows",
    [
        "text",
        5,
        {"id": "T-Sum"},
        [3],
        ["x"],
        [None],
        [{"id": "T-Sum"}],
        [verdict_row("T-Sum", "passed")],
        [verdict_row("T-Sum", ["reproduced"])],
        [verdict_row("T-Sum", "reproduced", scale="huge")],
        [verdict_row(["T-Sum"], "reproduced")],
        [verdict_row("T-Sum", "reproduced", measured=None)],
        [verdict_row("T-Sum", "reproduced", interval=3)],
        [verdict_row("T-Sum", "reproduced", interval=[1])],
        [verdict_row("T-Sum", "reproduced", interval=["a", "b"])],
        [verdict_row("T-Sum", "reproduced", seeds="five")],
        [verdict_row("T-Sum", "reproduced", seeds=True)],
        [verdict_row("T-Sum", "reproduced", statistic=math.nan)],
        [verdict_row("T-Sum", "reproduced", interval=[0, math.nan])],
        [verdict_row("T-Sum", "reproduced", settings=[1])],
        [verdict_row("T-Sum", "reproduced", settings=["a", "b"])],
        [verdict_row("T-Sum", "reproduced", extra=1)],
    ],
)
def test_hostile_verdicts_are_refused_in_one_short_line(rows):
    with pytest.raises(ledger.LedgerError, match=r"^[^\n]{1,300} is not a verdict [^\n]*\Z"):
        verdicts.verdicts_in(notebook([displayed({"verdicts": rows})]))


def test_a_notebook_without_verdicts():
    assert verdicts.verdicts_in(notebook([displayed({"table": "x"})])) == []


def by_id(rows: list[dict]) -> dict[str, tuple]:
    return {row["id"]: (row["verdict"], row["quick"], row["full"]) for row in rows}


def test_before_a_build_every_claim_is_not_built(mini):
    rows = verdicts.collect()
    assert set(by_id(rows).values()) == {("not built", "not built", why) for why in ("not needed", "no full-scale run")}
    assert list(rows[0]) == [
        "id",
        "chapter",
        "kind",
        "verdict",
        "scale",
        "quick",
        "full",
        "measured",
        "interval",
        "seeds",
        "data",
        "reach",
        "amended",
        "settled_after_a_look",
    ]
    assert verdicts.missing() == ["T-Sum", "T-Bound", "T-Trend", "T-Head"]


def test_after_a_build(built):
    assert by_id(verdicts.collect()) == {
        "T-Sum": ("reproduced", "reproduced", "not needed"),
        "T-Bound": ("corrected", "corrected", "not needed"),
        "T-Trend": ("partly", "partly", "no full-scale run"),
        "T-Head": ("not run at full scale", "not run at full scale", "no full-scale run"),
    }
    assert verdicts.missing() == []


def executed(mini, *rows, name="90_tiny.ipynb") -> None:
    write_json(book.executed_folder(mini) / name, notebook([displayed({"verdicts": list(rows)})]))


def test_which_scale_decides(mini):
    both = [
        row
        for claim in ("T-Sum", "T-Bound", "T-Trend")
        for row in (verdict_row(claim, "not reproduced", "full", measured="f"), verdict_row(claim, "reproduced"))
    ]
    executed(mini, *both, verdict_row("T-Head", "reported"), verdict_row("T-Head", "refuted", "full"))
    assert by_id(verdicts.collect()) == {
        "T-Sum": ("reproduced", "reproduced", "not reproduced"),  # identities: the run that anyone can repeat
        "T-Bound": ("reproduced", "reproduced", "not reproduced"),
        "T-Trend": ("not reproduced", "reproduced", "not reproduced"),  # experiments: full scale where there is one
        "T-Head": ("refuted", "reported", "refuted"),  # headlines: full scale only
    }
    assert [row["measured"] for row in verdicts.collect()] == ["m", "m", "f", "m"]


def test_a_recording_with_other_settings_never_counts(mini):
    own = [verdict_row(claim, "reproduced", "own") for claim in ("T-Sum", "T-Trend", "T-Head")]
    executed(mini, verdict_row("T-Trend", "partly"), *own)
    assert by_id(verdicts.collect())["T-Sum"] == ("not built", "not built", "not needed")
    assert by_id(verdicts.collect())["T-Trend"] == ("partly", "partly", "no full-scale run")
    assert by_id(verdicts.collect())["T-Head"] == ("not built", "not built", "no full-scale run")
    assert verdicts.missing() == ["T-Sum", "T-Bound", "T-Head"]


def test_reach_and_amendments_are_in_the_ledger(built):
    path = built / "book" / "claims.yml"
    change = {"date": "2026-11-28", "earlier": "all", "why": "ours", "says": "not reproduced"}
    rows = [row | ({"amended": [change]} if row["id"] == "T-Sum" else {}) for row in yaml.safe_load(path.read_text())]
    path.write_text(yaml.safe_dump(rows))
    draws = [{"seed": n, "failed": None, "verdicts": {"T-Trend": {"verdict": "partly"}}} for n in range(3)]
    write_draws(built, *draws)
    found = {row["id"]: row for row in json.loads(json.dumps(verdicts.collect()))}
    assert found["T-Sum"]["amended"] == [change]
    assert found["T-Sum"]["reach"] is None
    assert found["T-Trend"]["reach"] == {
        "agree": 2,
        "draws": 2,
        "others": {},
        "outdated": False,
        "changed": [],
        "steady": True,
        "short": "2 of 2 draws",
        "words": "the same in 2 of 2 other draws of the seeds",
    }


def test_the_ledger_says_what_changed_since_other_draws_were_made(built):
    draws = [{"seed": n, "failed": None, "verdicts": {"T-Trend": {"verdict": "partly"}}} for n in range(3)]
    write_draws(built, *draws, sources={"bnlab.literals": "old"})
    (found,) = [row["reach"] for row in verdicts.collect() if row["id"] == "T-Trend"]
    assert "bnlab.literals" in found["changed"]
    assert (found["agree"], found["steady"]) == (2, False)


@pytest.mark.parametrize("quick", ["reported", "not run at full scale", "reproduced"])
def test_a_quick_run_never_passes_a_headline(mini, quick):
    executed(mini, verdict_row("T-Head", quick))  # even one that `judge` would have refused
    assert by_id(verdicts.collect())["T-Head"] == ("not run at full scale", quick, "no full-scale run")


def test_a_claim_of_a_built_chapter_without_verdict_is_missing(mini):
    executed(mini, verdict_row("T-Sum", "reproduced"), verdict_row("T-Head", "refuted", "full"))
    assert verdicts.missing() == ["T-Bound", "T-Trend"]


def test_what_an_earlier_name_of_a_chapter_left_behind_does_not_count(built):
    executed(built, verdict_row("T-Sum", "refuted"), name="90_zz_old.ipynb")
    assert by_id(verdicts.collect())["T-Sum"][0] == "reproduced"


def test_claims_of_chapters_that_are_not_there_are_not_missing(mini):
    (mini / "book" / "90_tiny.ipynb").rename(mini / "book" / "91_other.ipynb")
    assert verdicts.missing() == []


def test_a_verdict_on_an_unknown_claim_is_not_listed(built):
    executed(built, verdict_row("T-Ghost", "reproduced"))
    assert "T-Ghost" not in by_id(verdicts.collect())


def test_a_notebook_cut_by_a_killed_build_is_named(built):
    path = book.executed_folder(built) / "90_tiny.ipynb"
    path.write_text(path.read_text()[:100])
    with pytest.raises(book.BookError, match=r"90_tiny\.ipynb is not a readable notebook"):
        verdicts.collect()
