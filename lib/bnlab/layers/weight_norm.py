"""A convolution whose filters keep their length: weight normalisation with a constant gain.

With v = g w / ||w|| in the place of each filter w, and g the length that the filter began with, the layer begins as the
plain convolution. The gradient dL/dw = (g / ||w||) (dL/dv - w <w, dL/dv> / ||w||^2) is orthogonal to w and shrinks as w
grows, as with Batch Normalization (Salimans and Kingma 2016; `layers.decoupling`), but no statistics of the data enter:
what leaves the layer has the power that the inputs give it, up to g^2 times the largest eigenvalue of their R.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnlab.layers.running import check_maps


class WeightNormConv2d(nn.Conv2d):
    """y = (g w / ||w||) * x + b for x (B, C, H, W), one length ||w|| and one constant g an output channel.

    g = ||w|| of the first training pass; a filter that is then zero or not finite sets none, and is used as it is.

    Args:
        in_channels: C.
        out_channels: OC.
        kernel_size: as torch.nn.Conv2d; so are stride and padding.
        device: as torch.nn.Conv2d.

    Raises:
        ValueError: input that is not (B, C, H, W), or of a wider dtype than the weights.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0, *,
        device: torch.device | str | None = None,
    ):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, device=device)
        self.register_buffer("gain", torch.full((out_channels,), torch.nan, device=device))  # (OC,); nan: not set yet

    def to_empty(self, *, device: torch.device | str | None, recurse: bool = True) -> WeightNormConv2d:
        """Move without values, as `torch.nn.utils.skip_init` does: weights yet to be drawn have set no gain."""
        super().to_empty(device=device, recurse=recurse)
        self.gain.fill_(torch.nan)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, C, H, W) to (B, OC, OH, OW)."""
        check_maps(x, self.in_channels, self.weight.dtype)
        length = self.weight.flatten(1).norm(dim=1)  # (OC,)
        if self.training:
            with torch.no_grad():
                fresh = self.gain.isnan() & length.isfinite() & (length > 0)
                self.gain.copy_(torch.where(fresh, length, self.gain))
        factor = torch.where(self.gain.isnan(), 1.0, self.gain / length)
        return self._conv_forward(x.to(self.weight.dtype), self.weight * factor.view(-1, 1, 1, 1), self.bias)
