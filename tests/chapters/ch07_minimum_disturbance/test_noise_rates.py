"""The best of the rates run under each noise, and what is said of it."""

import pandas as pd
import pytest

from bnlab.chapters.ch07_minimum_disturbance import noise_rates


def row(norm, noise, rate, seed, error, role="reported", diverged=False):
    return {"norm": norm, "noise": noise, "rate": rate, "seed": seed, "fc": "frozen", "role": role, "step": 9,
            "test_error": error, "test_loss": 1.0, "diverged": diverged}  # fmt: skip


def runs(slow, lost=False):
    """Two methods, best without noise at 0.2; under noise at 0.1, but the baseline where ``slow`` is larger."""
    rows = []
    for norm, noisy in (("none", slow), ("nlms_l2", 0.2)):
        rows += [row(norm, 0.0, rate, 1000, error, "tuning") for rate, error in ((0.1, 0.3), (0.2, 0.1), (0.3, 0.4))]
        for seed, more in ((0, 0.0), (1, 0.02), (2, 0.04)):
            rows += [row(norm, 0.0, rate, seed, error + more) for rate, error in ((0.1, 0.12), (0.2, 0.1))]
            rows += [row(norm, 10.0, 0.1, seed, noisy + more)]
            rows += [row(norm, 10.0, 0.2, seed, 0.5 + more, diverged=lost and norm == "none")]
    return pd.DataFrame(rows)


def test_every_noise_has_a_rate_of_its_own():
    found = noise_rates.best_under_noise(runs(0.3)).set_index(["norm", "noise"])
    assert found["rate"].to_dict() == {
        ("none", 0.0): 0.2, ("none", 10.0): 0.1, ("nlms_l2", 0.0): 0.2, ("nlms_l2", 10.0): 0.1,
    }  # fmt: skip
    assert found.loc[("none", 10.0), ["error", "low", "high"]].tolist() == pytest.approx([0.32, 0.31, 0.33])
    assert found["lowest"].tolist() == [False, True, False, True]
    assert noise_rates.best_under_noise(runs(0.6)).set_index(["norm", "noise"]).loc[("none", 10.0), "rate"] == 0.2


def test_the_order_under_noise_and_lost_networks_are_told():
    told = noise_rates.order_told(runs(0.3, lost=True))
    assert told.startswith("At the rates that are best without noise, noise 10 loses 3 of 6 networks. ")
    assert "at (medians, the best first): NLMS, L2 22.0 percent; Baseline 32.0 percent." in told
    assert told.endswith("For 2 of these 2 that is the lowest rate run; what lower ones would give is open.")
    assert "noise 10 loses 0 of 6 networks" in noise_rates.order_told(runs(0.3))
    assert noise_rates.order_told(runs(0.6)).count("For 1 of these 2") == 1


def test_without_long_runs_it_says_so():
    assert noise_rates.order_told(None).endswith("is not recorded yet.")
