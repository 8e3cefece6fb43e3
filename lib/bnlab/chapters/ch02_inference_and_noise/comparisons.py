"""Paired comparisons of chapter 02, for its page and its verdicts: gaps at equal training loss, steps of a race."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.chapters.ch02_inference_and_noise.regularisation import ARMS
from bnlab.claims.criteria import by_run, rows
from bnlab.claims.ledger import LedgerError
from bnlab.claims.statistics import paired_summary
from bnlab.randomness import generator


@dataclass(frozen=True)
class Difference:
    """Paired differences summed up: words, and median with bootstrap interval (None where a pair has none)."""

    words: str
    median: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Race:
    """How many times fewer steps BN needs than no BN, each at its best rate; None where a run never arrives."""

    words: str
    best: dict[str, float]  # rate, by arm
    faster: float | None = None
    interval: tuple[float, float] | None = None


def compared(equal: pd.DataFrame, arm: str, other: str) -> pd.Series:
    """Gap of one arm minus gap of another by seed, nan where a run did not get to the training loss.

    Raises:
        LedgerError: an arm is not there, or has not the other's seeds: a run is lost.
    """
    first, second = (rows(equal, key, arm=ARMS[key]).set_index("seed")["gap"] for key in (arm, other))
    if sorted(first.index) != sorted(second.index):
        raise LedgerError(f"{arm} and {other}: runs are lost, or there twice: not both have seeds {list(first.index)}.")
    return first - second


def in_words(difference: pd.Series, seed: int) -> Difference:
    """Median and bootstrap interval of paired differences, and how many are positive; needs two at least."""
    known = difference.dropna().tolist()
    if len(known) < len(difference) or len(known) < 2:
        return Difference(f"only {len(known)} of {len(difference)} pairs got to the training loss")
    summary = paired_summary(known, [0.0] * len(known), generator(seed, "bootstrap"))
    words = (
        f"{summary.median_difference:+.2g} nats [{summary.low:+.2g}, {summary.high:+.2g}], positive in "
        f"{summary.positive} of {summary.n}"
    )
    return Difference(words, summary.median_difference, (summary.low, summary.high))


def race(results: pd.DataFrame, seed: int) -> Race:
    """Ratio of steps without BN to steps with it, over paired seeds, each arm at the rate of its least median.

    Raises:
        LedgerError: an arm is not there, a run is lost, or a number of steps is not a number.
    """
    steps = by_run(results, "race", run=["rate", "seed"], arm="arm", value="steps", arms=(ARMS["none"], ARMS["batch"]))
    best = {arm: float(steps[arm].groupby("rate").median().idxmin()) for arm in steps}
    without, with_bn = (steps[arm].loc[best[arm]] for arm in steps)
    if not (np.isfinite(without).all() and np.isfinite(with_bn).all()):
        return Race("not all runs got there", best)
    summary = paired_summary(np.log(without), np.log(with_bn), generator(seed, "bootstrap of the race"))
    faster, low, high = np.exp([summary.median_difference, summary.low, summary.high]).tolist()
    return Race(f"{faster:.2g} times fewer steps [{low:.2g}, {high:.2g}]", best, faster, (low, high))
