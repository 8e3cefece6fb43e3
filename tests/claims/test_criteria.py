"""What a criterion may look at: nan, a missing arm and a lost run are errors, infinity is a number."""

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

from bnlab.claims import criteria
from bnlab.claims.ledger import LedgerError

RUNS = pd.DataFrame(
    [(seed, norm, seed + bonus) for seed in range(5) for norm, bonus in (("none", 10.0), ("batch", 0.5))],
    columns=["seed", "norm", "error"],
)
SIDES = {"run": "seed", "arm": "norm", "value": "error"}


def refusal(function, *arguments, **more) -> str:
    with pytest.raises(LedgerError) as caught:
        function(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (3, [3.0]),
        (True, [1.0]),
        (np.float32(0.5), [0.5]),
        ([1, 2.5], [1.0, 2.5]),
        ((math.inf, -math.inf), [math.inf, -math.inf]),
        (pd.Series([1.0, 2.0]), [1.0, 2.0]),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        ([[1.0], [2.0]], [1.0, 2.0]),
    ],
)
def test_numbers_are_taken(values, expected):
    assert criteria.numbers(values, "x").tolist() == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (math.nan, "x: 1 of 1 values are not a number"),
        ([1.0, math.nan, math.nan], "x: 2 of 3 values are not a number"),
        ([1.0, None], "x: .* is no number"),
        (pd.Series([1.0, None]), "x: 1 of 2"),
        ([], "x: no number at all"),
        ("0.5", "x: 0.5 is no number"),
        (["0.5"], "is no number"),
        (1j, "is no number"),
        (None, "is no number"),
    ],
)
def test_what_is_no_number_is_refused(values, words):
    assert re.search(words, refusal(criteria.numbers, values, "x"))


def test_the_largest_is_a_modulus_and_steps_over_no_nan():
    assert criteria.largest([1.0, -2.0, 0.5], "x") == 2.0
    assert criteria.largest(-math.inf, "x") == math.inf
    assert "1 of 3" in refusal(criteria.largest, [1.0, math.nan, 2.0], "x")


def test_a_power_law_is_of_numbers_too():
    assert criteria.power_law([1, 10, 100], [2.0, 0.2, 0.02], "steps").slope == pytest.approx(-1)
    assert "steps: 1 of 3" in refusal(criteria.power_law, [1, 10, 100], [2.0, math.nan, 1.0], "steps")
    assert "steps: y: a value is not positive" in refusal(criteria.power_law, [1, 10, 100], [2.0, math.inf, 1], "steps")
    assert "steps: x: shape (2,)" in refusal(criteria.power_law, [1, 10], [2.0, 1.0], "steps")


def test_every_field_of_what_was_found_is_checked():
    @dataclass
    class Page:
        title: str
        slope: float
        misses: tuple

    good = Page("digits", 1.0, (1.0, math.inf))
    assert criteria.checked(good) is good
    assert "slope: 1 of 1" in refusal(criteria.checked, Page("digits", math.nan, (1.0,)))
    assert "misses: 1 of 2" in refusal(criteria.checked, Page("digits", 1.0, (1.0, math.nan)))
    assert "misses: no number" in refusal(criteria.checked, Page("digits", 1.0, ()))


def test_rows_of_an_arm():
    assert criteria.rows(RUNS, "runs", norm="none", seed=3)["error"].tolist() == [13.0]
    assert len(criteria.rows(RUNS, "runs")) == 10
    assert refusal(criteria.rows, RUNS, "runs", norm="group") == "runs: no row with norm = 'group'."
    assert refusal(criteria.rows, RUNS, "runs", layer=1) == "runs: no column 'layer' in it."
    assert refusal(criteria.rows, RUNS[:0], "runs") == "runs: no row."


def test_arms_stand_side_by_side():
    found = criteria.by_run(RUNS.sample(frac=1, random_state=0), "runs", **SIDES, arms=("batch", "none"))
    assert found.columns.tolist() == ["batch", "none"]
    assert found.index.tolist() == [0, 1, 2, 3, 4]
    assert (found["none"] - found["batch"]).tolist() == [9.5] * 5
    assert set(criteria.by_run(RUNS, "runs", **SIDES)) == {"batch", "none"}
    two = criteria.by_run(RUNS.assign(depth=2), "runs", run=["depth", "seed"], arm="norm", value="error")
    assert two.loc[(2, 4), "none"] == 14.0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (RUNS.drop(columns="error"), "no column 'error'"),
        (RUNS[RUNS["norm"] == "none"], "no run of norm = 'batch'"),
        (RUNS[1:], "1 runs are lost"),
        (pd.concat([RUNS, RUNS[:1]]), "a run is there twice"),
        (RUNS.assign(error=RUNS["error"].where(RUNS["error"] != 13.0)), "1 of 10 values are not a number"),
    ],
)
def test_what_is_missing_from_the_arms_is_named(table, words):
    assert words in refusal(criteria.by_run, table, "runs", **SIDES, arms=("none", "batch"))


@pytest.mark.parametrize(
    ("holds", "draws", "expected"),
    [
        (20, 20, "reproduced"),
        (19, 20, "reproduced"),
        (18, 20, "partly"),
        (16, 20, "partly"),
        (15, 20, "not reproduced"),
        (0, 20, "not reproduced"),
        (38, 40, "reproduced"),
        (37, 40, "partly"),
        (32, 40, "partly"),
        (31, 40, "not reproduced"),
        (20, 21, "reproduced"),
        (19, 21, "partly"),
    ],
)
def test_a_share_of_many_draws(holds, draws, expected):
    found = criteria.share([True] * holds + [np.bool_(False)] * (draws - holds), "runs")
    assert (found.holds, found.draws, found.verdict) == (holds, draws, expected)


def test_the_interval_of_a_share_is_the_exact_one():
    assert criteria.share([True] * 20, "runs").interval == pytest.approx((0.025 ** (1 / 20), 1.0))
    assert criteria.share([False] * 20, "runs").interval == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))
    assert str(criteria.share([True] * 15 + [False] * 5, "runs")) == (
        "15 of 20 draws (95 % interval of the share 0.51 to 0.91)"
    )


def test_what_makes_no_share():
    assert "runs: a share needs at least 20 draws, not 19" in refusal(criteria.share, [True] * 19, "runs")
    assert "runs: nan is not True or False" in refusal(criteria.share, [True] * 20 + [math.nan], "runs")
    assert "runs: 1 is not True or False" in refusal(criteria.share, [1] * 20, "runs")
