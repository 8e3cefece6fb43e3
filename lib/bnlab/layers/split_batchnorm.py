"""The two halves of Batch Normalization apart: its forward pass alone, and its backward pass alone.

Batch Normalization pins the moments of what it hands on, and its gradient passes through the statistics of the batch:
dL/dx = (gamma / s) (g - mean(g) - xhat mean(g xhat)). `DetachedBatchNorm` keeps the first and drops the second,
dL/dx = (gamma / s) g; `BackwardBatchNorm` hands its input on untouched and keeps the second alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.layers.batchnorm import BatchNorm, batch_statistics, by_channel, channel_sum, check_values


class DetachedBatchNorm(BatchNorm):
    """Batch Normalization whose gradient takes the statistics of the batch for constants: dL/dx = (gamma / s) g.

    Forward, running statistics and parameters are those of `layers.batchnorm.BatchNorm`, and so is what is refused.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (B, C) or (B, C, ...)."""
        if not self.training:
            return super().forward(x)  # running statistics are constants in any case
        check_values(x)
        held = x.detach()
        y = super().forward(held)  # with the gradients of gamma and beta
        scale = self.backward_gain((batch_statistics(held).variance + self.eps).rsqrt())  # (C,)
        if self.weight is not None:
            scale = scale * self.weight.detach()
        return y + (by_channel(scale, x) * (x - held)).to(y.dtype)  # adds 0, and to the gradient of x the scale

    def backward_gain(self, inverse: Tensor) -> Tensor:
        """By what the gradient of xhat is multiplied on its way to x, (C,), from this batch's 1 / s: by that itself."""
        return inverse


class _BackwardOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, eps):
        statistics = batch_statistics(x)
        ctx.save_for_backward(statistics.centred, statistics.variance)
        ctx.eps, ctx.count = eps, statistics.count
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        centred, variance = ctx.saved_tensors
        inverse = by_channel((variance + ctx.eps).rsqrt(), centred)
        x_hat, wide = centred * inverse, g.to(centred.dtype)
        mean = by_channel(channel_sum(wide) / ctx.count, wide)
        along = by_channel(channel_sum(wide * x_hat) / ctx.count, wide)
        return (inverse * (wide - mean - x_hat * along)).to(g.dtype), None


class BackwardBatchNorm(nn.Module):
    """y = x forward; backward the gradient of Batch Normalization with gamma = 1, for x (B, C) or (B, C, ...).

    dL/dx = (1 / s) (g - mean(g) - xhat mean(g xhat)), s and xhat those of the batch. It is not the gradient of what the
    layer computes, of which there is none but g: an intervention, like `layers.nlms`. In eval mode the identity.

    Args:
        channels: C.
        eps: added to the variance.

    Raises:
        ValueError: an argument out of range; an input with other channels, or in train mode with one value a channel.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.channels, self.eps = checks.whole("channels", channels), checks.number("eps", eps, least=0)

    def forward(self, x: Tensor) -> Tensor:
        """Hand x on."""
        check_values(x)
        if x.shape[1] != self.channels:
            raise ValueError(f"x: shape {tuple(x.shape)} has {x.shape[1]} channels, the layer {self.channels}")
        if not self.training:
            return x
        if x.numel() == self.channels:
            raise ValueError(f"x: shape {tuple(x.shape)} has one value a channel; training needs two or more")
        return _BackwardOnly.apply(x, self.eps)
