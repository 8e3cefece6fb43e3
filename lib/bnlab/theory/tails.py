"""How heavy the tails of a sample are, and how few of several powers make up most of their sum; no scale in any of it.

Kurtosis and tail index answer different questions. The fourth moment of a mixture of Gaussians of different widths is
large, though no tail is a power law; a power law of exponent below 4 has no fourth moment, and its sample kurtosis
grows with the sample.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnlab import checks


def excess_kurtosis(values: Tensor) -> float:
    """E (x - m)^4 / (E (x - m)^2)^2 - 3 of a sample (n,): 0 for Gaussian, 3 for Laplace, -6/5 for uniform numbers.

    The biased sample moments, in float64.

    >>> excess_kurtosis(torch.tensor([-1.0, 1.0]))
    -2.0

    Raises:
        ValueError: not at least two finite real numbers, or all of them one.
    """
    centred = _scaled("values", values)
    centred = centred - centred.mean()
    variance = centred.square().mean()
    if len(centred) < 2 or not variance > 0:
        raise ValueError("values: they are all one, so they have no shape")
    return float((centred / variance.sqrt()).pow(4).mean() - 3)


def tail_index(values: Tensor, share: float = 0.05) -> float:
    """Hill's estimate of a in P(|x| > t) ~ t^-a from the largest moduli of a sample (n,): small is heavy.

    k / sum_i ln(x_(i) / x_(k+1)) over the k = share n largest moduli x_(1) >= x_(2) >= ... (Hill 1975), in float64. A
    sample without a power law has an estimate too: for Gaussian numbers it grows without end as the share falls, like
    2 ln(1 / share).

    >>> round(tail_index(torch.linspace(0.005, 0.995, 100).pow(-1 / 3), share=0.2), 1)  # Pareto's law of a = 3
    3.0

    Raises:
        ValueError: a share out of (0, 1), or that is no whole value of the sample; not all values finite real numbers;
            a modulus of 0 among the k + 1 largest, or all these equal.
    """
    checks.number("share", share, above=0, below=1)
    moduli = _scaled("values", values).abs().sort(descending=True).values
    count = int(share * len(moduli))
    if count < 1:
        raise ValueError(f"share: {share:g} of {len(moduli)} values is none")
    if not 0 < moduli[count] < moduli[0]:
        raise ValueError("values: the largest moduli are all one, or 0 is among them, so they have no tail")
    return count / float((moduli[:count] / moduli[count]).log().sum())


def share_carrying(powers: Tensor, part: float = 0.9) -> float:
    """Smallest share of some powers (n,) whose sum is ``part`` of all: ``part`` if all are equal, part / n if one is.

    Largest first, and a fraction of the last one needed: the inverse of Lorenz's curve, linear in between.

    >>> share_carrying(torch.tensor([1.0, 0.0, 0.0, 1.0])), share_carrying(torch.ones(4))
    (0.45, 0.9)

    Raises:
        ValueError: a part out of (0, 1); powers that are not finite, negative, or all 0.
    """
    checks.number("part", part, above=0, below=1)
    found = _scaled("powers", powers).sort(descending=True).values
    if found[-1] < 0 or not found[0] > 0:
        raise ValueError("powers: one is negative, or all are 0")
    carried = torch.cumsum(found, 0)
    need = part * carried[-1]
    whole = int((carried < need).sum())  # of the powers that are needed in full
    before = carried[whole - 1] if whole else 0.0
    return (whole + float((need - before) / found[whole])) / len(found)


def _scaled(name: str, values: Tensor) -> Tensor:
    """A finite sample in float64, divided by its largest modulus, whose powers would overflow."""
    found = checks.tensor(name, values, "(n,)", 1).double()
    return found / (found.abs().max() or 1.0)
