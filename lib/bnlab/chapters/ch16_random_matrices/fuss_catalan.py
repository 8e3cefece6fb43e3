"""Tables of the law of Theorem 1 (Bjorck et al. 2018) that need no random matrix: Figure 8, moments, exponents at 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bnlab.tables import table
from bnlab.theory.random_matrices import (
    fuss_catalan_density,
    fuss_catalan_moment,
    fuss_catalan_support,
    singular_value_density,
)


def law(products: Sequence[int], points: int = 300) -> pd.DataFrame:
    """Figure 8: the density of the squared ("squared") and of the plain ("plain") singular values on a grid.

    The grid is geometric below a hundredth of the support, where the densities blow up, and linear above.
    """
    rows = []
    for M in products:
        edge = fuss_catalan_support(M)[1]
        near_zero = np.geomspace(1e-10, 1e-2, points // 3, endpoint=False)
        x = edge * np.concatenate([near_zero, np.linspace(0.01, 1, points)])
        s = np.sqrt(x)
        rows += [(M, "squared", *row) for row in zip(x, fuss_catalan_density(x, M), strict=True)]
        rows += [(M, "plain", *row) for row in zip(s, singular_value_density(s, M), strict=True)]
    units = {"M": "factors", "quantity": "squared or plain", "value": "(squared) singular value"}
    return table(rows, units | {"density": "1 / value"})


def moments(products: Sequence[int], orders: Sequence[int] = (0, 1, 2, 3, 4)) -> pd.DataFrame:
    """Moments of Eq. 5 by Gauss-Legendre quadrature beside the exact Fuss-Catalan numbers; order 0 is the mass."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    u = (nodes + 1) / 2
    rows = []
    for M in products:
        # x = edge (1 - u^2)^(M+1) takes both singularities away, x^(-M/(M+1)) at 0 and the square root at the edge.
        edge = fuss_catalan_support(M)[1]
        x = edge * ((1 - u) * (1 + u)) ** (M + 1)
        mass = weights * u * edge * (M + 1) * ((1 - u) * (1 + u)) ** M * fuss_catalan_density(x, M)
        for k in orders:
            value = float(mass @ x**k)
            exact = fuss_catalan_moment(k, M)
            rows.append((M, k, exact, value, abs(value / exact - 1)))
    units = {
        "M": "factors",
        "order": "power of the squared singular value",
        "fuss_catalan": "squared singular value, to the order",
        "quadrature": "squared singular value, to the order",
        "relative_error": "1",
    }
    return table(rows, units)


def zero_exponents(products: Sequence[int]) -> pd.DataFrame:
    """Exponent of the blow-up at 0, d ln(density) / d ln(value): -M/(M+1) squared, -(M-1)/(M+1) plain.

    Measured between 1e-60 and 2e-60, where the next term of the series, smaller by value^(1/(M+1)), is negligible.
    """
    ends = np.array([1e-60, 2e-60])
    rows = []
    for M in products:
        for quantity, density, exponent in (
            ("squared", fuss_catalan_density, -M / (M + 1)),
            ("plain", singular_value_density, -(M - 1) / (M + 1)),
        ):
            rows.append((M, quantity, exponent, np.diff(np.log(density(ends, M)))[0] / np.log(2)))
    units = {"M": "factors", "quantity": "squared or plain", "exponent": "1", "measured_exponent": "1"}
    return table(rows, units)
