r"""Gradient descent on two linear layers and one example, solved: monotone, catapulted or lost (Lewkowycz et al. 2020).

The network f = u'v / sqrt(n) of width n is to give 0, with the loss f^2 / 2. Its curvature is the tangent kernel
k = (|u|^2 + |v|^2) / n, and a step of rate r maps the pair (f, k) to another one, whatever u and v are:

    f' = f (1 - r k + r^2 f^2 / n)        k' = k + (r f^2 / n) (r k - 4)

Let c = r k at the start and f^2 be small beside n. Below c = 2 the loss falls. Between 2 and 4 it grows until f^2 is of
the order of n, and with every step that it is large the curvature *falls*; the loss then converges where r k < 2.
Above 4 the curvature grows as well, and both are lost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnlab import checks


def two_layer_path(output: float, curvature: float, rate: float, width: int, steps: int) -> Tensor:
    """Outputs f and curvatures k after 0, 1, ..., ``steps`` steps: (steps + 1, 2) float64, inf or nan where lost.

    >>> two_layer_path(1.0, 1.0, rate=0.5, width=100, steps=1)
    tensor([[1.0000, 1.0000],
            [0.5025, 0.9825]], dtype=torch.float64)

    Raises:
        ValueError: numbers that are not finite, a curvature, rate or width that is not positive; no step; or a pair
            that no network has, |f| > sqrt(n) k / 2.
    """
    f, k = checks.number("output", output), checks.number("curvature", curvature, above=0)
    rate, width = checks.number("rate", rate, above=0), checks.whole("width", width)
    checks.whole("steps", steps)
    if 2 * abs(f) > width**0.5 * k:
        raise ValueError(f"output: {f:g} is more than any network of width {width} and curvature {k:g} gives")
    path = torch.tensor([f, k], dtype=torch.float64).repeat(steps + 1, 1)
    for step in range(steps):
        f, k = path[step]
        size = rate * f.square() / width
        path[step + 1] = torch.stack([f * (1 - rate * k + rate * size), k + size * (rate * k - 4)])
    return path
