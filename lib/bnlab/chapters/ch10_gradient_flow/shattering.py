"""How alike input gradients at neighbouring inputs are: networks of rectifiers on a grid of one-dimensional inputs.

The first layer is relu(w x + b), w and b standard normal, so that its kinks lie everywhere; blocks W phi(norm(h))
follow, added to h with a skip connection. Batch Normalization takes its statistics over the whole grid and holds them
when it is differentiated: what is differentiated is the function of one input. Derivatives travel forward with the
activations, so that one pass gives dh/dx at every depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.randomness import generator
from bnlab.tables import table

ARMS = {"none": (False, False), "BN": (False, True), "skip": (True, False), "skip + BN": (True, True)}
EPS = 1e-5


def derivatives(grid: Tensor, depth: int, width: int, seed: int, *, skip: bool, normalised: bool) -> list[Tensor]:
    """dh/dx at every point of a grid (P,) after 1, ..., ``depth`` blocks: each (P, width), in the grid's dtype."""
    rng = generator(seed, "weights on a line")

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(grid)

    w, b = normal(width), normal(width)
    first = grid[:, None] * w + b  # (P, width)
    h, slope = first.relu(), (first > 0) * w
    found = []
    for _ in range(depth):
        x, dx = h, slope
        if normalised:
            variance = x.var(0, unbiased=False) + EPS
            x, dx = functional.batch_norm(x, None, None, training=True, eps=EPS), dx * variance.rsqrt()
        weight = normal(width, width).mT * math.sqrt(2 / width)
        y, dy = x.relu() @ weight, ((x > 0) * dx) @ weight
        h, slope = (h + y, slope + dy) if skip else (y, dy)
        found.append(slope)
    return found


def correlations(depth: int, width: int, points: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Mean cosine of dh/dx at neighbouring points of [-2, 2], by arm, seed and depth; arms share their weights.

    dh/dx of many units stands for the input gradients of many outputs with independent weights.
    """
    grid = torch.linspace(-2, 2, points, dtype=torch.float64)
    rows = []
    for arm, (skip, normalised) in ARMS.items():
        for seed in seeds:
            slopes = derivatives(grid, depth, width, seed, skip=skip, normalised=normalised)
            for number, slope in enumerate(slopes, 1):
                cosine = functional.cosine_similarity(slope[1:], slope[:-1], dim=1).mean()
                rows.append((arm, seed, number, cosine.item()))
    return table(rows, {"arm": "name", "seed": "number", "depth": "blocks", "correlation": "cosine"})


def example(arm: str, depth: int, width: int, points: int, seed: int) -> pd.DataFrame:
    """Draw one random output's input gradient along the grid, in units of its root mean square."""
    skip, normalised = ARMS[arm]
    grid = torch.linspace(-2, 2, points, dtype=torch.float64)
    slope = derivatives(grid, depth, width, seed, skip=skip, normalised=normalised)[-1]
    output = slope @ torch.randn(width, generator=generator(seed, "an output on a line"), dtype=torch.float64)
    scaled = output / output.square().mean().sqrt()
    rows = [(arm, depth, x, g) for x, g in zip(grid.tolist(), scaled.tolist(), strict=True)]
    return table(rows, {"arm": "name", "depth": "blocks", "x": "1", "gradient": "root mean square"})
