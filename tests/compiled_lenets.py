"""LeNets for the tests of the compiled step: away from the symmetric start, with some channels masked."""

import pytest
import torch

from bnlab.layers.nlms import NlmsConv2d
from bnlab.models.lenet import LeNet
from bnlab.models.norms import NORMS
from bnlab.randomness import generator

pytest.importorskip("numba", reason="numba is not installed")

COMPILED = [name for name in NORMS if name != "layer"]  # nn.GroupNorm is left to PyTorch


def lenet(norm, channels=1, classes=10, seed=0, noise=0.0):
    """Every parameter is drawn, and running powers are on both sides of the threshold."""
    model = LeNet(channels, classes, norm, generator=generator(seed, "initialisation"))
    with torch.no_grad():
        model.conv1.weight.mul_(3)
        for name, parameter in model.named_parameters():
            if name.startswith(("norm", "before")):
                parameter.add_(torch.randn(parameter.shape, generator=generator(seed, name)) * 0.3)
        for name, buffer in model.named_buffers():
            if name.endswith("running_power"):
                buffer.copy_(torch.tensor([0.5, 1.5]).repeat(len(buffer) // 2))
    for layer in (model.conv1, model.conv2):
        if noise and isinstance(layer, NlmsConv2d):
            layer.noise, layer.generator = noise, generator(seed, "noise")
    return model.train()
