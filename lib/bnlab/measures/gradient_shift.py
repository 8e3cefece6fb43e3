"""How far a layer's gradient changes when the layers before it step: the shift as Santurkar et al. (2018) define it.

G is a layer's gradient, G' its gradient on the same batch once the layers before it have made their step (Definition
2.1); ||G - G'|| is the shift. It grows with ||G|| and with the step, so networks are compared by the cosine between G
and G' as well, and after steps that turn all weights alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.measures.probes import run
from bnlab.measures.shift import same_randomness


@dataclass(frozen=True)
class GradientShift:
    """What the step of the layers before does to one layer's gradient."""

    before: float  # ||G||
    after: float  # ||G'||
    difference: float  # ||G - G'||
    cosine: float  # between G and G'; nan if one of them is zero


def gradient_shifts(
    model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor],
    layers: Sequence[str | Sequence[str]], *, rate: float | None = None, turn: float | None = None,
) -> dict[str, GradientShift]:  # fmt: skip
    """G and G' of every layer but the first, G' after the step of all layers before it, on one and the same batch.

    The model runs in the mode it is in. Weights, buffers, gradient fields, modes and random states stay as they were,
    and noise layers draw the same for G and G'.

    Args:
        model: any network.
        images: (B, ...).
        labels: what ``loss`` takes.
        loss: (outputs, labels) -> one number.
        layers: in the order of the forward pass. Each is a module's name, or several: the gradient is then that of the
            parameters of the first, and the step moves those of all (a linear layer and its normalisation).
        rate: the step is plain descent, p - rate g.
        turn: or each matrix, kernel or other parameter of two or more dimensions turns by this angle in radians (below
            pi / 2) along its negative gradient, and the others stay.

    Returns:
        By the name of each layer but the first.

    Raises:
        ValueError: not exactly one of rate and turn; a module that does not exist or has no parameter of its own, a
            parameter in two layers, a layer without part in the loss; a loss that is no single finite number; or as
            `probes.run`.
    """
    if (rate is None) == (turn is None):
        raise ValueError("rate, turn: a step has exactly one of the two")
    if rate is not None:
        rate = checks.number("rate", rate, above=0)
    else:
        turn = checks.number("turn", turn, above=0, below=1.57)
    groups = [(layer,) if isinstance(layer, str) else tuple(layer) for layer in layers]
    owned = _owned(model, groups)
    values = {name: p.detach() for name, p in model.named_parameters()}
    every = [name for names in owned.values() for name in names]
    gradients = _gradients(model, values, images, labels, loss, every)
    moved, found = dict(values), {}
    for number, (first, *others) in enumerate(groups):
        own = [name for name in owned[first, *others] if name.startswith(f"{first}.")]
        if not any(name in gradients for name in own):
            raise ValueError(f"layers: {first!r} has no part in the loss")
        if number:
            later = _gradients(model, moved, images, labels, loss, own)
            found[first] = _compared(*(torch.cat([_of(g, name, values) for name in own]) for g in (gradients, later)))
        for name in owned[first, *others]:
            if name in gradients:
                moved[name] = values[name] + _step(values[name], gradients[name], rate, turn)
    return found


def _of(gradients: Mapping[str, Tensor], name: str, values: Mapping[str, Tensor]) -> Tensor:
    return gradients.get(name, torch.zeros_like(values[name])).double().flatten()


def _compared(G: Tensor, later: Tensor) -> GradientShift:
    before, after = G.norm().item(), later.norm().item()
    cosine = (G @ later).item() / (before * after) if before * after > 0 else float("nan")
    return GradientShift(before, after, (G - later).norm().item(), cosine)


def _step(value: Tensor, gradient: Tensor, rate: float | None, turn: float | None) -> Tensor:
    """Give -rate g, or -t g with t such that the angle between value and value - t g is ``turn``."""
    if rate is not None:
        return -rate * gradient
    length = value.norm()
    if value.ndim < 2 or length == 0:
        return torch.zeros_like(value)
    along = (value * gradient).sum() / length
    across = (gradient - along / length * value).norm()
    if across <= 100 * torch.finfo(value.dtype).eps * gradient.norm():  # rounding: it points along the value itself
        return torch.zeros_like(value)
    tangent = torch.tensor(turn, dtype=value.dtype, device=value.device).tan()
    scale = length * tangent / (across + along * tangent)
    # Where the gradient points so far along -value that no step turns by the angle: stay.
    return -scale * gradient if bool(scale.isfinite() & (scale > 0)) else torch.zeros_like(value)


def _owned(model: nn.Module, groups: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    """Names of the parameters of each group."""
    known, names = dict(model.named_modules(remove_duplicate=False)), [name for name, _ in model.named_parameters()]
    shared = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    owned, taken = {}, {}
    for group in groups:
        own = []
        for module in group:
            if module not in known or not module:
                raise ValueError(f"layers: {module!r} is no layer; there are {', '.join(filter(None, known))}")
            # A shared module's parameters go by its first name only.
            if any(name.startswith(f"{module}.") and name not in names for name in shared):
                raise ValueError(f"layers: {module!r} shares its parameters with another layer: its step has no order")
            own += [name for name in names if name.startswith(f"{module}.") and name not in own]
        if not any(name.startswith(f"{group[0]}.") for name in own):
            raise ValueError(f"layers: {group[0]!r} has no parameter of its own")
        for name in own:
            if name in taken:
                raise ValueError(f"layers: {name!r} is in two of them, {taken[name]!r} and {group[0]!r}")
            taken[name] = group[0]
        owned[group] = own
    return owned


def _gradients(
    model: nn.Module, values: Mapping[str, Tensor], images: Tensor, labels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor], wanted: Sequence[str],
) -> dict[str, Tensor]:  # fmt: skip
    """Gradients of those parameters that have a part in the loss, at other values than the model's own."""
    leaves = {name: value.clone().requires_grad_(name in wanted) for name, value in values.items()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with same_randomness(model), torch.enable_grad():
        outputs = run(lambda x: torch.func.functional_call(model, leaves | buffers, (x,)), images)
        value = loss(outputs, labels)
    if not isinstance(value, Tensor) or value.ndim:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"loss: {shape} is no single number")
    if not bool(value.isfinite()):
        raise ValueError(f"images, labels: the loss on them is {value.item()}, not finite; the network has diverged")
    names = [name for name in leaves if leaves[name].requires_grad]
    found = torch.autograd.grad(value, [leaves[name] for name in names], allow_unused=True)
    gradients = {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}
    for name, gradient in gradients.items():
        if not gradient.isfinite().all():
            raise ValueError(
                f"images, labels: the gradient of {name!r} on them is not finite; the network has diverged"
            )
    return gradients
