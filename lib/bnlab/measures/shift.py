"""How far the moments of a layer's values move: internal covariate shift as a change of distributions.

What enters a layer is looked at on fixed images, after everything that stands before the layer: normalised values
before gamma and beta are still by construction. `gradient_shift` has the other definition, by gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.measures.probes import activations
from bnlab.theory.divergences import gaussian_wasserstein

PERCENTILES = (0.15, 0.5, 0.85)  # those of Ioffe and Szegedy 2015, figure 1
SIDES = ("input", "output")


@dataclass(frozen=True)
class Moments:
    """Of each unit of a layer over a batch and, for maps, over positions: float64."""

    mean: Tensor  # (C,)
    deviation: Tensor  # (C,), biased


@contextmanager
def same_randomness(model: nn.Module) -> Iterator[None]:
    """Put back, at the end, the random state: torch's own, and that of every generator that a module holds.

    >>> with same_randomness(nn.Identity()):
    ...     first = torch.rand(1)
    >>> bool(torch.rand(1) == first)
    True
    """
    held = {id(g): g for m in model.modules() for g in vars(m).values() if isinstance(g, torch.Generator)}
    states = {key: generator.get_state() for key, generator in held.items()}
    devices = sorted({p.device.index for p in model.parameters() if p.is_cuda})
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for key, generator in held.items():
            generator.set_state(states[key])


def moments(values: Tensor) -> Moments:
    """Mean and deviation of each unit of values (B, C) or (B, C, ...).

    >>> moments(torch.tensor([[1.0], [3.0]])).deviation.tolist()
    [1.0]

    Raises:
        ValueError: not (B, C) or (B, C, ...), or not finite (the network has diverged).
    """
    checks.tensor("values", values, "(B, C) or (B, C, ...)", (2, 3, 4, 5), half=True)
    columns = _columns(values)
    mean = columns.mean(0)
    return Moments(mean, (columns - mean).square().mean(0).sqrt())


def percentiles(values: Tensor) -> Tensor:
    """Percentiles `PERCENTILES` of each unit of values (B, C) or (B, C, ...): (3, C) float64, by linear interpolation.

    >>> percentiles(torch.linspace(0, 100, 101).reshape(-1, 1)).flatten().tolist()
    [15.0, 50.0, 85.0]

    Raises:
        ValueError: as `moments`.
    """
    checks.tensor("values", values, "(B, C) or (B, C, ...)", (2, 3, 4, 5), half=True)
    ranks = torch.tensor(PERCENTILES, dtype=torch.float64, device=values.device)
    return _columns(values).quantile(ranks, dim=0)


def _columns(values: Tensor) -> Tensor:
    return values.detach().double().movedim(1, -1).flatten(0, -2)  # (n, C)


def layer_moments(model: nn.Module, images: Tensor, layers: Sequence[str], side: str = "input") -> dict[str, Moments]:
    """Moments of what enters (or leaves) each named layer, in train mode on the given images.

    Weights, buffers, modes and random states stay as they were. Noise layers draw what they would draw next.

    Raises:
        ValueError: an unknown side, a layer that does not exist, runs other than once, or meets values that are not
            finite; or as `probes.activations`.
    """
    checks.choice("side", side, SIDES)
    with same_randomness(model):
        seen = activations(model, images, tuple(layers))
    found = {}
    for name, pair in seen.items():
        values = pair[SIDES.index(side)]
        if not values.isfinite().all():
            raise ValueError(f"images: the {side} of {name!r} is not finite on them; the network has diverged")
        found[name] = moments(values)
    return found


def moment_drift(before: Moments, after: Moments) -> float:
    """Distance between two looks at one layer, in units of its deviation at the first.

    sqrt(mean over units of ((dm)^2 + (ds)^2) / mean over units of s^2): Wasserstein's distance of normal distributions,
    so that no unit's variance need be positive. 0 if nothing moved; infinite if no unit varied before, and one moved.

    >>> still = moments(torch.tensor([[-1.0], [1.0]]))
    >>> moment_drift(still, moments(torch.tensor([[2.0], [4.0]])))
    3.0

    Raises:
        ValueError: looks at layers of different sizes.
    """
    if before.mean.shape != after.mean.shape:
        raise ValueError(f"after: {len(after.mean)} units beside {len(before.mean)} before")
    moved = gaussian_wasserstein(before.mean, before.deviation, after.mean, after.deviation).square().mean()
    if moved == 0:
        return 0.0
    return (moved / before.deviation.square().mean()).sqrt().item()
