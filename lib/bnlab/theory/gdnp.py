"""Descent on length and direction of a halfspace apart: GDNP (Kohler et al. 2019, section 4), and its landscape.

For w = g v with v'Sv = 1 (what batch normalisation makes of a weight) and Gaussian z, the two parts of the gradient of
`halfspaces`' loss are orthogonal in the S^(-1) norm:

    ||grad f||^2 = c1^2 (rho(v) - min rho) + (d f / d g)^2,      rho as in `rayleigh`.

So once the length is nearly stationary, the SQUARED norm inherits the rate of descent on rho, if |c1| is at most
sup |phi'|. For the logistic loss it is, at any length: with z'w ~ N(m, t^2) and F(m) = E phi', c1 = F - m F' has the
slope -m F'' in m, which is not negative since F' = E phi'' is even and falls with |m|, as phi'' does; so c1 rises from
0 to sup phi'. For other convex losses it is where d f / d g = 0: there c1 = (1 + m^2 / t^2) E phi', and (m E phi')^2 /
t^2 = Cov(phi', z'w)^2 / t^2 is at most the variance of phi', hence sup |phi'| E phi' - (E phi')^2 for phi' >= 0.
Everything is float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnlab import checks
from bnlab.theory.halfspaces import Halfspace, of_unit_power


def stationary_length(
    halfspace: Halfspace, w: Tensor, interval: tuple[float, float] = (-50.0, 50.0), steps: int = 60
) -> float:
    """Length g in the interval with d/dg f(g w / ||w||_S) = 0, by so many bisections: off by (b - a) / 2^(steps + 1).

    f is convex in g, so that there is one such g at most. On separable data there is none: the loss falls for ever.

    Raises:
        ValueError: if the slope has the same sign at both ends, the interval is none, or w has no direction.
    """
    s, p = halfspace.outputs(of_unit_power(halfspace, w))
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
    w = of_unit_power(halfspace, w)
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
        return halfspace.value(g * of_unit_power(halfspace, w))

    return torch.autograd.functional.hessian(normalised, w)
