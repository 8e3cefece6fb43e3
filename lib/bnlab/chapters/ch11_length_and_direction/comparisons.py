"""What chapter 11 compares: slopes with their formula, spreads over initial scales, eigenvalues with and without BN."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch11_length_and_direction.decoupling import ARMS
from bnlab.claims.criteria import Share, by_run, largest, numbers, share
from bnlab.claims.ledger import LedgerError

# Columns of the scaled starts that hold a test error, by the statistics that Batch Normalization tests with.
ERRORS = {"exact": "error", "running": "error_running"}
PART = 5  # of the spread without Batch Normalization, or at equal rate: "below a fifth"


def radial(slopes: pd.DataFrame) -> dict[str, float]:
    """Compare slopes <w, grad L> along the weights with their formula, every unit by its own sizes.

    Args:
        slopes: a row a unit, with columns ``layer``, ``seed``, ``eps``, ``slope``, ``formula``, and ``lengths``, the
            product |w| |grad L|.

    Returns:
        Fields of `verdicts.Found`. ``off_radial``: distance from the formula over the lengths, as a cosine is taken,
        the worst of all; ``off_own``: over the formula, of those with eps > 0, where a small eps leaves little of a
        sum whose terms cancel; ``least_radial``: slope over lengths with eps > 0, the largest unit of each layer, seed
        and eps, and of these the least.

    Raises:
        LedgerError: a value is not a number, or there is none with eps > 0.
    """
    for column in ("slope", "formula", "lengths"):
        numbers(slopes[column], f"slopes along w, {column}")
    off = (slopes["slope"] - slopes["formula"]).abs()
    with_eps = slopes["eps"] > 0
    cosines = (slopes["slope"].abs() / slopes["lengths"])[with_eps]
    keys = [slopes[name][with_eps] for name in ("layer", "seed", "eps")]
    return {
        "off_radial": largest(off / slopes["lengths"], "slopes along w, over the lengths"),
        "off_own": largest((off / slopes["formula"].abs())[with_eps], "slopes along w, over themselves"),
        "least_radial": float(cosines.groupby(keys).max().min()),
    }


def spreads_by_arm(scales: pd.DataFrame, column: str = "error") -> pd.DataFrame:
    """Spread of a test error over the initial scales: a row a seed, a column an arm.

    Raises:
        LedgerError: an arm or a run is missing, or a value is not a number.
    """
    wide = by_run(scales, "scaled starts", run=["seed", "exponent"], arm="arm", value=column, arms=tuple(ARMS))
    _refuse_lost(wide.iloc[:, 0].unstack("exponent"), "scaled starts")
    return wide.groupby("seed").agg(_spread)


def spreads_by_rate(rates: pd.DataFrame, column: str = "loss") -> pd.DataFrame:
    """Mean spread over initial scales at equal rate and at equal effective rate: a row a seed.

    Rates that only one initial scale was run at say nothing, and are left out.

    Raises:
        LedgerError: a value is not a number, a run is missing, or no (effective) rate is shared by two scales.
    """
    keyed = rates.assign(rate=rates["rate"].map(_rounded), effective=rates["effective"].map(_rounded))
    wide = by_run(keyed, "rates", run=["seed", "exponent"], arm="rate", value=column)
    _refuse_lost(wide.iloc[:, 0].unstack("exponent"), "rates")
    found = {}
    for key, words in (("rate", "rate"), ("effective", "effective rate")):
        shared = keyed[keyed.groupby(["seed", key])["exponent"].transform("size") > 1]
        if shared.empty:
            raise LedgerError(f"rates: no two initial scales meet at one {words}.")
        found[key] = shared.groupby(["seed", key])[column].agg(_spread).groupby("seed").mean()
    return pd.DataFrame(found)


def robustness(scales: pd.DataFrame) -> dict[str, Share]:
    """Count the seeds in which the error's spread with BN is below a fifth of that without, by `ERRORS`.

    Raises:
        LedgerError: as `spreads_by_arm`, or seeds are too few for a share.
    """
    found = {}
    for statistics, column in ERRORS.items():
        spreads = spreads_by_arm(scales, column)
        found[statistics] = share(spreads["BN"] < spreads["none"] / PART, "scaled starts")
    return found


def where_nobody_diverges(scales: pd.DataFrame) -> pd.DataFrame | None:
    """The starts at scales at which no network without normalisation diverges; None if those are all, or not two."""
    lost = scales.loc[(scales["arm"] == "none") & scales["diverged"].astype(bool), "exponent"].unique()
    kept = scales[~scales["exponent"].isin(lost)]
    return kept if len(lost) and len(set(kept["exponent"])) > 1 else None


def collapse(rates: pd.DataFrame) -> Share:
    """Count the seeds in which the loss's spread at equal effective rate is below a fifth of that at equal rate.

    Raises:
        LedgerError: as `spreads_by_rate`, or seeds are too few for a share.
    """
    spreads = spreads_by_rate(rates)
    return share(spreads["effective"] < spreads["rate"] / PART, "rates")


def lower_with_bn(fisher: pd.DataFrame, column: str = "largest") -> pd.DataFrame:
    """Say whether BN lowers a number of the Fisher information: a row a depth, a column a seed.

    Raises:
        LedgerError: an arm or a run is missing, or a value is not a number.
    """
    wide = by_run(fisher, "Fisher information", run=["depth", "seed"], arm="arm", value=column, arms=("BN", "none"))
    lower = (wide["BN"] < wide["none"]).unstack("seed")
    _refuse_lost(lower, "Fisher information")
    return lower.astype(bool)


def _rounded(rate: float) -> str:
    return f"{rate:.6g}"


def _spread(values: pd.Series) -> float:
    """Largest minus smallest; 0 where all are one number, infinity (all runs diverged) included."""
    low, high = values.min(), values.max()
    return 0.0 if low == high else float(high - low)


def _refuse_lost(wide: pd.DataFrame, name: str) -> None:
    if lost := int(np.asarray(wide.isna()).sum()):
        raise LedgerError(f"{name}: {lost} runs are lost: not every seed has them all.")
