"""The backward pass of Batch Normalization by hand: every partial derivative as printed, and the compact form.

Both are checked against autograd and finite differences by the tests; the layer itself (`batchnorm.BatchNorm`) leaves
differentiation to autograd.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bnlab import checks
from bnlab.layers.batchnorm import batch_statistics, by_channel, channel_sum, check_channels, check_values, normalise


@dataclass(frozen=True)
class Gradients:
    """Derivatives of the loss by the layer's input and parameters."""

    x: Tensor  # as x
    gamma: Tensor  # (C,)
    beta: Tensor  # (C,)


@dataclass(frozen=True)
class PrintedGradients:
    """Every partial derivative that the encyclopedia article prints, and the summands it adds up."""

    x_hat: Tensor  # dL/dxhat = gamma dL/dy, as x
    variance: Tensor  # dL/ds2, (C,)
    mean_direct: Tensor  # first term of dL/dmu, (C,)
    mean_by_variance: Tensor  # second term of dL/dmu, (C,): 0 up to rounding
    by_x_hat: Tensor  # first term of dL/dx, as x
    by_variance: Tensor  # second term of dL/dx, as x
    by_mean: Tensor  # third term of dL/dx, broadcastable to x
    gamma: Tensor  # (C,)
    beta: Tensor  # (C,)

    @property
    def mean(self) -> Tensor:
        """dL/dmu, (C,)."""
        return self.mean_direct + self.mean_by_variance

    @property
    def x(self) -> Tensor:
        """dL/dx, as x."""
        return self.by_x_hat + self.by_variance + self.by_mean


def backward_as_printed(grad: Tensor, x: Tensor, gamma: Tensor, eps: float = 1e-5) -> PrintedGradients:
    """Backward pass term by term (encyclopedia article, "Backpropagation Through Normalization").

    dL/dx_i = dL/dxhat_i / sqrt(s2 + eps) + dL/ds2 2 (x_i - mu)/m + dL/dmu 1/m, with grad = dL/dy and x of one shape,
    (B, C) or (B, C, ...), and gamma (C,).

    Raises:
        ValueError: as `batch_norm`, or grad and x differ in shape.
    """
    _check_backward(grad, x, gamma, eps)
    statistics = batch_statistics(x)
    centred, s2, m = statistics.centred, statistics.variance, statistics.count
    scale = (s2 + eps).sqrt()  # (C,)
    by_hat = grad * by_channel(gamma, centred)  # dL/dxhat, as x
    variance = channel_sum(by_hat * centred) * -0.5 / (s2 + eps) ** 1.5
    mean_direct = channel_sum(by_hat * by_channel(-1 / scale, by_hat))
    mean_by_variance = variance * channel_sum(-2 * centred) / m
    return PrintedGradients(
        x_hat=by_hat,
        variance=variance,
        mean_direct=mean_direct,
        mean_by_variance=mean_by_variance,
        by_x_hat=by_hat * by_channel(1 / scale, by_hat),
        by_variance=by_channel(variance, centred) * 2 * centred / m,
        by_mean=by_channel(mean_direct + mean_by_variance, centred) / m,
        gamma=channel_sum(grad * normalise(centred, s2, eps)),
        beta=channel_sum(grad.to(centred.dtype)),
    )


def backward(grad: Tensor, x: Tensor, gamma: Tensor, eps: float = 1e-5) -> Gradients:
    """Backward pass in compact form, g = dL/dy: dL/dx = gamma / sqrt(s2 + eps) (g - mean(g) - xhat mean(g xhat)).

    Two numbers a channel are needed, sum g = dL/dbeta and sum g xhat = dL/dgamma. Shapes and errors as
    `backward_as_printed`, of which this is the sum.

    >>> import torch
    >>> x, g = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [0.0], [0.0]])
    >>> gradients = backward(g, x, torch.ones(1), eps=0)
    >>> gradients.x.flatten() * 6 ** 0.5  # what is left of g has mean 0 and no part along xhat
    tensor([ 0.5000, -1.0000,  0.5000])
    """
    _check_backward(grad, x, gamma, eps)
    statistics = batch_statistics(x)
    x_hat = normalise(statistics.centred, statistics.variance, eps)
    g = grad.to(x_hat.dtype)
    beta, by_gamma, m = channel_sum(g), channel_sum(g * x_hat), statistics.count  # (C,), (C,)
    left = g - by_channel(beta / m, g) - x_hat * by_channel(by_gamma / m, g)
    gradient = by_channel(gamma * (statistics.variance + eps).rsqrt(), left) * left
    return Gradients(gradient.to(x.dtype), by_gamma, beta)


def _check_backward(grad: Tensor, x: Tensor, gamma: Tensor, eps: float) -> None:
    check_values(x)
    check_channels(x, gamma=gamma)
    checks.number("eps", eps, least=0)
    checks.tensor("grad", grad, half=True, finite=False)
    if grad.shape != x.shape:
        raise ValueError(f"grad: shape {tuple(grad.shape)} is not that of x, {tuple(x.shape)}")
