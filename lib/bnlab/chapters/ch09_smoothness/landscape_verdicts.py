"""What chapter 09 decides about the loss along training paths: its variation, its gradients, its level lines, rates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch09_smoothness.networks import LINEAR
from bnlab.chapters.ch09_smoothness.settings import across, paired
from bnlab.claims.criteria import numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend
from bnlab.claims.statistics import quartiles

LESS_VARIATION, LARGER_RATE = 10, 4  # what E-Lvar and E-10x ask for
LEARNT = 0.9  # loss after over that of the lower start: below it something was learnt
EARLY = 50  # steps


def largest_betas(probes: pd.DataFrame, kind: str = "distance", scaled: bool = False) -> pd.DataFrame:
    """Largest ||dg|| / distance over steps and lengths, a row a network, rule and seed, a column a norm.

    ``scaled``: each times ||w|| of its probe.
    """
    some = rows(probes, "probes", kind=kind)
    beta = some["beta"] * some["weight_norm"] if scaled else some["beta"]
    numbers(beta, "probes, beta")
    keys = ["network", "rule", "seed"]
    most = some.assign(beta=beta).groupby([*keys, "norm"], as_index=False, sort=False)["beta"].max()
    return paired(most, "probes", keys, "beta")


def beta(probes: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-Beta at equal distances; the scale-normalised form stands beside it."""
    found = largest_betas(probes)
    smaller = found["batch"] < found["none"]
    scaled = largest_betas(probes, "share of ||w||", scaled=True)
    verdict, settings = across(_by_setting(smaller))
    ratios = _log_ratios(found["batch"], found["none"])
    alike = int((scaled["batch"] < scaled["none"]).sum())
    return judge(
        "E-Beta",
        verdict,
        statistic=float(np.exp(ratios.median)),
        interval=(float(np.exp(ratios.q1)), float(np.exp(ratios.q3))),
        seeds=smaller.index.get_level_values("seed").nunique(),
        settings=settings,
        measured=f"At equal distance the effective $\\beta$ is smaller with BN in {int(smaller.sum())} of "
        f"{len(smaller)} pairs; BN over none {np.exp(ratios.median):.2g} (median). Scale-normalised: in "
        f"{alike} of {len(scaled)}.",
        **where,
    )


def variations(probes: pd.DataFrame, network: str = LINEAR) -> pd.DataFrame:
    """Relative range of the loss along the gradient early on, without BN over with it: a row a rule and seed.

    Columns ``median`` and ``largest`` over the probes. A network that is lost is infinite; so is its ratio.
    """
    some = rows(probes, "probes", kind="multiples", network=network)
    some = some[some["step"] <= EARLY]
    numbers(some["range"], "probes, range")
    relative = some["range"] / some["loss"].where(np.isfinite(some["loss"]), 1.0)
    side = paired(some.assign(relative=relative), "probes", ["rule", "seed", "step"], "relative")
    if np.isinf(side["batch"]).any():
        raise LedgerError("probes: a network with BN is lost, and a ratio to infinity decides nothing.")
    ratio = (side["none"] / side["batch"]).groupby(["rule", "seed"], sort=False)
    return pd.DataFrame({"median": ratio.median(), "largest": ratio.max()})


def variation(probes: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-Lvar by the published probe of the deep linear network."""
    found = variations(probes)
    verdict, settings = across(_by_setting(found["median"] >= LESS_VARIATION))
    medians = found["median"].groupby("rule", sort=False).median()
    told = ", ".join(
        f"{_ratio(value)} at {'their own small rates' if rule == 'own' else f'the rate {rule}'}"
        for rule, value in medians.items()
    )
    return judge(
        "E-Lvar",
        verdict,
        seeds=found.index.get_level_values("seed").nunique(),
        settings=settings,
        measured=f"Relative variation of the loss along the gradient, without BN over with it: {told} (medians). "
        f"The largest ratio of a single probe is {_ratio(found['largest'].max())}.",
        **where,
    )


def _ratio(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) else "without bound (the plain network is lost)"


def survived(table: pd.DataFrame) -> pd.DataFrame:
    """Largest rate of the grid that was survived with all smaller ones, a row a seed, a column a norm; 0: none."""
    if len(numbers(table["rate"].unique(), "survival, rate")) < 2:
        raise LedgerError("survival: one rate is no grid.")
    found = []
    for (norm, seed), runs in table.groupby(["norm", "seed"], sort=False):
        runs = runs.sort_values("rate")
        lived = numbers(runs["survived"], "survived").astype(bool)
        count = len(lived) if lived.all() else int(np.argmin(lived))
        found.append((norm, seed, runs["rate"].iloc[count - 1] if count else 0.0))
    if len(set(table.groupby(["norm", "seed"]).size())) > 1:
        raise LedgerError("survival: runs are lost: not every network has all rates.")
    return paired(pd.DataFrame(found, columns=["norm", "seed", "rate"]), "survival", ["seed"], "rate")


def learnt(table: pd.DataFrame) -> pd.DataFrame:
    """Largest rate that takes the loss a tenth or more below the lower of the two starts, a row a seed; 0: none.

    A network whose units all die survives any rate, and learns at none. Of the two that begin alike, the one with Batch
    Normalization begins above the loss of guessing: what only falls to that has learnt nothing either.
    """
    lower = table.groupby("seed")["before"].transform("min")
    falls = numbers(table["after"].where(np.isfinite(table["after"]), 1e300), "after") <= LEARNT * lower
    found = table.assign(rate=table["rate"].where(falls, 0.0)).groupby(["norm", "seed"], as_index=False)["rate"].max()
    return paired(found, "survival", ["seed"], "rate")


def rates(table: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-10x by the largest rates survived; beside them stand the largest at which something is learnt."""
    found, grid = survived(table), np.sort(table["rate"].unique())
    top, step = grid[-1], float((grid[1:] / grid[:-1]).max())
    larger = (found["batch"] >= LARGER_RATE * found["none"]) & (found["none"] > 0)
    known = found[found["none"] > 0]
    ratio = quartiles(known["batch"] / known["none"]) if len(known) else None
    capped = int((found["batch"] == top).sum())
    learns = learnt(table).median()
    told = (
        "no rate survived without BN" if ratio is None else f"BN over none {ratio.median:.3g} (median; each known to "
    )
    told += "" if ratio is None else f"a factor of {step:g} either way)"
    return judge(
        "E-10x",
        trend(larger),
        statistic=None if ratio is None else ratio.median,
        seeds=len(found),
        measured=f"Largest rate survived: {told}; {capped} of {len(found)} networks with BN survive the largest tried. "
        f"Largest rate that takes the loss a tenth below the lower start: {learns['batch']:g} with BN, "
        f"{learns['none']:g} without (medians; 0: none of those tried).",
        **where,
    )


def contours(lines: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-Iso by the aspect of level lines."""
    found = paired(lines, "level_lines", ["place", "seed"], "aspect")
    rounder = found["batch"] < found["none"]
    verdict, settings = across({place: list(part) for place, part in rounder.groupby("place", sort=False)})
    medians = found.groupby("place", sort=False).median()
    told = "; ".join(
        f"{place}: {row['none']:.2g} without, {row['batch']:.2g} with" for place, row in medians.iterrows()
    )
    return judge(
        "E-Iso",
        verdict,
        seeds=lines["seed"].nunique(),
        settings=settings,
        measured=f"Longer over shorter half-width of the level line, medians: {told} BN.",
        **where,
    )


def _by_setting(signs: pd.Series) -> dict:
    """Signs of the seeds by whatever else the index holds."""
    others = [name for name in signs.index.names if name != "seed"]
    return {key: list(part) for key, part in signs.groupby(others, sort=False)}


def _log_ratios(upper: pd.Series, lower: pd.Series):
    with np.errstate(divide="ignore", invalid="ignore"):  # a lost network is infinite
        ratio = np.log(numbers(upper, "upper") / numbers(lower, "lower"))
    if np.isnan(ratio).any():
        raise LedgerError("probes: both networks of a pair are lost, so they have no ratio.")
    return quartiles(ratio)
