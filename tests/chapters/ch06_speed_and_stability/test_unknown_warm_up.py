"""Warm-ups in settings left open: in the book's own the runs of ``warm_up``, judged by the same criterion."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
import pytest

from bnlab import datasets
from bnlab.chapters.ch06_speed_and_stability import (
    survival,
    survival_runs,
    unknown_tables,
    unknown_verdicts,
    unknown_warm_up,
)
from bnlab.chapters.ch06_speed_and_stability.survival_arms import upwards
from bnlab.measures.probes import SplitError
from bnlab.sweeps.points import Setting
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS

BOOK = {name: values[0] for name, values in WITHOUT_THRESHOLDS.items()}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=300, test=100)


@pytest.fixture(scope="module")
def setting(digits):
    return Setting(digits, 12, (8, 12), {"test": SplitError(digits)})


@pytest.mark.parametrize("group", [{}, {"norm": "batch"}, {"warm_up": 5}])
def test_in_the_books_own_setting_a_run_is_that_of_the_chapter(group, setting):
    usual = survival_runs.run_point(survival_runs.point(group, 0.5, 2, 12), setting)
    found = unknown_warm_up.run_point(survival_runs.point({**BOOK, **group}, 0.5, 2, 12), setting)
    assert found["step"].tolist() == [8, 12]
    pd.testing.assert_frame_equal(found, usual[list(found)], check_exact=True)


def test_a_run_is_as_long_as_its_point_says_and_warmed_up_as_long(setting, monkeypatch):
    asked = []
    monkeypatch.setattr(unknown_warm_up, "run_jobs", lambda *given: asked.append(given) or [None])
    other = {**BOOK, "batch_size": 16, "gain": 3.0, "other_rate": 0.01}
    for group in ({**other, "warm_up": 5}, other):
        unknown_warm_up.run_point(survival_runs.point(group, 0.5, 2, 8), setting)
    (warmed, plain), lengths, batches = ([run[n] for run in asked] for n in range(3))
    assert [job.adjust for (job,) in (warmed, plain)] == [survival_runs.WarmUp(5), None]
    assert all(job.other_learning_rate == 0.01 for (job,) in (warmed, plain))
    assert [(own.steps, own.record_at) for own in lengths] == [(8, (8,))] * 2
    assert batches == [16, 16]


def test_a_table_has_every_setting_and_the_units_of_its_columns(digits):
    with ThreadPoolExecutor(1) as here:
        how = {"executor": here, "progress": False}
        table = unknown_warm_up.unknown_warm_up(digits, 1, [-4, -3, -2, 16, 17], range(2), 2, [1, 3], **how)
    assert list(table.attrs["units"]) == list(table)
    ends = table.loc[table.groupby([*BOOK, "norm", "warm_up", "learning_rate", "seed"])["step"].idxmax()]
    whole = ends[~ends["diverged"]].groupby(["norm", "warm_up"])["step"].agg(["min", "max"])
    assert whole.to_dict("index") == {
        ("batch", 0): {"min": 5, "max": 5}, ("none", 0): {"min": 5, "max": 5},
        ("none", 1): {"min": 3, "max": 3}, ("none", 3): {"min": 5, "max": 5},
    }  # fmt: skip
    networks = ends.groupby([*BOOK])[["norm", "warm_up"]].apply(lambda runs: len(runs.drop_duplicates()))
    assert networks.tolist() == [4] * (1 + 8 + 1)
    assert ends[ends["learning_rate"] == 2.0**-4].groupby([*BOOK]).size().tolist() == [4 * 2] * 10
    for _, own in table.groupby([*BOOK]):  # every run has the records that it is judged by
        assert len(survival.warm_up_edges(own.assign(gain=1.0))) == 2 * 3 * 2


def test_the_chapters_octaves_and_lengths_are_handed_on(digits):
    made = unknown_tables.parts(digits, 0, [0.5], [0, 1], 9, [-1, 0, 1], [5, 7])
    named = inspect.signature(unknown_warm_up.unknown_warm_up).bind(*made["unknown_warm_up"].args).arguments
    assert (named["octaves"], named["seeds"], named["steps"], named["lengths"]) == ([-1, 0, 1], [0, 1], 9, [5, 7])
    assert "unknown_warm_up" not in unknown_tables.parts(digits, 0, [0.5], [0, 1], 9, [-1, 0, 1], [])


def test_rates_go_up_for_the_settings_alone_that_are_not_lost():
    asked = []

    def run(points, folder):
        asked.append({(point["batch_size"], point["learning_rate"]) for point in points})
        lost = [point["batch_size"] == 16 and point["learning_rate"] > 1 for point in points]
        return pd.DataFrame(points).assign(step=2, diverged=lost, test_error=0.1)

    groups = [{**BOOK, "batch_size": size} for size in (64, 16)]
    upwards(groups, range(5), range(2), 2, partial(run, folder=None))
    assert asked == [{(64, 1), (64, 2), (64, 4), (16, 1), (16, 2), (16, 4)}, {(64, 8), (64, 16)}]


def ends(setting, survived):
    """Runs in a setting whose networks survive up to these octaves."""
    rows, networks = [], (("none", 0), ("batch", 0), ("none", 20), ("none", 100))
    for (norm, length), edge in zip(networks, survived, strict=True):
        for octave in range(-2, 6):
            for seed in range(5):
                lost = octave > edge
                own = {"norm": norm, "warm_up": length, "learning_rate": 2.0**octave, "seed": seed, "diverged": lost}
                steps = [3] if lost else [320, 400] if not length else [300 + length]
                own["steps"] = 300 + (length or 100)
                rows += [{**setting, **own, "step": step, "test_error": 0.9 if lost else 0.1} for step in steps]
    return rows


def test_warm_ups_are_judged_by_the_chapters_own_criterion():
    runs = {
        "nothing": (BOOK, (0, 3, 1, 2)),  # after the longer one an octave below
        "gain 3.0": ({**BOOK, "gain": 3.0}, (0, 3, 1, 1)),  # two octaves below; no network of He's weights
        "other rate 0.01": ({**BOOK, "other_rate": 0.01}, (4, 5, 4, 4)),  # BN survives the whole grid
    }
    table = pd.DataFrame([row for setting, survived in runs.values() for row in ends(setting, survived)])
    found = unknown_verdicts.by_setting({"unknown_warm_up": table}).set_index("changed")
    assert set(found["claim"]) == {"L-Warm6"}
    expected = {"nothing": "reproduced", "gain 3.0": "not reproduced", "other rate 0.01": "not reproduced"}
    assert found["verdict"].to_dict() == expected
    without = table[table["norm"] == "none"]
    assert {*unknown_verdicts.by_setting({"unknown_warm_up": without})["verdict"]} == {"not judged"}
