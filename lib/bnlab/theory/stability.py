"""Stable rates of gradient descent and of LMS, and the fastest (Chai et al. 2020, sections 3.1 and 3.2).

What the eigenvalues of R allow: the largest rate at which the mean of the weights converges, the one at which its
variance stays bounded, and the rate between the extreme modes. A rate mu multiplies E[x e], the mean over images and
positions. Float64.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from bnlab import checks
from bnlab.theory.modes import TOLERANCE, effective_eigenvalues, semidefinite


def stability_bound(R: Tensor, positions: int = 1) -> float:
    """Largest stable rate, 2 / (M lambda_max), of gradient descent; inf for R = 0.

    R is the matrix (K, K) or its eigenvalues (K,). With positions = 1 the gradient is E[x e] over images and positions;
    with M = OH*OW it is autograd's of a mean over images, which sums over the positions. (With the loss J = E eps^2 of
    Chai et al. 2020, section 2.1, every gradient doubles and the bound halves.)

    >>> stability_bound(torch.tensor([0.1, 0.3, 0.6, 1.0])), stability_bound(torch.tensor([4.0]), positions=100)
    (2.0, 0.005)

    Raises:
        ValueError: if positions is no whole number of at least 1, or as `modes.effective_eigenvalues`.
    """
    return _over(2.0, checks.whole("positions", positions) * effective_eigenvalues(R).largest)


def mean_square_bound(R: Tensor) -> float:
    """Rate 2 / tr R below which LMS is taken to be stable in the mean square; inf for R = 0.

    Stricter than `stability_bound`, as tr R is the sum of the eigenvalues: below the latter the mean of the weights
    converges, but single runs may have unbounded variance. The textbook estimate (Haykin 2002) from second moments
    alone; `mean_square_limit` is sharp. R is the matrix (K, K) or its eigenvalues (K,).

    >>> mean_square_bound(torch.tensor([0.5, 1.5]))
    1.0

    Raises:
        ValueError: as `modes.effective_eigenvalues`.
    """
    return _over(2.0, semidefinite(R)[0].sum().item())


@torch.no_grad()
def mean_square_limit(X: Tensor | Iterable[Tensor]) -> float:
    """Rate below which, and only below which, LMS on independent draws of X's columns has bounded variance.

    Each step maps S = E[C C^T] to T(S) = S - mu (R S + S R) + mu^2 E[x x^T S x x^T], plus a constant. T keeps positive
    matrices positive, so its spectral radius passes 1 where 1 / mu is the largest theta of F v = theta (R (+) R) v,
    F = E[(x x^T) (x) (x x^T)] and the Kronecker sum on the right. For one Gaussian weight that is mu = 2 / (3 lambda),
    a third of 2 / tr R (`mean_square_bound`): fourth moments decide. X is (K, M) or (B, K, M), or an iterable of such
    of which one is in memory at a time; float64 within. Directions without power are left out. K^4 numbers: for K up to
    about 50.

    >>> round(mean_square_limit(torch.tensor([[1.0, -1.0, 1.0]])), 9)  # |x| = 1 does not fluctuate: 2 / lambda
    2.0

    Raises:
        ValueError: if X is not (K, M) or (B, K, M) of finite float32 or float64 numbers, or has no power.
    """
    R, F, count, shape = 0.0, 0.0, 0, ()
    for some in [X] if isinstance(X, Tensor) else X:
        checks.tensor("X", some, "(K, M) or (B, K, M)", (2, 3))
        columns = some.double() if some.ndim == 2 else some.double().transpose(0, 1).flatten(1)  # (K, N)
        if count and len(columns) != shape[-2]:
            raise ValueError(f"X: shape {tuple(some.shape)} follows {tuple(shape)}")
        shape, count = some.shape, count + columns.shape[1]
        row, column, weight = _symmetric(len(columns), columns)
        R = R + columns @ columns.T
        for part in columns.split(2**20 // len(row) + 1, dim=1):
            pairs = weight * part[row] * part[column]  # (K(K+1)/2, n)
            F = F + pairs @ pairs.T
    if not count or not R.any():
        raise ValueError(f"X: shape {tuple(shape)} is not (K, M) or (B, K, M) with some power")
    eigenvalues, Q = torch.linalg.eigh(R / count)
    alive = eigenvalues > TOLERANCE * eigenvalues[-1]
    turn, eigenvalues = _turn(Q[:, alive]), eigenvalues[alive]  # in R's basis the Kronecker sum is diagonal
    row, column, _ = _symmetric(len(eigenvalues), eigenvalues)
    scale = (eigenvalues[row] + eigenvalues[column]).rsqrt()
    return 1 / torch.linalg.eigvalsh(scale.unsqueeze(1) * (turn @ F @ turn.T / count) * scale)[-1].item()


def _symmetric(size: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Orthonormal coordinates of symmetric matrices: their upper triangle, off the diagonal times sqrt 2."""
    row, column = torch.triu_indices(size, size, device=like.device)
    return row, column, torch.where(row == column, 1.0, 2**0.5).to(like.dtype).unsqueeze(1)


def _turn(Q: Tensor) -> Tensor:
    """The map S -> Q^T S Q in the coordinates of `_symmetric`; Q (K, r)."""
    row, column, weight = _symmetric(Q.shape[1], Q)
    first, second, outer = _symmetric(len(Q), Q)
    one, other = Q.T[row], Q.T[column]  # (r(r+1)/2, K)
    both = one[:, first] * other[:, second] + one[:, second] * other[:, first]  # twice the entries of q_i q_j^T
    return weight * both * outer.T / 2


def slowest_mode(eigenvalues: Tensor, mu: float, tolerance: float | None = None) -> int:
    """Index k of the effective mode with the largest |1 - mu lambda_k|, the last to decay.

    That of the smallest eigenvalue up to mu = `crossover_rate`, that of the largest above: Chai et al. 2020, section
    3.1, has only the first half. Dead modes (`modes.effective_eigenvalues`) never decay and are left out.

    >>> spectrum = torch.tensor([0.1, 0.3, 0.6, 1.0])
    >>> slowest_mode(spectrum, 1.80), slowest_mode(spectrum, 1.90)
    (0, 3)

    Raises:
        ValueError: if mu is no finite number, no mode is effective, or as `modes.effective_eigenvalues`.
    """
    eigenvalues, share = semidefinite(eigenvalues, tolerance, "eigenvalues")
    alive = eigenvalues > share * eigenvalues.max()
    if not alive.any():
        raise ValueError("eigenvalues: all are 0, so no mode decays")
    return int(torch.where(alive, (1 - checks.number("mu", mu) * eigenvalues).abs(), -1.0).argmax())


def crossover_rate(R: Tensor) -> float:
    """Rate 2 / (lambda_min + lambda_max) at which the slowest mode changes from the smallest eigenvalue to the largest.

    lambda_min is the smallest effective eigenvalue; R is the matrix (K, K) or its eigenvalues (K,).

    >>> round(crossover_rate(torch.tensor([0.1, 0.3, 0.6, 1.0])), 3)
    1.818

    Raises:
        ValueError: as `modes.effective_eigenvalues`.
    """
    spectrum = effective_eigenvalues(R)
    return _over(2.0, spectrum.smallest + spectrum.largest)


def best_rate(R: Tensor) -> tuple[float, float]:
    """The rate whose slowest mode decays fastest, and its factor a step, (kappa - 1) / (kappa + 1).

    It is the `crossover_rate`, where the two extreme modes are equally slow.

    >>> [round(value, 3) for value in best_rate(torch.tensor([0.1, 0.3, 0.6, 1.0]))]
    [1.818, 0.818]

    Raises:
        ValueError: as `modes.effective_eigenvalues`.
    """
    kappa = effective_eigenvalues(R).condition_number
    return crossover_rate(R), (kappa - 1) / (kappa + 1)


def _over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else float("inf")
