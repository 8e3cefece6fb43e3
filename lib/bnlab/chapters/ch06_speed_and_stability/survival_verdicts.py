"""Verdicts on survival: L-2x2 (which property lets a network survive large rates), L-Warm6 (does a warm-up do as much).

What is said of C-Sup's cause is said here as well: by the arm that has Batch Normalization's forward pass alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import survival
from bnlab.chapters.ch06_speed_and_stability.survival import NAMES
from bnlab.chapters.ch06_speed_and_stability.survival_arms import ARMS
from bnlab.claims import coverage, ledger
from bnlab.claims.ledger import Verdict
from bnlab.claims.markup import listed

OCTAVE = 1.0  # an arm within it of another survives as much
COMPARED = ["Baseline, warmed up", "BN", "Baseline"]
LIKE_BN, LIKE_GAIN, BETWEEN = "like BN", "like the constant gain", "between"
MIDDLE = ("weight_norm", "batch_frozen_gain", "batch_detached")  # arms that have some of BN's properties
# Which set of properties has exactly those of them that survive like BN.
FINDINGS = {
    (True, True, True): "each does by itself: a controlled power without the rest, and a gradient that shrinks "
    "without a controlled power",
    (False, True, True): "it is the controlled power, whatever the gradient does",
    (True, False, True): "it is the gradient that shrinks as the weights grow, whatever the forward pass does",
    (True, False, False): "it takes the orthogonality of the gradient, which the two share that survive",
    (False, False, True): "it takes both, a controlled power and a gradient that shrinks; orthogonality is not needed",
    (False, False, False): "it takes what only the whole has, orthogonality and a controlled power together",
    (False, True, False): "no property sorts the arms: a controlled power helps without the shrinking gradient and "
    "not with it",
    (True, True, False): "no property sorts the arms: the one that lacks orthogonality alone is lost",
}


def properties(table: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """L-2x2, reported: how far every arm survives, and which property sorts them."""
    whole = survival.learning(coverage.need(table, "survival runs of the arms", norm=ARMS))
    found = _edges(whole)
    both = _of_both(found)
    words = [f"largest rate of both convolutions survived (median): {_listed(both)}", finding(likeness(whole, found))]
    fixed = survival.learning(table, "weights")
    if len(fixed):
        apart = survival.edges(fixed, survival.lengths(fixed)[0])
        words.append(f"with biases, $\\gamma$ and $\\beta$ fixed: {_listed(_of_both(apart))}")
        words += [finding(likeness(fixed, apart))] if set(ARMS) <= set(apart["norm"]) else []
    for steps in survival.lengths(whole)[1:]:
        words.append(
            f"after {steps:,} steps, from these edges outwards: {_listed(_of_both(survival.edges(whole, steps)))}"
        )
    verdict = ledger.judge(
        "L-2x2",
        "reported",
        statistic=both.loc["batch", "octave"] - both.loc["gain_channel", "octave"],
        seeds=found["seed"].nunique(),
        scale=scale,
        data=data,
        measured="; ".join(words),
    )
    return [verdict]


def likeness(table: pd.DataFrame, found: pd.DataFrame) -> dict[str, str]:
    """Say of the three arms between them whether they survive like BN or like the constant gain, or between.

    By the median over the seeds of the paired difference in octaves, both convolutions swept: at most one octave (or
    one step of a coarser grid) below BN, at most one above the constant gain. Where BN itself is no more than two
    beyond the constant gain nothing can be told apart, and nothing is said.

    Args:
        table: of the survival runs.
        found: its `survival.edges`.
    """
    wide = found[found["swept"] == "both"].pivot(index="seed", columns="norm", values="octave")
    most, made = max(OCTAVE, survival.spacing(table)), {}
    if (wide["batch"] - wide["gain_channel"]).median() <= 2 * most:
        return made
    for norm in MIDDLE:
        behind, ahead = (wide["batch"] - wide[norm]).median(), (wide[norm] - wide["gain_channel"]).median()
        made[norm] = LIKE_BN if behind <= most else LIKE_GAIN if ahead <= most else BETWEEN
    return made


def finding(like: Mapping[str, str]) -> str:
    """Say which property sorts the arms, in the words of `FINDINGS`: exactly those that have it survive like BN.

    An arm between BN and the constant gain does not; it is named beside.
    """
    if not like:
        return "BN is hardly beyond the constant gain, so that the arms cannot be told apart"
    said = FINDINGS[tuple(like[norm] == LIKE_BN for norm in MIDDLE)]
    between = [NAMES[norm] for norm in MIDDLE if like[norm] == BETWEEN]
    return f"{said} (between it and the constant gain: {listed(between)})" if between else said


def forward_alone(table: pd.DataFrame | None) -> str:
    """Say for C-Sup how far the normalised forward pass alone carries; nothing where the arms were not run."""
    try:
        told = _of_both(_edges(survival.learning(coverage.need(table, "survival runs of the arms"))))
    except coverage.NotRunError:
        return ""
    frozen, batch, gain = (power(told.loc[norm]) for norm in ("batch_frozen_gain", "batch", "gain_channel"))
    apart = survival.learning(table, "weights")
    apart = apart[apart["norm"] == "batch_frozen_gain"]
    fixed = ""
    if len(apart):
        row = _of_both(survival.edges(apart, survival.lengths(apart)[0])).loc["batch_frozen_gain"]
        fixed = f" ({power(row)} with $\\gamma$ and $\\beta$ fixed)"
    others = f"by BN {batch}, by a constant gain {gain}"
    return f"; with BN's forward pass and a frozen backward gain {frozen} is survived{fixed}, {others}"


def warmed_up(table: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """L-Warm6: after a warm-up of one of the lengths the plain network survives BN's rate within an octave."""
    found = survival.warm_up_edges(coverage.need(table, "runs with a warm-up"))
    wide = found.pivot(index=["warm_up", "seed"], columns="network", values="octave")
    beyond = found.pivot(index=["warm_up", "seed"], columns="network", values="beyond")
    for length in wide.index.unique("warm_up"):
        coverage.paired(wide.loc[length], f"runs of the length of a warm-up of {length} steps", COMPARED)
    gap = wide["BN"] - wide["Baseline, warmed up"]
    # How far BN would go that survived the whole grid, nobody knows.
    within = (gap <= OCTAVE) & (beyond["BN"] != "above") & (beyond["Baseline, warmed up"] != "below")
    agree = within.groupby("warm_up").sum()
    best = int(agree.idxmax())
    verdict = ledger.judge(
        "L-Warm6",
        ledger.trend(within.loc[best]),
        statistic=float(gap.loc[best].median()),
        seeds=len(within.loc[best]),
        scale=scale,
        data=data,
        measured=_warmed(wide, beyond, agree),
    )
    return [verdict]


def _warmed(wide: pd.DataFrame, beyond: pd.DataFrame, agree: pd.Series) -> str:
    above_plain, below_bn = wide["Baseline, warmed up"] - wide["Baseline"], wide["BN"] - wide["Baseline, warmed up"]
    parts = [
        f"{length} steps: {above_plain.loc[length].median():+g} octaves over no warm-up, "
        f"{below_bn.loc[length].median():g} below BN, within one in {count} of {len(below_bn.loc[length])} seeds"
        for length, count in agree.items()
    ]
    longest = wide.loc[agree.index[-1]]
    others = [f"{name} {(longest[name] - longest['Baseline']).median():+g}"
              for name in ("LayerNorm", "Baseline, He's weights") if name in wide]  # fmt: skip
    bound = " (BN survived the whole grid, which bounds it from below)" if (beyond["BN"] == "above").any() else ""
    more = f"; beside it, octaves over Baseline: {', '.join(others)}" if others else ""
    return f"medians after a warm-up of {'; '.join(parts)}{bound}{more}"


def _edges(table: pd.DataFrame) -> pd.DataFrame:
    """Edges of the short runs of one kind of learning, all arms and two seeds at least there."""
    coverage.need(table[table["swept"] == "both"], "survival runs of both convolutions", norm=ARMS)
    found = survival.edges(table, survival.lengths(table)[0])
    if (seeds := found["seed"].nunique()) < 2:
        raise ledger.LedgerError(f"survival runs: {seeds} seed has no interval.")
    return found


def _of_both(found: pd.DataFrame) -> pd.DataFrame:
    return survival.edge_summary(found[found["swept"] == "both"]).set_index("norm")


def _listed(both: pd.DataFrame) -> str:
    return ", ".join(f"{NAMES[norm]} {power(both.loc[norm])}" for norm in ARMS if norm in both.index)


def power(row: pd.Series) -> str:
    """A row's median octave as a rate; a bound where the grid ended before most of the seeds, or began after them."""
    bound = (
        "at least "
        if 2 * row["whole_grid"] > row["seeds"]
        else "below "
        if 2 * row["none_of_it"] > row["seeds"]
        else ""
    )
    return f"{bound}$2^{{{row['octave'] + (bound == 'below '):g}}}$"
