"""What backpropagation hands to one layer, and what it means for an adaptive filter (Chai et al. 2020, section 2.2).

A layer sees its patches X, gives Y = X^T W and receives the local error e = dJ/dy; its weight gradient is E[X e]
(equation 1). The desired response of section 4.1 is d = y - e: half its squared distance from y has the same gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.measures.probes import run, window_of
from bnlab.theory.patches import Geometry, unroll


@dataclass(frozen=True)
class LayerSignals:
    """Input, output and local error of one convolution or fully connected layer on one batch, cut from the graph.

    Raises:
        ValueError: tensors that are not float32 or float64, or that do not fit each other.
    """

    inputs: Tensor  # (B, C, IH, IW), or (B, K) of a fully connected layer
    outputs: Tensor  # y, bias included: (B, OC, OH, OW) or (B, OC)
    errors: Tensor  # e = B dJ/dy, that is dJ_b/dy_b for J = the mean of J_b over images; as outputs
    window: Geometry | None  # of the convolution; None for a fully connected layer

    def __post_init__(self):
        for name in ("inputs", "outputs", "errors"):
            checks.tensor(name, getattr(self, name), finite=False)
        checks.alike(errors=self.errors, outputs=self.outputs, inputs=self.inputs)
        if self.errors.shape != self.outputs.shape or len(self.errors) != len(self.inputs):
            shapes = f"{tuple(self.errors.shape)} with outputs {tuple(self.outputs.shape)}"
            raise ValueError(f"errors: shape {shapes} and inputs {tuple(self.inputs.shape)} do not fit")

    @property
    def patches(self) -> Tensor:
        """The paper's X, (B, K, M); M = 1 for a fully connected layer."""
        return self.inputs.unsqueeze(-1) if self.window is None else unroll(self.inputs, *self.window)


def local_errors(
    model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor], layer: str
) -> LayerSignals:
    """Run one batch forward and back and keep what passes through the layer called ``layer``.

    ``loss(model(images), labels)`` is the mean over the batch, as torch's losses are by default: the error of an image
    is then B times autograd's. The model runs in the mode (training or evaluation) it is in; its gradients, buffers
    (running statistics) and mode, and the random number generators, are left as they were.

    Raises:
        ValueError: if the model has no such layer, or if it is neither fully connected nor a convolution with zero
            padding and one group, or if it runs other than once; if the loss is no single number, or the layer has no
            part in it; half precision, in which sums of products overflow; or as `probes.run`.
    """
    module = _named_layer(model, layer)
    window = _window(module, layer)
    seen: list[tuple[Tensor, Tensor]] = []

    def cut(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_()
        seen.append((inputs[0].detach().clone(), leaf))
        return leaf.clone()  # a later layer may work in place, on the input as well

    # Buffers updated in the pass are copies: an interrupted run cannot leave the model with foreign statistics.
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = [images.device] if images.is_cuda else []
    handle = module.register_forward_hook(cut)
    try:
        with torch.random.fork_rng(devices), torch.enable_grad():
            outputs = run(lambda x: torch.func.functional_call(model, buffers, (x,)), images)
            value = loss(outputs, labels)
            if len(seen) != 1:
                raise ValueError(f"layer: {layer!r} ran {len(seen)} times on one batch, not once")
            inputs, output = seen[0]
            if window is None and inputs.ndim != 2:
                raise ValueError(f"layer: {layer!r} took an input of shape {tuple(inputs.shape)}, not (B, K)")
            if value.ndim:
                raise ValueError(f"loss: shape {tuple(value.shape)} is no mean over the batch, a single number")
            (gradient,) = torch.autograd.grad(value, output, allow_unused=True)
            if gradient is None:
                raise ValueError(f"layer: {layer!r} has no part in the loss")
    finally:
        handle.remove()
    return LayerSignals(inputs, output.detach(), len(images) * gradient, window)


def weight_gradient_from_signals(signals: LayerSignals) -> Tensor:
    """Gradient of the weights, E[sum_m x^(m) e^(m)] (Chai et al. 2020, equation 1), of the weight's shape.

    E is the mean over images, the sum is over positions: autograd's scale. (OC, C, H, W) or (OC, K).
    """
    errors = signals.errors.reshape(*signals.errors.shape[:2], -1)  # (B, OC, M)
    gradient = torch.einsum("bkm,bom->ok", signals.patches, errors) / len(errors)
    if signals.window is None:
        return gradient
    return gradient.unflatten(1, (signals.inputs.shape[1], *signals.window.kernel_size))


def desired_response(signals: LayerSignals) -> Tensor:
    """Local desired response d = y - e (Chai et al. 2020, section 4.1), of the shape of the outputs.

    With d held fixed, 1/2 E||d - y||^2 has the true gradient at these weights and no others: d moves with every step.
    """
    return signals.outputs - signals.errors


def _named_layer(model: nn.Module, layer: str) -> nn.Module:
    layers = {name: module for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    if layer not in layers:
        raise ValueError(f"layer: {layer!r} is not a convolution or fully connected layer; there are {sorted(layers)}")
    return layers[layer]


def _window(module: nn.Module, layer: str) -> Geometry | None:
    if isinstance(module, nn.Linear):
        return None
    return window_of(module, layer)
