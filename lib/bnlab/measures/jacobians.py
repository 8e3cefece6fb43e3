"""How gradients pass through a network: their size at every layer on the way back, and the Jacobian of the whole map.

Both take any module. Batch statistics are those of the mode that the model is in (in training: the batch's, and the
derivatives pass through them); weights, buffers, gradients, mode and the random number generators are left as they
were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks


class _LayerError(ValueError):
    """What a layer gives is no tensor: said as it is, not as a fault of the inputs."""


@dataclass(frozen=True)
class GradientProfile:
    """What one backward pass leaves at each of some layers; sums are taken in float64."""

    layers: tuple[str, ...]
    loss: float
    outputs: Tensor  # (L,) float64: squared norm of dJ/dy, y what the layer gives on the whole batch
    parameters: Tensor  # (L,) float64: squared norm of the gradient of all its parameters; nan where it has none
    powers: Tensor  # (L,) float64: mean square of y


def gradient_profile(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    layers: Sequence[str],
) -> GradientProfile:
    """Squared norms of the gradients of ``loss(model(inputs), targets)`` at some layers, by their names, in one pass.

    A layer is any submodule that runs once and gives one tensor: a linear layer, a whole block. ``loss`` gives one
    number, as torch's losses do. A gradient that is not finite is told as it is; a loss that is not finite has none.

    >>> model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    >>> for p, w in zip(model.parameters(), (2.0, 3.0)): _ = nn.init.constant_(p, w)
    >>> found = gradient_profile(model, torch.ones(1, 1), torch.zeros(1, 1), lambda y, d: (y - d).sum(), ["0", "1"])
    >>> found.outputs.tolist(), found.parameters.tolist(), found.powers.tolist()
    ([9.0, 1.0], [9.0, 4.0], [4.0, 36.0])

    Raises:
        ValueError: no layer, or one that the model does not have; one that runs other than once, gives no tensor of
            real numbers, or has no part in the loss; a loss that is no single finite number; or inputs that are
            not finite real floating-point numbers, or do not pass the model.
    """
    checks.tensor("inputs", inputs, "(B, ...)", half=True)
    modules = _named(model, layers)
    seen: dict[str, list[Tensor]] = {name: [] for name in modules}

    def keep(name: str, output: object) -> Tensor:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise _LayerError(f"layers: {name!r} gives a {type(output).__name__}, not one tensor of real numbers")
        output = output if output.requires_grad else output.detach().requires_grad_()
        seen[name].append(output)
        return output.clone()  # a later layer may work in place

    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name, module in modules.items()
    ]
    try:
        with _aside(model, inputs) as passed:
            value = _single(loss(_run(passed, inputs), targets))
            if other := [name for name, outputs in seen.items() if len(outputs) != 1]:
                raise ValueError(f"layers: {other[0]!r} ran {len(seen[other[0]])} times on the inputs, not once")
            outputs = [outputs[0] for outputs in seen.values()]
            by_layer = [[p for p in module.parameters() if p.requires_grad] for module in modules.values()]
            asked = list(dict.fromkeys([*outputs, *(p for parameters in by_layer for p in parameters)]))
            found = dict(zip(asked, torch.autograd.grad(value, asked, allow_unused=True), strict=True))
    finally:
        for handle in handles:
            handle.remove()
    if unused := [name for name, output in zip(modules, outputs, strict=True) if found[output] is None]:
        raise ValueError(f"layers: {unused[0]!r} has no part in the loss")
    return GradientProfile(
        layers=tuple(modules),
        loss=value.item(),
        outputs=_numbers([_square(found[output]) for output in outputs]),
        parameters=_numbers([_total([found[p] for p in parameters]) for parameters in by_layer]),
        powers=_numbers([output.detach().double().square().mean().item() for output in outputs]),
    )


def jacobian(model: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Derivatives of all outputs by all inputs of a batch, (outputs, inputs) in the inputs' dtype.

    Both are flattened, the batch with them: with batch statistics every output may depend on every input of the
    batch. ``model`` is a module or a function of one tensor. Reverse mode, one output at a time.

    >>> jacobian(lambda x: x**2, torch.tensor([[1.0, 3.0]]))
    tensor([[2., 0.],
            [0., 6.]])

    Raises:
        ValueError: inputs that are not finite float32 or float64 numbers, or do not pass the model; outputs that are
            no tensor of finite real numbers, or do not depend on the inputs.
    """
    checks.tensor("inputs", inputs)
    leaf = inputs.detach().clone().requires_grad_()
    with _aside(model, inputs) as passed:
        outputs = _run(passed, leaf.clone())  # a clone: the model may work on its input in place
        if not isinstance(outputs, Tensor) or not outputs.is_floating_point() or not outputs.isfinite().all():
            raise ValueError("model: its outputs are no tensor of finite real numbers")
        if not outputs.requires_grad:
            raise ValueError("model: its outputs do not depend on the inputs")
        rows = [
            torch.autograd.grad(output, leaf, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
            for output in outputs.flatten()
        ]
    return torch.stack(rows).flatten(1)


def singular_values(model: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Singular values of `jacobian`, largest first, computed in float64: (min(outputs, inputs),).

    >>> singular_values(lambda x: x @ torch.diag(torch.tensor([2.0, 5.0])), torch.ones(1, 2))
    tensor([5., 2.], dtype=torch.float64)

    Raises:
        ValueError: as `jacobian`, or a derivative that is not finite.
    """
    found = jacobian(model, inputs).double()
    if not found.isfinite().all():
        raise ValueError("model: a derivative of its outputs is not finite")
    return torch.linalg.svdvals(found)


@contextmanager
def _aside(model: Callable[[Tensor], Tensor], inputs: Tensor) -> Iterator[Callable[[Tensor], Tensor]]:
    """Give the model to be called with gradients; its buffers and the generators are put back."""
    devices = [inputs.device] if isinstance(inputs, Tensor) and inputs.is_cuda else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        if isinstance(model, nn.Module):
            # Copies: an interrupted pass cannot leave the model with foreign running statistics.
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
            yield lambda x: torch.func.functional_call(model, buffers, (x,))
        else:
            yield model


def _run(model: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    try:
        return model(inputs)
    except (RuntimeError, ValueError) as error:
        if isinstance(error, (torch.OutOfMemoryError, _LayerError)):
            raise
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"inputs: {inputs.dtype} of shape {tuple(inputs.shape)} do not pass the model: {reason}"
        ) from error


def _named(model: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    known = dict(model.named_modules())
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("layers: no name of a layer")
    if missing := [name for name in names if name not in known]:
        raise ValueError(f"layers: {missing[0]!r} is no layer of the model; there are {', '.join(filter(None, known))}")
    return {name: known[name] for name in names}


def _single(value: object) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        raise ValueError("loss: it gives no tensor of one real number")
    if not value.isfinite():
        raise ValueError(f"loss: it is {value.item()} on these inputs, so it has no gradients")
    if not value.requires_grad:
        raise ValueError("loss: it does not depend on the layers")
    return value.reshape(())


def _square(gradient: Tensor) -> float:
    return gradient.double().square().sum().item()


def _total(gradients: list[Tensor | None]) -> float:
    if not gradients:
        return float("nan")
    return sum(0.0 if gradient is None else _square(gradient) for gradient in gradients)


def _numbers(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
