"""Comparing methods under noise at equal performance without it: the frontier of clean and noisy error.

A method trained at a low learning rate suffers little from noise, because it moves little. So methods are compared at
one level of clean error (or clean loss) that all of them reach, each at the rate that brings it there. The level is
chosen on tuning seeds; reported seeds are then interpolated at it, one by one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.tables import table

MEASURES = {"error": "test_error", "loss": "test_loss"}
CHANCE = 0.9  # error of a run that diverged
DOCUMENT = ("none", "batch", "batch_prior", "nlms_l1", "nlms_l2")  # the five networks that the level is to suit


def finals(runs: pd.DataFrame) -> pd.DataFrame:
    """The last row of every run of `noise_sensitivity.frontier` or `long_runs.long_runs`, a diverged one at chance."""
    keys = ["norm", "noise", "rate", "seed", "fc"]
    # Not groupby().last(), which takes each column's last number, of whatever step.
    last = runs.sort_values("step").drop_duplicates(keys, keep="last").sort_values(keys).reset_index(drop=True)
    last["test_error"] = last["test_error"].where(~last["diverged"], CHANCE)
    last["test_loss"] = last["test_loss"].where(~last["diverged"], np.inf)
    return last


def common_level(runs: pd.DataFrame, by: str = "error", fc: str = "frozen") -> float:
    """The clean error (or loss) that the document's methods reach: the worst one's median at its best rate.

    Tuning seeds only; methods of our own may miss it.

    Args:
        runs: table of `noise_sensitivity.frontier`.
        by: "error" or "loss".
        fc: "frozen" or "trained".

    Raises:
        ValueError: an unknown measure, or no tuning seeds in the table.
    """
    if by not in MEASURES:
        raise ValueError(f"by = {by!r} is not one of {', '.join(MEASURES)}")
    tuning = _tuning(runs, fc)
    tuning = tuning[tuning["norm"].isin(DOCUMENT)]
    return tuning.groupby(["norm", "rate"])[MEASURES[by]].median().groupby("norm").min().max()


def easiest_level(runs: pd.DataFrame, fc: str = "frozen") -> float:
    """The clean error from which on every one of the document's methods has to train: the least at the lowest rate."""
    tuning = _tuning(runs, fc)
    lowest = tuning[(tuning["rate"] == tuning["rate"].min()) & tuning["norm"].isin(DOCUMENT)]
    return lowest.groupby("norm")["test_error"].median().min()


def best_rates(runs: pd.DataFrame, fc: str = "frozen") -> pd.Series:
    """Rate of least median clean error of each method, on the tuning seeds; by norm. ``fc``: "frozen" or "trained"."""
    tuning = _tuning(runs, fc)
    median = tuning.groupby(["norm", "rate"])["test_error"].median()
    return median.groupby("norm").idxmin().map(lambda key: key[1])


def around_best(runs: pd.DataFrame, fc: str = "frozen") -> dict[str, tuple[float, ...]]:
    """Best rate of each method, as `best_rates`, with its neighbour on either side; by norm.

    Where the best is the lowest or the highest rate of all, there is a neighbour on one side only.
    """
    rates = sorted(set(_tuning(runs, fc)["rate"]))
    places = {norm: rates.index(best) for norm, best in best_rates(runs, fc).items()}
    return {norm: tuple(rates[max(place - 1, 0) : place + 2]) for norm, place in places.items()}


def _tuning(runs: pd.DataFrame, fc: str) -> pd.DataFrame:
    tuning = finals(runs).query("role == 'tuning' and noise == 0 and fc == @fc")
    if tuning.empty:
        raise ValueError("runs: there is no tuning seed to choose a rate or a level on")
    return tuning


def matched(runs: pd.DataFrame, level: float, by: str = "error", fc: str = "frozen") -> pd.DataFrame:
    """Every method, noise and reported seed at the rate where its clean error (or loss) is the given level.

    The rate is the smallest at which the clean curve, straight between neighbouring rates in log rate, comes down to
    the level; errors are interpolated there. A run that is above the level everywhere is taken at its best rate, one
    that is below it everywhere at its lowest: ``reached`` is False then.

    Returns:
        Columns ``norm``, ``noise``, ``seed``, ``rate``, ``clean_error``, ``noisy_error``, ``increase``, ``reached``.
    """
    runs = finals(runs).query("role == 'reported' and fc == @fc")
    rows = []
    for (norm, seed), own in runs.groupby(["norm", "seed"], sort=False):  # of which `finals` sorts the rates
        noises, errors, rates = own["noise"].to_numpy(), own["test_error"].to_numpy(), np.log(own["rate"].to_numpy())
        clean = noises == 0
        at, reached = _crossing(rates[clean], own[MEASURES[by]].to_numpy()[clean], level)
        before = np.interp(at, rates[clean], errors[clean])
        for noise in np.unique(noises[~clean]):
            after = np.interp(at, rates[clean], errors[noises == noise])
            rows.append((norm, noise, seed, np.exp(at), before, after, after - before, reached))
    units = {"norm": "name", "noise": "of the local error", "seed": "index", "rate": "at unit power"}
    errors = dict.fromkeys(("clean_error", "noisy_error", "increase"), "fraction")
    return table(rows, {**units, **errors, "reached": "bool"})


def _crossing(x: np.ndarray, y: np.ndarray, level: float) -> tuple[float, bool]:
    """Where the curve through (x, y) first comes down to the level, and whether it does."""
    if y[0] == level:
        return x[0], True
    for left in range(len(x) - 1):
        high, low = y[left], y[left + 1]
        if high > level >= low:
            share = (high - level) / (high - low) if np.isfinite(high) else 1.0
            return x[left] + share * (x[left + 1] - x[left]), True
    return x[0] if y[0] <= level else x[np.argmin(y)], False
