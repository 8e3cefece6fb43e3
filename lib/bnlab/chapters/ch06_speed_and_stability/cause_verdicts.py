"""Verdicts on causes: C-Sep (what makes the speed), C-BN-LR and C-Sup (what survives large rates, and why)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import effects, interventions, survival_verdicts
from bnlab.chapters.ch06_speed_and_stability.comparisons import CHANCE, LOW
from bnlab.claims import coverage, ledger
from bnlab.claims.ledger import LedgerError, Verdict

RAISED, AFTER = "lower half raised", "BN after conv2"
COMPARED = ("baseline", interventions.BOTH, RAISED, AFTER)
HALF = 0.5  # of the gap
HIGHER = 4  # times the rate that the plain network survives
NEVER_REACHED = 1e3  # caps above hold nothing back


def shares_of_the_gap(arms: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """C-Sep: the lower half of conv2's modes raised closes half of the gap, BN after conv2 alone does not."""
    arms = coverage.need(arms, "arms", learning_rate=[LOW])
    arms = arms[arms["learning_rate"] == LOW]
    coverage.need(arms[arms["fc_mode"] == "paper"], "arms", arm=COMPARED)
    found = interventions.shares(_with_errors(arms, ["arm", "fc_mode", "seed"]), LOW)
    in_paper = found[found["fc_mode"] == "paper"]
    errors = coverage.paired(in_paper.pivot(index="seed", columns="arm", values="test_error"), "arms", COMPARED)
    share = in_paper.pivot(index="seed", columns="arm", values="share").loc[errors.index]
    raised, after = share[RAISED], share[AFTER]
    no_gap = int(raised.isna().sum())
    if no_gap == len(errors):
        why = "BN is not ahead of Baseline in any seed, so that there is no gap of which to close a share"
        return [ledger.judge("C-Sep", "reported", seeds=len(errors), scale=scale, data=data, measured=why)]
    summary = interventions.share_summary(found).set_index(["fc_mode", "arm"])
    interval = summary.loc[("paper", RAISED), ["low", "high"]].tolist()
    matched = ("matched", interventions.BOTH)
    more = f"; with fc matched BN gains {summary['share'][matched]:.0%} of it" if matched in summary.index else ""
    more += f"; no gap in {no_gap} of {len(errors)} seeds, which do not agree" if no_gap else ""
    verdict = ledger.judge(
        "C-Sep",
        ledger.trend((raised >= HALF) & (after < HALF)),
        statistic=raised.median(),
        interval=None if np.isnan(interval).any() else interval,
        seeds=len(errors),
        scale=scale,
        data=data,
        measured=f"share of the gap closed (median): lower half of conv2's modes raised {raised.median():.1%}; "
        f"BN after conv2 alone, whose spectrum begins as the plain network's, {after.median():.0%}{more}",
    )
    return [verdict]


def higher_rates(stability: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """C-BN-LR: BN survives at least four times the rate that the plain network survives."""
    free = _whole_grid(coverage.need(stability, "survival runs"), 0.0)
    found = interventions.largest_stable_rates(free)
    ratio = interventions.rate_ratios(found, free["learning_rate"].min())
    coverage.paired(pd.DataFrame({"ratio": ratio}), "largest rates", ["ratio"])
    beyond = (found.query("norm == 'batch'")["beyond"] == "above").any()
    verdict = ledger.trend(ratio >= HIGHER)
    if scale == "quick" and verdict == "reproduced":
        verdict = "partly"  # the quick grid was moved down after a look, as the claim's row tells
    judged = ledger.judge(
        "C-BN-LR",
        verdict,
        statistic=ratio.min(),
        seeds=len(ratio),
        scale=scale,
        data=data,
        measured=f"largest rate survived, BN over Baseline: {ratio.min():g} to {ratio.max():g}"
        + (" (lower bounds: BN survived the whole grid)" if beyond else ""),
    )
    return [judged]


def capped(stability: pd.DataFrame | None, arms: pd.DataFrame | None = None, *, scale: str, data: str) -> list[Verdict]:
    """C-Sup: the product of the cap on conv2's eigenvalues and the largest rate survived is one within 2.

    Told beside it: how far the normalised forward pass alone carries, by the survival runs of the ``arms``.
    """
    stability = coverage.need(stability, "survival runs")
    caps = sorted(cap for cap in stability["cap"].unique() if 0 < cap <= NEVER_REACHED)
    if len(caps) < 2:
        raise coverage.NotRunError("caps were left to the full-scale run")
    whole = pd.concat([_whole_grid(stability, cap) for cap in caps])
    largest = interventions.largest_stable_rates(whole)
    constant = interventions.products(largest, NEVER_REACHED)
    within = constant["within"].astype(bool)
    ended = (largest["beyond"] == "above").groupby(largest["seed"]).any().sum()
    spread = (constant["greatest"] / constant["least"]).median()  # of the seeds that survived a rate at all
    verdict = ledger.judge(
        "C-Sup",
        ledger.trend(within),
        statistic=None if math.isnan(spread) else spread,
        seeds=len(constant),
        scale=scale,
        data=data,
        measured=("no rate of the grid was survived" if math.isnan(spread) else
                  f"greatest over least product of cap and largest rate: median {spread:.3g}")
        + f"; within 2, inside the grid in {within.sum()} of {len(constant)} seeds"
        + (f"; bounds, for at some cap the grid ended before the network did in {ended} of them" if ended else "")
        + survival_verdicts.forward_alone(arms),
    )  # fmt: skip
    return [verdict]


def _whole_grid(stability: pd.DataFrame, cap: float) -> pd.DataFrame:
    """Survival runs under one cap (0: none, both networks), all rates and seeds of the table there.

    Raises:
        MissingArmError: a network is not there.
        LedgerError: a run is lost.
    """
    rates, seeds = stability["learning_rate"].unique(), sorted(stability["seed"].unique())
    parts = []
    for norm in ("none", "batch") if cap == 0 else ("none",):
        runs = stability[(stability["norm"] == norm) & (stability["cap"] == cap)]
        if runs.empty:
            raise coverage.MissingArmError(f"no survival runs of {norm}")
        runs = _with_errors(runs, ["seed", "learning_rate"])
        ends = effects.final_errors(runs, ("seed", "learning_rate"))
        wide = ends.pivot(index="seed", columns="learning_rate", values="test_error").reindex(index=seeds)
        coverage.paired(wide.reindex(columns=rates), f"survival runs of {norm}", rates)
        parts.append(runs)
    return pd.concat(parts)


def _with_errors(runs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Give the table back; a run that diverged counts as guessing where it has no error.

    Raises:
        LedgerError: a run that did not diverge has no error, or ends before the others.
    """
    diverged, known = runs["diverged"].astype(bool), np.isfinite(runs["test_error"])
    short = runs.groupby(keys)["step"].transform("max") < runs["step"].max()
    if lost := int(((~known | short) & ~diverged).sum()):
        raise LedgerError(
            f"test errors: {lost} of {len(runs)} records are not a number, or of a run that was cut short."
        )
    return runs.assign(test_error=runs["test_error"].where(known, CHANCE))
