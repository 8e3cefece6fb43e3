"""The gradient of a convolution kernel as a sum over images and positions, and how much of it cancels.

dJ/dK_oihw is the sum over images b and positions x, y of d = dJ/dO_boxy I_b,i,x+h,y+w (Bjorck et al. 2018, Eq. 4). The
modulus of a product is the product of the moduli, so the sum of |d| is the weight gradient of the same convolution for
the input |I| and the gradient |dJ/dO|: one more convolution, where the summands themselves would take B OH OW times
the memory of the kernel. Were their signs independent, sum |d| / |sum d| would be about sqrt(B OH OW).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.measures.probes import run, using_batch_statistics, window_of
from bnlab.theory.patches import Geometry, output_size


@dataclass(frozen=True)
class KernelSums:
    """Sums over the summands of one kernel's gradient, for each of its entries."""

    gradient: Tensor  # (OC, IC, H, W): of the summands
    absolute: Tensor  # (OC, IC, H, W): of their moduli
    input_means: Tensor  # (IC,): mean of each input channel over images and positions
    summands: int  # B OH OW, in each sum

    @property
    def cancellation(self) -> float:
        """Mean over the entries of sum |d|, over that of |sum d|: 1 if all signs agree, inf if the gradient is 0."""
        net = self.gradient.abs().double().mean()
        return float(self.absolute.double().mean() / net)

    @property
    def between_channels(self) -> Tensor:
        """M (IC, OC) float64, the sum of |dJ/dK| over the kernel's positions (Bjorck et al. 2018, Sec. 4.1)."""
        return self.gradient.double().abs().sum((2, 3)).T


def kernel_sums(inputs: Tensor, errors: Tensor, window: Geometry) -> KernelSums:
    """Sum the summands and their moduli, for a convolution that takes ``inputs`` and whose outputs have ``errors``.

    inputs (B, IC, IH, IW) and errors dJ/dO (B, OC, OH, OW) in one dtype, which the sums keep.

    >>> x, e = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, -1.0]]]])  # summands 3 and -2
    >>> found = kernel_sums(x, e, Geometry((1, 1), (1, 1), (0, 0), (1, 1)))
    >>> found.gradient.item(), found.absolute.item(), found.summands
    (1.0, 5.0, 2)

    Raises:
        ValueError: tensors that are not maps in float32 or float64, or that do not fit each other and the window.
    """
    for name, maps in (("inputs", inputs), ("errors", errors)):
        checks.tensor(name, maps, "(B, C, H, W)", 4, finite=False)
    checks.alike(inputs=inputs, errors=errors)
    right = (len(inputs), *output_size(tuple(inputs.shape[2:]), *window))
    if (len(errors), *errors.shape[2:]) != right:
        raise ValueError(f"errors: shape {tuple(errors.shape)} is not ({right[0]}, OC, {right[1]}, {right[2]})")
    shape = (errors.shape[1], inputs.shape[1], *window.kernel_size)

    def summed(x: Tensor, e: Tensor) -> Tensor:
        return nn.grad.conv2d_weight(x, shape, e, window.stride, window.padding, window.dilation)

    count = right[0] * right[1] * right[2]
    return KernelSums(summed(inputs, errors), summed(inputs.abs(), errors.abs()), inputs.mean((0, 2, 3)), count)


def kernel_sums_by_layer(
    model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor], layers: Sequence[str]
) -> dict[str, KernelSums]:
    """`kernel_sums` of some convolutions, by name, from one pass forward and back in train mode.

    Each layer's sums are taken as soon as its gradient is there, so that no more is held than the pass itself holds.
    Parameters, their gradients, buffers and mode stay as they were. What is not finite is summed as it is.

    Raises:
        ValueError: a layer that is no convolution of zero padding and one group, runs other than once, or has no part
            in the loss; a loss that is no single number; or images that do not pass the model.
    """
    checks.tensor("images", images, "(B, C, H, W)", 4, finite=False)
    modules = dict(model.named_modules())
    if unknown := [name for name in layers if name not in modules]:
        raise ValueError(f"layers: {unknown[0]!r} is no layer of the model")
    windows = {name: window_of(modules[name], name) for name in layers}
    found: dict[str, KernelSums] = {}
    runs = dict.fromkeys(layers, 0)

    def watch(name: str, inputs: Tensor, output: Tensor) -> Tensor:
        runs[name] += 1
        entering = inputs.detach().clone()  # a later layer may work in place
        if output.requires_grad:
            output.register_hook(lambda errors: found.update({name: kernel_sums(entering, errors, windows[name])}))
        return output.clone()

    handles = [
        modules[name].register_forward_hook(lambda _, inputs, output, name=name: watch(name, inputs[0], output))
        for name in layers
    ]
    try:
        with using_batch_statistics(model), torch.enable_grad():
            leaf = images.detach().clone().requires_grad_()
            value = loss(run(model, leaf), labels)
            if value.ndim or not value.requires_grad:
                raise ValueError("loss: it is no single number that depends on the layers")
            if other := [name for name in layers if runs[name] != 1]:
                raise ValueError(f"layers: {other[0]!r} ran {runs[other[0]]} times on the images, not once")
            # By the images, not by the weights: their gradients are what is summed here, once for all.
            torch.autograd.grad(value, leaf, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    if missing := [name for name in layers if name not in found]:
        raise ValueError(f"layers: {missing[0]!r} has no part in the loss")
    return {name: found[name] for name in layers}
