"""How far apart two distributions of one quantity are: Kullback-Leibler, in closed form and from samples; Wasserstein.

The encyclopedia article measures internal covariate shift by D(p_1 || p_k), p_1 and p_k the activations at the first
and a later epoch. It is not symmetric, it is infinite where p_k has no mass and p_1 has, and a histogram of values with
an atom (what leaves a ReLU) gives a number that depends on the bins. The distance of Wasserstein has none of this.
"""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor

from bnlab import checks


def gaussian_kl(mean: Tensor, variance: Tensor, other_mean: Tensor, other_variance: Tensor) -> Tensor:
    """D(p || q) in nats between normal distributions, entry by entry.

    D = 1/2 (ln(v_q / v_p) + (v_p + (m_p - m_q)^2) / v_q - 1).

    >>> zero, one, four = (torch.tensor(value) for value in (0.0, 1.0, 4.0))
    >>> round(gaussian_kl(zero, one, one, four).item(), 4), round(gaussian_kl(one, four, zero, one).item(), 4)
    (0.4431, 1.3069)

    Args:
        mean: of p, of any shape.
        variance: of p, positive.
        other_mean: of q.
        other_variance: of q, positive.

    Returns:
        A tensor of that shape, none of it negative but for rounding.

    Raises:
        ValueError: shapes or dtypes that differ, or a variance that is not positive (a constant has no density).
    """
    given = {"mean": mean, "variance": variance, "other_mean": other_mean, "other_variance": other_variance}
    _check_alike(given)
    for name in ("variance", "other_variance"):
        if not (given[name] > 0).all():
            raise ValueError(f"{name}: {given[name].min().item():g} is not positive; a constant has no density")
    ratio = (variance + (mean - other_mean).square()) / other_variance
    return 0.5 * ((other_variance / variance).log() + ratio - 1)


def gaussian_wasserstein(mean: Tensor, deviation: Tensor, other_mean: Tensor, other_deviation: Tensor) -> Tensor:
    """W(p, q) = sqrt((m_p - m_q)^2 + (s_p - s_q)^2) between normal distributions, entry by entry.

    In the unit of the quantity itself, symmetric, and finite also where a deviation is zero.

    >>> gaussian_wasserstein(*(torch.tensor(value) for value in (0.0, 1.0, 3.0, 5.0))).item()
    5.0

    Args:
        mean: of p, of any shape.
        deviation: standard deviation of p, not negative.
        other_mean: of q.
        other_deviation: standard deviation of q.

    Raises:
        ValueError: shapes or dtypes that differ, or a negative deviation.
    """
    given = {"mean": mean, "deviation": deviation, "other_mean": other_mean, "other_deviation": other_deviation}
    _check_alike(given)
    for name in ("deviation", "other_deviation"):
        if (given[name] < 0).any():
            raise ValueError(f"{name}: {given[name].min().item():g} is negative")
    return torch.hypot(mean - other_mean, deviation - other_deviation)


def histogram_kl(samples: Tensor, other: Tensor, bins: int = 100, added: float = 1.0) -> Tensor:
    """D(p || q) in nats from samples, by histograms over shared bins, column by column.

    The bins are equal and span both columns' ranges; ``added`` counts are put into every bin of both. With none, a bin
    that p fills and q does not makes the result infinite. Columns that are one and the same constant are 0 apart.

    >>> x = torch.linspace(0, 1, 1001).reshape(-1, 1)
    >>> histogram_kl(x, x).item(), histogram_kl(x, 2 + x, added=0).item()
    (0.0, inf)

    Args:
        samples: of p, (n, C).
        other: of q, (m, C).
        bins: how many.
        added: counts put into every bin, not negative.

    Returns:
        (C,) float64.

    Raises:
        ValueError: not two finite tables of equally many columns, no bins, or negative counts.
    """
    checks.tensor("samples", samples, "(n, C)", 2, half=True)
    checks.tensor("other", other, "(m, C)", 2, half=True)
    checks.whole("bins", bins)
    checks.number("added", added, least=0)
    if samples.shape[1] != other.shape[1]:
        raise ValueError(f"other: {other.shape[1]} columns beside {samples.shape[1]} of samples")
    p, q = samples.double(), other.double()
    low = torch.minimum(p.amin(0), q.amin(0))  # (C,)
    width = (torch.maximum(p.amax(0), q.amax(0)) - low) / bins
    shares = []
    for values in (p, q):
        place = ((values - low) / torch.where(width > 0, width, 1.0)).long().clamp(0, bins - 1)  # (n, C)
        counts = _counts(place, bins) + added  # (bins, C)
        shares.append(counts / counts.sum(0))
    terms = torch.where(shares[0] > 0, shares[0] * (shares[0] / shares[1]).log(), 0.0)
    return terms.sum(0)


def _counts(place: Tensor, bins: Integral) -> Tensor:
    counts = torch.zeros(bins, place.shape[1], dtype=torch.float64, device=place.device)
    return counts.scatter_add_(0, place, torch.ones_like(place, dtype=torch.float64))


def _check_alike(given: dict[str, Tensor]) -> None:
    for name, value in given.items():
        checks.tensor(name, value)
    checks.alike(**given)
    shapes = {tuple(value.shape) for value in given.values()}
    if len(shapes) > 1:
        raise ValueError(f"{', '.join(given)}: shapes {', '.join(map(str, sorted(shapes)))} differ")
