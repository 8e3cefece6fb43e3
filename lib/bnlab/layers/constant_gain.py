"""A gain for each channel, or one for the layer, set by the first training batch and never changed again.

The control for what "amplification" does (errata, ERR-18): the power that Batch Normalization would give at the start,
without its statistics, its gradient, its centring or anything that adapts.
"""

import torch
from torch import Tensor, nn

SPANS = ("channel", "layer")


class ConstantGain(nn.Module):
    """y_c = g_c x_c for x (B, C, H, W), with g_c = 1 / sqrt(var_c + eps) of the first training batch.

    With span "layer" all channels share g = 1 / sqrt(mean of var_c + eps), so that no ratio between channels changes.

    Args:
        channels: C.
        span: one of `SPANS`.
        eps: added to the variance.

    Raises:
        ValueError: an unknown span, or input that is not (B, C, H, W).
    """

    def __init__(self, channels: int, span: str = "channel", eps: float = 1e-5):
        super().__init__()
        if span not in SPANS:
            raise ValueError(f"span = {span!r} is not one of {', '.join(SPANS)}")
        self.span, self.eps = span, eps
        self.register_buffer("gain", torch.full((channels,), torch.nan))  # nan: not set yet

    def forward(self, x: Tensor) -> Tensor:
        """Scale x (B, C, H, W); before any training batch has set the gain, leave it as it is."""
        if x.ndim != 4 or x.shape[1] != len(self.gain):
            raise ValueError(f"x: shape {tuple(x.shape)} is not (B, {len(self.gain)}, H, W)")
        if self.training:
            self._set_once(x)
        return x * torch.where(self.gain.isnan(), 1.0, self.gain).view(1, -1, 1, 1)

    @torch.no_grad()
    def _set_once(self, x: Tensor) -> None:
        if bool(self.gain.isnan().any()):
            var = x.var(dim=(0, 2, 3), correction=0)  # (C,)
            if self.span == "layer":
                var = var.mean().expand_as(var)
            self.gain = torch.rsqrt(var + self.eps)
