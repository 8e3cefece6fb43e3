"""A gain for each channel, or one for the layer, set by the first training batch and never changed again.

The control for what "amplification" does (errata, ERR-18): the power that Batch Normalization would give at the start,
without its statistics, its gradient, its centring or anything that adapts.
"""

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.layers.running import check_maps

SPANS = ("channel", "layer")


class ConstantGain(nn.Module):
    """y_c = g_c x_c for x (B, C, H, W), with g_c = 1 / sqrt(var_c + eps) of the first training batch.

    With span "layer" all channels share g = 1 / sqrt(mean of var_c + eps), so that no ratio between channels changes.
    A batch that is not finite sets no gain. Half precision is widened to float32 within.

    Args:
        channels: C.
        span: one of `SPANS`.
        eps: added to the variance.

    Raises:
        ValueError: an unknown span, a size or eps outside its range; input that is not (B, C, H, W), or of a wider
            dtype than the layer.
    """

    def __init__(self, channels: int, span: str = "channel", eps: float = 1e-5):
        super().__init__()
        checks.choice("span", span, SPANS)
        self.span, self.eps = span, checks.number("eps", eps, least=0)
        self.register_buffer("gain", torch.full((checks.whole("channels", channels),), torch.nan))  # nan: not set yet

    def forward(self, x: Tensor) -> Tensor:
        """Scale x (B, C, H, W); before any training batch has set the gain, leave it as it is."""
        check_maps(x, len(self.gain), self.gain.dtype)
        wide = x.to(torch.promote_types(self.gain.dtype, torch.float32))
        if self.training:
            self._set_once(wide)
        return (wide * torch.where(self.gain.isnan(), 1.0, self.gain).view(1, -1, 1, 1)).to(x.dtype)

    @torch.no_grad()
    def _set_once(self, x: Tensor) -> None:
        unset = self.gain.isnan()
        if bool(unset.any()):
            var = x.var(dim=(0, 2, 3), correction=0)  # (C,)
            if self.span == "layer":
                var = var.mean().expand_as(var)
            gain = torch.rsqrt(var + self.eps).to(self.gain.dtype)
            self.gain = torch.where(unset & var.isfinite(), gain, self.gain)
