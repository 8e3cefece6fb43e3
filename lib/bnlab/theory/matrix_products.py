r"""Products of random matrices at finite N: sampling, extreme singular values at any depth, conditioning.

X = X_1 ... X_M with independent N x N factors, iid entries of mean 0 and variance sigma_i^2 / N (Bjorck et al. 2018,
Theorem 1).  `bnlab.theory.random_matrices` has the law of the squared singular values as N -> infinity.

The condition number of X grows exponentially with M and soon passes 1 / eps of float64 (ln kappa = 36), at N = 1000
with some seven factors.  From there `svdvals` of the product returns rounding noise for its small singular values, and
the Gram matrix X^T X loses them twice as soon.  Here small singular values are the reciprocals of the *large* ones of
X^-1 = X_M^-1 ... X_1^-1, which is built from the (well enough conditioned) factors and never from the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import digamma
from torch import Tensor

from bnlab import checks

# svdvals is precise to a few eps of the LARGEST singular value: above this many eps of it, three digits at least are
# right.
_RESOLVED = 2**12


SIDE, FACTORS = "the side of the matrices", "the number of factors"

#: How entries of mean 0 and variance 1 are drawn, by name.
ENTRIES: dict[str, Callable[[tuple[int, ...], torch.Generator], Tensor]] = {
    "gaussian": lambda shape, g: torch.randn(shape, generator=g, dtype=torch.float64),
    "uniform": lambda shape, g: 3**0.5 * (2 * torch.rand(shape, generator=g, dtype=torch.float64) - 1),
    "rademacher": lambda shape, g: 2 * torch.randint(2, shape, generator=g).to(torch.float64) - 1,
}


def iid_matrices(
    N: int,
    count: int,
    generator: torch.Generator,
    *,
    variance: float | None = None,
    entries: str = "gaussian",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Draw `count` independent N x N matrices, iid entries of mean 0 and the given variance (default 1 / N).

    entries: "gaussian", "uniform" on (-sqrt(3 v), sqrt(3 v)), or "rademacher" (plus or minus sqrt(v)).
    Returns (count, N, N).  Drawn in float64 from a CPU generator, then moved: every device and dtype sees the same
    numbers.  Raises ValueError for sizes below 1, a variance that is not positive, or an unknown `entries`.
    """
    N, count = checks.whole("N", N, hint=SIDE), checks.whole("count", count)
    checks.choice("entries", entries, tuple(ENTRIES))
    variance = checks.number("variance", 1 / N if variance is None else variance, above=0)
    drawn = ENTRIES[entries]((count, N, N), generator)  # (count, N, N)
    return (variance**0.5 * drawn).to(device=device, dtype=dtype)


def sample_product_singular_values(
    N: int,
    M: int,
    runs: int,
    generator: torch.Generator,
    *,
    scales: Sequence[float] | None = None,
    entries: str = "gaussian",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Singular values of `runs` independent products X_1 ... X_M of N x N matrices (Bjorck et al. 2018, Theorem 1).

    scales: the M standard deviations sigma_i (default 1); the entries of X_i have variance sigma_i^2 / N.
    Returns (runs, N) of `dtype`, descending in each row.  These are singular values: their *squares*, divided by the
    product of the sigma_i^2, follow `fuss_catalan_density`.  Where the product has lost the small ones they come from
    its inverse.  Raises ValueError for sizes below 1, scales that are not M positive numbers, an unknown `entries` or
    dtype, a singular factor, or a condition number too large even so (above about 1e24 in float64).
    """
    N, M, runs = checks.whole("N", N, hint=SIDE), checks.whole("M", M, hint=FACTORS), checks.whole("runs", runs)
    _check_dtype(dtype)
    scales = [checks.number("scales", sigma, above=0) for sigma in ([1.0] * M if scales is None else scales)]
    if len(scales) != M:
        raise ValueError(f"scales: {scales!r} are not {M}, a sigma_i for each factor")
    spectra = []
    for _ in range(runs):  # one run at a time: N = 4000 takes 128 MB a matrix
        factors = [
            iid_matrices(N, 1, generator, variance=sigma**2 / N, entries=entries, device=device, dtype=dtype)[0]
            for sigma in scales
        ]
        spectra.append(_singular_values_of_product(factors))
    return torch.stack(spectra)  # (runs, N)


def _singular_values_of_product(factors: list[Tensor]) -> Tensor:
    """Descending singular values (N,) of the product of `factors`, each (N, N)."""
    from_product = torch.linalg.svdvals(_chain(factors))
    resolved = _RESOLVED * torch.finfo(from_product.dtype).eps
    if from_product[-1] > resolved * from_product[0]:
        return from_product
    inverse = torch.eye(len(from_product), dtype=from_product.dtype, device=from_product.device)
    for factor in factors:  # X_M^-1 ... X_1^-1
        inverse, singular = _apply_inverse(factor, inverse, left=True)
        if singular:
            raise ValueError(f"a factor drawn at N={len(factor)} is singular, and so is the product: draw larger ones")
    from_inverse = 1 / torch.linalg.svdvals(inverse).flip(0)
    middle = (from_product[0] * from_inverse[-1]).sqrt()
    if not middle > resolved * from_product[0]:
        raise ValueError(
            f"M={len(factors)} factors at N={len(inverse)}: condition number beyond {from_product.dtype}, "
            "take fewer factors, or log_extreme_singular_values, which works at any depth"
        )
    return torch.where(from_product > middle, from_product, from_inverse)


def _chain(factors: list[Tensor]) -> Tensor:
    product = factors[0]
    for factor in factors[1:]:
        product = product @ factor
    return product


def _apply_inverse(factor: Tensor, matrix: Tensor, *, left: bool) -> tuple[Tensor, Tensor]:
    """factor^-1 matrix (or matrix factor^-1) and whether `factor` is singular to rounding, for (..., N, N).

    By QR: batches through LU (torch.linalg.solve, inv, det) are wrong on a CPU with two threads from N = 151 on
    (pytorch issue 142815).
    """
    q, r = torch.linalg.qr(factor)
    sizes = r.diagonal(dim1=-2, dim2=-1).abs()  # (..., N)
    singular = sizes.amin(-1) <= sizes.shape[-1] * torch.finfo(factor.dtype).eps * sizes.amax(-1)
    if left:
        return torch.linalg.solve_triangular(r, q.mT @ matrix, upper=True), singular
    return torch.linalg.solve_triangular(r, matrix, upper=True, left=False) @ q.mT, singular


def log_extreme_singular_values(
    N: int,
    depths: Sequence[int],
    runs: int,
    generator: torch.Generator,
    *,
    entries: str = "gaussian",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Logarithms of the largest and the smallest singular value of X_M ... X_1, for every M in `depths`, at any depth.

    Products and inverse products are renormalised at each factor and the logarithms of the norms added up:
    ln s_max = ln ||X_M ... X_1||_2 and ln s_min = -ln ||X_1^-1 ... X_M^-1||_2, so nothing overflows, and the smallest
    singular value is never read off a matrix that has lost it.

    depths: increasing integers >= 1; all of them are prefixes of the same `runs` chains of factors of variance 1 / N.
    Returns two tensors (runs, len(depths)); ln s_min is -inf from a singular factor on (Rademacher entries, small N).
    Raises ValueError for sizes below 1, depths that do not increase, or an unknown `entries`.
    """
    N, runs = checks.whole("N", N, hint=SIDE), checks.whole("runs", runs)
    _check_dtype(dtype)
    depths = [checks.whole("depths", depth, hint=FACTORS) for depth in depths]
    if not depths or any(later <= earlier for earlier, later in pairwise(depths)):
        raise ValueError(f"depths: {depths!r} are not one number of factors or several that increase")
    product = torch.eye(N, dtype=dtype, device=device).expand(runs, N, N)
    inverse = product
    log_max, log_min = torch.zeros(2, runs, len(depths), dtype=dtype, device=device)
    log_product, log_inverse = torch.zeros(2, runs, dtype=dtype, device=device)
    for depth in range(1, depths[-1] + 1):
        factor = iid_matrices(N, runs, generator, entries=entries, device=device, dtype=dtype)  # (runs, N, N)
        product, log_product = _renormalised(factor @ product, log_product)
        inverse, singular = _apply_inverse(factor, inverse, left=False)
        log_inverse = torch.where(singular, torch.inf, log_inverse)
        inverse, log_inverse = _renormalised(torch.where(singular[:, None, None], factor, inverse), log_inverse)
        if depth in depths:
            column = depths.index(depth)
            log_max[:, column] = log_product + torch.linalg.matrix_norm(product, 2).log()
            log_min[:, column] = -(log_inverse + torch.linalg.matrix_norm(inverse, 2).log())
    return log_max, log_min


def _renormalised(matrices: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """The matrices (runs, N, N) at Frobenius norm 1, and log_scale (runs,) with the logarithm of the old norm added."""
    norms = torch.linalg.matrix_norm(matrices)  # (runs,)
    return matrices / torch.where(norms > 0, norms, 1)[:, None, None], log_scale + norms.log()


def log_condition_numbers(
    N: int,
    depths: Sequence[int],
    runs: int,
    generator: torch.Generator,
    *,
    entries: str = "gaussian",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Logarithm of kappa(X_M ... X_1) for every M in `depths`: ln s_max - ln s_min, stable at any depth.

    Its slope in M tends to `lyapunov_gap(N)`.  Arguments and errors as for `log_extreme_singular_values`.  Returns
    (runs, len(depths)), inf for a singular product.
    """
    log_max, log_min = log_extreme_singular_values(
        N, depths, runs, generator, entries=entries, device=device, dtype=dtype
    )
    return torch.where(log_min == -torch.inf, torch.inf, log_max - log_min)


def lyapunov_gap(N: int) -> float:
    """Growth of ln kappa per factor in a long product of real Gaussian N x N matrices, (psi(N/2) - psi(1/2)) / 2.

    The Lyapunov exponents are (ln(2 v) + psi(k/2)) / 2, k = 1 ... N, for entries of variance v (Newman 1986); the gap
    between the largest and the smallest does not depend on v.  psi is the digamma function.

    >>> round(lyapunov_gap(64), 4), round(lyapunov_gap(3), 12), lyapunov_gap(1)
    (2.7068, 1.0, 0.0)
    """
    N = checks.whole("N", N, hint=SIDE)
    return float(digamma(N / 2) - digamma(0.5)) / 2


def ks_distance(values: ArrayLike, cdf: Callable[[np.ndarray], np.ndarray]) -> float:
    """Kolmogorov-Smirnov distance sup_x |F_n(x) - F(x)| between a sample and a continuous distribution function.

    values: any shape, taken as one sample of finite numbers.  No p-value comes with it: the singular values of a matrix
    repel each other, so D falls as 1/N where independent draws give 1/sqrt(N), and the tables would always say p = 1.
    Raises ValueError if `values` is empty or not finite.

    >>> ks_distance([0.25, 0.75], lambda x: x)
    0.25
    """
    sample = np.sort(checks.array("values", values), axis=None)
    if sample.size == 0:
        raise ValueError("values: there is none, at least one is needed")
    theory = checks.array("cdf(values)", cdf(sample))
    if theory.shape != sample.shape:
        raise ValueError(f"cdf: it gives {theory.shape} for {sample.shape} values")
    steps = np.arange(sample.size + 1) / sample.size
    return float(max((steps[1:] - theory).max(), (theory - steps[:-1]).max()))


def _check_dtype(dtype: torch.dtype) -> None:
    if dtype not in checks.WIDE:
        raise ValueError(f"dtype: {dtype} is not torch.float32 or torch.float64, in which singular values are computed")
