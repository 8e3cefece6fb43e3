"""Batch Normalization: the layer of this library, PyTorch's fused one, and the formula typed in as it stands.

Forward and backward pass through one layer in train mode, on one thread. PyTorch's kernel is the fastest, and loses
digits where the mean is large; the typed-in formula is the slowest, and loses some as well.
"""

import pytest
import torch
from torch import nn

from bnlab.layers.batchnorm import BatchNorm

SHAPES = {"LeNet conv1 (64, 6, 28, 28)": (64, 6, 28, 28), "ResNet stage 1 (128, 16, 32, 32)": (128, 16, 32, 32)}


class TypedIn(nn.Module):
    """What one writes from the formula: no shift, no running statistics."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        return self.weight.view(1, -1, 1, 1) * (x - mean) / torch.sqrt(variance + 1e-5) + self.bias.view(1, -1, 1, 1)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("layer", [BatchNorm, nn.BatchNorm2d, TypedIn], ids=["bnlab", "PyTorch", "typed in"])
def test_forward_and_backward(benchmark, layer, shape):
    module = layer(shape[1])
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=draw).requires_grad_()
    grad = torch.randn(shape, generator=draw)
    inputs = (x, *module.parameters())
    gradients = benchmark(lambda: torch.autograd.grad(module(x), inputs, grad))
    reference = torch.autograd.grad(nn.functional.batch_norm(x, None, None, *inputs[1:], training=True), inputs, grad)
    torch.testing.assert_close(gradients[0], reference[0], rtol=1e-3, atol=1e-5)
