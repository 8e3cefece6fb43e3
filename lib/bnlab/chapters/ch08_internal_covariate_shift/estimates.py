"""The Kullback-Leibler divergence of samples, by histogram, where it is known, and where it fails."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from bnlab.layers.batchnorm import batch_norm
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.divergences import gaussian_kl, histogram_kl

FORWARD, BACKWARD, ATOM, STANDARDISED = (
    "N(0, 1) from N(1, 4)", "N(1, 4) from N(0, 1)", "after a ReLU, from its positive half", "both standardised",
)  # fmt: skip


def kl_cases(samples: int, bins: Sequence[int], seed: int) -> pd.DataFrame:
    """Estimates of D(p || q) for four pairs of distributions, by the number of bins, with no and with one added count.

    ``exact``: the closed form; infinite for the third pair, whose p has an atom at zero (half of its mass) and q none.
    """
    x, y = torch.randn(2, samples, 1, generator=generator(seed, "two normal distributions"), dtype=torch.float64)
    y = 1 + 2 * y
    zero, one, four = (torch.tensor(value, dtype=torch.float64) for value in (0.0, 1.0, 4.0))
    ones = torch.ones(1, dtype=torch.float64)
    flat = [batch_norm(values, ones, 0 * ones, eps=0) for values in (x, y)]
    pairs = {
        FORWARD: (x, y, gaussian_kl(zero, one, one, four).item()),
        BACKWARD: (y, x, gaussian_kl(one, four, zero, one).item()),
        ATOM: (x.clamp_min(0), x.abs(), float("inf")),
        STANDARDISED: (*flat, 0.0),
    }
    rows = [
        (case, count, added, histogram_kl(p, q, count, added).item(), exact)
        for case, (p, q, exact) in pairs.items()
        for count in bins
        for added in (0, 1)
    ]
    return table(rows, {"case": "name", "bins": "number", "added": "counts", "estimate": "nats", "exact": "nats"})
