"""Learning halfspaces: the loss f(w) = E phi(z'w), z = -y x, its gradient for Gaussian z, and descent on its direction.

z'w < 0 means that the point x with label y = +-1 is on its side. For z ~ N(u, S - uu'), so that u = E z and S = E zz',
Stein's lemma gives grad f = c1 u + c2 S w with c1 = E phi' - (u'w) E phi'' and c2 = E phi'' at z'w (Kohler et al. 2019,
section 4, after Erdogdu et al. 2016): every stationary w is parallel to S^(-1)u, whatever the loss. For w = g v with
v'Sv = 1 (what batch normalisation makes of a weight), the two parts of the gradient are orthogonal in the S^(-1) norm:

    ||grad f||^2 = c1^2 (rho(v) - min rho) + (d f / d g)^2,      rho as in `rayleigh`.

So once the length is stationary, the SQUARED norm inherits the rate of descent on rho. A Gaussian z has z'w > 0 with
positive probability for every w: such data are never separable. Everything is float64.
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


def _of_unit_power(halfspace: Halfspace, w: Tensor) -> Tensor:
    """The direction of w at length 1 in the S norm."""
    power = _direction(w, halfspace.u) @ halfspace.S @ w
    if not power > 0:
        raise ValueError(f"w: w'Sw = {power.item():.3g} is not positive, so that w has no direction")
    return w / torch.sqrt(power)


def stationary_length(
    halfspace: Halfspace, w: Tensor, interval: tuple[float, float] = (-50.0, 50.0), steps: int = 60
) -> float:
    """Length g in the interval with d/dg f(g w / ||w||_S) = 0, by so many bisections: off by (b - a) / 2^(steps + 1).

    f is convex in g, so that there is one such g at most. On separable data there is none: the loss falls for ever.

    Raises:
        ValueError: if the slope has the same sign at both ends, the interval is none, or w has no direction.
    """
    s, p = halfspace.outputs(_of_unit_power(halfspace, w))
    low, high = (checks.number("interval", end) for end in interval)
    if not low < high:
        raise ValueError(f"interval: {interval!r} is not a lower and a higher length")

    def slope(g: float) -> float:
        return float(p @ (halfspace.loss.slope(g * s) * s))

    if not slope(low) < 0 < slope(high):
        raise ValueError(
            f"interval: the slope by the length is {slope(low):.3g} at {low:g} and {slope(high):.3g} at {high:g}: no "
            "stationary length between them (on separable data there is none)"
        )
    for _ in range(checks.whole("steps", steps, 0)):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2


def gdnp_step(halfspace: Halfspace, w: Tensor, L: float, **bisection) -> tuple[Tensor, float]:
    """One step of GDNP (Kohler et al. 2019, algorithm 1): length by bisection, then the direction by its gradient.

    The direction's gradient is d/dw f(g w/||w||_S) = (g/||w||_S) (I - S w w'/(w'Sw)) grad f, its step
    -||w||_S^3 / (L g h) with h = c1 (u'w), so that for Gaussian z it is `rayleigh_descend`'s step with the same L.

    Returns:
        The next direction (d,), with w'Sw = 1, and the length found for the present one.

    Raises:
        ValueError: as `stationary_length`, or L is not positive.
    """
    S, L = halfspace.S, checks.number("L", L, above=0)
    w = _of_unit_power(halfspace, w)
    g = stationary_length(halfspace, w, **bisection)
    slope = halfspace.gradient(g * w)
    tangent = g * (slope - (w @ slope) * (S @ w))
    c1, _ = halfspace.coefficients(g * w)
    moved = w + tangent / (L * g * c1 * (halfspace.u @ w))
    return moved / torch.sqrt(moved @ S @ moved), g


def squared_gradient_norm(halfspace: Halfspace, w: Tensor) -> float:
    """||grad f(w)||^2 in the S^(-1) norm, grad f' S^(-1) grad f: the same in any units of the features."""
    gradient = halfspace.gradient(w)
    return float(gradient @ torch.linalg.solve(halfspace.S, gradient))


def normalised_hessian(halfspace: Halfspace, w: Tensor, g: float) -> Tensor:
    """Hessian (d, d) by w of the normalised f(g w / ||w||_S), by double backward.

    Raises:
        ValueError: if w has no direction, or the methods of the halfspace refuse it at this length g.
    """
    g = checks.number("g", g)

    def normalised(w: Tensor) -> Tensor:
        return halfspace.value(g * _of_unit_power(halfspace, w))

    return torch.autograd.functional.hessian(normalised, w)


@cache
def _normal_quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of E h(t), t ~ N(0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    nodes, weights = REACH * nodes, REACH * weights
    return nodes, weights * np.exp(-nodes * nodes / 2) / math.sqrt(2 * math.pi)
