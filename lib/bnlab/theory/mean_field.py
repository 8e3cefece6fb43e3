r"""How squared gradients grow from layer to layer in wide random networks, in the limit of infinite width (mean field).

Weights are independent, of mean 0 and variance sigma_w^2 / width. For z ~ N(0, 1), one layer towards the input
multiplies the mean squared gradient by

    sigma_w^2 E phi'(sqrt(q) z)^2                 without normalisation, preactivations of variance q;
    E phi'(z)^2 / Var phi(z)                      with Batch Normalization ahead of phi, and a large batch.

With He's variance 2, ReLU gives 1 without and pi / (pi - 1) with normalisation: sigma_w cancels, because the layer
divides by the standard deviation sigma_w sqrt(Var phi) of what it normalises (Yang et al. 2019 prove the exact form,
also for small batches). By the Gaussian Poincare inequality Var phi <= E phi'^2, with equality for linear phi alone:
in this limit Batch Normalization never lets a gradient vanish, and makes it explode for every activation that bends.

A residual block x + W phi(norm(x)) adds its branch to 1: 2 a block for ReLU without normalisation, and with it
1 + sigma_w^2 E phi'^2 / v, where the variance v of the stream grows by sigma_w^2 Var phi a block. The product over L
blocks is then about L to the power E phi'^2 / Var phi: the same number, as an exponent of the depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnlab import checks

ACTIVATIONS = ("relu", "tanh", "sigmoid", "linear")
NODES = 200  # of the Gauss-Hermite rule: tanh to 1e-12 up to a variance of 2


@dataclass(frozen=True)
class Moments:
    """Expectations over z ~ N(0, variance)."""

    mean: float  # E phi(z)
    square: float  # E phi(z)^2
    slope_square: float  # E phi'(z)^2

    @property
    def variance(self) -> float:
        """Var phi(z)."""
        return self.square - self.mean**2


def moments(activation: str, variance: float = 1.0) -> Moments:
    """Mean and mean square of an activation, and mean square of its slope, at Gaussian inputs of that variance.

    Closed for "relu" and "linear", by a Gauss-Hermite rule of `NODES` nodes for "tanh" and "sigmoid".

    >>> moments("relu").square, moments("linear", 4.0).square
    (0.5, 4.0)

    Raises:
        ValueError: another activation, or a variance that is not a positive number.
    """
    checks.choice("activation", activation, ACTIVATIONS)
    q = checks.number("variance", variance, above=0)
    if activation == "linear":
        return Moments(0.0, q, 1.0)
    if activation == "relu":
        return Moments(math.sqrt(q / (2 * math.pi)), q / 2, 0.5)
    nodes, weights = _rule()
    z = math.sqrt(q) * nodes
    if activation == "tanh":
        values = np.tanh(z)
        slopes = 1 - values**2
    else:
        values = 1 / (1 + np.exp(-z))
        slopes = values * (1 - values)
    return Moments(*(float(weights @ found) for found in (values, values**2, slopes**2)))


@lru_cache(maxsize=1)
def _rule() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of the Gauss-Hermite rule, the weights of sum 1; it takes longer than all else here."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


def plain_rate(activation: str, weight_variance: float, variance: float = 1.0) -> float:
    """Factor sigma_w^2 E phi'(sqrt(q) z)^2 by which a layer without normalisation multiplies squared gradients.

    >>> plain_rate("relu", 1.0), plain_rate("relu", 2.0)
    (0.5, 1.0)

    Raises:
        ValueError: as `moments`, or a weight variance that is not a positive number.
    """
    scale = checks.number("weight_variance", weight_variance, above=0)
    return scale * moments(activation, variance).slope_square


def normalised_rate(activation: str) -> float:
    """Factor E phi'(z)^2 / Var phi(z) of a layer with Batch Normalization ahead of phi; at least 1 (Poincare).

    >>> round(normalised_rate("relu") - math.pi / (math.pi - 1), 12), normalised_rate("linear")
    (0.0, 1.0)

    Raises:
        ValueError: as `moments`.
    """
    found = moments(activation)
    return found.slope_square / found.variance


def plain_profile(activation: str, depth: int, weight_variance: float, variance: float = 1.0) -> Tensor:
    """Mean squared gradients at the preactivations of ``depth`` layers, of the last one's: (depth,) float64.

    The variance of the preactivations moves as q -> sigma_w^2 E phi(sqrt(q) z)^2 from that of the first layer.

    >>> plain_profile("relu", 3, 1.0)
    tensor([0.2500, 0.5000, 1.0000], dtype=torch.float64)

    Raises:
        ValueError: as `plain_rate`, or a depth below 1.
    """
    factors, q = [], checks.number("variance", variance, above=0)
    for _ in range(checks.whole("depth", depth) - 1):
        factors.append(plain_rate(activation, weight_variance, q))
        q = weight_variance * moments(activation, q).square
    return _towards_input(factors)


def residual_profile(
    activation: str, blocks: int, weight_variance: float = 2.0, *, normalised: bool = True, variance: float = 1.0
) -> Tensor:
    """Mean squared gradients at the stream of a residual network, of the last one's: (blocks + 1,) float64.

    Blocks are x + W phi(norm(x)); entry l is at the stream that enters block l. ``variance`` is that of the stream
    ahead of the first block: with normalisation over the batch, else about 0.

    >>> residual_profile("relu", 2, normalised=False)
    tensor([4., 2., 1.], dtype=torch.float64)

    Raises:
        ValueError: as `plain_rate`, or blocks below 1.
    """
    scale = checks.number("weight_variance", weight_variance, above=0)
    factors, q = [], checks.number("variance", variance, above=0)
    for _ in range(checks.whole("blocks", blocks)):
        found = moments(activation) if normalised else moments(activation, q)
        factors.append(1 + scale * found.slope_square / (q if normalised else 1))
        q += scale * (found.variance if normalised else found.square)
    return _towards_input(factors)


def branch_shares(activation: str, blocks: int, weight_variance: float = 2.0, variance: float = 1.0) -> Tensor:
    """Share of the normalised branch in the variance that leaves each residual block: (blocks,) float64, about 1 / l.

    sigma_w^2 Var phi / (variance + l sigma_w^2 Var phi) for block l = 1, 2, ...; without normalisation the branch of
    ReLU and He's weights would have the share 1/2 in every block.

    >>> branch_shares("linear", 3, 1.0, variance=1.0) * torch.tensor([2.0, 3.0, 4.0])
    tensor([1., 1., 1.], dtype=torch.float64)

    Raises:
        ValueError: as `residual_profile`.
    """
    added = checks.number("weight_variance", weight_variance, above=0) * moments(activation).variance
    numbers = torch.arange(1, checks.whole("blocks", blocks) + 1, dtype=torch.float64)
    return added / (checks.number("variance", variance, above=0) + added * numbers)


def gradient_correlations(correlation: float, depth: int, *, skip: bool, normalised: bool) -> Tensor:
    """Correlation of the gradients at two inputs after 1, 2, ... blocks of rectifiers: (depth,) float64.

    Blocks are W phi(norm(h)), with ``skip`` h + W phi(norm(h)), with He's variance 2; ``correlation`` is that of the
    two h ahead of the first (about their means over the batch, if normalised), whose variance is 1. With
    theta = arccos c, two rectifiers are both open or both shut with probability kappa_0 = 1 - theta / pi, and
    kappa_1 = (sin theta + (pi - theta) c) / pi (Cho and Saul 2009):

    - plain: c' = kappa_1(c), and the gradients' correlation is multiplied by kappa_0(c);
    - normalised: c' = (kappa_1 - 1/pi) / (1 - 1/pi), multiplied by kappa_0(c);
    - skip: c' = (c + kappa_1) / 2, multiplied by (1 + kappa_0) / 2;
    - skip and normalised: with the stream's variance v, multiplied by (1 + kappa_0 / v) / (1 + 1 / v).

    >>> gradient_correlations(0.0, 3, skip=False, normalised=True)  # apart from the start: half are both open
    tensor([0.5000, 0.2500, 0.1250], dtype=torch.float64)

    Raises:
        ValueError: no correlation in [-1, 1], or a depth below 1.
    """
    covariance, v, kept, found = checks.number("correlation", correlation, least=-1, most=1), 1.0, 1.0, []
    lost = 1 / math.pi if normalised else 0.0  # of the second moment of phi, its mean: what centring takes away
    for _ in range(checks.whole("depth", depth)):
        c = min(1.0, max(-1.0, covariance / v))
        theta = math.acos(c)
        both, product = 1 - theta / math.pi, (math.sin(theta) + (math.pi - theta) * c) / math.pi
        size = 1.0 if normalised else v  # of what the rectifiers are given
        kept *= (1 + both * size / v) / (1 + size / v) if skip else both
        covariance, v = (covariance, v) if skip else (0.0, 0.0)
        covariance, v = covariance + size * (product - lost), v + size * (1 - lost)
        found.append(kept)
    return torch.tensor(found, dtype=torch.float64)


def _towards_input(factors: list[float]) -> Tensor:
    """Products of the factors from each layer on, the last one 1: (len(factors) + 1,)."""
    return torch.tensor([*factors, 1.0], dtype=torch.float64).flip(0).cumprod(0).flip(0)
