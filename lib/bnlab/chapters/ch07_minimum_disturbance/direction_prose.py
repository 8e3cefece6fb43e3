"""Sentences that the page says of the first step's direction: right whichever way it comes out."""

from __future__ import annotations

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance.arrangement_verdicts import PLAIN, PRIOR, cosine


def nearer_than_plain(directions: pd.DataFrame) -> str:
    """Say to which direction of NLMS the first step is nearer with BN before the convolution than without any.

    Args:
        directions: what `arrangements.directions` gives.
    """
    told = []
    for span, words in (("channel", "that of Eq. 9"), ("patch", "that with the power of the whole patch")):
        prior, plain = (cosine(directions, name, span)[0] for name in (PRIOR, PLAIN))
        told.append(
            f"to {words} in {(prior > plain).sum()} of {len(prior)} seeds (medians {prior.median():.2f} and "
            f"{plain.median():.2f})"
        )
    return f"With BN before the convolution the first step is nearer than without normalisation {' and '.join(told)}."
