"""What chapter 13 decides about sharpness: against the ratio of rate and batch size, and along the steps of SGD."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats

from bnlab.claims.criteria import across, by_run, numbers
from bnlab.claims.ledger import LedgerError, Verdict, judge
from bnlab.claims.statistics import quartiles

FEW, ON_LINES = 12, 20  # runs that a correlation is asked of
SIGNIFICANT = 0.05
ERRORS = 2.0
TWICE = 2.0
BAND = 0.2
Z = 1.96


@dataclass(frozen=True)
class Plane:
    """log lambda_max = a log alpha + b log B + c, by least squares, with standard errors of a and b."""

    rate: float
    rate_error: float
    batch: float
    batch_error: float


def reached(sharpness: pd.DataFrame, least: int) -> pd.DataFrame:
    """Runs that reached the level of the loss, with numbers in all that decides.

    Raises:
        LedgerError: fewer than so many, or one whose eigenvalue is not positive.
    """
    if "reached" not in sharpness:
        raise LedgerError("sharpness: no column 'reached' in it.")
    found = sharpness[sharpness["reached"].astype(bool)]
    if len(found) < least:
        raise LedgerError(f"sharpness: {least} runs are asked for, {len(found)} reached the level.")
    for column in ("largest", "test_error", "ratio", "rate", "batch_size"):
        numbers(found[column], f"sharpness, {column}")
    if not (found["largest"] > 0).all():
        raise LedgerError("sharpness: a largest eigenvalue is not positive.")
    return found


def plane(found: pd.DataFrame) -> Plane:
    """Fit the logarithms of the largest eigenvalue."""
    design = np.column_stack([np.log(found["rate"]), np.log(found["batch_size"]), np.ones(len(found))])
    target = np.log(found["largest"].to_numpy())
    if np.linalg.matrix_rank(design) < 3:
        raise LedgerError("sharpness: rates and batch sizes do not vary independently.")
    solution, *_ = np.linalg.lstsq(design, target, rcond=None)
    left = target - design @ solution
    covariance = left @ left / (len(target) - 3) * np.linalg.inv(design.T @ design)
    a, b = np.sqrt(np.diag(covariance)[:2])
    return Plane(float(solution[0]), float(a), float(solution[1]), float(b))


def keskar(sharpness: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Keskar by the runs that reached the level."""
    found = reached(sharpness, FEW)
    test = scipy.stats.spearmanr(found["ratio"], found["largest"])
    correlation, p = numbers([test.statistic, test.pvalue], "sharpness, correlation")
    fit = plane(found)
    falls = bool(correlation < 0 and p < SIGNIFICANT)
    apart = fit.rate < -ERRORS * fit.rate_error and fit.batch > ERRORS * fit.batch_error
    generalises = scipy.stats.spearmanr(found["ratio"], found["test_error"])
    return judge(
        "B-Keskar",
        "reproduced" if falls and apart else "partly" if falls else "not reproduced",
        statistic=correlation,
        seeds=len(found),
        measured=f"Rank correlation of $\\lambda_{{\\max}}$ with $\\alpha/B$ {correlation:+.2f} ($p$ = {p:.1g}, "
        f"{len(found)} runs); $\\lambda_{{\\max}} \\sim \\alpha^{{{fit.rate:+.2f} \\pm {fit.rate_error:.2f}}} "
        f"B^{{{fit.batch:+.2f} \\pm {fit.batch_error:.2f}}}$. Of the test error with $\\alpha/B$: "
        f"{generalises.statistic:+.2f} ($p$ = {generalises.pvalue:.1g}).",
        **where,
    )


@dataclass(frozen=True)
class Partial:
    """A partial rank correlation with its 95 % interval (Fisher's z)."""

    correlation: float
    low: float
    high: float


def partial(found: pd.DataFrame) -> Partial:
    """Rank correlation of test error and largest eigenvalue given the ratio of rate and batch size."""
    ranks = {name: scipy.stats.rankdata(found[name]) for name in ("test_error", "largest", "ratio")}
    left = []
    for name in ("test_error", "largest"):
        line = scipy.stats.linregress(ranks["ratio"], ranks[name])
        left.append(ranks[name] - line.intercept - line.slope * ranks["ratio"])
    if min(np.ptp(part) for part in left) < 1e-9:
        raise LedgerError("sharpness: test error or eigenvalue does not vary at equal ratio.")
    correlation = float(np.corrcoef(left)[0, 1])
    # One variable held; 1.06 is Fieller, Hartley and Pearson's for ranks.
    reach = Z * math.sqrt(1.06 / (len(found) - 4))
    low, high = (math.tanh(math.atanh(np.clip(correlation, -0.999999, 0.999999)) + side * reach) for side in (-1, 1))
    return Partial(correlation, low, high)


def spread(found: pd.DataFrame) -> float:
    """Largest over smallest eigenvalue in the median line of equal ratio, over lines with two batch sizes or more."""
    lines = [part for _, part in found.groupby("ratio") if len(part["batch_size"].unique()) > 1]
    if not lines:
        raise LedgerError("sharpness: no line of equal ratio with two batch sizes.")
    return float(np.median([part["largest"].max() / part["largest"].min() for part in lines]))


def on_lines(sharpness: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Iso by the same runs."""
    found = reached(sharpness, ON_LINES)
    held, wide = partial(found), spread(found)
    (wide,) = numbers(wide, "sharpness, spread")
    return judge(
        "L-Iso",
        "reproduced" if held.low <= 0 <= held.high and wide > TWICE else "not reproduced",
        statistic=held.correlation,
        interval=(held.low, held.high),
        seeds=len(found),
        measured=f"Partial rank correlation of test error and $\\lambda_{{\\max}}$ given $\\alpha/B$: "
        f"{held.correlation:+.2f} (95 % interval {held.low:+.2f} to {held.high:+.2f}, {len(found)} runs); on the "
        f"median line $\\lambda_{{\\max}}$ varies by a factor {wide:.1f}.",
        **where,
    )


def settled(plateau: pd.DataFrame) -> pd.DataFrame:
    """Medians over the second half of each run, in units of 2 / rate: ``batch`` and ``largest``, a row a rate and seed.

    A run that diverged has infinite ones.
    """
    late = plateau[plateau["step"] > plateau["step"].max() / 2]
    runs = plateau.groupby(["rate", "seed"]).ngroups
    if late.empty or late.groupby(["rate", "seed"]).ngroups < runs:
        raise LedgerError("plateau: a run is lost in its second half.")
    for column in ("batch", "largest"):
        numbers(late[column], f"plateau, {column}")
    scaled = late.assign(**{name: late[name] * late["rate"] / 2 for name in ("batch", "largest")})
    return scaled.groupby(["rate", "seed"])[["batch", "largest"]].median().reset_index()


def batch_sharpness(plateau: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Sharp at each rate."""
    found = settled(plateau)
    agree, told = {}, []
    batch, top = (by_run(found, "plateau", run="seed", arm="rate", value=value) for value in ("batch", "largest"))
    for rate in batch:
        holds = (batch[rate] - 1).abs().le(BAND) & (top[rate] < batch[rate])
        agree[rate] = list(holds)
        told.append(
            f"rate {rate:g}: {batch[rate].min():.2f} to {batch[rate].max():.2f}, $\\lambda_{{\\max}}$ "
            f"{top[rate].min():.2f} to {top[rate].max():.2f}"
        )
    verdict, settings = across(agree)
    middle = quartiles(batch.to_numpy().ravel()).median
    return judge(
        "L-Sharp",
        verdict,
        statistic=middle,
        seeds=len(batch),
        settings=settings,
        measured=f"Batch sharpness in units of $2/\\eta$, over the seeds: {'; '.join(told)}.",
        **where,
    )
