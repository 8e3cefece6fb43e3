"""Filters of fixed length, against central differences and the printed gradient."""

import pytest
import torch
from torch.nn import functional

from bnlab.layers.weight_norm import WeightNormConv2d


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(scale=1.0):
    layer = WeightNormConv2d(3, 4, 2, stride=2, padding=1).double()
    with torch.no_grad():
        layer.weight.copy_(scale * numbers(4, 3, 2, 2, seed=1))
        layer.bias.copy_(numbers(4, seed=2))
    return layer


X, G = numbers(5, 3, 6, 6), numbers(5, 4, 4, 4, seed=3)


def test_it_begins_as_the_plain_convolution_and_keeps_the_lengths():
    layer = drawn()
    expected = functional.conv2d(X, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(X), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([0.1, 2.0, 7.0, 1e4], dtype=torch.float64).view(-1, 1, 1, 1))
    torch.testing.assert_close(layer(X), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.eval()(X), expected, rtol=1e-12, atol=1e-12)


def loss(weight, lengths, bias):
    filters = lengths.view(-1, 1, 1, 1) * weight / weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (functional.conv2d(X, filters, bias, stride=2, padding=1) * G).sum().item()


def test_its_gradient_is_orthogonal_and_shrinks_as_the_filter_grows():
    layer, h = drawn(), 1e-6
    layer(X)
    lengths = layer.gain.clone()
    with torch.no_grad():
        layer.weight.mul_(3)  # away from the start, so that length and gain differ
    (layer(X) * G).sum().backward()
    g, w = layer.weight.grad, layer.weight.detach()
    for place in [(0, 0, 0, 0), (1, 2, 1, 0), (3, 1, 0, 1)]:
        step = torch.zeros_like(w)
        step[place] = h
        slope = (loss(w + step, lengths, layer.bias) - loss(w - step, lengths, layer.bias)) / (2 * h)
        assert g[place].item() == pytest.approx(slope, rel=1e-6)
    assert ((g * w).flatten(1).sum(1).abs() < 1e-12 * g.norm() * w.norm()).all()
    again = drawn(scale=30.0)
    again.gain.copy_(lengths)
    (again(X) * G).sum().backward()
    torch.testing.assert_close(again.weight.grad, g / 10, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, torch.inf, torch.nan])
def test_a_filter_without_length_sets_no_gain(value):
    layer = drawn()
    with torch.no_grad():
        layer.weight[2] = value
    y = layer(X)
    assert layer.gain.isnan().tolist() == [False, False, True, False]
    assert y[:, [0, 1, 3]].isfinite().all()
    if value == 0:
        torch.testing.assert_close(y[:, 2], layer.bias[2].expand_as(y[:, 2]))


def test_evaluation_sets_no_gain_and_neither_does_an_empty_layer():
    layer = drawn().eval()
    torch.testing.assert_close(layer(X), functional.conv2d(X, layer.weight, layer.bias, stride=2, padding=1))
    assert layer.gain.isnan().all()
    made = torch.nn.utils.skip_init(WeightNormConv2d, 3, 4, 2)  # memory as it was found
    assert made.gain.isnan().all()
    assert made.gain.shape == (4,)


def test_bad_inputs_are_named():
    with pytest.raises(ValueError, match=r"x: shape \(2, 2, 5, 5\) is not \(B, 3, H, W\)"):
        WeightNormConv2d(3, 4, 2)(torch.zeros(2, 2, 5, 5))
    with pytest.raises(ValueError, match=r"x: torch\.float64 where the layer holds torch\.float32"):
        WeightNormConv2d(3, 4, 2)(torch.zeros(2, 3, 5, 5, dtype=torch.float64))
