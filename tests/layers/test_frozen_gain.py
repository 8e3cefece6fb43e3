"""A backward gain that the first batch set: forward Batch Normalization, backward gamma g / s_0."""

import pytest
import torch

from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.frozen_gain import FrozenGainBatchNorm
from bnlab.layers.split_batchnorm import DetachedBatchNorm

EPS = 1e-3


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer_of(kind):
    layer = kind(3, eps=EPS).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -2.0, 3.0]))
        layer.bias.copy_(torch.tensor([1.0, 0.0, -4.0]))
    return layer


FIRST, SECOND = 5 - 2 * numbers(4, 3, 2, 2), 1 + 40 * numbers(4, 3, 2, 2, seed=1)


def gradients(layer, x, g):
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad((layer(leaf) * g).sum(), (leaf, layer.weight, layer.bias))


def test_forward_and_running_statistics_are_batch_normalizations():
    ours, plain = layer_of(FrozenGainBatchNorm), layer_of(BatchNorm)
    for x in (FIRST, SECOND):
        torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=0)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=0, atol=0)
    torch.testing.assert_close(ours.eval()(SECOND), plain.eval()(SECOND), rtol=0, atol=0)


def test_the_gain_stays_and_gamma_is_todays():
    layer, g = layer_of(FrozenGainBatchNorm), numbers(4, 3, 2, 2, seed=2)
    s = ((FIRST - FIRST.mean((0, 2, 3), keepdim=True)) ** 2).mean((0, 2, 3))
    first = 1 / (s + EPS).sqrt()
    for number, x in enumerate((FIRST, SECOND)):
        with torch.no_grad():
            layer.weight.mul_(1 + number)
        found, expected = gradients(layer, x, g), gradients(layer_of(DetachedBatchNorm), x, g)
        torch.testing.assert_close(found[0], (layer.weight * first).view(1, 3, 1, 1) * g, rtol=1e-10, atol=0)
        torch.testing.assert_close(found[1:], expected[1:], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(layer.gain, first, rtol=1e-12, atol=0)


def test_the_first_gradient_is_that_of_detached_statistics():
    g = numbers(4, 3, 2, 2, seed=2)
    found, expected = (gradients(layer_of(kind), FIRST, g) for kind in (FrozenGainBatchNorm, DetachedBatchNorm))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_channel_that_is_not_finite_sets_no_gain(value):
    layer, spoilt = layer_of(FrozenGainBatchNorm), FIRST.clone()
    spoilt[0, 1] = value
    layer(spoilt)
    assert layer.gain.isnan().tolist() == [False, True, False]
    layer(SECOND)
    assert layer.gain.isfinite().all()


def test_evaluation_sets_no_gain():
    layer = layer_of(FrozenGainBatchNorm).eval()
    layer(FIRST)
    assert layer.gain.isnan().all()
