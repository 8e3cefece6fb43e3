"""Channels as blocks of R, and what scaling a channel does to eigenvalues (Chai et al. 2020, section 3.2).

A patch of C channels and Z = H W pixels a channel is a vector of C blocks, so R (K, K) with K = C Z is made of C x C
blocks R_ij = E[X_i X_j^T] (Z, Z). Multiplying channel i by a gain d_i (the paper's 1/a_i) turns R into D R D: block ij
times d_i d_j. Everything here is about that congruence, with gains above 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from bnlab import checks
from bnlab.theory.modes import effective_eigenvalues, natural_modes


@dataclass(frozen=True)
class BestGains:
    """The channel gains that make kappa(D R D) smallest."""

    gains: Tensor  # (C,) float64, of geometric mean 1
    condition_number: float


def blocks(R: Tensor, channels: int) -> Tensor:
    """Blocks R_ij of R (..., K, K) of any dtype: (..., C, C, Z, Z), a view.

    >>> blocks(torch.arange(16).reshape(4, 4), 2)[0, 1].tolist()
    [[2, 3], [6, 7]]

    Raises:
        ValueError: if R is not square, or its rows do not divide into the channels.
    """
    if R.ndim < 2 or R.shape[-1] != R.shape[-2]:
        raise ValueError(f"R: shape {tuple(R.shape)} is not (..., K, K)")
    pixels = _pixels(R.shape[-1], channels)
    return R.unflatten(-1, (channels, pixels)).unflatten(-3, (channels, pixels)).transpose(-3, -2)


def scale_channels(R: Tensor, gains: Tensor) -> Tensor:
    """Autocorrelation D R D (..., K, K) after channel i was multiplied by gains[..., i]: block ij times d_i d_j.

    With d_i = 1/a_i the diagonal blocks carry the 1/a_i^2 of Chai et al. 2020, section 3.2, and the others the
    1/(a_i a_j) that the section leaves out.

    >>> scale_channels(torch.ones(2, 2), torch.tensor([1.0, 0.5])).tolist()
    [[1.0, 0.5], [0.5, 0.25]]

    Raises:
        ValueError: if the rows of R do not divide into the gains, or as `unit_power_gains`.
    """
    _vector("gains", gains, "(..., C)")
    pixels = _pixels(_matrices(R).shape[-1], gains.shape[-1])
    D = gains.repeat_interleave(pixels, dim=-1)  # (..., K)
    return D.unsqueeze(-1) * R * D.unsqueeze(-2)


def unit_power_gains(R: Tensor, channels: int) -> Tensor:
    """Gains 1 / RMS (..., C) that give every channel of the patches unit power: diagonal blocks of mean trace 1.

    >>> unit_power_gains(torch.diag(torch.tensor([4.0, 0.25])), 2).tolist()
    [0.5, 2.0]

    Raises:
        ValueError: if a channel has no power, or R is not (..., K, K) of finite float32 or float64 numbers with K a
            multiple of the channels.
    """
    pixels = _pixels(_matrices(R).shape[-1], channels)
    power = R.diagonal(dim1=-2, dim2=-1).unflatten(-1, (channels, pixels)).mean(-1)  # (..., C)
    if not (power > 0).all():
        raise ValueError("R: a channel has no power, so no gain gives it any")
    return power.rsqrt()


def participation(eigenvectors: Tensor, channels: int) -> Tensor:
    """Share ||q_{k,i}||^2 of channel i in eigenvector k: (..., K, C), rows adding up to 1.

    By first-order perturbation it is also how much eigenvalue k follows the power of channel i: it is the derivative
    d ln lambda_k / d ln d_i^2 for a simple eigenvalue lambda_k of D R D with eigenvector q_k. This is the "mixture of
    factors from all the channels" of Chai et al. 2020, section 3.2. Columns of eigenvectors (..., K, K) are the q_k.

    >>> participation(torch.tensor([[0.6, -0.8], [0.8, 0.6]]), 2)
    tensor([[0.3600, 0.6400],
            [0.6400, 0.3600]])

    Raises:
        ValueError: if the entries do not divide into the channels, or are not finite float32 or float64 numbers.
    """
    if checks.tensor("eigenvectors", eigenvectors, "(..., K, K)").ndim < 2:
        raise ValueError(f"eigenvectors: shape {tuple(eigenvectors.shape)} is not (..., K, K)")
    pixels = _pixels(eigenvectors.shape[-2], channels)
    return eigenvectors.square().mT.unflatten(-1, (channels, pixels)).sum(-1)


def eigenvalue_bounds(eigenvalues: Tensor, gains: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest that eigenvalue k of D R D can be: lambda_k min d^2 and lambda_k max d^2, each (..., K).

    Ostrowski 1959: each eigenvalue of a congruence S R S^T is the one of R of the same rank times a number between the
    extreme eigenvalues of S S^T. Hence gains >= 1 lower no eigenvalue and gains <= 1 raise none. Both ascending, R
    positive semidefinite; eigenvalues (..., K), gains (..., C).

    >>> [bound.tolist() for bound in eigenvalue_bounds(torch.tensor([1.0, 3.0]), torch.tensor([0.5, 2.0]))]
    [[0.25, 0.75], [4.0, 12.0]]

    Raises:
        ValueError: a negative eigenvalue, or entries that are not finite float32 or float64 numbers.
    """
    _vector("gains", gains, "(..., C)")
    # Rounding makes the zeros of a singular R as negative as its dtype and size allow.
    rounding = _vector("eigenvalues", eigenvalues, "(..., K)").shape[-1] * torch.finfo(eigenvalues.dtype).eps
    if (eigenvalues.amin(-1) < -rounding * eigenvalues.amax(-1).clamp(min=0)).any():
        raise ValueError(f"eigenvalues: {eigenvalues.min().item():.3g} is negative, so R is not positive semidefinite")
    factors = gains.square()
    return eigenvalues * factors.amin(-1, keepdim=True), eigenvalues * factors.amax(-1, keepdim=True)


def coherence(R: Tensor, channels: int) -> Tensor:
    """How far each pair of channels is from decorrelated: ||R_ij|| / sqrt(||R_ii|| ||R_jj||), (..., C, C) in [0, 1].

    Frobenius norms; the bound is Cauchy's and Schwarz's. No channel gain changes it, and for one pixel a channel it is
    the modulus of the (uncentred) correlation. 0 for a channel without power.

    >>> coherence(torch.tensor([[4.0, 1.0], [1.0, 1.0]]), 2)
    tensor([[1.0000, 0.5000],
            [0.5000, 1.0000]])

    Raises:
        ValueError: as `unit_power_gains`, but for channels without power.
    """
    _matrices(R)
    norms = blocks(R, channels).square().sum((-2, -1)).sqrt()  # (..., C, C)
    own = norms.diagonal(dim1=-2, dim2=-1)  # (..., C)
    scale = (own.unsqueeze(-1) * own.unsqueeze(-2)).sqrt()
    return torch.where(scale > 0, norms / scale, 0.0)


def condition_slopes(R: Tensor, channels: int) -> Tensor:
    """Slopes d ln kappa / d ln d_i^2 (C,) at d = 1: participation of the largest mode less that of the smallest.

    They add up to 0. Half the sum of their moduli, the leverage of the channels, is 1 if the two extreme modes live in
    different channels and 0 if they are spread alike: then no channel gain moves kappa, to first order. Dead modes are
    left out.

    >>> condition_slopes(torch.diag(torch.tensor([0.1, 10.0])), 2).tolist()
    [-1.0, 1.0]

    Raises:
        ValueError: as `natural_modes`, or all modes are dead.
    """
    modes = natural_modes(R)
    smallest = effective_eigenvalues(modes.eigenvalues).dead_modes
    if smallest == len(R):
        raise ValueError("R: all zero, so no mode has a slope")
    shares = participation(modes.eigenvectors, channels)  # (K, C)
    return shares[-1] - shares[smallest]


def condition_floor(R: Tensor, channels: int) -> float:
    """Largest condition number of a diagonal block R_ii: kappa(D R D) is at least this for every choice of gains.

    By Cauchy's interlacing the eigenvalues of D R D reach from below d_i^2 lambda_min(R_ii) to above d_i^2
    lambda_max(R_ii): no channel gain mends what is uneven inside a channel. Decorrelated channels can be brought down
    to it. inf if a block is singular.

    >>> round(condition_floor(torch.block_diag(torch.tensor([[1.0, 0.5], [0.5, 1.0]]), 10 * torch.eye(2)), 2), 6)
    3.0

    Raises:
        ValueError: as `unit_power_gains`, but for channels without power; R that is no single matrix.
    """
    own = blocks(checks.square("R", R).double(), channels)[range(channels), range(channels)]  # (C, Z, Z)
    spectra = torch.linalg.eigvalsh(own)  # (C, Z)
    rounding = spectra.shape[1] * torch.finfo(R.dtype).eps * spectra[:, -1]
    kappas = torch.where(spectra[:, 0] > rounding, spectra[:, -1] / spectra[:, 0], torch.inf)
    return kappas.max().item()


def best_gains(R: Tensor, channels: int) -> BestGains:
    """Channel gains of least kappa(D R D), by BFGS in ln d.

    ln kappa is convex in ln d: ln lambda_max(D R D) is, being the largest of logarithms of sums of exponentials, and
    -ln lambda_min(D R D) = ln lambda_max(D^-1 R^-1 D^-1). So what a descent finds is the minimum over all gains. It
    often lies on an edge, where an extreme eigenvalue is double and the slopes jump past 0; BFGS finds it all the same.

    >>> best_gains(torch.diag(torch.tensor([0.1, 10.0])), 2).condition_number
    1.0...

    Raises:
        ValueError: if R is singular to float64 (a dead channel or mode: leave it out first).
    """
    R = checks.square("R", R).double().cpu()
    start = unit_power_gains(R, channels)
    if effective_eigenvalues(natural_modes(R).eigenvalues).dead_modes:
        raise ValueError("R: singular, so kappa is infinite for all gains: leave dead channels out")

    def log_kappa(x: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = scale_channels(R, torch.from_numpy(x).exp())
        eigenvalues, eigenvectors = torch.linalg.eigh(scaled)
        shares = participation(eigenvectors, channels)
        slope = 2 * (shares[-1] - shares[0])  # in ln d, not ln d^2
        # Rounding can make the least eigenvalue of a hopeless trial negative: such a step is refused.
        value = (eigenvalues[-1] / eigenvalues[0]).log().item() if eigenvalues[0] > 0 else np.inf
        return value, slope.numpy()

    found = scipy.optimize.minimize(log_kappa, start.log().numpy(), jac=True, method="BFGS", options={"gtol": 1e-7})
    x = torch.from_numpy(found.x)
    return BestGains((x - x.mean()).exp(), float(np.exp(found.fun)))


def _vector(name: str, values: Tensor, shape: str) -> Tensor:
    return checks.tensor(name, values, shape, range(1, 9))


def _matrices(R: Tensor) -> Tensor:
    if checks.tensor("R", R, "(..., K, K)").ndim < 2 or R.shape[-1] != R.shape[-2]:
        raise ValueError(f"R: shape {tuple(R.shape)} is not (..., K, K)")
    return R


def _pixels(rows: int, channels: int) -> int:
    if not checks.is_whole(channels) or channels < 1 or rows % channels:
        raise ValueError(f"channels: {channels} blocks do not make up {rows} rows of R")
    return rows // channels
