"""The layer-wise bound of the article: gradient and Hessian of a loss seen through one normalised unit.

For one unit over a batch of m: yhat = (y - mean) / s, s^2 = variance + eps, z = gamma yhat + beta, and a loss L(z) with
gradient g and Hessian H at z. With P = I - 11'/m - yhat yhat'/m the map's Jacobian is (gamma/s) P, so that

    ghat = (gamma/s) P g,    Hhat = (gamma/s)^2 P H P - gamma/(m s^2) (Pg yhat' + yhat (Pg)' + (g'yhat) P).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.randomness import generator
from bnlab.tables import table


@dataclass(frozen=True)
class Unit:
    """One unit normalised over a batch: what its Jacobian is made of."""

    yhat: Tensor  # (m,)
    s: float
    gamma: float

    def project(self, g: Tensor) -> Tensor:
        """P g for a vector (m,) or the columns of a matrix (m, k)."""
        m = len(self.yhat)
        along = self.yhat @ g  # () or (k,)
        return g - g.mean(0) - (torch.outer(self.yhat, along) if g.ndim == 2 else self.yhat * along) / m


def normalised(y: Tensor, gamma: float, eps: float = 0.0) -> Unit:
    """Normalise y (m,) by its own statistics."""
    s = float((y.var(unbiased=False) + eps).sqrt())
    return Unit((y - y.mean()) / s, s, gamma)


def gradient_through(unit: Unit, g: Tensor) -> Tensor:
    """Gradient (m,) of the loss by y, from its gradient g (m,) by z."""
    return unit.gamma / unit.s * unit.project(g)


def right_side(unit: Unit, g: Tensor) -> float:
    """Right side of the printed bound for a vector (m,) read as the gradient."""
    m, scale = len(g), unit.gamma**2 / unit.s**2
    return float(scale * (g @ g - g.sum() ** 2 / m - (g @ unit.yhat) ** 2 / m))


def hessian_through(unit: Unit, g: Tensor, H: Tensor) -> Tensor:
    """Hessian (m, m) of the loss by y, from gradient (m,) and Hessian (m, m) by z."""
    m, Pg = len(g), unit.project(g)
    first = (unit.gamma / unit.s) ** 2 * unit.project(unit.project(H).T)
    P = unit.project(torch.eye(m).to(g))
    bent = torch.outer(Pg, unit.yhat) + torch.outer(unit.yhat, Pg) + (g @ unit.yhat) * P
    return first - unit.gamma / (m * unit.s**2) * bent


def bound_rows(m: int, eps: Sequence[float], seeds: Sequence[int]) -> pd.DataFrame:
    """Both sides of the printed bound, by autograd on the left, with the gradient of the right read in two ways.

    ``reading``: "at the BN output", g of the normalised network; "at the plain y", the gradient that a network without
    normalisation has at the same y, gamma = 1, beta = 0. A cross-entropy of two classes, a unit of deviation 3.
    """
    rows = []
    for seed in seeds:
        draw = generator(seed, "one unit")
        y = 3 * torch.randn(m, generator=draw, dtype=torch.float64) + 1
        labels = (torch.rand(m, generator=draw, dtype=torch.float64) < 0.5).double()
        weight = 1 + torch.rand(m, generator=draw, dtype=torch.float64)

        def loss(z, labels=labels, weight=weight):
            return (weight * functional.softplus((1 - 2 * labels) * z)).sum()

        plain = _gradient(loss, y)
        for value in eps:
            unit = normalised(y, 1.0, value)
            left = float(_gradient(lambda v, value=value: loss(_through(v, 1.0, value)), y).square().sum())
            at_output = _gradient(loss, unit.yhat)
            rows.append((seed, value, "at the BN output", left, right_side(unit, at_output)))
            rows.append((seed, value, "at the plain y", left, right_side(unit, plain)))
    units = {"seed": "number", "eps": "variance", "reading": "name", "left": "gradient^2", "right": "gradient^2"}
    return table(rows, units)


def gain_rows(m: int, deviations: Sequence[float], seeds: Sequence[int]) -> pd.DataFrame:
    """||ghat|| / ||g|| for random gradients, by the deviation of the unit: gamma = 1, eps = 0."""
    rows = []
    for seed in seeds:
        draw = generator(seed, "gains")
        y, g = torch.randn(2, m, generator=draw, dtype=torch.float64)
        y = (y - y.mean()) / y.std(unbiased=False)
        for deviation in deviations:
            unit = normalised(deviation * y, 1.0)
            gain = gradient_through(unit, g).norm() / g.norm()
            rows.append((seed, deviation, float(gain), float(unit.project(g).norm() / g.norm())))
    return table(rows, {"seed": "number", "deviation": "of y", "gain": "1", "projected": "1"})


def hessian_rows(m: int, draws: int, seed: int) -> pd.DataFrame:
    """The formula of Hhat against autograd, and ghat'Hhat ghat beside (gamma/s)^2 g'Hg, for random quadratic losses.

    ``deviation``: ||Hhat - autograd's|| / ||autograd's||; ``along``: ghat'Hhat ghat; ``plain``: (gamma/s)^2 g'Hg;
    ``g_along``: <g, yhat>, of whose sign the added term is.
    """
    draw, rows = generator(seed, "quadratic losses"), []
    for number in range(draws):
        y, b = torch.randn(2, m, generator=draw, dtype=torch.float64)
        A = torch.randn(m, m, generator=draw, dtype=torch.float64)
        gamma, spread = (0.5 + 2 * torch.rand(2, generator=draw, dtype=torch.float64)).tolist()
        H, y = A @ A.T / m, spread * y
        unit = normalised(y, gamma)
        g = H @ (gamma * unit.yhat) + b

        def loss(v, H=H, b=b, gamma=gamma):
            z = _through(v, gamma, 0.0)
            return z @ H @ z / 2 + b @ z

        formula, exact = hessian_through(unit, g, H), torch.autograd.functional.hessian(loss, y)
        ghat = gradient_through(unit, g)
        rows.append(
            (
                number,
                float((formula - exact).norm() / exact.norm()),
                float(ghat @ formula @ ghat),
                float((gamma / unit.s) ** 2 * g @ H @ g),
                float(g @ unit.yhat),
            )
        )
    units = {"draw": "number", "deviation": "1", "along": "curvature", "plain": "curvature", "g_along": "gradient"}
    return table(rows, units)


def _through(y: Tensor, gamma: float, eps: float) -> Tensor:
    return gamma * (y - y.mean()) / (y.var(unbiased=False) + eps).sqrt()


def _gradient(loss, at: Tensor) -> Tensor:
    leaf = at.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]
