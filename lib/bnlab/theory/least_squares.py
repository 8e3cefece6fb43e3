"""Least squares problems, and what can be said of descent on them without a step: J(w) = 1/2 E(y - w'x)^2.

With H = E[xx'] and g = E[xy], grad J = H w - g: the book's factor 1/2 makes the stability bound 2 / lambda_max. `modes`
has the laws of plain descent mode by mode, `convergence` runs it. Everything is float64, on the device of the
arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bnlab import checks
from bnlab.theory.modes import TOLERANCE, effective_eigenvalues, log_decay

LONGEST = 2**1000  # steps; no mode that float64 can tell from a dead one takes more


@dataclass(frozen=True)
class LeastSquares:
    """J(w) = 1/2 (power - 2 g'w + w'Hw), or several such problems in the leading dimensions."""

    H: Tensor  # (..., d, d), E[xx']
    g: Tensor  # (..., d), E[xy]
    power: Tensor  # (...), E[y^2]
    solution: Tensor  # (..., d), the minimiser of least norm, H^+ g


def least_squares(X: Tensor, y: Tensor) -> LeastSquares:
    """Least squares problem of a design X (..., n, d) and targets y (..., n), E being the mean over the n rows.

    A singular design is answered: the solution is that of least norm, and weights along a dead mode never move. Other
    scales or large means make no design singular: dependence is looked for among features brought to one length, to
    the precision of X's dtype.

    >>> least_squares(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([2.0, 6.0])).solution.round(decimals=12)
    tensor([2., 0.], dtype=torch.float64)

    Raises:
        ValueError: if the shapes do not match, there is no row, or an entry is no finite float32 or float64 number.
    """
    if X.ndim < 2 or y.shape != X.shape[:-1] or 0 in X.shape:
        raise ValueError(f"X: shape {tuple(X.shape)} with y of shape {tuple(y.shape)} is not (n, d) with (n,)")
    eps = torch.finfo(checks.tensor("X", X).dtype).eps
    X, y = X.double(), checks.tensor("y", y).double()
    H = X.mT @ X / X.shape[-2]
    g = (X.mT @ y[..., None]).squeeze(-1) / X.shape[-2]
    solution = (torch.linalg.pinv(H, hermitian=True, rtol=TOLERANCE) @ g[..., None]).squeeze(-1)
    spectrum = torch.linalg.eigvalsh(H)  # (..., d)
    hard = spectrum[..., 0] <= TOLERANCE * spectrum[..., -1]  # H has lost half the digits of X
    for place in hard.nonzero():
        own = tuple(place)
        solution[own] = _least_norm_solution(X[own], y[own], eps)
    return LeastSquares(H, g, y.square().mean(-1), solution)


def _least_norm_solution(X: Tensor, y: Tensor, eps: float) -> Tensor:
    """Least squares solution (d,) of least norm from X (n, d) itself, its entries known to eps."""
    lengths = X.norm(dim=0)
    lengths = torch.where(lengths > 0, lengths, 1.0)
    U, sizes, Vh = torch.linalg.svd(X / lengths, full_matrices=False)
    alive = sizes > max(4 * len(lengths) * torch.finfo(X.dtype).eps, 2 * eps) * sizes[0]
    w = (Vh[alive].mT @ (U[:, alive].mT @ y / sizes[alive])) / lengths
    if alive.sum() == len(lengths):
        return w
    rows, _ = torch.linalg.qr(lengths[:, None] * Vh[alive].mT)  # a basis of what the rows of X span
    return rows @ (rows.mT @ w)


def standardise(X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features (n, d) to mean 0 and variance 1 (biased), their means (d,) and the scales (d,) divided by.

    A constant feature (to a few units of its dtype's last place) says nothing once centred: it becomes 0, its scale 1,
    so that nothing is divided by 0.

    >>> standardise(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))[0]
    tensor([[-1.,  0.],
            [ 1.,  0.]], dtype=torch.float64)

    Raises:
        ValueError: if X is not (n, d) of finite float32 or float64 numbers.
    """
    eps, X = torch.finfo(checks.tensor("X", X, "(n, d)", 2).dtype).eps, X.double()
    mean = X.mean(0)
    centred = X - mean
    # The rounding of a large mean would pass for a deviation: values less one of their own have a small one.
    near = X - X[0]
    near = near - near.mean(0)
    far = mean.square() > 1e12 * near.square().mean(0)
    centred = torch.where(far, near, centred)
    deviation = centred.square().mean(0).sqrt()
    constant = X.amax(0) - X.amin(0) <= 4 * eps * X.abs().amax(0)
    scale = torch.where(constant, 1.0, deviation)
    return torch.where(constant, 0.0, centred / scale), mean, scale


def steps_to(eigenvalues: Tensor, components: Tensor, rate: float, tolerance: float) -> float:
    """Steps of plain descent until the excess loss is at most tolerance times the first; inf if a mode never decays.

    sum_k lambda_k c_k^2 (1 - rate lambda_k)^(2t), from eigenvalues (d,) and the components (d,) of w0 - w* along the
    eigenvectors: found by bisection in t, without iterating. Dead modes have no loss and do not count.

    >>> steps_to(torch.tensor([1.0, 0.5]), torch.tensor([1.0, 1.0]), rate=1.0, tolerance=0.01)
    3.0

    Raises:
        ValueError: if the tolerance is not between 0 and 1, the rate not positive, an eigenvalue is negative beyond
            rounding, or the two are not (d,) of finite float32 or float64 numbers.
    """
    rate, tolerance = checks.number("rate", rate, above=0), checks.number("tolerance", tolerance, above=0, below=1)
    checks.tensor("components", components, "(d,)", 1)
    if checks.tensor("eigenvalues", eigenvalues, "(d,)", 1).shape != components.shape:
        raise ValueError(f"components: {len(components)} of them for {len(eigenvalues)} eigenvalues")
    effective_eigenvalues(eigenvalues)  # refuses negative ones
    eigenvalues = eigenvalues.double().clamp(min=0)
    losses = eigenvalues * components.double().square()  # of each mode at the start
    if not losses.isfinite().all():
        raise ValueError("components: the losses of their modes overflow float64")
    alive = losses > 0
    losses, slopes = losses[alive], log_decay(eigenvalues, rate)[alive]
    if not (slopes < 0).all():
        return math.inf
    target = tolerance * losses.sum()

    def reached(t: int) -> bool:
        return bool((losses * torch.exp(2.0 * t * slopes)).sum() <= target)

    high = 1
    while not reached(high):  # it falls with t, as every living mode decays
        if high > LONGEST:
            return math.inf
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return float(high)
