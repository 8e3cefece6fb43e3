"""Chapter 16, products of random matrices (Bjorck et al. 2018, section 5): parameters -> tidy tables.

`parts` names the chapter's tables and what makes each; `run` makes them all.  The unit of every column is in
`table.attrs["units"]`.  Entries have variance 1 / N unless a column says "standard_gaussian" (variance 1, as Figure 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np
import pandas as pd
import torch

from bnlab.chapters.ch16_random_matrices import conditioning, fuss_catalan, matrix_depth
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.matrix_products import ks_distance, sample_product_singular_values
from bnlab.theory.random_matrices import fuss_catalan_cdf, fuss_catalan_support

Spectra = Mapping[int, np.ndarray]  # number of factors M -> singular values (runs, N), descending

_UNITS = {"entries": "distribution", "M": "factors", "N": "matrix side", "run": "index", "quantity": "squared or plain"}


def parts(
    size: int = 1000,
    runs: int = 10,
    products: Sequence[int] = (1, 2, 3),
    universality_runs: int = 3,
    law_products: Sequence[int] = (1, 2, 3, 5, 8),
    edge_sizes: Sequence[int] = (25, 50, 100, 200),
    edge_runs: int = 200,
    largest_size: int = 400,
    largest_products: Sequence[int] = (4, 6, 8, 12, 16),
    largest_runs: int = 5,
    depth_sizes: Sequence[int] = (16, 64),
    depths: Sequence[int] = (1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 30, 50, 75, 100),
    depth_runs: int = 20,
    kappas: Sequence[float] = (10.0, 20.0, 40.0, 80.0),
    fan_ins: Sequence[int] = (64, 128, 256, 512),
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 16 by name, each with the function that makes it.

    The defaults are the quick scale, which for Figure 9 (size, runs, products) is the paper's own.

    Args:
        size: side N of the matrices of Figure 9.
        runs: how many products with Gaussian entries.
        products: numbers of factors M.
        universality_runs: how many products with uniform and with Rademacher entries.
        law_products: numbers of factors of the theory's curves.
        edge_sizes: sides for the approach of the largest singular value to the edge.
        edge_runs: how many products at each of those.
        largest_size: side for the growth of the largest singular value with M.
        largest_products: numbers of factors for it.
        largest_runs: how many products for it.
        depth_sizes: sides for the condition number against depth.
        depths: numbers of factors for it, increasing.
        depth_runs: how many products for it.
        kappas: condition numbers for gradient descent.
        fan_ins: sides n for Xavier's and Kaiming's standard deviations.
        seed: of every random stream.
        device: where the linear algebra runs; the draws are the same everywhere.

    Raises:
        ValueError: from the part that meets an impossible size.
    """
    every = {"gaussian": runs, "uniform": universality_runs, "rademacher": universality_runs}
    # Cached: three tables share a distribution's spectra, the dearest computation of the chapter.
    spectra = cache(lambda entries: sampled_spectra(size, every[entries], tuple(products), entries, seed, device))
    return {
        "law": partial(fuss_catalan.law, law_products),
        "moments": partial(fuss_catalan.moments, law_products),
        "zero_exponents": partial(fuss_catalan.zero_exponents, law_products),
        "histogram": lambda: histogram(spectra("gaussian")),
        "extremes": lambda: extremes({entries: spectra(entries) for entries in every}),
        "distances": lambda: distances({entries: spectra(entries) for entries in every}),
        "edge_rate": partial(matrix_depth.edge_rate, edge_sizes, products, edge_runs, seed, device),
        "variances": partial(matrix_depth.variances, size, ((1.0, 1.0), (3.0, 2.0)), seed, device),
        "largest": partial(matrix_depth.largest, largest_size, largest_products, largest_runs, seed, device),
        "depth": partial(matrix_depth.depth, depth_sizes, depths, depth_runs, seed, device),
        **conditioning.parts(kappas, fan_ins, seed),
    }


def run(**parameters: object) -> dict[str, pd.DataFrame]:
    """Make all tables of `parts` with its parameters."""
    return {name: make() for name, make in parts(**parameters).items()}


def sampled_spectra(
    size: int, runs: int, products: Sequence[int], entries: str, seed: int, device: torch.device | str
) -> dict[int, np.ndarray]:
    """Singular values of products of M matrices, (runs, size), for each M."""
    return {
        M: sample_product_singular_values(
            size, M, runs, generator(seed, f"{entries} products of {M}"), entries=entries, device=device
        )
        .cpu()
        .numpy()
        for M in products
    }


def histogram(spectra: Spectra, bins: int = 60) -> pd.DataFrame:
    """Figure 9: counts over all runs beside the law's; geometric bins for squared values, linear ones for plain."""
    rows = []
    for M, s in spectra.items():
        edge = fuss_catalan_support(M)[1]
        for quantity, power in (("squared", 2), ("plain", 1)):
            values = s.ravel() ** power
            last = max(edge ** (power / 2), values.max())
            cuts = np.geomspace(values.min(), last, bins + 1) if power == 2 else np.linspace(0, last, bins + 1)
            if power == 2:
                cuts[[0, -1]] = values.min(), last  # geomspace rounds its ends, and must lose no value
            counts, _ = np.histogram(values, cuts)
            expected = values.size * np.diff(fuss_catalan_cdf(cuts ** (2 / power), M))
            raw = cuts * s.shape[1] ** (M * power / 2)
            columns = (cuts[:-1], cuts[1:], raw[:-1], raw[1:], counts, expected)
            rows += [(M, quantity, *row) for row in zip(*columns, strict=True)]
    value = "(squared) singular value"
    units = {
        **{name: _UNITS[name] for name in ("M", "quantity")},
        "left": value,
        "right": value,
        "left_standard_gaussian": value,
        "right_standard_gaussian": value,
        "count": "singular values in all runs",
        "expected": "singular values in all runs",
    }
    return table(rows, units)


def extremes(spectra: Mapping[str, Spectra]) -> pd.DataFrame:
    """Both ends of each run's spectrum, and the largest squared value over the edge of the support (B-Supp)."""
    rows = [
        (entries, M, s.shape[1], i, row[0], row[-1], row[0] * s.shape[1] ** (M / 2), row[0] ** 2 / support[1])
        for entries, by_factors in spectra.items()
        for M, s in by_factors.items()
        for support in (fuss_catalan_support(M),)
        for i, row in enumerate(s)
    ]
    units = {
        **{name: _UNITS[name] for name in ("entries", "M", "N", "run")},
        "largest": "singular value",
        "smallest": "singular value",
        "largest_standard_gaussian": "singular value",
        "largest_squared_over_edge": "1",
    }
    return table(rows, units)


def distances(spectra: Mapping[str, Spectra]) -> pd.DataFrame:
    """Kolmogorov-Smirnov distance of each run to the law: of the squares, and (as printed) of the plain values."""
    rows = [
        (entries, M, s.shape[1], i, quantity, ks_distance(row**power, partial(fuss_catalan_cdf, M=M)))
        for entries, by_factors in spectra.items()
        for M, s in by_factors.items()
        for i, row in enumerate(s)
        for quantity, power in (("squared", 2), ("plain", 1))
    ]
    units = {name: _UNITS[name] for name in ("entries", "M", "N", "run", "quantity")}
    return table(rows, units | {"ks_distance": "1"})
