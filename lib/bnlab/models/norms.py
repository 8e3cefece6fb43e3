"""The one registry of normalisations that a network can be built with: ``norm="batch"`` and the like.

A normalisation may act on the output of a convolution (the common placement) or on its input (BN_Prior, Chai et al.
2020, figure 9d), so an entry makes a module for each side from the number of channels there. To add one, add an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


def _nothing(channels: int) -> nn.Module:
    return nn.Identity()


@dataclass(frozen=True)
class Norm:
    """What stands on either side of a convolution."""

    before: Callable[[int], nn.Module] = _nothing  # made from the number of input channels
    after: Callable[[int], nn.Module] = _nothing  # made from the number of output channels, ahead of the nonlinearity


NORMS: dict[str, Norm] = {
    "none": Norm(),
    "batch": Norm(after=nn.BatchNorm2d),
    "batch_prior": Norm(before=nn.BatchNorm2d),
}


def find_norm(name: str) -> Norm:
    """The registry's entry of that name.

    >>> find_norm("batch").after(6).num_features
    6

    Raises:
        ValueError: if there is none, with the names that there are.
    """
    if name not in NORMS:
        raise ValueError(f"norm: {name!r} is not one of {', '.join(repr(known) for known in NORMS)}")
    return NORMS[name]
