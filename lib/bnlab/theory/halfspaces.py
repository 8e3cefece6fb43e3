"""Learning halfspaces: the loss f(w) = E phi(z'w), z = -y x, and its gradient, for Gaussian z and for samples.

z'w < 0 means that the point x with label y = +-1 is on its side. For z ~ N(u, S - uu'), so that u = E z and S = E zz',
Stein's lemma gives grad f = c1 u + c2 S w with c1 = E phi' - (u'w) E phi'' and c2 = E phi'' at z'w (Kohler et al. 2019,
section 4, after Erdogdu et al. 2016): every stationary w is parallel to S^(-1)u, whatever the loss. A Gaussian z has
z'w > 0 with positive probability for every w: such data are never separable. `gdnp` descends. Everything is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bnlab import checks
from bnlab.theory.modes import effective_eigenvalues

# Quadrature: Gauss-Legendre over +-9 standard deviations gives E phi'' of the logistic loss to 1e-12 for z'w with a
# standard deviation up to 10, and is refused beyond: phi'' then falls between the nodes. Gauss-Hermite, its nodes
# crowded less where phi'' peaks, has 1e-4 there at best.
NODES, REACH, WIDEST = 400, 9.0, 10.0


@dataclass(frozen=True)
class Loss:
    """A convex loss phi of s = z'w, growing where the point is on the wrong side, with two derivatives."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    curvature: Callable[[Tensor], Tensor]
    largest_slope: float  # sup |phi'|, the Phi of Kohler et al. 2019
    largest_curvature: float  # sup phi''


def logistic(scale: float = 1.0) -> Loss:
    """The logistic loss phi(s) = scale ln(1 + e^s).

    >>> logistic().slope(torch.tensor(0.0))
    tensor(0.5000)

    Raises:
        ValueError: a scale that is not positive.
    """
    scale = checks.number("scale", scale, above=0)
    return Loss(
        lambda s: scale * functional.softplus(s),
        lambda s: scale * torch.sigmoid(s),
        lambda s: scale * torch.sigmoid(s) * torch.sigmoid(-s),
        scale,
        scale / 4,
    )


@dataclass(frozen=True)
class GaussianHalfspace:
    """f(w) = E phi(z'w) for z ~ N(u, covariance), exact to the quadrature: the two classes overlap.

    Raises:
        ValueError: u (d,) and covariance (d, d), symmetric without negative eigenvalues, are not finite or do not fit;
            in every method, w that is not (d,), not finite, or gives z'w a standard deviation above 10, where the
            quadrature has no digits.
    """

    u: Tensor  # (d,), E z
    covariance: Tensor  # (d, d)
    loss: Loss = field(default_factory=logistic)

    def __post_init__(self):
        checks.tensor("u", self.u, "(d,)", 1)
        if checks.square("covariance", self.covariance).shape[0] != len(self.u):
            raise ValueError(f"covariance: shape {tuple(self.covariance.shape)} for u of {len(self.u)} entries")
        checks.alike(u=self.u, covariance=self.covariance)
        effective_eigenvalues(self.covariance)  # refuses what is no covariance

    @property
    def S(self) -> Tensor:  # noqa: N802 - the documents' symbol
        """Second moments E zz' (d, d)."""
        return self.covariance + torch.outer(self.u, self.u)

    def value(self, w: Tensor) -> Tensor:
        """f(w), a number that autograd can differentiate, for w (d,)."""
        s, p = self.outputs(w)
        return p @ self.loss.value(s)

    def gradient(self, w: Tensor) -> Tensor:
        """Gradient of f (d,), E phi'(z'w) z, from E[z | z'w = s] = u + covariance w (s - u'w) / var, not from Stein."""
        s, p = self.outputs(w)
        spread = self.covariance @ w
        slope = self.loss.slope(s)
        variance = w @ spread
        along = (p @ (slope * (s - self.u @ w))) / torch.where(variance > 0, variance, 1.0)  # 0 at w = 0
        return (p @ slope) * self.u + along * spread

    def coefficients(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """c1 = E phi' - (u'w) E phi'' and c2 = E phi'' of Stein's form of the gradient, c1 u + c2 S w."""
        s, p = self.outputs(w)
        curvature = p @ self.loss.curvature(s)
        return p @ self.loss.slope(s) - (self.u @ w) * curvature, curvature

    def outputs(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes of z'w ~ N(u'w, w' covariance w) and their probabilities, (NODES,) each."""
        nodes, weights = (torch.from_numpy(values).to(_direction(w, self.u)) for values in _normal_quadrature())
        deviation = (w @ self.covariance @ w).sqrt()
        if deviation > WIDEST:
            raise ValueError(f"w: z'w has standard deviation {deviation.item():.3g}, above {WIDEST:g}: shorten w")
        return self.u @ w + nodes * deviation, weights


@dataclass(frozen=True)
class SampledHalfspace:
    """f(w) = mean phi(z_i'w) of a sample z (n, d), whatever its distribution.

    Raises:
        ValueError: z is not (n, d) of finite float32 or float64 numbers; in every method, w that is not (d,) of such.
    """

    z: Tensor
    loss: Loss = field(default_factory=logistic)

    def __post_init__(self):
        checks.tensor("z", self.z, "(n, d)", 2)

    @property
    def u(self) -> Tensor:
        """Mean of z (d,)."""
        return self.z.mean(0)

    @property
    def S(self) -> Tensor:  # noqa: N802 - the documents' symbol
        """Second moments of the sample (d, d)."""
        return self.z.T @ self.z / len(self.z)

    def outputs(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Values z_i'w and their probabilities 1/n, (n,) each."""
        s = self.z @ _direction(w, self.z[0])
        return s, torch.full_like(s, 1 / len(s))

    def value(self, w: Tensor) -> Tensor:
        """f(w), a number that autograd can differentiate, for w (d,)."""
        return self.loss.value(self.z @ _direction(w, self.z[0])).mean()

    def gradient(self, w: Tensor) -> Tensor:
        """Gradient of f (d,), mean of phi'(z_i'w) z_i."""
        return self.z.T @ self.loss.slope(self.z @ _direction(w, self.z[0])) / len(self.z)

    def hessian(self, w: Tensor) -> Tensor:
        """Hessian of f (d, d), mean of phi''(z_i'w) z_i z_i'."""
        return self.z.T @ (self.loss.curvature(self.z @ _direction(w, self.z[0]))[:, None] * self.z) / len(self.z)

    def coefficients(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Sample versions of the c1 and c2 that make c1 u + c2 S w the gradient if z is Gaussian."""
        s = self.z @ _direction(w, self.z[0])
        curvature = self.loss.curvature(s).mean()
        return self.loss.slope(s).mean() - (self.u @ w) * curvature, curvature


Halfspace = GaussianHalfspace | SampledHalfspace


def _direction(w: Tensor, like: Tensor) -> Tensor:
    if checks.tensor("w", w, "(d,)", 1).shape != like.shape:
        raise ValueError(f"w: shape {tuple(w.shape)} is not {tuple(like.shape)}")
    checks.alike(w=w, data=like)
    return w


def of_unit_power(halfspace: Halfspace, w: Tensor) -> Tensor:
    """The direction of w (d,) at length 1 in the S norm, w / ||w||_S.

    Raises:
        ValueError: w does not fit, or w'Sw is not positive, so that w has no direction.
    """
    power = _direction(w, halfspace.u) @ halfspace.S @ w
    if not power > 0:
        raise ValueError(f"w: w'Sw = {power.item():.3g} is not positive, so that w has no direction")
    return w / torch.sqrt(power)


@cache
def _normal_quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of E h(t), t ~ N(0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    nodes, weights = REACH * nodes, REACH * weights
    return nodes, weights * np.exp(-nodes * nodes / 2) / math.sqrt(2 * math.pi)
