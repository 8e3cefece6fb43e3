"""Gains set by the first training batch: by hand, and then constant for ever."""

import pytest
import torch

from bnlab.layers.constant_gain import ConstantGain


def maps(seed=0, scale=1.0):
    draw = torch.Generator().manual_seed(seed)
    spread = torch.tensor([0.5, 2.0, 5.0], dtype=torch.float64).view(1, 3, 1, 1)
    return scale * spread * torch.randn(6, 3, 4, 4, dtype=torch.float64, generator=draw) + 7


def variance(x):
    centred = x - x.mean((0, 2, 3), keepdim=True)
    return (centred**2).sum((0, 2, 3)) / (len(x) * 16)


def test_a_gain_for_each_channel_is_its_inverse_standard_deviation():
    x, layer = maps(), ConstantGain(3, eps=0.0).double()
    torch.testing.assert_close(layer(x), x / variance(x).sqrt().view(1, 3, 1, 1), rtol=1e-12, atol=0)
    torch.testing.assert_close(layer.gain, 1 / variance(x).sqrt(), rtol=1e-12, atol=0)


def test_a_gain_for_the_layer_keeps_the_ratios_of_channels():
    x, layer = maps(), ConstantGain(3, span="layer", eps=0.5).double()
    torch.testing.assert_close(layer(x), x / (variance(x).mean() + 0.5).sqrt(), rtol=1e-12, atol=0)
    assert layer.gain.unique().numel() == 1


def test_only_the_first_training_batch_sets_it():
    layer = ConstantGain(3).double().eval()
    x = maps()
    assert torch.equal(layer(x), x)  # evaluation sets nothing
    layer.train()(x)
    first = layer.gain.clone()
    layer(maps(seed=1, scale=100.0))
    assert torch.equal(layer.gain, first)
    layer.eval()
    assert torch.equal(layer(x), x * first.view(1, 3, 1, 1))


def test_no_gradient_passes_through_the_statistics():
    layer = ConstantGain(3).double()
    x = maps().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    torch.testing.assert_close(gradient, layer.gain.view(1, 3, 1, 1).expand_as(x), rtol=0, atol=0)
    assert list(layer.parameters()) == []


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"span: 'batch' is not one of 'channel', 'layer'"):
        ConstantGain(3, span="batch")
    with pytest.raises(ValueError, match=r"x: shape \(2, 4, 3, 3\) is not \(B, 3, H, W\)"):
        ConstantGain(3)(torch.zeros(2, 4, 3, 3))
