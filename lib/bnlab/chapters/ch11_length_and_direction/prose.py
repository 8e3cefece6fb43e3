"""Sentences that the page says of scaled starts: right whichever way they come out."""

from __future__ import annotations

import pandas as pd

from bnlab.chapters.ch11_length_and_direction.comparisons import (
    PART,
    lower_with_bn,
    spreads_by_arm,
    spreads_by_rate,
    where_nobody_diverges,
)
from bnlab.claims.markup import listed

TINY = 1e-20  # far below any variance here, so that an identity of epsilon = 0 is met


def without_the_lost(scales: pd.DataFrame) -> str:
    """Say what the spreads are without the scales at which networks without normalisation diverge.

    Args:
        scales: what `decoupling.initial_scales` gives.
    """
    kept = where_nobody_diverges(scales)
    if kept is None:
        return "That is not the work of single scales at which networks without normalisation diverge."
    lost = sorted(set(scales["exponent"]) - set(kept["exponent"]))
    every, spreads = spreads_by_arm(scales), spreads_by_arm(kept)
    held = (every["BN, last layer scaled too"] < every["none"] / PART).sum()
    middle = 100 * spreads.median()
    return (
        f"That is the work of runs that diverge and count as guessing, as without normalisation some do from weights "
        f"multiplied by {listed([f'{2.0**exponent:g}' for exponent in lost])}: over the other scales the spreads are "
        f"{middle['BN']:.1f} points with Batch Normalization and {middle['none']:.1f} without (medians), below a fifth "
        f"in {(spreads['BN'] < spreads['none'] / PART).sum()} of {len(spreads)} draws and below at all in "
        f"{(spreads['BN'] < spreads['none']).sum()}. And over all scales the network whose last layer is scaled as "
        f"well is below a fifth, too, in {held}."
    )


def failing(rates: pd.DataFrame) -> list[int]:
    """Seeds in which the loss's spread at equal effective rate is not below a fifth of that at equal rate."""
    spreads = spreads_by_rate(rates)
    return [int(seed) for seed in spreads.index[~(spreads["effective"] < spreads["rate"] / PART)]]


def left_by_epsilon(rates: pd.DataFrame, tiny: pd.DataFrame | None) -> str:
    """Say what a far smaller epsilon leaves of the spread at equal effective rate, in the seeds that fail.

    Args:
        rates: what `decoupling.effective_rates` gives.
        tiny: the same of the `failing` seeds with `TINY`; None where none fails.
    """
    if tiny is None:
        return "No seed fails here."
    seeds = failing(rates)
    before, after = (spreads_by_rate(own)["effective"] for own in (rates[rates["seed"].isin(seeds)], tiny))
    return (
        f"With ε = {TINY:g} in its place, the {len(seeds)} seeds that fail have a spread of at most "
        f"{after.max():.1g} nats at equal effective rate, where it was up to {before.max():.2g}."
    )


def lowered(fisher: pd.DataFrame, arm: str, depth: int) -> str:
    """Count the networks of a depth whose top eigenvalue is lower in an arm than without normalisation."""
    own = fisher[fisher["arm"].isin((arm, "none"))].replace({"arm": {arm: "BN"}})
    lower = lower_with_bn(own).loc[depth]
    return f"{lower.sum()} of {len(lower)}"
