"""Separable data: the largest margin, and the logistic descents that creep towards it.

On separable data the logistic loss has no minimum: gradient descent sends ||w|| to infinity while w / ||w|| tends to
the direction of the largest margin. The loss falls as 1/t where the margin is positive (Soudry et al. 2018), and as
t^(-1/3) where points come arbitrarily close to the boundary (Gaussian inputs; `boundary_descent` says why). Rows
z_i = y_i x_i: z_i'w > 0 is a right answer; `halfspaces` writes -z_i for the same. Everything is float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch
from torch import Tensor
from torch.linalg import vecdot
from torch.nn import functional

from bnlab import checks

# A hard margin this small beside the data is not told from none by a least squares solver in float64.
SMALLEST = 1e-7


@dataclass(frozen=True)
class Separation:
    """The separating direction of largest margin."""

    direction: Tensor  # (d,), of length 1
    margin: float  # min_i z_i'direction, in the units of z


@dataclass(frozen=True)
class LogisticRun:
    """Gradient descent on mean ln(1 + exp(-z'w)), recorded at some steps."""

    steps: Tensor  # (N,)
    loss: Tensor  # (N, ...)
    length: Tensor  # (N, ...), ||w||
    margin: Tensor  # (N, ...), min_i z_i'w / ||w||; 0 at w = 0


def largest_margin(z: Tensor) -> Separation:
    """Direction w, ||w|| = 1, with the largest min_i z_i'w of rows z (n, d): the hard-margin support vector machine.

    min ||w|| subject to z_i'w >= 1 is a least distance problem, solved through non-negative least squares (Lawson and
    Hanson 1974, chapter 23): with r the residual of min ||E a - e|| over a >= 0, E = [z'; 1'], e = (0, ..., 0, 1), the
    answer is w = -r_(1..d) / r_(d+1).

    >>> largest_margin(torch.tensor([[2.0, 0.0], [3.0, 5.0]])).margin
    2.0

    Raises:
        ValueError: if z is not (n, d) of finite float32 or float64 numbers, or no direction has z_i'w > 0 for every row
            by a margin of at least 1e-7 of the largest entry.
    """
    checks.tensor("z", z, "(n, d)", 2)
    rows = z.double().cpu().numpy()
    scale = np.abs(rows).max() or 1.0
    E = np.vstack([rows.T / scale, np.ones(len(rows))])
    e = np.append(np.zeros(rows.shape[1]), 1.0)
    coefficients, _ = scipy.optimize.nnls(E, e, maxiter=50 * len(rows))
    residual = E @ coefficients - e
    if np.linalg.norm(residual) < SMALLEST:
        raise ValueError(
            f"z: not separable, no direction has z_i'w > 0 for every row by {SMALLEST:g} of the largest entry"
        )
    w = torch.from_numpy(-residual[:-1] / residual[-1])
    w = (w / w.norm()).to(z.device)
    return Separation(w, float((z.double() @ w).min()))


def logistic_descent(z: Tensor, rate: float | Tensor, steps: int, record_at: Tensor) -> LogisticRun:
    """Gradient descent from w = 0 on mean ln(1 + exp(-z'w)) over rows z (..., n, d), several data sets side by side.

    rate is a number or (...) of them. Records the steps of ``record_at`` (0 .. steps).

    Raises:
        ValueError: if z is not (..., n, d) of finite float32 or float64 numbers, a rate is not positive, or a step to
            record does not come.
    """
    z, rate, wanted = _descent(z, rate, steps, record_at)
    w = z.new_zeros(z.shape[:-2] + z.shape[-1:])
    records = []
    for t in range(steps + 1):
        outputs = (z @ w[..., None]).squeeze(-1)  # (..., n)
        if t in wanted:
            length = w.norm(dim=-1)
            margin = outputs.amin(-1) / torch.where(length > 0, length, 1.0)
            records.append((torch.tensor(t), functional.softplus(-outputs).mean(-1), length, margin))
        w = w + rate * (z.mT @ torch.sigmoid(-outputs)[..., None]).squeeze(-1) / z.shape[-2]
    return LogisticRun(*(torch.stack(column) for column in zip(*records, strict=True)))


def normalised_logistic_descent(z: Tensor, rate: float | Tensor, steps: int, record_at: Tensor) -> LogisticRun:
    """`logistic_descent` with a normalised output a z'w / sigma, sigma^2 = w'Sw, S = z'z / n, by descent on a and on w.

    Both take the same rate, from a = 0 and w = mean z, which is where the first step of `logistic_descent` points. The
    ``length`` recorded is |a|, so that ``loss`` is that of the model.

    Raises:
        ValueError: mean z is 0, so that there is no first direction, or as `logistic_descent`.
    """
    z, rate, wanted = _descent(z, rate, steps, record_at)
    w, rate = z.mean(-2), rate[..., 0]
    if not w.norm(dim=-1).all():
        raise ValueError("z: its mean is 0, so that there is no first direction")
    S, a = z.mT @ z / z.shape[-2], torch.zeros_like(w[..., 0])
    records = []
    for t in range(steps + 1):
        Sw, raw = (S @ w[..., None]).squeeze(-1), (z @ w[..., None]).squeeze(-1)  # (..., d), (..., n)
        sigma = vecdot(w, Sw).sqrt()
        outputs = (a / sigma)[..., None] * raw
        if t in wanted:
            margin = a.sign() * raw.amin(-1) / w.norm(dim=-1)
            records.append((torch.tensor(t), functional.softplus(-outputs).mean(-1), a.abs(), margin))
        pull = (z.mT @ torch.sigmoid(-outputs)[..., None]).squeeze(-1) / z.shape[-2]  # -grad of the plain loss
        along = vecdot(w, pull)
        w = w + (rate * a / sigma)[..., None] * (pull - (along / sigma.square())[..., None] * Sw)
        a = a + rate * along / sigma
    return LogisticRun(*(torch.stack(column) for column in zip(*records, strict=True)))


def boundary_descent(rate: float, steps: int, record_at: Tensor) -> LogisticRun:
    """The same descent on the population x ~ N(0, I), y = sign(x'v): margin 0, one length r, as w stays along v.

    f(r) = E ln(1 + exp(-r|s|)), s ~ N(0, 1), and f'(r) = -E |s| / (1 + exp(r|s|)), which is -c / r^2 for large r: so
    r ~ t^(1/3) and f ~ t^(-1/3).

    Raises:
        ValueError: if the rate is not positive, or a step to record does not come.
    """
    rate, wanted = checks.number("rate", rate, above=0), _recorded(record_at, steps)
    nodes, weights = np.polynomial.legendre.leggauss(120)
    nodes, weights = (nodes + 1) / 2, weights / 2  # on (0, 1)
    records, r = [], 0.0
    for t in range(steps + 1):
        reach = min(10.0, 40.0 / r) if r else 10.0  # beyond it the integrand is below 1e-16
        s = reach * nodes
        density = 2 * reach * weights * np.exp(-s * s / 2) / math.sqrt(2 * math.pi)
        if t in wanted:
            records.append((t, float(density @ np.logaddexp(0, -r * s)), r, 0.0))
        r += rate * float(density @ (s / (1 + np.exp(r * s))))
    return LogisticRun(*(torch.tensor(column, dtype=torch.float64) for column in zip(*records, strict=True)))


def _descent(z: Tensor, rate: float | Tensor, steps: int, record_at: Tensor) -> tuple[Tensor, Tensor, set[int]]:
    """Rows (..., n, d) float64, rates (..., 1) and the steps to record, checked."""
    if checks.tensor("z", z, "(..., n, d)").ndim < 2:
        raise ValueError(f"z: shape {tuple(z.shape)} is not (..., n, d)")
    z, wanted = z.double(), _recorded(record_at, steps)
    if not isinstance(rate, Tensor):
        rate = torch.tensor(checks.number("rate", rate, above=0), dtype=torch.float64)
    if not (checks.tensor("rate", rate) > 0).all() or rate.ndim > z.ndim - 2:
        raise ValueError(
            f"rate: shape {tuple(rate.shape)}, smallest {rate.min().item():.3g}, is not a positive rate for each"
        )
    rate = rate.to(z)[..., None]
    return z, rate, wanted


def _recorded(record_at: Tensor, steps: int) -> set[int]:
    wanted = {checks.whole("record_at", step, 0) for step in record_at.tolist()}
    if not wanted or max(wanted) > checks.whole("steps", steps, 0):
        raise ValueError(f"record_at: {record_at.tolist()} are not one step or more of 0 to {steps}")
    return wanted
