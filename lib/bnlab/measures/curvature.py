"""The ends of the Hessian's spectrum, and how much of the gradient lies in its top eigenspace.

Eigenvalues come from Lanczos's iteration on products H v by double backward, each with its residual
||H v - lambda v||: some eigenvalue lies within that distance. Conventions: the top *algebraic* eigenvalue (a
largest modulus may be a negative one), the whole loss without weight decay, and always a word on whose statistics
Batch Normalization uses (`surface.LossSurface`). In `eval()` mode a network with Batch Normalization has another
Hessian than the one that training descends.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bnlab import checks
from bnlab.measures.surface import LossSurface


@dataclass(frozen=True)
class HessianEnds:
    """The k largest eigenvalues of a Hessian (P, P) with their vectors, and the smallest, algebraically."""

    largest: Tensor  # (k,), float64, descending
    vectors: Tensor  # (k, P), orthonormal, of the largest
    smallest: float
    smallest_vector: Tensor  # (P,)
    residuals: Tensor  # (k + 1,), ||H v - lambda v|| over the largest modulus found; the last is the smallest's
    products: int  # of H with a vector, until then


def hessian_ends(
    surface: LossSurface,
    top: int = 1,
    *,
    tolerance: float = 1e-3,
    most: int = 300,
    generator: torch.Generator,
) -> HessianEnds:
    """Find the ``top`` largest eigenvalues and the smallest of the Hessian at the model's own parameters.

    Lanczos's iteration from a start that ``generator`` draws, every new direction made orthogonal to all before it,
    until the residuals of the largest eigenvalues are below ``tolerance`` times the first of them, and that of the
    smallest below ``tolerance`` times itself, or after ``most`` products. The residuals returned are measured by
    products of their own. An eigenvalue that is several times there shows once: there may be fewer than ``top``.

    >>> x = torch.eye(3, dtype=torch.float64)
    >>> line = torch.nn.Linear(3, 1, bias=False).double()
    >>> squares = lambda outputs, weights: (outputs.flatten().square() * weights).sum() / 2
    >>> surface = LossSurface(line, x, torch.tensor([1.0, 5.0, 2.0]), squares)
    >>> ends = hessian_ends(surface, 2, generator=torch.Generator().manual_seed(0))
    >>> ends.largest.round(decimals=6).tolist(), round(ends.smallest, 6)
    ([5.0, 2.0], 1.0)

    Raises:
        ValueError: as many eigenvalues as parameters, or more; a tolerance out of (0, 1); fewer products than
            eigenvalues; a product that is not finite.
    """
    size = len(surface.theta)
    if checks.whole("top", top) >= size:
        raise ValueError(f"top: {top} is not below the number of parameters, {size}")
    checks.number("tolerance", tolerance, above=0, below=1)
    checks.whole("most", most, top + 1)
    values, vectors, products = _lanczos(surface, top, tolerance, min(most, size), generator)
    top = min(top, len(values))  # of a Hessian with fewer different eigenvalues all are found
    chosen = [*range(len(values) - 1, len(values) - 1 - top, -1), 0]
    values, vectors = values[chosen], vectors[chosen]
    scale = float(values.abs().max()) or 1.0
    residuals = [
        float((_product(surface, v) - value * v).norm()) / scale for value, v in zip(values, vectors, strict=True)
    ]
    found = vectors.to(surface.theta.dtype)
    return HessianEnds(
        values[:-1].cpu(),
        found[:-1],
        float(values[-1]),
        found[-1],
        torch.tensor(residuals, dtype=torch.float64),
        products,
    )


def _product(surface: LossSurface, vector: Tensor) -> Tensor:
    """H v in float64."""
    made = surface.product(vector.to(surface.theta.dtype)).double()
    if not torch.isfinite(made).all():
        raise ValueError("surface: a product of its Hessian is not finite")
    return made


def _lanczos(
    surface: LossSurface, top: int, tolerance: float, most: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, int]:
    """Ritz values ascending (m,), their vectors (m, P) in float64, and the number of products, m."""
    start = torch.randn(len(surface.theta), generator=generator, dtype=torch.float64).to(surface.theta.device)
    basis = [start / start.norm()]
    diagonal, beside = [], []
    while True:
        new = _product(surface, basis[-1])
        diagonal.append(float(new @ basis[-1]))
        known = torch.stack(basis)  # (m, P)
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            new = new - known.T @ (known @ new)
        length, count = float(new.norm()), len(basis)
        scale = max(map(abs, diagonal + beside))
        finished = count >= most or length <= 1e-10 * scale
        if finished or (count > top + 1 and count % 5 == 0):
            matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
            side = torch.tensor(beside, dtype=torch.float64)
            values, small = torch.linalg.eigh(matrix + torch.diag(side, 1) + torch.diag(side, -1))
            residuals = length * small[-1].abs()  # Paige: of each Ritz pair
            # Each end by its own size: beside a large negative eigenvalue small positive ones would count as found.
            done = (
                residuals[0] <= tolerance * abs(values[0]) and (residuals[-top:] <= tolerance * abs(values[-1])).all()
            )
            if finished or done:
                return values.to(known.device), small.T.to(known.device) @ known, count
        beside.append(length)
        basis.append(new / length)


def share_in(vectors: Tensor, gradient: Tensor) -> float:
    """Share of the squared norm of a gradient (P,) that lies in the span of orthonormal vectors (k, P).

    >>> share_in(torch.eye(2, 3), torch.tensor([1.0, 1.0, 1.0]))
    0.666666...

    Raises:
        ValueError: shapes that do not fit, vectors that are not orthonormal, or a gradient of zero.
    """
    checks.tensor("vectors", vectors, "(k, P)", 2)
    checks.tensor("gradient", gradient, "(P,)", 1)
    if vectors.shape[1] != len(gradient):
        raise ValueError(f"gradient: {len(gradient)} entries beside vectors {tuple(vectors.shape)}")
    vectors, gradient = vectors.double(), gradient.double()
    if (vectors @ vectors.T - torch.eye(len(vectors)).to(vectors)).abs().max() > 1e-3:
        raise ValueError("vectors: they are not orthonormal")
    if not gradient.any():
        raise ValueError("gradient: all of it is zero, so it has no direction")
    unit = gradient / gradient.abs().max()  # squares of tiny numbers would vanish
    return float((vectors @ unit).square().sum() / unit.square().sum())


def pseudo_condition(hessian: Tensor, tolerance: float = 1e-10) -> float:
    """Largest over smallest modulus of the eigenvalues of a symmetric matrix (K, K), null ones left out.

    Null are those below ``tolerance`` times the largest modulus. A Hessian may have negative eigenvalues.

    >>> pseudo_condition(torch.diag(torch.tensor([4.0, -0.5, 0.0])))
    8.0

    Raises:
        ValueError: no square matrix of finite numbers, or one of zeros.
    """
    checks.number("tolerance", tolerance, above=0, below=1)
    matrix = checks.square("hessian", hessian).double()
    if (matrix - matrix.T).abs().max() > 1e-4 * matrix.abs().max():
        raise ValueError("hessian: it is not symmetric")
    sizes = torch.linalg.eigvalsh((matrix + matrix.T) / 2).abs()
    if not sizes.any():
        raise ValueError("hessian: all of it is zero")
    return float(sizes.max() / sizes[sizes > tolerance * sizes.max()].min())
