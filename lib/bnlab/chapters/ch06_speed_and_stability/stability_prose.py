"""Sentences that the page says of large rates: caps, one convolution held, and which property of BN survives them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import interventions, survival
from bnlab.chapters.ch06_speed_and_stability.cause_verdicts import NEVER_REACHED
from bnlab.chapters.ch06_speed_and_stability.effects import final_errors
from bnlab.chapters.ch06_speed_and_stability.survival_verdicts import finding, likeness
from bnlab.claims.markup import listed
from bnlab.measures.preconditioning import ModePreconditioner

EVERY = ModePreconditioner.every  # steps from one measurement of R to the next
RUN = ["cap", "learning_rate", "seed"]


@dataclass(frozen=True)
class Middle:
    """Median over the seeds of the largest rate survived; a bound where the grid ended before most of them."""

    rate: float
    open_ended: bool

    def __str__(self) -> str:
        return f"{self.rate:g}{' or more' if self.open_ended else ''}"


def one_held(stability: pd.DataFrame, held: pd.DataFrame | None) -> str:
    """Say what the plain network survives of the rate of one convolution while the other learns at 0.1.

    Args:
        stability: table of that name; where it has a cap that is never reached, conv1 was held there.
        held: table of that name, or None.
    """
    if held is None:
        free = stability["cap"].max()
        said = f"Hold conv1 at 0.1 and sweep the rate of conv2 alone: it survives {middle(stability, free)}. "
        return f"{said if free > NEVER_REACHED else ''}What a large rate of conv1 alone does was not run here."
    alone = {part: middle(held[held["held"] == other].assign(cap=0.0))
             for part, other in (("conv1", "conv2"), ("conv2", "conv1"))}  # fmt: skip
    said = (
        f"Hold conv1 at 0.1 and sweep the rate of conv2 alone: it survives {alone['conv2']}; hold conv2 and sweep "
        f"conv1 alone: {alone['conv1']}. "
    )
    together = middle(stability).rate
    if lost := [part for part, found in alone.items() if found.rate <= together]:
        return f"{said}So a large rate of {listed(lost)} loses it by itself."
    return said + (
        "So neither loses it by itself where both together do, and conv1's own modes, whose input no normalisation "
        "changes, are not what is too fast there. Each can drive the other: conv1's large steps inflate the maps that "
        "enter conv2, hence ℝ, and Batch Normalization after conv1 stops just that, as the document has "
        "it; and conv2's large weights hand larger errors down to conv1."
    )


def caps(stability: pd.DataFrame) -> str:
    """Say whether caps on conv2's eigenvalues help, and whether the grid could show that they do in proportion."""
    own, capped, helping = _under_caps(stability)
    if not capped:
        return "No cap that binds was tried."
    if stability["cap"].max() <= NEVER_REACHED:
        return "What caps do cannot be told, for conv1 was not held without one."
    if len(helping) < 2 or not all(found.open_ended for found in helping.values()):
        rates = listed([str(found) for found in capped.values()])
        highest, lowest = max(capped), min(capped)
        said = (
            f"With conv1 held it survives {own} without a cap that binds, and {rates} under caps of {_caps(capped)}. "
        )
        if highest == lowest or not capped[highest].rate:
            return said.rstrip()
        return (
            f"{said}From the highest cap to the lowest, {highest / lowest:g} times, the rate grows "
            f"{capped[lowest].rate / capped[highest].rate:g} times."
        )
    end, ratio = stability["learning_rate"].max(), max(helping) / min(helping)
    said = (
        f"With conv1 held, caps on conv2's eigenvalues help: those of {_caps(helping)} raise the median from "
        f"{own.rate:g} to at least {end:g}, where the grid ends. "
    )
    if ratio * own.rate <= end:
        return f"{said}But a cap {ratio:g} times lower does not allow a rate {ratio:g} times larger."
    return said + (
        f"Whether a cap {ratio:g} times lower allows a rate {ratio:g} times larger, this grid, which ends at "
        f"{end / own.rate:g} times the uncapped rate, cannot show. To the letter of its criterion C-Sup is not "
        "reproduced; as evidence about large eigenvalues that is weak."
    )


def before_the_second_measure(stability: pd.DataFrame) -> str:
    """Say how early runs under a cap are lost, at the first rate that loses one; nothing without such runs and looks.

    Under a cap R is measured at the start and after every `EVERY` steps. A guess among ten classes costs ln 10.
    """
    capped = stability[(stability["cap"] > 0) & (stability["cap"] <= NEVER_REACHED)]
    if EVERY not in set(capped["step"]):
        return ""
    runs = final_errors(capped, RUN)
    first = runs[runs["lost"]].sort_values("learning_rate").drop_duplicates(["cap", "seed"])
    records = capped.merge(first[RUN], on=RUN)
    whole = ~records["diverged"].astype(bool)
    ends = records[~whole].groupby(RUN)["step"].max()
    early, others = int((ends < EVERY).sum()), len(first) - len(ends)
    guessing = whole & (records["step"] == EVERY) & (records["loss"] - math.log(10)).abs().lt(0.1)
    soon = 2 * (early + int(guessing.sum())) > len(first)
    mostly = "So what was tested is in the main a cap on the modes of the initial ℝ." if soon else ""
    return (
        f"Of the {len(first)} runs under a cap at the first rate that loses one, {len(ends)} diverge, {early} of "
        f"them before ℝ is measured again at step {EVERY}; of the {others} that end at guessing, {guessing.sum()} have "
        f"its loss by then. {mostly}"
    ).rstrip()


def caps_in_short(stability: pd.DataFrame) -> str:
    """Say the same in a clause."""
    _, _, helping = _under_caps(stability)
    if not helping or stability["cap"].max() <= NEVER_REACHED:
        return "no cap on the largest was seen to let larger rates survive"
    said = "caps on the largest let larger rates survive"
    if any(found.open_ended for found in helping.values()):
        return f"{said}; whether in proportion, the grid of rates was too short to show"
    products = [cap * found.rate for cap, found in helping.items()]
    return f"{said}, {'in proportion' if max(products) <= 2 * min(products) else 'but not in proportion'}"


def narrowed(table: pd.DataFrame | None, data: str) -> str:
    """Say in a clause which property lets a network survive large rates, by the recorded arms; open without them.

    Args:
        table: the recorded ``survival``, or None: a miniature settles nothing.
        data: its data set's title.
    """
    if table is None:
        return "what does it is open"
    everything, weights = survival.learning(table), survival.learning(table, "weights")
    said = f"where everything learns, {_found(everything)}"
    if set(survival.NAMES) <= set(weights["norm"]):
        said += f"; where biases, γ and β are fixed, {_found(weights)}"
    return f"{said} ({data}, {survival.lengths(everything)[0]} steps)"


def worth_range(table: pd.DataFrame, norm: str) -> str:
    """Give least and greatest, over the rates, of the median ratio of the survivors' test loss to their twins'."""
    told = survival.curves(table, survival.lengths(table)[0])
    ratios = (told["loss"] / told["twin"])[told["norm"] == norm].groupby(told["learning_rate"]).median()
    return f"{ratios.min():.2g} to {ratios.max():.2g}" if len(ratios) else "–"


def octaves(number: str) -> str:
    """Write a number of octaves with its unit.

    >>> octaves("at least 1"), octaves("3.5")
    ('at least 1 octave', '3.5 octaves')
    """
    return f"{number} octave{'' if number.split()[-1] in ('1', '-1') else 's'}"


def middle(stability: pd.DataFrame, cap: float = 0.0) -> Middle:
    """Largest rate that the plain network survives under a cap (0: none)."""
    found = interventions.largest_stable_rates(stability[(stability["norm"] == "none") & (stability["cap"] == cap)])
    return Middle(float(found["largest"].fillna(0).median()), bool((found["beyond"] == "above").mean() > 1 / 2))


def _under_caps(stability: pd.DataFrame) -> tuple[Middle, dict[float, Middle], dict[float, Middle]]:
    """What is survived without a cap that binds, with each that can, from high to low, and with those that help."""
    own = middle(stability, stability["cap"].max())
    binding = sorted((cap for cap in stability["cap"].unique() if 0 < cap <= NEVER_REACHED), reverse=True)
    capped = {cap: middle(stability, cap) for cap in binding}
    return own, capped, {cap: found for cap, found in capped.items() if found.rate > own.rate}


def _caps(found: dict[float, Middle]) -> str:
    return listed([f"{cap:g}" for cap in found])


def _found(table: pd.DataFrame) -> str:
    return finding(likeness(table, survival.edges(table, survival.lengths(table)[0]))).split(" (between")[0]
