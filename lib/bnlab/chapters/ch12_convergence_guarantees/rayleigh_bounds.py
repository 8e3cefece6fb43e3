"""Descent on the Rayleigh quotient against its bound: random problems, and the hardest start that can be found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.optimize
import torch
from torch import Tensor

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory import convergence, rayleigh
from bnlab.theory.least_squares import LeastSquares


def rayleigh_runs(dimension: int, problems: int, steps: int, seed: int) -> pd.DataFrame:
    """Gap of the Rayleigh quotient over its bound (1 - mu/L)^(2t) gap(0), the worst over random problems, by step.

    ``step_length`` 1 is the paper's step; one four times as long is outside the theorem.
    """
    worst = {length: np.zeros(steps + 1) for length in (1, 4)}
    draws = generator(seed, "random problems")
    for _ in range(problems):
        S, u, w = _rayleigh_problem(dimension, draws)
        mu, L = (torch.linalg.eigvalsh(S)[k].item() for k in (0, -1))
        bound = (1 - mu / L) ** (2 * torch.arange(steps + 1, dtype=torch.float64))
        for length in worst:
            gaps = rayleigh.rayleigh_gap(rayleigh.rayleigh_descend(S, u, w, steps, L / length), S, u)
            worst[length] = np.maximum(worst[length], (gaps / (bound * gaps[0])).numpy())
    rows = [(length, step, ratio) for length, ratios in worst.items() for step, ratio in enumerate(ratios)]
    return table(rows, {"step_length": "times the paper's", "step": "steps", "worst_ratio": "gap / bound"})


def _rayleigh_problem(dimension: int, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """S (d, d), u and a start (d,)."""
    A = torch.randn(2 * dimension, dimension, generator=draws, dtype=torch.float64)
    u, w = torch.randn(2, dimension, generator=draws, dtype=torch.float64)
    return A.T @ A / (2 * dimension), u, w


def rayleigh_curves(dimension: int, steps: int, seed: int) -> pd.DataFrame:
    """One problem by steps: gap of the Rayleigh quotient, excess of plain descent at 1/L, and the bound of both.

    ``start``: random, or chosen by an optimiser for the largest gap / bound after ten steps.
    """
    S, u, w = _rayleigh_problem(dimension, generator(seed, "one problem"))
    values = torch.linalg.eigvalsh(S)
    bound = (1 - values[0] / values[-1]) ** (2 * torch.arange(steps + 1, dtype=torch.float64))
    problem = LeastSquares(S, u, torch.tensor(1.0), torch.linalg.solve(S, u))
    rows = []
    for start, w0 in (("random", w), ("hardest", hardest_start(S, u, w))):
        gaps = rayleigh.rayleigh_gap(rayleigh.rayleigh_descend(S, u, w0, steps), S, u)
        scaled = w0 * (u @ w0) / (w0 @ S @ w0)  # the same direction at its best length, so that both start alike
        plain = convergence.descend(problem, 1 / values[-1], steps, scaled).excess
        for name, series in (("Rayleigh quotient", gaps), ("plain descent", plain), ("bound", bound * gaps[0])):
            rows += [(start, name, step, (series[step] / series[0]).item()) for step in range(steps + 1)]
    return table(rows, {"start": "kind", "series": "name", "step": "steps", "gap": "share of the first gap"})


def hardest_start(S: Tensor, u: Tensor, w: Tensor, steps: int = 10) -> Tensor:
    """Start from which the gap after some steps is largest beside its bound, by Nelder and Mead's search from w."""
    values = torch.linalg.eigvalsh(S)
    bound = (1 - values[0] / values[-1]).item() ** (2 * steps)

    def negative_ratio(x: np.ndarray) -> float:
        path = rayleigh.rayleigh_descend(S, u, torch.from_numpy(x), steps)
        first, *_, last = rayleigh.rayleigh_gap(path, S, u)
        return -(last / first).item() / bound

    options = {"maxiter": 300, "xatol": 1e-6, "fatol": 1e-9}
    return torch.from_numpy(scipy.optimize.minimize(negative_ratio, w.numpy(), method="Nelder-Mead", options=options).x)
