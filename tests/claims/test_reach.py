"""In how many other draws a verdict came out again; what is counted and what is not."""

import json

import pytest
from conftest import write_draws

from bnlab.claims import reach
from bnlab.claims.ledger import LedgerError


def draw(seed: int, failed: str | None = None, **decided: str) -> dict:
    return {"seed": seed, "failed": failed, "verdicts": {name: {"verdict": word} for name, word in decided.items()}}


def kept(*draws: dict) -> dict:
    return {"book_seed": 0, "draws": list(draws)}


def test_the_draw_of_the_book_is_not_counted():
    found = reach.reach(kept(draw(0, A="partly"), draw(100, A="partly"), draw(200, A="reproduced")), "A", "partly")
    assert (found.agree, found.draws, found.others, found.outdated) == (1, 2, (("reproduced", 1),), False)


def test_without_other_draws_there_is_no_reach():
    assert reach.reach(None, "A", "partly") is None
    assert reach.reach(kept(draw(0, A="partly")), "A", "partly") is None
    assert (
        reach.reach(kept(draw(0, B="partly"), draw(100, B="partly")), "A", "partly") is None
    )  # younger than the draws


def test_a_failed_draw_and_one_without_verdict_count_against_it():
    found = reach.reach(kept(draw(0, A="partly"), draw(1, failed="x"), draw(2), draw(3, A="partly")), "A", "partly")
    assert (found.agree, found.draws, dict(found.others)) == (1, 3, {"failed": 1, "not judged": 1})


def test_a_verdict_that_moved_since_is_told():
    found = reach.reach(kept(draw(0, A="reproduced"), draw(100, A="reproduced")), "A", "partly")
    assert found.outdated
    assert not found.steady
    assert found.short == "0 of 1 draws, outdated"
    assert "the book's own draw decided otherwise" in found.sentence


@pytest.mark.parametrize(("agree", "steady"), [(20, True), (19, True), (18, False), (0, False)])
def test_one_draw_in_twenty_may_overturn_a_steady_verdict(agree, steady):
    fresh = [draw(100 + n, A="partly" if n < agree else "refuted") for n in range(20)]
    found = reach.reach(kept(draw(0, A="partly"), *fresh), "A", "partly")
    assert (found.agree, found.draws, found.steady) == (agree, 20, steady)


def test_one_of_ten_is_more_often_than_one_in_twenty():
    fresh = [draw(100 + n, A="partly" if n < 9 else "refuted") for n in range(10)]
    assert not reach.reach(kept(draw(0, A="partly"), *fresh), "A", "partly").steady


def test_a_file_is_read_from_its_place(mini):
    assert reach.of_book("90") is None
    path = write_draws(mini, draw(0, A="partly"), draw(100, A="partly"))
    assert path == reach.path_of(mini / "data" / "recorded", "90")
    assert reach.reach(reach.of_book("90"), "A", "partly").short == "1 of 1 draws"


def test_draws_of_earlier_code_are_never_steady(mini):
    write_draws(mini, draw(0, A="partly"), *(draw(100 + n, A="partly") for n in range(20)))
    assert reach.reach(reach.of_book("90"), "A", "partly").steady
    notebook = mini / "book" / "90_tiny.ipynb"
    notebook.write_text(notebook.read_text().replace("epochs: int = 2", "epochs: int = 3"))
    found = reach.reach(reach.of_book("90"), "A", "partly")
    assert found.changed == ("chapter 90's parameters", "chapter 90's cells")
    assert not found.steady
    assert found.short == "20 of 20 draws, with earlier code"
    assert found.sentence.endswith("; drawn before the last change of the code behind it")


@pytest.mark.parametrize("verdict", ["reported", "not run at full scale"])
def test_no_draw_agrees_with_what_decides_nothing(mini, verdict):
    write_draws(mini, draw(0, A=verdict), draw(100, A=verdict))
    assert reach.reach(reach.of_book("90"), "A", verdict) is None


def test_a_file_without_the_code_that_made_it_is_not_todays(mini):
    path = reach.path_of(mini / "data" / "recorded", "90")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(kept(draw(0, A="partly"), draw(100, A="partly"))))
    assert "bnlab.claims.ledger" in reach.reach(reach.of_book("90"), "A", "partly").changed


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "3",
        "[" * 100_000,
        json.dumps({"draws": []}),
        json.dumps({"book_seed": "0", "draws": []}),
        json.dumps({"book_seed": 0, "draws": [], "sources": ["bnlab"]}),
        json.dumps({"book_seed": 0, "draws": [3]}),
        json.dumps({"book_seed": 0, "draws": [{"seed": 1}]}),
        json.dumps({"book_seed": 0, "draws": [{"seed": 1, "failed": None, "verdicts": {"A": "partly"}}]}),
        json.dumps({"book_seed": 0, "draws": [{"seed": 1, "failed": None, "verdicts": {}}] * 2}),
        " " * 1_000_001,
    ],
    ids=range(12),
)
def test_a_damaged_file_is_named_with_the_remedy(mini, content):
    path = reach.path_of(mini / "data" / "recorded", "90")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(LedgerError, match=r"90\.json cannot be used .* run bnlab reseed 90\.$") as error:
        reach.of_book("90")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
