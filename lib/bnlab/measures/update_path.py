"""What a network does on the way of one update: its loss and its channels' moments at fractions of it.

An update may be a diverging one: what overflows is shown as inf, or as nan where infinities cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.measures.probes import run


@dataclass(frozen=True)
class ChannelMoments:
    """Mean and biased variance of each channel of a layer's output over images and positions, (C,) float64."""

    mean: Tensor
    variance: Tensor

    @property
    def power(self) -> Tensor:
        """Mean square, (C,)."""
        return self.variance + self.mean.square()


@dataclass(frozen=True)
class Waypoint:
    """A network on the way of an update: after ``fraction`` of it."""

    fraction: float
    loss: float
    moments: dict[str, ChannelMoments]  # by the layers' names


@torch.no_grad()
def along_update(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    update: Mapping[str, Tensor],
    fractions: Sequence[float],
    layers: Sequence[str] = (),
) -> list[Waypoint]:
    """Loss of ``model(images)`` and moments of what some layers give, after each fraction of an update.

    ``update`` says by the parameters' names what is added; those it does not name stand still. The model runs in the
    mode that it is in, on its own batch statistics in training; parameters and buffers are left as they are.

    >>> line = nn.Conv2d(1, 1, 1, bias=False)
    >>> _ = nn.init.ones_(line.weight)
    >>> x, add = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1), {"weight": torch.ones(1, 1, 1, 1)}
    >>> [found] = along_update(line, x, 0 * x, nn.functional.mse_loss, add, [0.5], [""])
    >>> found.loss, found.moments[""].mean.item(), found.moments[""].variance.item()
    (11.25, 3.0, 2.25)

    Raises:
        ValueError: an update of a parameter that the model does not have, or of another shape; no fraction, or one that
            is not finite; a layer that the model does not have, or that does not give maps (B, C, ...) once; or as
            `probes.run`.
    """
    parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
    for name, change in update.items():
        if name not in parameters or change.shape != parameters[name].shape:
            raise ValueError(f"update: {name!r} of shape {tuple(change.shape)} is no parameter of the model")
    if unknown := [name for name in layers if name not in modules]:
        raise ValueError(f"layers: {unknown[0]!r} is no layer of the model")
    if not len(fractions):
        raise ValueError("fractions: there is none")
    buffers = dict(model.named_buffers())
    found = []
    for fraction in fractions:
        checks.number("fractions", fraction)
        moved = {name: parameters[name] + fraction * change for name, change in update.items()}
        copies = {name: buffer.clone() for name, buffer in buffers.items()}
        with _watched({name: modules[name] for name in layers}) as seen:
            outputs = run(lambda x, named=moved | copies: torch.func.functional_call(model, named, (x,)), images)
        if other := [name for name in layers if len(seen[name]) != 1]:
            raise ValueError(f"layers: {other[0]!r} ran {len(seen[other[0]])} times on the images, not once")
        value = float(loss(outputs, labels))
        found.append(Waypoint(float(fraction), value, {name: one for name, (one,) in seen.items()}))
    return found


@contextmanager
def _watched(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, list[ChannelMoments]]]:
    """Gather the moments of what some modules give, by name, a list a module."""
    seen: dict[str, list[ChannelMoments]] = {name: [] for name in modules}

    def keep(name: str, output: object) -> None:
        seen[name].append(_moments(name, output))

    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name, module in modules.items()
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _moments(name: str, output: object) -> ChannelMoments:
    if not isinstance(output, Tensor) or output.ndim < 2:
        raise ValueError(f"layers: {name!r} does not give channels (B, C, ...)")
    wide = output.double()  # the square of what float32 holds overflows there
    variance, mean = torch.var_mean(wide, [d for d in range(wide.ndim) if d != 1], correction=0)
    return ChannelMoments(mean, variance)
