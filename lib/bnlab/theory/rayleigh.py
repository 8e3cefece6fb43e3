"""The generalised Rayleigh quotient that a normalised output leaves to its direction, and gradient descent on it.

rho(w) = -(u'w)^2 / (w'Sw), S (d, d) positive definite, u (d,) not 0 (Kohler et al. 2019, section 3). Least squares with
the length at its best is 1/2 (E y^2 + rho(w)), S = E[xx'] and u = plus or minus E[xy]; halfspaces with Gaussian inputs
lead to the same rho. It does not see the length of w: the minimum -u'S^(-1)u is attained all along the line of S^(-1)u.
Everything is float64.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import vecdot

from bnlab import checks
from bnlab.theory.modes import natural_modes


def rayleigh_gap(w: Tensor, S: Tensor, u: Tensor) -> Tensor:
    """rho(w) - min rho, (...) for directions w (..., d).

    It is the squared distance, in the S norm, of v = S^(-1)u from the line through w, and computed so: no digits are
    lost near 0.

    >>> rayleigh_gap(torch.tensor([1.0, 0.0]), torch.eye(2), torch.tensor([3.0, 4.0]))
    tensor(16., dtype=torch.float64)

    Raises:
        ValueError: if S is not positive definite, u or a direction is 0, or one of them does not fit or is not finite.
    """
    S, u = _positive(S, u)
    w = _directions("w", w, u)
    error = torch.linalg.solve(S, u) - (vecdot(w, u) / vecdot(w, w @ S))[..., None] * w
    return vecdot(error, error @ S)


def rayleigh_descend(S: Tensor, u: Tensor, w0: Tensor, steps: int, L: float | None = None) -> Tensor:
    """Gradient descent on rho at step w'Sw / (2 L |rho(w)|): directions (steps + 1, ..., d) from w0 (..., d).

    With L = lambda_max(S), the default, and mu = lambda_min(S): gap(t) <= (1 - mu/L)^(2t) gap(0) (Kohler et al. 2019,
    Theorem 1). Why: rescale w to the point of its line nearest to v = S^(-1)u in the S norm; the step is then
    w - (1/L) S (w - v), plain descent on 1/2 ||w - v||_S^2, and rescaling again only helps. Each direction returned,
    but the first, has w'Sw = 1.

    Raises:
        ValueError: if u'w0 = 0, the stationary point where rho is largest and the step undefined; steps below 0, L that
            is not positive, or as `rayleigh_gap`.
    """
    S, u = _positive(S, u)
    w, steps = _directions("w0", w0, u), checks.whole("steps", steps, 0)
    if (vecdot(w, u).abs() <= 1e-14 * w.norm(dim=-1) * u.norm()).any():
        raise ValueError("w0: u'w0 is 0, so that rho and its gradient are 0: start elsewhere")
    L = natural_modes(S).eigenvalues[-1].item() if L is None else checks.number("L", L, above=0)
    path = [w]
    for _ in range(steps):
        Sw = w @ S
        power, output = vecdot(w, Sw), vecdot(w, u)
        gradient = -2 * (output / power)[..., None] * (u - (output / power)[..., None] * Sw)  # of rho
        w = w - (power.square() / (2 * L * output.square()))[..., None] * gradient
        w = w / vecdot(w, w @ S).sqrt()[..., None]  # keeps w from growing out of float64; rho is the same
        path.append(w)
    return torch.stack(path)


def _positive(S: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    if not natural_modes(checks.square("S", S)).eigenvalues[0] > 0:
        raise ValueError("S: not positive definite, so that rho has no single best direction")
    S, u = S.double(), checks.tensor("u", u, "(d,)", 1).double()
    if u.shape != S.shape[:1] or not u.norm() > 0:
        raise ValueError(f"u: shape {tuple(u.shape)}, norm {u.norm().item():.3g}, is not ({len(S)},) with a direction")
    return S, u


def _directions(name: str, w: Tensor, u: Tensor) -> Tensor:
    if checks.tensor(name, w, f"(..., {len(u)})").shape[-1:] != u.shape:
        raise ValueError(f"{name}: shape {tuple(w.shape)} is not (..., {len(u)})")
    if not w.norm(dim=-1).all():
        raise ValueError(f"{name}: 0 has no direction")
    return w.double()
