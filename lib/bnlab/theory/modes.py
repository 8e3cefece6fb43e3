"""Natural modes of the weight update: the eigenvalues and eigenvectors of R (Chai et al. 2020, section 3.1).

With J = 1/2 E||D - Y||^2 the weight error C = W - W_o obeys C(n+1) = [I - mu R] C(n) (equation 5); in the coordinates
V = Q^T C of R = Q Lambda Q^T each mode runs alone, v_k(n) = (1 - mu lambda_k)^n v_k(0) (equation 6). A single entry of
C is a mixture of modes. Everything here is float64; a rate mu multiplies E[x e], the mean over images and positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bnlab import checks

# An eigenvalue at most this share of the largest is taken for the zero of a dead mode.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class NaturalModes:
    """Eigen decomposition R = Q Lambda Q^T."""

    eigenvalues: Tensor  # (K,) float64, ascending
    eigenvectors: Tensor  # (K, K) float64, column k is q_k, its largest entry positive


@dataclass(frozen=True)
class EffectiveEigenvalues:
    """The part of a spectrum that learns, and the modes that do not."""

    eigenvalues: Tensor  # (K - dead_modes,) float64, ascending: those above tolerance * largest
    smallest: float  # lambda_min over the effective eigenvalues
    largest: float  # lambda_max
    smallest_of_all: float  # lambda_min, dead modes included
    dead_modes: int
    condition_number: float  # largest / smallest, the pseudo condition number


def natural_modes(R: Tensor) -> NaturalModes:
    """Eigenvalues (ascending) and eigenvectors of a symmetric R (K, K), float64.

    An eigenvector's sign is arbitrary: here its largest entry is positive, so that another linear algebra library
    draws the same picture. Eigenvalues that the rounding of R's entries hides, up to K eps of its dtype times the
    largest, are 0: in float32 R has none below some 1e-7 K of the largest.

    >>> natural_modes(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.], dtype=torch.float64)

    Raises:
        ValueError: if R is not a finite symmetric matrix of float32 or float64.
    """
    eps, R = torch.finfo(checks.square("R", R).dtype).eps, R.double()
    if (R - R.mT).abs().max() > max(1e-6, 100 * eps) * R.abs().max():
        raise ValueError("R: not symmetric, so it is no autocorrelation matrix")
    eigenvalues, eigenvectors = torch.linalg.eigh(R)
    rounding = len(R) * eps * eigenvalues.abs().max()
    eigenvalues = torch.where(eigenvalues.abs() <= rounding, 0.0, eigenvalues)
    largest = eigenvectors.gather(0, eigenvectors.abs().argmax(0, keepdim=True))  # (1, K)
    return NaturalModes(eigenvalues, eigenvectors * largest.sign())


def largest_eigenvalue(inputs: Tensor) -> float:
    """lambda_max of R = X^T X / B for inputs X (B, K), uncentred, in float64.

    Taken from the smaller of X^T X and X X^T, whose eigenvalues are the same but for zeros.

    >>> largest_eigenvalue(torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    2.0

    Raises:
        ValueError: if X is no finite real matrix.
    """
    X = checks.tensor("inputs", inputs, "(B, K)", (2,)).double()
    gram = X @ X.mT if len(X) < X.shape[1] else X.mT @ X
    return torch.linalg.eigvalsh(gram / len(X))[-1].item()


def project(modes: NaturalModes, errors: Tensor) -> Tensor:
    """Coordinates V = Q^T C of weight errors C (..., K), in the eigenvectors' basis: (..., K), mode k last.

    >>> project(natural_modes(torch.tensor([[2.0, 1.0], [1.0, 2.0]])), torch.tensor([1.0, 1.0])).round(decimals=4)
    tensor([0.0000, 1.4142], dtype=torch.float64)

    Raises:
        ValueError: if the last dimension of errors is not K, or they are not real.
    """
    checks.tensor("errors", errors, "(..., K)", finite=False)  # a trajectory may grow past the end of float64
    if errors.shape[-1:] != modes.eigenvalues.shape:
        raise ValueError(f"errors: shape {tuple(errors.shape)} does not end in the {len(modes.eigenvalues)} weights")
    return errors.double() @ modes.eigenvectors


def decay(eigenvalues: Tensor, mu: float, n: int | Tensor) -> Tensor:
    """Factors v_k(n) / v_k(0) = (1 - mu lambda_k)^n of Chai et al. 2020, equation 6.

    eigenvalues (K,), n a number of steps or several (N,): the result is (K,) or (N, K), float64. A negative base is a
    mode that changes sign at each step.

    >>> decay(torch.tensor([0.1, 1.5]), 1.0, torch.tensor([0, 1, 2]))
    tensor([[ 1.0000,  1.0000],
            [ 0.9000, -0.5000],
            [ 0.8100,  0.2500]], dtype=torch.float64)

    Raises:
        ValueError: if n is negative or not whole, mu no finite number, or an eigenvalue is not finite.
    """
    base = 1 - checks.number("mu", mu) * _spectrum("eigenvalues", eigenvalues)  # (K,)
    if isinstance(n, Tensor) and n.dtype in (torch.uint8, torch.int16, torch.int32, torch.int64):
        steps = n.to(base.device)
    else:
        steps = torch.as_tensor(checks.whole("n", n, 0), device=base.device)
    if (steps < 0).any():
        raise ValueError(f"n: {n!r} is not a whole number of steps, 0 or more")
    return base ** steps.unsqueeze(-1)


def log_decay(eigenvalues: Tensor, mu: float) -> Tensor:
    """Slope of ln|v_k(n)| in n: ln|1 - mu lambda_k|, (K,) float64; -inf where one step ends the mode, above 0: growth.

    >>> log_decay(torch.tensor([0.5, 1.0, 2.5], dtype=torch.float64), 1.0)
    tensor([-0.6931,    -inf,  0.4055], dtype=torch.float64)

    Raises:
        ValueError: if mu is no finite number, or an eigenvalue is not finite.
    """
    x = checks.number("mu", mu) * _spectrum("eigenvalues", eigenvalues)
    # log1p keeps the slow modes: at x = 1e-12, ln(1 - x) by subtraction has lost four digits.
    return torch.where(x < 1, torch.log1p(-x.clamp(max=1)), torch.log((x - 1).clamp(min=0)))


def time_constants(eigenvalues: Tensor, mu: float) -> Tensor:
    """Steps in which |v_k| falls by e: tau_k = -1 / ln|1 - mu lambda_k|, (K,) float64.

    The paper's -1 / ln(1 - mu lambda_k) is undefined for 1 < mu lambda < 2, where the mode decays with changing sign;
    the modulus holds in the whole stable range. Read the special values so: 0 where mu lambda = 1 (gone in one step);
    inf where lambda = 0 (a dead mode, which has no gradient) and where mu lambda = 2 (it neither decays nor grows);
    nan where mu lambda is above 2 or below 0 (it grows: no decay time exists).

    >>> time_constants(torch.tensor([0.0, 0.5, 1.0, 1.5, 1.9, 2.1], dtype=torch.float64), 1.0)
    tensor([   inf, 1.4427, 0.0000, 1.4427, 9.4912,    nan], dtype=torch.float64)

    Raises:
        ValueError: if mu is not positive, or an eigenvalue is not finite.
    """
    x = checks.number("mu", mu, above=0) * _spectrum("eigenvalues", eigenvalues)
    tau = torch.where((x == 0) | (x == 2), torch.inf, -1 / log_decay(eigenvalues, mu))
    return torch.where((x < 0) | (x > 2), torch.nan, tau)


def effective_eigenvalues(R: Tensor, tolerance: float | None = None) -> EffectiveEigenvalues:
    """The eigenvalues above tolerance * lambda_max, their ratio, and the number of dead modes below it.

    A channel that is always zero makes lambda_min = 0 and kappa infinite, though its weights have no gradient and
    delay nothing: hence the pseudo condition number. R is the matrix (K, K) or its eigenvalues (K,). The tolerance is
    `TOLERANCE` unless given, or K eps of R's dtype where that is more, as in float32.

    >>> spectrum = effective_eigenvalues(torch.diag(torch.tensor([0.0, 0.5, 2.0])))
    >>> spectrum.dead_modes, spectrum.smallest, spectrum.largest, spectrum.condition_number
    (1, 0.5, 2.0, 4.0)

    Raises:
        ValueError: if R has a negative eigenvalue beyond rounding, is not a matrix or vector of finite float32 or
            float64 numbers, or the tolerance is not between 0 and 1.
    """
    every, share = semidefinite(R, tolerance)
    every = every.sort().values
    largest = every[-1].item()
    alive = every[every > share * largest]
    smallest = alive[0].item() if len(alive) else 0.0
    kappa = largest / smallest if len(alive) else 1.0
    return EffectiveEigenvalues(alive, smallest, largest, every[0].item(), len(every) - len(alive), kappa)


def dead_channels(R: Tensor, channels: int, tolerance: float | None = None) -> int:
    """Number of input channels without power: the trace of their block of R is at most tolerance of the largest.

    >>> dead_channels(torch.diag(torch.tensor([1.0, 2.0, 0.0, 0.0])), channels=2)
    1

    Raises:
        ValueError: if the K rows of R do not divide into the channels, a channel's power is negative, or as
            `effective_eigenvalues`.
    """
    checks.square("R", R)
    if R.shape[0] % checks.whole("channels", channels):
        raise ValueError(f"channels: {channels} blocks do not make up an R of shape {tuple(R.shape)}")
    share = resolved(R) if tolerance is None else checks.number("tolerance", tolerance, least=0, below=1)
    power = R.diagonal().double().reshape(channels, -1).sum(1)
    if (power < 0).any():
        raise ValueError(f"R: a channel has power {power.min().item():.3g}, so it is no autocorrelation matrix")
    return int((power <= share * power.max()).sum())


def _spectrum(name: str, R: Tensor) -> Tensor:
    """Eigenvalues (K,) float64, from a matrix or as given."""
    checks.tensor(name, R, "(K, K), or its eigenvalues (K,),", (1, 2))
    return R.double() if R.ndim == 1 else natural_modes(checks.square(name, R)).eigenvalues


def semidefinite(R: Tensor, tolerance: float | None = None, name: str = "R") -> tuple[Tensor, float]:
    """Eigenvalues (K,) float64 of an R without negative ones, and the share of the largest up to which one counts as 0.

    R is the matrix (K, K), or its eigenvalues (K,), whose order is kept. The share is the tolerance given, or what the
    dtype of R resolves. A refusal calls R by ``name``.

    >>> semidefinite(torch.tensor([2.0, 1.0], dtype=torch.float64))
    (tensor([2., 1.], dtype=torch.float64), 1e-10)

    Raises:
        ValueError: as `effective_eigenvalues`.
    """
    every = _spectrum(name, R)
    share = resolved(R) if tolerance is None else checks.number("tolerance", tolerance, least=0, below=1)
    if every.min() < -share * every.max().clamp(min=0):
        raise ValueError(f"{name}: eigenvalue {every.min().item():.3g} is negative: no autocorrelation matrix has it")
    return every, share


def resolved(R: Tensor, tolerance: float = TOLERANCE) -> float:
    """Share of the largest eigenvalue above which one of R (..., K) can be told from 0: K eps of its dtype at least.

    >>> resolved(torch.eye(100)) > 1e-5, resolved(torch.eye(100).double())
    (True, 1e-10)

    Raises:
        ValueError: if R is not (..., K) of finite float32 or float64 numbers, or the tolerance not between 0 and 1.
    """
    checks.tensor("R", R, "(..., K)", range(1, 9))
    return max(checks.number("tolerance", tolerance, least=0, below=1), R.shape[-1] * torch.finfo(R.dtype).eps)
