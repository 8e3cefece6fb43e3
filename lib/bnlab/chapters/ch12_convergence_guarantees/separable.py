"""Separable data: plain and normalised descent that never ends, and margins against the spread of the features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory import margins

# Kinds of `separable_descent`: plain descent with a margin and without, and with a normalised output.
PLAIN, ZERO, NORMALISED = "positive margin", "margin zero", "positive margin, output normalised"


def separable(n: int, dimension: int, gap: float, seed: int) -> Tensor:
    """Rows y_i x_i (n, d) of Gaussian points moved away from a random boundary, by ``gap`` each."""
    stream = generator(seed, "separable points")
    x, w = (torch.randn(*shape, generator=stream, dtype=torch.float64) for shape in ((n, dimension), (dimension,)))
    w = w / w.norm()
    side = (x @ w).sign()
    return side[:, None] * (x + gap * side[:, None] * w)


def _smoothness(z: Tensor) -> Tensor:
    """L = lambda_max(E zz') / 4 of the logistic loss, (...) for z (..., n, d)."""
    return torch.linalg.eigvalsh(z.mT @ z / z.shape[-2])[..., -1] / 4


def separable_descent(n: int, dimension: int, gap: float, steps: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Descent at the rate 1/L on the logistic loss: samples with a margin, and the population without one.

    Plain descent on both, and on the samples descent with a normalised output, at the same rate from the same loss.
    """
    z = torch.stack([separable(n, dimension, gap, seed) for seed in seeds])
    at = torch.from_numpy(np.unique(np.geomspace(1, steps, 80).astype(int)))
    rate, rows = 1 / _smoothness(z), []
    for data, descend in ((PLAIN, margins.logistic_descent), (NORMALISED, margins.normalised_logistic_descent)):
        run = descend(z, rate, steps, at)
        rows += [
            (data, seed, int(t), run.loss[k, s].item(), run.length[k, s].item())
            for s, seed in enumerate(seeds) for k, t in enumerate(at)
        ]  # fmt: skip
    limit = margins.boundary_descent(4.0, steps, at)  # L = 1/4 for unit variance
    records = zip(at.tolist(), limit.loss.tolist(), limit.length.tolist(), strict=True)
    rows += [(ZERO, -1, *record) for record in records]  # seed -1: the population itself
    return table(rows, {"data": "kind", "seed": "number", "step": "steps", "loss": "nats", "length": "1"})


def decay_fits(descent: pd.DataFrame) -> pd.DataFrame:
    """Over the last decade of steps: exponent of t, R^2 of a power law and of an exponential, growth of ||w||."""
    rows = []
    for (data, seed), run in descent.groupby(["data", "seed"], sort=False):
        late = run[run["step"] >= run["step"].max() / 10]
        t, loss = late["step"].to_numpy(float), np.log(late["loss"].to_numpy())
        power = np.corrcoef(np.log(t), loss)[0, 1] ** 2
        exponent = np.polyfit(np.log(t), loss, 1)[0]
        growth = late["length"].iloc[-1] / late["length"].iloc[0]
        rows.append((data, seed, exponent, power, np.corrcoef(t, loss)[0, 1] ** 2, growth))
    units = {"data": "kind", "seed": "number", "exponent": "1", "power_law": "R^2", "exponential": "R^2"}
    return table(rows, units | {"growth": "ratio of lengths"})


def margin_growth(spreads: Sequence[float], n: int, dimension: int, gap: float, steps: int, seeds: Sequence[int]):
    """Margin after some steps at the rate 1/L, as a share of the largest in the same coordinates.

    Feature k of separable data is multiplied by spread^(k / (d - 1)), so that ``spread`` is the ratio of the largest
    to the smallest standard deviation; "scaled" features are divided by their standard deviations (not centred, which
    would move the boundary).
    """
    rows = []
    for spread in spreads:
        scales = torch.logspace(0, float(np.log10(spread)), dimension, dtype=torch.float64)
        raw = torch.stack([separable(n, dimension, gap, seed) * scales for seed in seeds])
        scaled = raw / raw.std(1, keepdim=True, unbiased=False)
        for features, z in (("raw", raw), ("scaled", scaled)):
            run = margins.logistic_descent(z, 1 / _smoothness(z), steps, torch.tensor([steps]))
            for s, seed in enumerate(seeds):
                largest = margins.largest_margin(z[s]).margin
                rows.append((spread, features, seed, run.margin[0, s].item() / largest))
    units = {"spread": "ratio of standard deviations", "features": "kind", "seed": "number"}
    return table(rows, units | {"share": "of the largest margin"})
