"""Batch Normalization by the statistics of groups of the mini-batch (Hoffer et al. 2017: "ghost" batches)."""

from __future__ import annotations

from torch import Tensor

from bnlab import checks
from bnlab.layers.batchnorm import (
    BatchNorm,
    BatchStatistics,
    batch_statistics,
    by_channel,
    check_channels,
    check_values,
    normalise,
)


class GroupedBatchNorm(BatchNorm):
    """Batch Normalization in train mode by the statistics of groups of ``group`` consecutive images.

    (B, C) or (B, C, ...), B a multiple of ``group``. The running statistics take in the mean over the groups, so that
    groups of all sizes are evaluated with statistics of the same B images. (Hoffer et al. 2017, "ghost batch
    normalization".)

    Raises:
        ValueError: a mini-batch that does not split into such groups, groups of one value a channel, or as `BatchNorm`.
    """

    def __init__(self, channels: int, group: int):
        super().__init__(channels)
        self.group = checks.whole("group", group)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (B, C) or (B, C, ...), group by group; in eval mode as `BatchNorm`."""
        if not self.training:
            return super().forward(x)
        check_values(x)
        check_channels(x, running_mean=self.running_mean)
        if len(x) % self.group:
            raise ValueError(f"x: {len(x)} images do not split into groups of {self.group}")
        count = len(x) // self.group
        # Each group's channels become channels of their own.
        apart = x.unflatten(0, (count, self.group)).transpose(0, 1).flatten(1, 2)  # (group, count C, H, W)
        statistics = batch_statistics(apart)
        if statistics.count == 1:
            raise ValueError(f"group: {self.group} of x {tuple(x.shape)} has one value a channel; training needs two")
        means = (part.view(count, -1).mean(0) for part in (statistics.mean, statistics.variance))  # (C,)
        self._remember(BatchStatistics(*means, statistics.centred, statistics.count))
        x_hat = normalise(statistics.centred, statistics.variance, self.eps)
        regrouped = x_hat.unflatten(1, (count, -1)).transpose(0, 1).flatten(0, 1)  # (B, C, H, W)
        return (by_channel(self.weight, regrouped) * regrouped + by_channel(self.bias, regrouped)).to(x.dtype)
