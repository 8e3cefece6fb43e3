"""The tables of chapter 06 in settings that Chai et al. 2020 leave open, each with the function that makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.unknown_causes import unknown_arms, unknown_caps
from bnlab.chapters.ch06_speed_and_stability.unknown_order import unknown_order
from bnlab.chapters.ch06_speed_and_stability.unknown_rates import unknown_rates
from bnlab.chapters.ch06_speed_and_stability.unknown_warm_up import unknown_warm_up
from bnlab.chapters.ch06_speed_and_stability.unknowns import unknowns
from bnlab.datasets import Dataset
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS, settings


def parts(
    dataset: Dataset,
    combinations: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    octaves: Sequence[int],
    lengths: Sequence[int],
) -> dict[str, Callable[..., pd.DataFrame]]:
    """``unknowns``, ``unknown_rates``, ``unknown_arms``, ``unknown_caps``, ``unknown_order`` and ``unknown_warm_up``.

    Args:
        dataset: 32 x 32 images.
        combinations: settings besides those that differ in one thing from the book's own.
        rates: learning rates, of those survived.
        seeds: of all runs.
        steps: gradient steps that a rate must survive.
        octaves: logarithms to base 2 of the rates after a warm-up.
        lengths: gradient steps of the warm-ups; none leave their table out.

    Raises:
        ValueError: more combinations than there are.
    """
    settings(combinations, 0, WITHOUT_THRESHOLDS)  # refuses too many, before anything runs
    watched = rates, seeds, steps
    made = {
        "unknowns": partial(unknowns, dataset, combinations, seeds),
        "unknown_rates": partial(unknown_rates, dataset, combinations, *watched),
        "unknown_arms": partial(unknown_arms, dataset, combinations, seeds),
        "unknown_caps": partial(unknown_caps, dataset, combinations, *watched),
        "unknown_order": partial(unknown_order, dataset, combinations, seeds),
    }
    if lengths:
        made["unknown_warm_up"] = partial(unknown_warm_up, dataset, combinations, octaves, seeds, steps, lengths)
    return made
