"""Small simulations behind section 4 of Chai et al. 2020: NLMS and the input's scale, patch powers, variance estimates.

All float64, drawn by CPU generators; each function returns a tidy table with the standard errors of what it measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.filters import lms_step, nlms_step


def input_scales(
    rates: Sequence[float], scales: Sequence[float], steps: int, seed: int, length: int = 8
) -> pd.DataFrame:
    """Weight errors and outputs of NLMS and LMS towards a filter that can be reached, the same inputs times each scale.

    NLMS takes mu itself; LMS the same mu over the mean power of the inputs at scale 1, so that both agree there on
    average. The error is ||scale W - W_o|| / ||W_o|| (at scale s, W_o / s gives the same outputs); the
    output is that of the weights before the step, at the last row that of the last weights to the last input.
    """
    X = torch.randn(steps, length, generator=generator(seed, "inputs"), dtype=torch.float64)
    solution = torch.randn(length, generator=generator(seed, "solution"), dtype=torch.float64)
    D = X @ solution
    power = X.square().sum(1).mean()
    rows = []
    for mu in rates:
        for scale in scales:
            for rule in ("NLMS", "LMS"):
                W = torch.zeros(length, dtype=torch.float64)
                for n in range(steps + 1):
                    error = (scale * W - solution).norm() / solution.norm()
                    x = scale * X[min(n, steps - 1)]
                    rows.append((mu, scale, rule, n, error.item(), (x @ W).item()))
                    if n < steps:
                        W = nlms_step(W, x, D[n], mu) if rule == "NLMS" else lms_step(W, x, D[n], mu / power)
    units = {
        "mu": "1",
        "scale": "of the input",
        "rule": "name",
        "step": "samples",
        "error": "of the start",
        "output": "of the filter",
    }
    return table(rows, units)


def normal_patches(length: int, sigma: float, draws: int, seed: int, groups: int = 100) -> pd.DataFrame:
    """Power of patches of ``length`` independent normal pixels: mean of ||x||^2, 1 / ||x||^2, coefficient of variation.

    In units of sigma^2, with the closed forms Z, 1 / (Z - 2) and sqrt(2 / Z), and standard errors from ``groups``.
    """
    x = sigma * torch.randn(groups, draws // groups, length, generator=generator(seed, "pixels"), dtype=torch.float64)
    power = x.square().sum(2) / sigma**2  # (groups, draws / groups)
    measured = {
        "mean": (power.mean(1), length),
        "mean of the inverse": ((1 / power).mean(1), 1 / (length - 2)),
        "coefficient of variation": (power.std(1) / power.mean(1), (2 / length) ** 0.5),
    }
    rows = [(name, *_mean_and_error(values), theory) for name, (values, theory) in measured.items()]
    return table(rows, {"quantity": "name", "measured": "sigma^2", "standard_error": "sigma^2", "theory": "sigma^2"})


def variance_estimates(maps: Sequence[int], draws: int, seed: int, side: int = 7, groups: int = 50) -> pd.DataFrame:
    """Spread of the variance estimated over B maps of side x side zero-mean pixels: independent, and 3 x 3 averages.

    Theory: sqrt(2 / n_eff), with n_eff = B n^2 / sum_ij rho_ij^2 for n pixels whose correlations are rho_ij.
    """
    rows = []
    pixels = side * side
    for kind, width in (("independent", 1), ("correlated", 3)):
        distance = (torch.arange(side)[:, None] - torch.arange(side)).abs()
        overlap = (width - distance).clamp_min(0).double() / width  # (side, side)
        correlations = torch.kron(overlap, overlap)  # (n, n)
        effective = pixels**2 / correlations.square().sum().item()
        for count in maps:
            draw = generator(seed, f"{kind} maps, {count} at a time")
            field = torch.randn(groups * draws * count, 1, side + width - 1, side + width - 1, generator=draw).double()
            x = functional.avg_pool2d(field, width, stride=1) * width  # (N, 1, side, side), unit variance
            estimates = x.square().mean((1, 2, 3)).reshape(groups, draws, count).mean(2)  # (groups, draws)
            spread, error = _mean_and_error(estimates.var(1))
            theory = (2 / (count * effective)) ** 0.5
            rows.append((kind, count, count * effective, spread**0.5, error / (2 * spread**0.5), theory))
    units = {"pixels": "name", "maps": "count", "n_effective": "count", "deviation": "of the variance"}
    return table(rows, {**units, "standard_error": "of the variance", "theory": "of the variance"})


def _mean_and_error(values: Tensor) -> tuple[float, float]:
    """Mean of independent groups' values, and its standard error."""
    return values.mean().item(), (values.std() / len(values) ** 0.5).item()
