"""Channels divided by their root mean square, and not centred: the scaling half of Batch Normalization alone.

At fixed weights this changes the autocorrelation of the next layer's input by channel scaling and nothing else, so the
bounds on its eigenvalues (chapter 05) hold for it exactly; Batch Normalization also removes the mean.
"""

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.layers.running import check_maps, keep_sound


class RmsNorm(nn.Module):
    """y_c = gamma_c x_c / sqrt(E[x_c^2] + eps) + beta_c for x (B, C, H, W); E is over images and positions.

    In evaluation the moving average of the mean square stands for E. A channel that is not finite in a batch leaves its
    average as it was. Half precision is widened to float32 within.

    Args:
        channels: C.
        eps: added to the mean square.
        decay: weight of the old value in the moving average.

    Raises:
        ValueError: an argument outside its range, input that is not (B, C, H, W), or of a wider dtype than the layer.
    """

    def __init__(self, channels: int, eps: float = 1e-5, decay: float = 0.9):
        super().__init__()
        channels, self.eps = checks.whole("channels", channels), checks.number("eps", eps, least=0)
        self.decay = checks.number("decay", decay, least=0, below=1)
        self.weight = nn.Parameter(torch.ones(channels))  # gamma (C,)
        self.bias = nn.Parameter(torch.zeros(channels))  # beta (C,)
        self.register_buffer("running_power", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale x (B, C, H, W)."""
        check_maps(x, len(self.weight), self.weight.dtype)
        wide = x.to(torch.promote_types(self.weight.dtype, torch.float32))
        power = self.running_power.to(wide.dtype)
        if self.training:
            average, power = power, wide.square().mean((0, 2, 3))  # (C,)
            fresh = power.detach()
            self.running_power = keep_sound(
                self.running_power, average.lerp(fresh, 1 - self.decay), sound=fresh.isfinite()
            )
        scale = self.weight * torch.rsqrt(power + self.eps)  # (C,)
        return (wide * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)
