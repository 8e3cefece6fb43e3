"""BN beside BN_Suppress in settings left open: runs as long as the epochs say, judged where BN's error is a margin."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import pytest

from bnlab import datasets
from bnlab.chapters.ch06_speed_and_stability import channel_norms, unknown_order, unknown_verdicts
from bnlab.claims import book
from bnlab.measures.probes import SplitError
from bnlab.records import recorded
from bnlab.sweeps import points
from bnlab.sweeps.points import Setting, complete
from bnlab.sweeps.unknowns import UNKNOWNS

BOOK = {name: values[0] for name, values in UNKNOWNS.items()}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=300, test=100)


@pytest.mark.parametrize("norm", unknown_order.NETWORKS)
def test_in_the_books_own_setting_a_run_is_that_of_the_chapter(norm, digits):
    setting = Setting(digits, 28, (24, 28), {"test": SplitError(digits)})  # four mini-batches of 64 an epoch
    named = {"norm": norm, "learning_rate": unknown_order.RATE, "seed": 2}
    usual = points.run_point(complete(named), setting)
    found = unknown_order.run_point({**BOOK, **named}, replace(setting, steps=0, record_at=(0,)))
    pd.testing.assert_frame_equal(found, usual, check_exact=True)
    assert {norm, "none"} <= set(channel_norms.NETWORKS)


@pytest.mark.parametrize("size", UNKNOWNS["batch_size"])
def test_a_run_is_as_long_as_the_epochs_and_its_mini_batches_say(size, digits, monkeypatch):
    asked = []
    monkeypatch.setattr(unknown_order, "run_jobs", lambda *given: asked.append(given) or [None])
    changed = {"batch_size": size, "threshold": 4.0, "power": "variance", "decay": 0.99, "other_rate": 0.01}
    point = {**BOOK, **changed, "norm": "suppress", "learning_rate": 3.0, "seed": 1}
    unknown_order.run_point(point, Setting(digits, 0, (0,)))
    (((job,), own, batch),) = asked
    assert own.record_at == (6 * (300 // size), 7 * (300 // size))
    assert (own.steps, batch) == (own.record_at[-1], size)
    layer = job.model.norm2
    assert (layer.threshold, layer.power, layer.decay, job.other_learning_rate) == (4.0, "variance", 0.99, 0.01)


def test_a_table_has_both_epochs_of_every_setting_and_the_units_of_its_columns(digits):
    with ThreadPoolExecutor(1) as here:
        table = unknown_order.unknown_order(digits, 1, range(2), executor=here, progress=False)
    assert list(table.attrs["units"]) == list(table)
    runs = table[~table["diverged"]].groupby([*BOOK, "norm", "seed"]).size()
    assert set(runs) == {2}
    assert len(table.groupby([*BOOK])) == 13 + 1
    assert set(table["norm"]) == set(unknown_order.NETWORKS)
    assert set(table["learning_rate"]) == {3.0}


def of(changes, batch, suppress, lost_at=None):
    """Runs of five seeds with these errors after the sixth and the seventh epoch; BN guesses in one seed at one."""
    setting = {**BOOK, **changes}
    steps = [6 * (6000 // setting["batch_size"]), 7 * (6000 // setting["batch_size"])]
    return [
        {**setting, "norm": norm, "learning_rate": 3.0, "seed": seed, "step": step, "diverged": False,
         "test_error": 0.9 if lost else errors[place] + 1e-4 * (seed * several % 3)}
        for several, norm, errors in ((1, "batch", batch), (2, "suppress", suppress)) for seed in range(5)
        for place, step in enumerate(steps) for lost in [norm == "batch" and seed == 3 and place == lost_at]
    ]  # fmt: skip


def test_a_setting_is_judged_at_both_epochs_where_bn_learns_in_every_seed():
    runs = {
        "nothing": of({}, (0.01, 0.01), (0.0101, 0.0099)),
        "gain 3.0": of({"gain": 3.0}, (0.01, 0.01), (0.02, 0.0101)),  # apart after the sixth epoch
        "batch size 16": of({"batch_size": 16}, (0.01, 0.01), (0.0101, 0.0152)),  # and after the seventh
        "batch size 256": of({"batch_size": 256}, (0.01, 0.01), (0.9, 0.9)),
        "decay 0.99": of({"decay": 0.99}, (0.01, 0.01), (0.0101, 0.0099), lost_at=0),
        "other rate 0.01": of({"other_rate": 0.01}, (0.01, 0.01), (0.0101, 0.0099), lost_at=1),
    }
    found = unknown_verdicts.by_setting(
        {"unknown_order": pd.DataFrame([row for rows in runs.values() for row in rows])}
    )
    assert set(found["claim"]) == {"C-Order"}
    words = ["reproduced", *["not reproduced"] * 3, *["not judged"] * 2]
    assert found.set_index("changed")["verdict"].to_dict() == dict(zip(runs, words, strict=True))


def test_a_setting_in_which_bn_diverges_decides_nothing():
    runs = pd.DataFrame(of({}, (0.01, 0.01), (0.01, 0.01)) + of({"gain": 3.0}, (0.01, 0.01), (0.01, 0.01)))
    gone = (runs["gain"] == 3.0) & (runs["norm"] == "batch") & (runs["seed"] == 1)
    ended = runs[~(gone & (runs["step"] == runs["step"].max()))].copy()
    ended.loc[gone, ["diverged", "step", "test_error"]] = True, 40, float("nan")
    found = unknown_verdicts.by_setting({"unknown_order": ended}).set_index("changed")["verdict"]
    assert found["gain 3.0"] == "not judged"
    nobody = runs.assign(diverged=True, step=40, test_error=float("nan"))
    assert {*unknown_verdicts.by_setting({"unknown_order": nobody})["verdict"]} == {"not judged"}


def test_the_recorded_runs_of_the_books_own_setting_are_those_of_the_long_runs():
    tables = recorded.load(book.root() / "data" / "recorded", "06").tables
    own = tables["unknown_order"]
    own = own[(own[list(BOOK)] == pd.Series(BOOK)).all(axis=1)]
    keys = ["norm", "learning_rate", "seed", "step"]
    both = own.merge(tables["long_runs"], on=keys, suffixes=("", "_long"))
    assert len(both) == 2 * 5  # of the epochs told there the seventh
    assert (both["test_error"] == both["test_error_long"]).all()


def test_epochs_are_named_where_the_verdicts_are_told():
    assert unknown_verdicts.JUDGED["After 6 and 7 epochs"] == ("C-Order",)
