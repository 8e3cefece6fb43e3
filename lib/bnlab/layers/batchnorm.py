"""Batch Normalization from its formulas: statistics, forward pass, and a layer for networks.

For each channel c, over its m values in a mini-batch (m = B for inputs (B, C), m = B H W for maps (B, C, H, W)):

    mu = (1/m) sum x_i,  s2 = (1/m) sum (x_i - mu)^2,  xhat_i = (x_i - mu) / sqrt(s2 + eps),  y_i = gamma xhat_i + beta

(encyclopedia article, "Forward Pass Normalization"; Bjorck et al. 2018, Eq. 1). The layer is differentiated by autograd
through exactly these operations, so that derivatives of every order and in either mode are right; the documents' own
derivatives are in `batchnorm_backward`.

What has no obvious answer gets one: a constant channel, or a batch of one, becomes beta (with eps = 0, nan, as 0/0 is);
nan or inf spoil their own channel only, and leave its running statistics alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.layers.running import keep_sound


@dataclass(frozen=True)
class BatchStatistics:
    """What a mini-batch says about each of its channels, in float32 or better."""

    mean: Tensor  # (C,)
    variance: Tensor  # (C,), biased: the mean of the m squares
    centred: Tensor  # x - mean, with the shape of x
    count: int  # m, the values of one channel

    @property
    def unbiased_variance(self) -> Tensor:
        """s2 m/(m - 1), (C,): for running statistics; nan where m = 1."""
        return self.variance * self.count / (self.count - 1)


def batch_statistics(x: Tensor) -> BatchStatistics:
    """Mean and biased variance of each channel of a mini-batch (B, C) or (B, C, ...); differentiable.

    float16 and bfloat16 are widened to float32. Accurate at any offset: values are first shifted by one of their own
    (Chan, Golub and LeVeque 1983), which is exact near it and lies within sigma sqrt(m) of the mean, so that rounding
    costs at most about sqrt(m) units in the last place of sigma. E[x^2] - E[x]^2 would lose every digit of the variance
    at a mean of 1e4 sigma in float32, and a mean rounded to float32 misplaces x - mean by 0.03 at 1e6.

    >>> statistics = batch_statistics(torch.tensor([[1.0], [3.0]]))
    >>> statistics.mean, statistics.variance, statistics.unbiased_variance
    (tensor([2.]), tensor([1.]), tensor([2.]))

    Raises:
        ValueError: not real and floating point, of one dimension or of more than five, or empty.
    """
    check_values(x)
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    count = x.numel() // x.shape[1]
    first = x.detach()[(slice(1), slice(None), *(slice(1),) * (x.ndim - 2))]  # (1, C) or (1, C, 1, ...)
    near = x - first  # as x
    rest = channel_sum(near) / count  # (C,)
    centred = near - by_channel(rest, x)  # as x
    return BatchStatistics(first.flatten() + rest, channel_sum(centred.square()) / count, centred, count)


def normalise(centred: Tensor, variance: Tensor, eps: float = 1e-5) -> Tensor:
    """Divide centred values (B, C) or (B, C, ...) by sqrt(variance + eps), variance (C,).

    The result has variance s2 / (s2 + eps), which is 1 for eps = 0 only.

    >>> normalise(torch.tensor([[-1.0], [1.0]]), torch.tensor([1.0]), eps=3.0)
    tensor([[-0.5000],
            [ 0.5000]])

    Raises:
        ValueError: a variance without one entry a channel, a negative eps, or a tensor that is not real and floating.
    """
    checks.tensor("centred", centred, "(B, C) or (B, C, ...)", (2, 3, 4, 5), half=True, finite=False)
    check_channels(centred, variance=variance)
    checks.number("eps", eps, least=0)
    return centred * by_channel((variance + eps).rsqrt(), centred)


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """Batch Normalization with the statistics of the mini-batch: y = gamma xhat + beta, with the dtype of x.

    x (B, C) or (B, C, ...); gamma and beta (C,), one pair a channel.

    >>> batch_norm(torch.tensor([[1.0], [3.0]]), torch.tensor([5.0]), torch.tensor([7.0]), eps=0)
    tensor([[ 2.],
            [12.]])

    Raises:
        ValueError: as `batch_statistics`, gamma or beta do not have one entry a channel, or eps is negative.
    """
    check_values(x)
    check_channels(x, gamma=gamma, beta=beta)
    checks.number("eps", eps, least=0)
    statistics = batch_statistics(x)
    return _affine(normalise(statistics.centred, statistics.variance, eps), gamma, beta).to(x.dtype)


class BatchNorm(nn.Module):
    """Batch Normalization of inputs (B, C) or (B, C, ...), by the formulas above; output with the dtype of the input.

    In train mode by the statistics of the mini-batch, updating running <- decay running + (1 - decay) batch; in eval
    mode by the running statistics. ``decay`` is the documents' momentum, one minus PyTorch's. Running statistics are
    detached, and their variance is the unbiased one; weight (gamma) starts at 1 and bias (beta) at 0. With decay = 1
    they are not touched, which probes of a network and the transforms of `torch.func` ask for.

    Raises:
        ValueError: an argument out of range; an input with other channels, or in train mode with one value a channel,
            of which nothing but beta would remain and whose unbiased variance does not exist.
    """

    def __init__(
        self, channels: int, eps: float = 1e-5, decay: float = 0.9, affine: bool = True, *, device=None, dtype=None
    ):
        super().__init__()
        self.channels, self.eps = checks.whole("channels", channels), checks.number("eps", eps, least=0)
        self.decay = checks.number("decay", decay, least=0, most=1, hint="it weighs the old statistics, such as 0.9")
        where = {"device": device, "dtype": dtype}
        self.register_parameter("weight", nn.Parameter(torch.ones(channels, **where)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(channels, **where)) if affine else None)
        self.register_buffer("running_mean", torch.zeros(channels, **where))
        self.register_buffer("running_var", torch.ones(channels, **where))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (B, C) or (B, C, ...)."""
        check_values(x)
        check_channels(x, running_mean=self.running_mean)
        if self.training:
            statistics = batch_statistics(x)
            if statistics.count == 1:
                raise ValueError(f"x: shape {tuple(x.shape)} has one value a channel; training needs two or more")
            if self.decay < 1:
                self._remember(statistics)
            centred, variance = statistics.centred, statistics.variance
        else:
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            centred, variance = wide - by_channel(self.running_mean, wide), self.running_var.to(wide.dtype)
        x_hat = normalise(centred, variance, self.eps)
        return (x_hat if self.weight is None else _affine(x_hat, self.weight, self.bias)).to(x.dtype)

    @torch.no_grad()  # else each running statistic drags the graphs of all batches before it along
    def _remember(self, statistics: BatchStatistics) -> None:
        mean, variance = statistics.mean, statistics.unbiased_variance
        sound = mean.isfinite() & variance.isfinite()
        for running, fresh in ((self.running_mean, mean), (self.running_var, variance)):
            running.copy_(keep_sound(running, torch.lerp(fresh, running.to(fresh.dtype), self.decay), sound))

    def extra_repr(self) -> str:
        """Say the settings in ``print(model)``."""
        return f"{self.channels}, eps={self.eps}, decay={self.decay}, affine={self.weight is not None}"


def _affine(x_hat: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return torch.addcmul(by_channel(beta, x_hat), x_hat, by_channel(gamma, x_hat))  # one pass over the data


def by_channel(vector: Tensor, like: Tensor) -> Tensor:
    """Give a vector (C,) the dtype of ``like`` and the shape that broadcasts with it, (1, C) or (1, C, 1, ...)."""
    return vector.to(like.dtype).reshape(1, -1, *(1,) * (like.ndim - 2))


def channel_sum(values: Tensor) -> Tensor:
    """Sum values (B, C) or (B, C, ...) over all but their channel, (C,)."""
    return values.sum([d for d in range(values.ndim) if d != 1])


def check_values(x: Tensor) -> None:
    """Raise ValueError unless x is real, floating-point, (B, C) or (B, C, ...) up to five dimensions, and not empty."""
    checks.tensor("x", x, "(B, C) or (B, C, ...)", (2, 3, 4, 5), half=True, finite=False)


def check_channels(x: Tensor, **vectors: Tensor) -> None:
    """Raise ValueError unless each vector is real and floating-point, with one entry for each channel of x."""
    for name, vector in vectors.items():
        checks.tensor(name, vector, "(C,)", half=True, finite=False, empty=True)
        if vector.shape != (x.shape[1],):
            shapes = f"shape {tuple(x.shape)} has {x.shape[1]} channels, but {name} has shape {tuple(vector.shape)}"
            raise ValueError(f"{name}, x: {shapes}")
