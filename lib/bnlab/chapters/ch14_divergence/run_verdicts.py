"""What chapter 14 decides about runs: those that diverge, the largest rates by depth, and those that come back."""

from __future__ import annotations

import math
from itertools import pairwise

import pandas as pd

from bnlab.chapters.ch14_divergence.catapults import KINDS
from bnlab.chapters.ch14_divergence.networks import BN, NONE
from bnlab.chapters.ch14_divergence.runs import crossings
from bnlab.claims.criteria import by_run, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, judge, trend
from bnlab.claims.statistics import quartiles
from bnlab.training.train import DIVERGED

FEW = 50  # steps, within which divergence is to happen
RANGE = (2.0, 4.0)  # of c, the lower end left out


def no_return(runs: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Div by runs at rates at which some or all diverge."""
    for name in ("loss", "accuracy", "guessing"):
        if name not in runs:
            raise LedgerError(f"runs: no column {name!r} in it.")
        numbers(runs[name], f"runs, {name}")
    _whole(runs)
    found = crossings(runs)
    diverged = found[found["corrected"].map(math.isfinite)]
    seeds = found["seed"].nunique()
    if diverged["seed"].nunique() < seeds:
        return judge("B-Div", "reported", measured=f"Runs of {diverged['seed'].nunique()} of {seeds} seeds diverge, so "
                     "that nothing is decided: give larger rates.", **where)  # fmt: skip
    gone = ~diverged["recovered"] & diverged["corrected"].between(1, FEW)
    corrected = trend(gone.groupby(diverged["seed"]).all())
    soon = (found["first"] <= DIVERGED) & (found["printed"].between(1, FEW) | found["printed"].map(math.isinf))
    printed = trend((soon & ~found["recovered"]).groupby(found["seed"]).all())
    verdict = correction(printed == "reproduced", corrected == "reproduced")
    above = int((found.groupby("seed")["first"].first() > DIVERGED).sum())
    steps, back = diverged["corrected"], diverged[diverged["end"].map(math.isfinite)]
    ends = (
        f" {len(back)} end at a finite loss, {back['end'].median():.2f} in the median, with an accuracy of "
        f"{back['accuracy'].median():.2f}."
    )
    return judge(
        "B-Div",
        "partly" if verdict == "not reproduced" and corrected == "partly" else verdict,
        statistic=float(steps.max()),
        seeds=seeds,
        measured=f"The loss begins at {found['first'].min():.0f} to {found['first'].max():.0f}, above $10^3$ in "
        f"{above} of {seeds} seeds before any step. {len(diverged)} of {len(found)} runs pass ten times that (and "
        f"$10^3$), after {steps.min():.0f} to {steps.max():.0f} steps; {len(diverged) - len(back)} of them become "
        f"infinite, {int(diverged['recovered'].sum())} recover.{ends if len(back) else ''}",
        **where,
    )


def _whole(runs: pd.DataFrame) -> None:
    """Refuse runs of which a seed is missing at a rate, or a step is missing or there twice."""
    sizes = runs.groupby(["rate", "seed"])["step"].agg(["size", "min", "max", "nunique"])
    if (sizes["size"] != sizes["nunique"]).any() or (sizes["max"] - sizes["min"] + 1 != sizes["size"]).any():
        raise LedgerError("runs: a step is missing or there twice.")
    if sizes["min"].max() > 0 or len(sizes.unstack("seed").dropna()) < runs["rate"].nunique():
        raise LedgerError("runs: the beginning of a run, or a seed at one of the rates, is missing.")


def falls_with_depth(depths: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Shallow by the brackets of the largest surviving rates."""
    plain = rows(depths, "depths", arm=NONE)
    survived, lost = (by_run(plain, "depths", run="seed", arm="depth", value=name) for name in ("survived", "lost"))
    layers = list(survived.columns)  # ascending
    if len(layers) < 2:
        raise LedgerError("depths: one depth only, so nothing can fall.")
    if open_ones := int(((survived <= 0) | lost.map(math.isinf)).to_numpy().sum()):
        said = f"{open_ones} of {survived.size} largest rates lie outside of those tried, so nothing is decided."
        return judge("B-Shallow", "reported", measured=said, **where)
    falls = pd.DataFrame({deep: lost[deep] <= survived[shallow] for shallow, deep in pairwise(layers)})
    middle = (survived * lost).pow(0.5).median()
    said = ", ".join(f"{middle[layer]:.1e}" for layer in layers)
    other = ""
    if BN in set(depths["arm"]):
        chosen = rows(depths, "depths", arm=BN)
        ends = [by_run(chosen, "depths", run="seed", arm="depth", value=name) for name in ("survived", "lost")]
        typical = (ends[0] * ends[1]).pow(0.5).median()
        other = f"; with Batch Normalization {', '.join(f'{typical[layer]:.1e}' for layer in typical.index)}"
    ratio = quartiles(survived[layers[0]] / lost[layers[-1]])
    return judge(
        "B-Shallow",
        trend(falls.all(axis=1)),
        statistic=ratio.median,
        seeds=len(falls),
        measured=f"Largest surviving rates of ResNets of {', '.join(map(str, layers))} layers without normalisation: "
        f"{said} (medians){other}. The shallowest survives at least {ratio.median:.0f} times the rate of the deepest.",
        **where,
    )


def phases(catapults: pd.DataFrame) -> pd.DataFrame:
    """In how many seeds each kind of run occurs, by network, loss and c; ``flatter``: catapults end below 2 / rate.

    Raises:
        LedgerError: a run is missing or there twice, a number is none, or a kind is unknown.
    """
    for name in ("network", "loss", "c", "seed", "kind", "rate", "start_curvature", "end_curvature"):
        if name not in catapults:
            raise LedgerError(f"catapults: no column {name!r} in it.")
    if unknown := sorted(set(catapults["kind"]) - set(KINDS)):
        raise LedgerError(f"catapults: {unknown[0]!r} is no kind of run.")
    keys = ["network", "loss", "c"]
    if catapults.duplicated([*keys, "seed"]).any() or len(set(catapults.groupby(keys).size())) > 1:
        raise LedgerError("catapults: a run is missing or there twice.")
    numbers(catapults[["rate", "start_curvature"]], "catapults, rates and curvatures")
    flown = catapults[catapults["kind"] == "catapult"]
    if len(flown):
        numbers(flown["end_curvature"], "catapults, curvature at the end")
    counts = (
        catapults.groupby([*keys, "kind"]).size().unstack("kind", fill_value=0).reindex(columns=KINDS, fill_value=0)
    )
    flat = (flown["rate"] * flown["end_curvature"] < 2).groupby([flown[key] for key in keys]).all()
    return counts.assign(flatter=flat.reindex(counts.index, fill_value=False)).reset_index()


def comes_back(catapults: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Catapult by the kinds of runs at each multiple of 1 over the curvature."""
    found = phases(catapults)
    seeds = catapults["seed"].nunique()
    if seeds < 5:
        raise LedgerError(f"catapults: {seeds} seeds, where at least five are needed.")
    inside = found[(found["c"] > RANGE[0]) & (found["c"] <= RANGE[1])]
    if inside.empty:
        raise LedgerError("catapults: no rate between 2 and 4 over the curvature.")
    shown = inside[(inside["catapult"] == seeds) & inside["flatter"].astype(bool)]
    settings = found.groupby(["network", "loss"], sort=False).ngroups
    holds = shown.groupby(["network", "loss"], sort=False).ngroups
    flown = catapults[catapults["kind"] == "catapult"]
    highest = flown["highest"] / flown["first"]
    others = found[found["catapult"] == seeds]
    where_all = "; ".join(
        f"{network}, {loss}: c = {', '.join(f'{c:g}' for c in group['c'])}"
        for (network, loss), group in others.groupby(["network", "loss"], sort=False)
    )
    return judge(
        "L-Catapult",
        "reproduced" if holds else "not reproduced",
        statistic=float(highest.max()) if len(flown) else None,
        settings=(holds, settings),
        seeds=seeds,
        measured=f"All {seeds} seeds are catapulted at {where_all or 'no c'}. {len(flown)} of {len(catapults)} runs are"
        + (f"; their loss is up to {highest.max():.2g} times the first on the way, and "
           f"{int((flown['rate'] * flown['end_curvature'] < 2).sum())} of them end with $\\lambda < 2/\\eta$."
           if len(flown) else "."),
        **where,
    )  # fmt: skip
