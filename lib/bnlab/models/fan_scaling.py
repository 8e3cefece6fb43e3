"""Normal weights whose variance follows from the fans of a layer: Xavier's and Kaiming's initialisation."""

from __future__ import annotations

import math

import torch
from torch import nn

from bnlab import checks

INITIALISATIONS = ("xavier", "kaiming")


@torch.no_grad()
def draw_normal_(model: nn.Module, generator: torch.Generator, initialisation: str) -> None:
    """Fill every convolution and fully connected layer in place with normal weights and zero biases.

    "xavier": variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010, Eq. 12); "kaiming": 2 / fan_in (He et al. 2015,
    Eq. 10). Both fans count the positions of the kernel. Drawn on the CPU in float64, in the order of
    `model.modules()`; normalisations draw nothing, so that networks which differ in them alone get identical weights
    from generators in the same state.

    >>> layer = nn.Linear(300, 100)
    >>> draw_normal_(layer, torch.Generator().manual_seed(0), "xavier")
    >>> round(float(layer.weight.var()) * 200, 2), float(layer.bias.abs().max())
    (1.01, 0.0)

    Raises:
        ValueError: another initialisation.
    """
    checks.choice("initialisation", initialisation, INITIALISATIONS)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()  # IC/groups * H * W
            fan_out = module.weight[:, 0].numel()  # OC * H * W
            variance = 2 / fan_in if initialisation == "kaiming" else 2 / (fan_in + fan_out)
            drawn = torch.randn(module.weight.shape, generator=generator, dtype=torch.float64)
            module.weight.copy_(math.sqrt(variance) * drawn)
            if module.bias is not None:
                module.bias.zero_()
