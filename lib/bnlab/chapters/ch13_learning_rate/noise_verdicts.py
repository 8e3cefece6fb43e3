"""What chapter 13 decides about the grid of rates and the noise of SGD, from what its page has computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.claims.criteria import largest, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, identity, judge, refutation

EXACT = 1e-12
STANDARD_ERRORS = 4


@dataclass(frozen=True)
class Noise:
    """What the page has found about the noise of one step, by enumeration, and drawn."""

    mean_error: float  # length of the mean error over the root mean square one
    ratios: Sequence[float]  # left side of Eq. 2 over its right side, a batch size each, with replacement
    different: Sequence[float]  # the same for different images, over (N - B) / (N - 1)
    drawn: pd.DataFrame  # of `noise.drawn_noise`
    rate_step: float  # factor of the noise of one step for twice the rate
    batch_step: float  # for half the batch
    rate_progress: float  # the same for all steps with one sum of rates
    batch_progress: float


def grid(listed: Sequence[float], used: Sequence[float]) -> Verdict:
    """Judge B-Grid by the list of Section 1.2 and the rates that the text uses."""
    listed, used = numbers(listed, "listed"), numbers(used, "used")
    missing = sorted(set(used.tolist()) - set(listed.tolist()))
    steps = listed[:-1] / listed[1:]
    told = ", ".join(f"{step:.3g}" for step in steps)
    absent = f"Section 4 uses {', '.join(f'{rate:g}' for rate in missing)}, which is not listed." if missing else ""
    return judge(
        "B-Grid",
        refutation(bool(missing)),
        statistic=float(steps.max()),
        measured=f"Neighbours differ by factors of {told}: between 0.1 and 0.003 nothing was tried. {absent}".strip(),
    )


def decomposition(found: Noise) -> Verdict:
    """Judge B-Dec by the mean of all errors."""
    off = largest(found.mean_error, "mean_error")
    return judge(
        "B-Dec",
        identity(off < EXACT),
        statistic=off,
        measured=f"Mean over all batches: {off:.0e} of the root mean square error.",
    )


def bound(found: Noise) -> Verdict:
    """Judge B-Eq2 by all batches of a few images, and by drawn batches of a network's gradients."""
    ratios, different = numbers(found.ratios, "ratios"), numbers(found.different, "different")
    drawn = rows(found.drawn, "drawn", replacement=True)
    scores = numbers((drawn["ratio"] - 1) / drawn["standard_error"], "drawn")
    without = rows(found.drawn, "drawn", replacement=False)
    uncertain = without[numbers(without["standard_error"], "drawn") > 0]  # all images are drawn in one way only
    other = numbers((uncertain["ratio"] - uncertain["expected"]) / uncertain["standard_error"], "drawn")
    if not len(ratios) == len(different):
        raise LedgerError("ratios: not as many as of different images.")
    equal = np.abs(np.concatenate([ratios, different]) - 1).max()
    return judge(
        "B-Eq2",
        identity(bool(ratios.max() <= 1 + EXACT and scores.max() <= STANDARD_ERRORS)),
        statistic=float(ratios.max()),
        measured=f"The inequality is an equality with replacement, and with $(N-B)/(N-1)$ for different images: to "
        f"{equal:.0e} by enumeration; drawn, at most {np.abs(scores).max():.1f} and {np.abs(other).max():.1f} standard "
        "errors away.",
    )


def two_knobs(found: Noise) -> Verdict:
    """Judge B-LRB by the factors of rate and batch size, per step and per unit of progress."""
    rate, batch, slow, small = (
        float(numbers(getattr(found, name), name)[0])
        for name in ("rate_step", "batch_step", "rate_progress", "batch_progress")
    )
    return judge(
        "B-LRB",
        correction(abs(rate / batch - 1) < EXACT, abs(slow / small - 1) < EXACT),
        statistic=rate / batch,
        measured=f"Per step twice the rate makes {rate:.3f} times the noise, half the batch {batch:.3f} times; over "
        f"steps with one sum of rates {slow:.3f} and {small:.3f} times.",
    )
