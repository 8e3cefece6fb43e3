"""Chapter 05, random matrices: what channel gains and centring do to eigenvalues, drawn many times at once.

`eigvalsh` of a stack of float64 matrices is used throughout; nothing here solves or inverts.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.channel_scaling import best_gains, eigenvalue_bounds, participation, scale_channels, unit_power_gains

ROUNDING = 1e-10  # of the largest eigenvalue: differences below it are no violation


def wishart(draws: int, dimension: int, freedom: int, seed: int) -> Tensor:
    """Second moments (draws, d, d) of ``freedom`` independent standard normal vectors of d numbers each.

    Raises:
        ValueError: if there are fewer vectors than numbers, so that every matrix would be singular.
    """
    if freedom < dimension:
        raise ValueError(f"freedom: {freedom} is below the dimension {dimension}: every matrix would be singular")
    draw = generator(seed, f"Wishart matrices {dimension} {freedom}")
    A = torch.randn(draws, dimension, freedom, generator=draw, dtype=torch.float64)
    return A @ A.mT / freedom


def log_uniform_gains(draws: int, channels: int, seed: int) -> Tensor:
    """Gains (draws, C) between 1/10 and 10."""
    drawn = torch.rand(draws, channels, generator=generator(seed, "channel gains"), dtype=torch.float64)
    return 10 ** (2 * drawn - 1)


def gains_and_eigenvalues(draws: int, channels: int, pixels: int, seed: int) -> pd.DataFrame:
    """Where ln(lambda_k after / before) lies between its bounds, for any gains, gains >= 1 and gains <= 1.

    ``position`` is 0 at the lower bound min d^2 and 1 at the upper, max d^2; ``ratio`` is after over before.
    """
    K = channels * pixels
    R = wishart(draws, K, 2 * K, seed)
    any_gains = log_uniform_gains(draws, channels, seed)
    before = torch.linalg.eigvalsh(R)  # (draws, K)
    rows = []
    for kind, gains in {
        "any": any_gains,
        "at least 1": any_gains.clamp(min=1),
        "at most 1": any_gains.clamp(max=1),
    }.items():
        after = torch.linalg.eigvalsh(scale_channels(R, gains))
        low, high = eigenvalue_bounds(before, gains)
        position = (after / low).log() / (high / low).log()  # nan where all gains are clamped to 1: no room at all
        for rank in range(K):
            pairs = zip((after / before)[:, rank].tolist(), position[:, rank].tolist(), strict=True)
            rows += [(kind, draw, K - rank, *pair) for draw, pair in enumerate(pairs)]
    return table(rows, {"gains": "kind", "draw": "index", "rank": "1 = largest", "ratio": "1", "position": "1"})


def decorrelation(draws: int, channels: int, pixels: int, shares: Sequence[float], seed: int) -> pd.DataFrame:
    """Largest participation of a channel in each eigenvector, with the off-diagonal blocks multiplied by ``share``."""
    K = channels * pixels
    R = wishart(draws, K, 2 * K, seed)
    own = torch.block_diag(*[torch.ones(pixels, pixels, dtype=torch.float64)] * channels)  # 1 inside diagonal blocks
    rows = []
    for share in shares:
        vectors = torch.linalg.eigh(R * (own + share * (1 - own)))[1]
        purest = participation(vectors, channels).amax(-1).flatten()
        quartiles = purest.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
        rows.append((share, *quartiles.tolist()))
    return table(rows, {"share": "1", "q1": "1", "median": "1", "q3": "1"})


def centring(draws: int, channels: int, pixels: int, seed: int) -> pd.DataFrame:
    """Violations of lambda_{k-1}(R) <= lambda_k(R - mm^T) <= lambda_k(R), and of amplifying with BatchNorm's centring.

    A draw is a covariance S and a mean m, the same for all pixels of a channel; R = S + mm^T. Channels whose power in R
    is below 1 are divided by their standard deviation after their mean was taken out (the document's effect of
    BN_Amplify); above 1 likewise for BN_Suppress.
    """
    K = channels * pixels
    S = wishart(draws, K, 2 * K, seed) * log_uniform_gains(draws, 1, seed).unsqueeze(-1)
    level = torch.randn(draws, channels, generator=generator(seed, "channel means"), dtype=torch.float64)
    m = level.repeat_interleave(pixels, dim=-1)  # (draws, K)
    R = S + m.unsqueeze(-1) * m.unsqueeze(-2)
    before, centred = torch.linalg.eigvalsh(R), torch.linalg.eigvalsh(S)
    slack = ROUNDING * before[:, -1:]
    above = int((centred > before + slack).any(-1).sum())
    below = int((centred[:, 1:] < before[:, :-1] - slack).any(-1).sum())
    rows = [("centred eigenvalue above its own", draws, above), ("centred eigenvalue below the next", draws, below)]
    power = 1 / unit_power_gains(R, channels).square()  # (draws, C)
    for name, chosen, sign in (("amplify", power < 1, 1), ("suppress", power > 1, -1)):
        kept = torch.where(chosen, 0.0, 1.0).repeat_interleave(pixels, dim=-1) * m  # means that stay
        gains = torch.where(chosen, unit_power_gains(S, channels), 1.0)
        partly = S + kept.unsqueeze(-1) * kept.unsqueeze(-2)
        after = torch.linalg.eigvalsh(scale_channels(partly, gains))
        wrong = (sign * (after - before) < -slack).any(-1)
        rows.append((f"{name} with centring: an eigenvalue goes the other way", draws, int(wrong.sum())))
    return table(rows, {"event": "name", "draws": "matrices", "count": "matrices"})


def equilibration(draws: int, dimensions: Sequence[int], freedoms: Sequence[int], seed: int) -> pd.DataFrame:
    """Kappa of Wishart matrices before and after scaling to a unit diagonal; ``freedom`` is in vectors a feature."""
    rows = []
    for dimension in dimensions:
        for freedom in freedoms:
            R = wishart(draws, dimension, freedom * dimension, seed)
            pairs = zip(_kappa(R).tolist(), _kappa(_equal_diagonal(R)).tolist(), strict=True)
            rows += [(dimension, freedom, draw, *pair) for draw, pair in enumerate(pairs)]
    units = {"dimension": "features", "freedom": "vectors a feature", "draw": "index", "before": "1", "after": "1"}
    return table(rows, units)


def equilibration_bound(draws: int, dimensions: Sequence[int], seed: int) -> pd.DataFrame:
    """Condition number of Wishart matrices (two vectors a feature) at a unit diagonal, and the least over all scalings.

    By van der Sluis 1969 the first is at most d times the second; ``share`` is what it is of that bound.
    """
    rows = []
    for dimension in dimensions:
        R = _equal_diagonal(wishart(draws, dimension, 2 * dimension, seed))
        for draw, (equal, matrix) in enumerate(zip(_kappa(R).tolist(), R, strict=True)):
            least = best_gains(matrix, dimension).condition_number
            rows.append((dimension, draw, equal, least, equal / (dimension * least)))
    return table(rows, {"dimension": "features", "draw": "index", "equal": "1", "least": "1", "share": "1"})


def _equal_diagonal(R: Tensor) -> Tensor:
    return scale_channels(R, unit_power_gains(R, R.shape[-1]))


def _kappa(R: Tensor) -> Tensor:
    spectrum = torch.linalg.eigvalsh(R)
    return spectrum[..., -1] / spectrum[..., 0]
