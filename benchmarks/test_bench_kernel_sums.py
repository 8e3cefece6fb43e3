"""Sums of the moduli of a kernel gradient's summands: by one convolution of moduli, and of the summands themselves.

The layers are those of Table 1 of Bjorck et al. 2018, at their batch. The summands are held one image at a time, as one
would write it: of a whole batch they would take more than a gigabyte.
"""

import time

import pytest
import torch
from torch import nn
from torch.nn import functional

LAYERS = {"layer 18": (16, 32), "layer 54": (32, 16), "layer 90": (64, 8)}  # channels, pixels a side
BATCH = 128


def by_moduli(x, errors):
    shape = (errors.shape[1], x.shape[1], 3, 3)
    return nn.grad.conv2d_weight(x.abs(), shape, errors.abs(), padding=1)


def by_summands(x, errors):
    total = 0.0
    for image, error in zip(x, errors, strict=True):
        patches = functional.unfold(image[None], 3, padding=1)[0]  # (K, M)
        total = total + (error.flatten(1)[:, None] * patches).abs().sum(2)  # (OC, K, M), summed over M
    return total.view(errors.shape[1], x.shape[1], 3, 3)


def drawn(layer):
    channels, side = LAYERS[layer]
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(BATCH, channels, side, side, generator=rng) for _ in range(2)]


@pytest.mark.parametrize("way", [by_moduli, by_summands], ids=["moduli", "summands"])
@pytest.mark.parametrize("layer", LAYERS)
def test_sums_of_moduli(benchmark, layer, way):
    x, errors = drawn(layer)
    benchmark.group, benchmark._timer = layer, time.process_time
    found = benchmark.pedantic(way, args=(x, errors), rounds=3, warmup_rounds=1)
    torch.testing.assert_close(found, by_moduli(x, errors), rtol=1e-3, atol=0)
