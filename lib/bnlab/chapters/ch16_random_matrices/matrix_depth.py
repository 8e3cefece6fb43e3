"""Extreme singular values of products against size and depth (Bjorck et al. 2018, section 5): parameters -> tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.matrix_products import (
    iid_matrices,
    log_extreme_singular_values,
    lyapunov_gap,
    sample_product_singular_values,
)
from bnlab.theory.random_matrices import fuss_catalan_support

Device = torch.device | str


def edge_rate(sizes: Sequence[int], products: Sequence[int], runs: int, seed: int, device: Device) -> pd.DataFrame:
    """How far below the edge the largest squared singular value stays: 1 - s_max^2 / edge, falling as N^(-2/3).

    One row a size.  The slope is fitted to the mean (with its standard error), for a single value can be negative.
    """
    rows = []
    for M in products:
        edge = fuss_catalan_support(M)[1]
        for size in sizes:
            s = sample_product_singular_values(size, M, runs, generator(seed, f"edge of {M} at {size}"), device=device)
            deficit = 1 - s[:, 0].cpu().numpy() ** 2 / edge  # (runs,)
            quartiles = np.quantile(deficit, (0.25, 0.5, 0.75))
            rows.append((M, size, runs, deficit.mean(), deficit.std(ddof=1) / runs**0.5, *quartiles))
    units = {"M": "factors", "N": "matrix side", "runs": "products"}
    return table(rows, units | dict.fromkeys(("mean", "standard_error", "q1", "median", "q3"), "1"))


def variances(size: int, scales: Sequence[Sequence[float]], seed: int, device: Device) -> pd.DataFrame:
    """Entries of variance sigma_i^2 / N: the printed support and the one with the factor prod sigma_i^2 (ERR-46).

    The last columns are the largest squared singular value over each.  The mean square is prod sigma_i^2.
    """
    rows = []
    for sigmas in scales:
        M, factor, label = len(sigmas), float(np.prod(np.square(sigmas))), " x ".join(f"{v:g}" for v in sigmas)
        draws = generator(seed, f"variances {label}")
        s = sample_product_singular_values(size, M, 1, draws, scales=sigmas, device=device)[0].cpu().numpy()
        top = s[0] ** 2
        printed, right = fuss_catalan_support(M)[1], fuss_catalan_support(M, factor)[1]
        rows.append((M, label, factor, np.mean(s**2), top, top / printed, top / right))
    square = "squared singular value"
    units = {"M": "factors", "sigmas": "standard deviation of sqrt(N) times an entry", "product_of_variances": square}
    units |= {"mean_square": square, "largest_square": square, "over_printed_edge": "1", "over_edge": "1"}
    return table(rows, units)


def largest(size: int, products: Sequence[int], runs: int, seed: int, device: Device) -> pd.DataFrame:
    """Growth of the largest singular value with M (B-OM): measured, sqrt(edge), and its asymptote sqrt(e M)."""
    log_max, _ = log_extreme_singular_values(size, list(products), runs, generator(seed, "largest"), device=device)
    rows = [
        (M, size, i, value, fuss_catalan_support(M)[1] ** 0.5, (np.e * M) ** 0.5)
        for M, column in zip(products, log_max.exp().T.tolist(), strict=True)
        for i, value in enumerate(column)
    ]
    units = {"M": "factors", "N": "matrix side", "run": "index"}
    return table(rows, units | dict.fromkeys(("largest", "root_of_edge", "root_of_e_m"), "singular value"))


def depth(sizes: Sequence[int], depths: Sequence[int], runs: int, seed: int, device: Device) -> pd.DataFrame:
    """Ln kappa of products of M matrices three ways (B-Kappa): at any depth, svdvals of the product, its Gram matrix.

    The last two stop at what float64 resolves, ln kappa = 36 and half of it.  `gap` is the limit's growth per factor.
    """
    rows = []
    for size in sizes:
        purpose = f"depth at {size}"
        log_max, log_min = log_extreme_singular_values(size, depths, runs, generator(seed, purpose), device=device)
        from_product, from_gram = _naive(size, depths, runs, generator(seed, purpose), device)
        for column, M in enumerate(depths):
            values = [t[:, column].tolist() for t in (log_max, log_min, log_max - log_min, from_product, from_gram)]
            rows += [(size, M, i, *row, lyapunov_gap(size)) for i, row in enumerate(zip(*values, strict=True))]
    units = {"N": "matrix side", "M": "factors", "run": "index", "log_largest": "ln(singular value)"}
    units |= {"log_smallest": "ln(singular value)", "log_kappa": "ln(condition number)"}
    units |= {"log_kappa_product": "ln(condition number)", "log_kappa_gram": "ln(condition number)"}
    return table(rows, units | {"gap": "ln(condition number) per factor"})


def _naive(
    size: int, depths: Sequence[int], runs: int, draws: torch.Generator, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ln kappa read off the multiplied-out product and off its Gram matrix, (runs, len(depths)) each, same factors."""
    product = torch.eye(size, dtype=torch.float64, device=device).expand(runs, size, size)
    from_product, from_gram = [], []
    for M in range(1, depths[-1] + 1):
        product = iid_matrices(size, runs, draws, device=device) @ product
        product = product / torch.linalg.matrix_norm(product)[:, None, None]  # kappa is scale-free, float64 is not
        if M in depths:
            s = torch.linalg.svdvals(product)  # (runs, size), descending
            squares = torch.linalg.eigvalsh(product @ product.mT)  # ascending; rounding makes the lowest negative
            from_product.append((s[:, 0] / s[:, -1]).log())
            from_gram.append((squares[:, -1] / squares[:, 0].abs()).log() / 2)
    return torch.stack(from_product, dim=1), torch.stack(from_gram, dim=1)
