"""Depth and the learning rate that a linear network survives (Bjorck et al. 2018, sections 3 and 5, Appendix H).

The network of section 5, y = A_D ... A_1 x, learns a random linear map T from white inputs, E[x x^T] = I, so that
J = E||A_D ... A_1 x - T x||^2 / 2 = ||A_D ... A_1 - T||_F^2 / 2 and one layer alone has the Hessian I: largest rate 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.matrix_products import iid_matrices


def largest_stable_rates(
    depths: Sequence[int] = (1, 2, 4, 8, 16),
    size: int = 32,
    runs: int = 5,
    steps: int = 100,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """Largest stable learning rate against depth, one row a run (B-Shallow, B-Deep)."""
    rows = [
        (depth, size, run, rate)
        for depth in depths
        for run, rate in enumerate(largest_stable_rate(depth, size, runs, steps, seed, device).tolist())
    ]
    return table(rows, {"depth": "layers", "N": "layer width", "run": "index", "largest_rate": "learning rate"})


def largest_stable_rate(
    depth: int,
    size: int = 32,
    runs: int = 5,
    steps: int = 100,
    seed: int = 0,
    device: str = "cpu",
    precision: float = 0.01,
) -> Tensor:
    """Largest learning rate at which `steps` of gradient descent from Xavier's initialisation do not diverge, (runs,).

    A run diverges when its loss passes ten times the initial one.  Bisection between 1e-8 and 4 to the relative
    `precision`, all runs at once.  Layers and targets have Gaussian entries of variance 1 / N (float64).
    Raises ValueError for a depth, size, number of runs or of steps below 1.
    """
    for name, value in (("depth", depth), ("steps", steps)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer >= 1, got {value!r}")
    draws = generator(seed, f"deep linear network of {depth}")
    layers = [iid_matrices(size, runs, draws, device=device) for _ in range(depth)]  # depth x (runs, N, N)
    target = iid_matrices(size, runs, generator(seed, "target of the deep linear networks"), device=device)
    low = torch.full((runs,), 1e-8, dtype=torch.float64, device=device)
    high = torch.full_like(low, 4.0)
    while (high / low).max() > 1 + precision:
        rate = (low * high).sqrt()
        stable = survives(layers, target, rate, steps)
        low, high = torch.where(stable, rate, low), torch.where(stable, high, rate)
    return (low * high).sqrt()


def survives(layers: Sequence[Tensor], target: Tensor, rate: Tensor, steps: int) -> Tensor:
    """Whether gradient descent keeps each run's loss within ten times its first, for rates of shape (runs,)."""
    layers = list(layers)
    first, gradients = loss_and_gradients(layers, target)
    alive = torch.ones_like(rate, dtype=torch.bool)
    for _ in range(steps):
        # A diverged run stands still, for its numbers would only overflow.
        step = torch.where(alive, rate, 0)[:, None, None]
        layers = [torch.where(step > 0, a - step * g, a) for a, g in zip(layers, gradients, strict=True)]
        loss, gradients = loss_and_gradients(layers, target)
        alive = alive & (loss <= 10 * first)
        if not alive.any():
            break
    return alive


def loss_and_gradients(layers: Sequence[Tensor], target: Tensor) -> tuple[Tensor, list[Tensor]]:
    """J = ||A_D ... A_1 - T||_F^2 / 2, (runs,), and dJ/dA_i for each layer, (runs, N, N).

    dJ/dA_i = (A_D ... A_{i+1})^T (A_D ... A_1 - T) (A_{i-1} ... A_1)^T.  layers: the first applied comes first.
    """
    below = [torch.eye(target.shape[-1], dtype=target.dtype, device=target.device).expand_as(target)]
    for layer in layers:
        below.append(layer @ below[-1])  # A_i ... A_1
    error = below[-1] - target
    gradients, signal = [], error
    for layer, before in zip(reversed(layers), reversed(below[:-1]), strict=True):
        gradients.append(signal @ before.mT)
        signal = layer.mT @ signal
    return error.square().sum((-2, -1)) / 2, gradients[::-1]
