"""Drawn weights have PyTorch's default distribution and depend on the generator alone."""

import pytest
import scipy.stats
import torch
from torch import nn

from bnlab.models.initialisation import draw_default_


def drawn(model, seed=0):
    draw_default_(model, torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize(
    "make", [lambda: nn.Conv2d(6, 16, 5), lambda: nn.Linear(400, 10), lambda: nn.Conv2d(8, 32, 3, groups=4)]
)
def test_the_distribution_is_pytorchs(make):
    torch.manual_seed(1)
    theirs = [make() for _ in range(20)]  # initialised by PyTorch
    ours = [drawn(make(), seed) for seed in range(20)]
    for name in ("weight", "bias"):
        samples = [torch.cat([getattr(m, name).detach().flatten() for m in layers]) for layers in (ours, theirs)]
        assert scipy.stats.ks_2samp(*(s.numpy() for s in samples)).pvalue > 1e-3
        assert samples[0].abs().max().item() == pytest.approx(samples[1].abs().max().item(), rel=0.02)


def test_dtypes_hold_the_same_draw():
    single, double = drawn(nn.Linear(30, 4)), drawn(nn.Linear(30, 4).double())
    assert torch.equal(single.weight, double.weight.float())
    assert double.weight.float().double().ne(double.weight).any()  # drawn in float64, not widened


def test_layers_are_filled_in_order_and_others_draw_nothing():
    plain = drawn(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3, bias=False)))
    mixed = drawn(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3, bias=False)))
    assert torch.equal(plain[1].weight, mixed[2].weight)
    assert torch.equal(mixed[1].weight, torch.ones(2))
    assert plain[1].weight.requires_grad
