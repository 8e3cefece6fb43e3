"""What chapter 11 decides about its claims: from what its page has computed, and from its experiment's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.chapters.ch11_length_and_direction.decoupling import ARMS
from bnlab.claims.criteria import Share, by_run, checked, largest, numbers, share
from bnlab.claims.ledger import LedgerError, Verdict, correction, identity, judge, refutation, trend
from bnlab.claims.statistics import quartiles

Tables = Mapping[str, pd.DataFrame]

# Columns of the scaled starts that hold a test error, by the statistics that Batch Normalization tests with.
ERRORS = {"exact": "error", "running": "error_running"}
PART = 5  # of the spread without Batch Normalization, or at equal rate: "below a fifth"


@dataclass(frozen=True)
class Found:
    """What the page computes before a reader's eyes. Distances are relative."""

    title: str  # of the data
    off_corrected: Sequence[float]  # the corrected formula from PyTorch's layer, a seed each
    off_over_batch: Sequence[float]  # the printed one, its norm over the batch
    off_over_units: Sequence[float]  # its norm over the units
    off_gamma: Sequence[float]  # the output's standard deviation from gamma, worst of all lengths, a seed each
    lengths: Sequence[float]  # factors on the weights there
    off_consequences: float  # the four consequences and the step, worst of all seeds
    off_growth: float  # the law of growth, worst of all steps and seeds
    off_radial: float  # the slope along w from its formula, as `radial` finds this and the next two
    off_own: float  # the same over the slope itself
    least_radial: float  # that slope with eps > 0


def quick(found: Found, tables: Tables) -> list[Verdict]:
    """Judge the quick run.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    checked(found)
    return [
        _formula(found),
        _output_scale(found),
        _consequences(found),
        *_networks(tables, scale="quick", data=found.title),
    ]


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables, which hold networks alone; raises as `quick`."""
    return _networks(tables, scale="full", data=title)


def _formula(found: Found) -> Verdict:
    printed = {"batch": found.off_over_batch, "units": found.off_over_units}
    worst = {over: largest(off, f"printed form over the {over}") for over, off in printed.items()}
    least = {over: numbers(off, f"printed form over the {over}").min() for over, off in printed.items()}
    off = largest(found.off_corrected, "corrected form")
    return judge(
        "E-Dec1",
        correction(min(worst.values()) <= 0.1, off < 1e-12),
        statistic=off,
        seeds=len(found.off_corrected),
        measured=f"The printed form is off by at least {least['batch']:.0%} with the norm over the batch and by "
        f"{least['units']:.0%} with the norm over the units; the corrected form by at most {off:.0e}.",
    )


def _output_scale(found: Found) -> Verdict:
    off = largest(found.off_gamma, "standard deviations")
    return judge(
        "E-Dec2",
        refutation(off < 1e-12),
        statistic=off,
        seeds=len(found.off_gamma),
        measured=f"The output's standard deviation is $\\gamma$ to {off:.0e}, for weights of "
        f"{min(found.lengths):g} to {max(found.lengths):g} times their length.",
    )


def _consequences(found: Found) -> Verdict:
    off = largest([found.off_consequences, found.off_growth], "consequences and growth")
    off_radial = largest(found.off_radial, "slopes along w")
    return judge(
        "E-Dec3",
        identity(off < 1e-9 and off_radial < 1e-9 and found.least_radial > 1e-9),
        statistic=off,
        seeds=len(found.off_corrected),
        data=found.title,
        measured=f"Relative errors are at most {off:.0e}. Relative to $\\lVert w\\rVert\\lVert\\nabla L\\rVert$, the "
        f"slope along $w$ with $\\epsilon > 0$ is as derived to {off_radial:.0e}, and the largest of a layer's units "
        f"is at least {found.least_radial:.0e} in every draw; relative to itself it is as derived to "
        f"{found.off_own:.0e}.",
    )


def radial(slopes: pd.DataFrame) -> dict[str, float]:
    """Compare slopes <w, grad L> along the weights with their formula, every unit by its own sizes.

    Args:
        slopes: a row a unit, with columns ``layer``, ``seed``, ``eps``, ``slope``, ``formula``, and ``lengths``, the
            product |w| |grad L|.

    Returns:
        Fields of `Found`. ``off_radial``: distance from the formula over the lengths, as a cosine is taken, the worst
        of all; ``off_own``: over the formula, of those with eps > 0, where a small eps leaves little of a sum whose
        terms cancel; ``least_radial``: slope over lengths with eps > 0, the largest unit of each layer, seed and eps,
        and of these the least.

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


def _networks(tables: Tables, scale: str, data: str) -> list[Verdict]:
    return [
        _robust(tables["scales"], scale=scale, data=data),
        _collapsed(tables["rates"], scale=scale, data=data),
        _fisher(tables["fisher"], scale=scale, data=data),
    ]


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


def _robust(scales: pd.DataFrame, **where: str) -> Verdict:
    found = robustness(scales)
    words = {counted.verdict for counted in found.values()}
    holds = sum(counted.verdict == "reproduced" for counted in found.values())
    exact, running = found["exact"], found["running"]
    return judge(
        "E-Dec4",
        words.pop() if len(words) == 1 else "partly",
        statistic=exact.holds / exact.draws,
        interval=exact.interval,
        seeds=exact.draws,
        settings=(holds, len(found)),
        measured="The test error's spread over initial scales with Batch Normalization is below a fifth of that "
        f"without in {exact} with exact statistics, and in {running} with running averages.",
        **where,
    )


def _collapsed(rates: pd.DataFrame, **where: str) -> Verdict:
    spreads, found = spreads_by_rate(rates), collapse(rates)
    at_rate, at_effective = (quartiles(spreads[key].to_numpy()).median for key in ("rate", "effective"))
    return judge(
        "E-Dec4b",
        found.verdict,
        statistic=found.holds / found.draws,
        interval=found.interval,
        seeds=found.draws,
        measured="The test loss's spread over initial scales at equal effective rate is below a fifth of that at "
        f"equal rate in {found}; medians {at_effective:.3g} and {at_rate:.3g} nats.",
        **where,
    )


def _fisher(fisher: pd.DataFrame, **where: str) -> Verdict:
    lower = lower_with_bn(fisher)
    always = [trend(row) == "reproduced" for _, row in lower.iterrows()]
    counts = ", ".join(f"{int(row.sum())} of {len(row)} at {depth} layers" for depth, row in lower.iterrows())
    return judge(
        "E-FIM",
        "reproduced" if all(always) else "partly" if any(always) else "not reproduced",
        seeds=lower.shape[1],
        settings=(sum(always), len(always)),
        measured=f"The top eigenvalue is lower with Batch Normalization in {counts}.",
        **where,
    )


def _rounded(rate: float) -> str:
    return f"{rate:.6g}"


def _spread(values: pd.Series) -> float:
    """Largest minus smallest; 0 where all are one number, infinity (all runs diverged) included."""
    low, high = values.min(), values.max()
    return 0.0 if low == high else float(high - low)


def _refuse_lost(wide: pd.DataFrame, name: str) -> None:
    if lost := int(np.asarray(wide.isna()).sum()):
        raise LedgerError(f"{name}: {lost} runs are lost: not every seed has them all.")
