"""Forty epochs under noise: rates chosen on tuning seeds, reported seeds around them, where each method settles."""

import pandas as pd
import pytest

from bnlab import datasets
from bnlab.chapters.ch07_minimum_disturbance import long_runs
from bnlab.chapters.ch07_minimum_disturbance.noise_sensitivity import Grid

RATES = (0.01, 0.03, 0.1, 0.3, 1.0)


@pytest.fixture(scope="module")
def runs():
    digits = datasets.load("digits", size=32).subset(train=160, test=60)
    wanted = Grid(("none", "nlms_l2", "nlms_l2_patch"), RATES, (3.0, 10.0), (0, 1), (1000,), batch_size=32)
    return long_runs.long_runs(digits, wanted, epochs=3)


def test_every_rate_is_tried_on_the_tuning_seeds_and_only_the_best_and_its_neighbours_are_reported(runs):
    tuning, reported = (runs[runs["role"] == role] for role in ("tuning", "reported"))
    assert set(tuning["norm"]) == set(reported["norm"]) == {"none", "nlms_l2"}  # the document's, not our own
    assert (tuning["noise"] == 0).all()
    for (norm, fc), own in tuning.groupby(["norm", "fc"]):
        assert sorted(own["rate"].unique()) == list(RATES)
        errors = own[own["step"] == 15].set_index("rate")["test_error"]
        place = list(RATES).index(errors.sort_index().idxmin())
        near = list(RATES[max(place - 1, 0) : place + 2])
        ours = reported[(reported["norm"] == norm) & (reported["fc"] == fc)]
        assert sorted(ours["rate"].unique()) == near
        assert len(ours) == len(near) * 2 * (3 if fc == "frozen" else 1) * 2  # seeds, noises, records
    assert set(tuning.loc[tuning["fc"] == "trained", "norm"]) == {"none"}


def test_records_stand_at_every_second_epoch_and_at_the_end(runs):
    assert sorted(runs["step"].unique()) == [10, 15]
    assert set(runs.attrs["units"]) == set(runs)


def test_where_a_method_settles_is_told_with_its_increase_by_seed():
    def row(norm, noise, rate, seed, error, role="reported"):
        return {"norm": norm, "noise": noise, "rate": rate, "seed": seed, "fc": "frozen", "role": role, "step": 9,
                "test_error": error, "test_loss": 1.0, "diverged": False}  # fmt: skip

    rows = [row("none", 0.0, rate, 1000, error, "tuning") for rate, error in ((0.1, 0.3), (0.2, 0.1), (0.3, 0.4))]
    for seed, clean, noisy in ((0, 0.1, 0.3), (1, 0.2, 0.25), (2, 0.3, 0.5)):
        rows += [row("none", 0.0, 0.2, seed, clean), row("none", 10.0, 0.2, seed, noisy)]
        rows += [row("none", 0.0, 0.1, seed, 0.9), row("none", 10.0, 0.1, seed, 0.9)]
    found = long_runs.settled(pd.DataFrame(rows)).set_index("noise")
    assert found.loc[0.0, ["rate", "inside", "error", "increase", "seeds"]].tolist() == [0.2, True, 0.2, 0.0, 3]
    assert found.loc[10.0, "error"] == pytest.approx(0.3)
    assert found.loc[10.0, "increase"] == pytest.approx(0.2)  # of 0.2, 0.05 and 0.2, not of the medians
    assert found.loc[10.0, ["low", "high"]].tolist() == pytest.approx([0.275, 0.4])


def test_expectations_are_held_against_the_runs():
    def row(norm, noise, seed, error, fc="frozen", role="reported", rate=0.1):
        return {"norm": norm, "noise": noise, "rate": rate, "seed": seed, "fc": fc, "role": role, "step": 9,
                "test_error": error, "test_loss": 1.0, "diverged": False}  # fmt: skip

    def runs(frozen, batch, noisy):
        rows = [row("none", 0.0, 1000, 0.1, fc, "tuning") for fc in ("frozen", "trained")]
        rows += [row("batch", 0.0, 1000, 0.1, role="tuning"), row("batch_prior", 0.0, 1000, 0.1, role="tuning")]
        for seed in range(5):
            clean = {"none": frozen, "batch": batch if seed else 0.001, "batch_prior": 0.02}
            rows += [row("none", 0.0, seed, 0.01, "trained")]
            for norm, error in clean.items():
                rows += [row(norm, 0.0, seed, error), row(norm, 10.0, seed, error + noisy)]
        return pd.DataFrame(rows)

    short = pd.Series({"none": 0.1, "batch": 0.2, "batch_prior": 0.1})
    assert long_runs.expectations(runs(0.04, 0.05, 0.05), short) == (
        "(a) held: it costs 3.0 points (median). (b) held: it settles highest in 4 of 5 seeds. "
        "(c) held: it adds less to 3 of 3."
    )
    assert long_runs.expectations(runs(0.06, 0.05, 0.15), short) == (
        "(a) did not hold: it costs 5.0 points (median). (b) did not hold: it settles highest in 0 of 5 seeds. "
        "(c) did not hold: it adds less to 1 of 3."
    )
