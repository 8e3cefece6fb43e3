"""Weights drawn from a given generator, the same on every device and in every dtype."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def draw_default_(model: nn.Module, generator: torch.Generator) -> None:
    """Fill every convolution and fully connected layer in place with PyTorch's default initialisation.

    Weights and biases are uniform on (-1/sqrt(fan_in), 1/sqrt(fan_in)), drawn on the CPU in float64 and in the order of
    `model.modules()`. Other modules (normalisations) draw nothing, so that networks which differ in them alone get
    identical weights from generators in the same state.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(module.weight[0].numel())  # fan_in = IC/groups * H * W
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    uniform = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
                    parameter.copy_(bound * (2 * uniform - 1))
