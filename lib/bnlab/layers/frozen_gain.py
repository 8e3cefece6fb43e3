"""Batch Normalization forward, and backward a gain that was set once: its gradient does not shrink as its input grows.

One step from `layers.split_batchnorm.DetachedBatchNorm`, whose gradient is (gamma / s) g with the deviation s of the
batch: here s is that of the first training batch for ever. Forward nothing changes.
"""

import torch
from torch import Tensor

from bnlab.layers.split_batchnorm import DetachedBatchNorm


class FrozenGainBatchNorm(DetachedBatchNorm):
    """Batch Normalization with dL/dx = gamma g / s_0, straight through, s_0 = sqrt(var + eps) of the first batch.

    Not the gradient of what the layer computes: an intervention. A channel that is not finite in a batch sets no gain,
    and is handed gamma g as long as it has none. Arguments and what is refused are those of
    `layers.batchnorm.BatchNorm`.
    """

    def __init__(
        self, channels: int, eps: float = 1e-5, decay: float = 0.9, affine: bool = True, *, device=None, dtype=None
    ):
        super().__init__(channels, eps, decay, affine, device=device, dtype=dtype)
        self.register_buffer("gain", torch.full_like(self.running_var, torch.nan))  # 1 / s_0, (C,); nan: not set yet

    @torch.no_grad()
    def backward_gain(self, inverse: Tensor) -> Tensor:
        """Give 1 / s_0 (C,), which the first ``inverse`` = 1 / s sets."""
        fresh = self.gain.isnan() & inverse.isfinite() & (inverse > 0)  # 1 / inf is 0
        self.gain.copy_(torch.where(fresh, inverse.to(self.gain.dtype), self.gain))
        return torch.where(self.gain.isnan(), 1.0, self.gain)
