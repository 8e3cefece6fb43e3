"""Channels divided by their root mean square, and not centred: the scaling half of Batch Normalization alone.

At fixed weights this changes the autocorrelation of the next layer's input by channel scaling and nothing else, so the
bounds on its eigenvalues (chapter 05) hold for it exactly; Batch Normalization also removes the mean.
"""

import torch
from torch import Tensor, nn


class RmsNorm(nn.Module):
    """y_c = gamma_c x_c / sqrt(E[x_c^2] + eps) + beta_c for x (B, C, H, W); E is over images and positions.

    In evaluation the moving average of the mean square stands for E.

    Args:
        channels: C.
        eps: added to the mean square.
        decay: weight of the old value in the moving average.

    Raises:
        ValueError: input that is not (B, C, H, W).
    """

    def __init__(self, channels: int, eps: float = 1e-5, decay: float = 0.9):
        super().__init__()
        self.eps, self.decay = eps, decay
        self.weight = nn.Parameter(torch.ones(channels))  # gamma (C,)
        self.bias = nn.Parameter(torch.zeros(channels))  # beta (C,)
        self.register_buffer("running_power", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale x (B, C, H, W)."""
        if x.ndim != 4 or x.shape[1] != len(self.weight):
            raise ValueError(f"x: shape {tuple(x.shape)} is not (B, {len(self.weight)}, H, W)")
        power = self.running_power
        if self.training:
            power = x.square().mean((0, 2, 3))  # (C,)
            with torch.no_grad():
                self.running_power = self.running_power.lerp(power.detach(), 1 - self.decay)
        scale = self.weight * torch.rsqrt(power + self.eps)  # (C,)
        return x * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
