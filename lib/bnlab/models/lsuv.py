"""Layer-sequential unit variance: weights that are set by data once, before training (Mishkin and Matas 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnlab import checks

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class _ReachedError(Exception):
    """The layer under study has given its output: the rest of the forward pass is not needed."""


@torch.no_grad()
def lsuv_(
    model: nn.Module, images: Tensor, *, generator: torch.Generator, tolerance: float = 0.1, most: int = 10
) -> dict[str, float]:
    """Initialise in place: orthonormal weights, then each layer's output scaled to variance 1, first layer to last.

    Every convolution and fully connected layer gets weights with orthonormal rows or columns, whichever are fewer,
    drawn in the order of ``model.modules()``, and zero biases. Then, layer by layer in the order of the forward pass,
    its weights are divided by the standard deviation of all its outputs on ``images`` until their variance is within
    ``tolerance`` of 1. Buffers, mode and the global random state stay as they were; modules run in their present mode.

    Args:
        model: any network; layers with parametrised weights are refused, as their weights cannot be set.
        images: one mini-batch, (B, ...), as the model takes it.
        generator: CPU generator of the orthonormal matrices.
        tolerance: of the variance.
        most: divisions a layer.

    Returns:
        The variance that each layer ends with, by name, in the order of the forward pass.

    Raises:
        ValueError: images that do not pass the model; no such layer, one that takes no part or runs more than once, one
            whose output does not vary or is not finite, or one that does not come within the tolerance.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> draws = torch.Generator().manual_seed(0)
    >>> found = lsuv_(net, torch.randn(50, 4, generator=draws), generator=draws, tolerance=1e-6)
    >>> [round(variance, 5) for variance in found.values()]
    [1.0, 1.0]
    """
    checks.tensor("images", images, "(B, ...)")
    tolerance, most = checks.number("tolerance", tolerance, above=0), checks.whole("most", most)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    if not layers:
        raise ValueError("model: it has no convolution and no fully connected layer")
    for name, layer in layers.items():
        if "weight" not in layer._parameters:
            raise ValueError(f"model: the weights of {name!r} are parametrised, so they cannot be set")
        shape = layer.weight.shape
        drawn = nn.init.orthogonal_(torch.empty(shape[0], shape[1:].numel(), dtype=torch.float64), generator=generator)
        layer.weight.copy_(drawn.view(shape))
        if layer.bias is not None:
            layer.bias.zero_()
    order = _forward_order(model, images, layers)
    return {name: _scale(model, images, name, layers[name], tolerance, most) for name in order}


def _scale(model: nn.Module, images: Tensor, name: str, layer: nn.Module, tolerance: float, most: int) -> float:
    for _ in range(most + 1):
        variance = _output(model, images, layer).double().var(correction=0).item()
        if not 0 < variance < float("inf"):
            raise ValueError(f"images: what leaves {name!r} has the variance {variance:g}, and cannot be scaled to 1")
        if abs(variance - 1) <= tolerance:
            return variance
        layer.weight.div_(variance**0.5)
    raise ValueError(
        f"model: the variance of {name!r} is {variance:g} after {most} divisions, not within {tolerance:g}"
    )


def _forward_order(model: nn.Module, images: Tensor, layers: dict[str, nn.Module]) -> list[str]:
    seen: list[str] = []
    handles = [m.register_forward_hook(lambda *_, name=name: seen.append(name)) for name, m in layers.items()]
    try:
        _pass(model, images)
    finally:
        for handle in handles:
            handle.remove()
    for name in layers:
        if (times := seen.count(name)) != 1:
            raise ValueError(f"model: {name!r} runs {times} times in a forward pass, not once")
    return seen


def _output(model: nn.Module, images: Tensor, layer: nn.Module) -> Tensor:
    found = []

    def keep(_: nn.Module, inputs: object, output: Tensor) -> None:
        found.append(output.clone())  # a later layer may work in place
        raise _ReachedError

    handle = layer.register_forward_hook(keep)
    try:
        _pass(model, images)
    except _ReachedError:
        pass
    finally:
        handle.remove()
    return found[0]


def _pass(model: nn.Module, images: Tensor) -> None:
    """Run on copies of the buffers, and with the global random state put back."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.random.fork_rng([images.device] if images.is_cuda else []):
            torch.func.functional_call(model, buffers, (images,))
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        shape = f"{images.dtype} of shape {tuple(images.shape)}"
        raise ValueError(f"images: {shape} do not pass the model: {reason}") from error
