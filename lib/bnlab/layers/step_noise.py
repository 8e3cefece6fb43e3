"""Noise that shifts and scales activations anew at every step: the layer behind "noisy" Batch Normalization.

Santurkar et al. (2018, Algorithm 1) put it after Batch Normalization to bring the shift of distributions back that the
layer took away, and found that training is as fast as without it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.layers.batchnorm import check_values


class StepNoise(nn.Module):
    r"""y_ij = s_ij x_ij + m_ij in train mode, x in eval mode, for x (B, C) or (B, C, ...).

    At each step every unit j draws mu_j uniform in (-shift, shift) and sigma_j uniform in (1, scale); every value i of
    it then draws m_ij uniform in (mu_j - jitter, mu_j + jitter) and s_ij normal with mean sigma_j and standard
    deviation jitter. So E[m] = 0, Var(m) = shift^2 / 3 + jitter^2 / 3, E[s] = (1 + scale) / 2 and Var(s) =
    (scale - 1)^2 / 12 + jitter^2. Whether jitter is a deviation or a variance the paper does not say.

    Args:
        generator: CPU generator that all draws come from, so that a GPU draws the same.
        shift: largest mean shift of a unit, in units of x.
        scale: largest mean factor of a unit, at least 1.
        jitter: of the values of a unit around its own.

    Raises:
        ValueError: no generator, or an argument outside its range.
    """

    def __init__(self, generator: torch.Generator, shift: float = 0.5, scale: float = 1.25, jitter: float = 0.1):
        super().__init__()
        if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
            raise ValueError(f"generator: {generator!r} is not a CPU torch.Generator")
        self.generator = generator
        self.shift = checks.number("shift", shift, least=0)
        self.scale = checks.number("scale", scale, least=1)
        self.jitter = checks.number("jitter", jitter, least=0)

    def forward(self, x: Tensor) -> Tensor:
        """Shift and scale x."""
        check_values(x)
        if not self.training:
            return x
        units = (1, x.shape[1], *(1,) * (x.ndim - 2))  # (1, C, 1, ...)
        mu = self.shift * self._uniform(units)
        sigma = 1 + (self.scale - 1) * (self._uniform(units) + 1) / 2
        m = mu + self.jitter * self._uniform(x.shape)
        s = sigma + self.jitter * torch.randn(x.shape, generator=self.generator)
        return s.to(x) * x + m.to(x)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Draw from (-1, 1)."""
        return 2 * torch.rand(shape, generator=self.generator) - 1

    def extra_repr(self) -> str:
        """Say the settings in ``print(model)``."""
        return f"shift={self.shift}, scale={self.scale}, jitter={self.jitter}"
