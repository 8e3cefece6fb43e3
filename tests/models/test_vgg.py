"""The VGG-like network against its definition written out, and its variants, which differ in their norm alone."""

import pytest
import torch
from torch.nn import functional

from bnlab.models.fan_scaling import draw_normal_
from bnlab.models.norms import NORMS
from bnlab.models.vgg import VGG
from bnlab.randomness import generator


def make(in_channels=3, **options):
    options = {"widths": (4, 6), "generator": generator(0, "weights")} | options
    return VGG(in_channels, **options).double()


def images(count=4, channels=3, size=32):
    return torch.randn(count, channels, size, size, generator=generator(1, "images"), dtype=torch.float64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_forward_is_the_definition(norm, channels):
    net = make(channels, norm=norm)
    with torch.no_grad():
        for k, convolution in enumerate(net.convolutions):
            convolution.bias.fill_(0.1 * k)
    x = images(channels=channels)
    expected = x
    for k, convolution in enumerate(net.convolutions):
        # (B, IC * 9, H * W) by (OC, IC * 9)
        patches = functional.unfold(expected, 3, padding=1)
        y = torch.einsum("bkm,ok->bom", patches, convolution.weight.flatten(1)) + convolution.bias[:, None]
        if norm == "batch":
            mean, variance = y.mean((0, 2), keepdim=True), y.var((0, 2), unbiased=False, keepdim=True)
            y = (y - mean) / (variance + 1e-5).sqrt()
        expected = y.clamp(min=0).unflatten(2, expected.shape[2:])
        if k % 2:
            expected = expected.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).amax((3, 5))
    expected = expected.flatten(1) @ net.fc.weight.T + net.fc.bias
    torch.testing.assert_close(net(x), expected, rtol=1e-10, atol=1e-10)
    assert net.fc.in_features == 6 * 8 * 8


def test_variants_have_identical_weights():
    plain = make().state_dict()
    for norm in NORMS:
        other = make(norm=norm).state_dict()
        assert all(torch.equal(plain[name], other[name]) for name in plain), norm
        own = [
            name for name in other.keys() - plain.keys() if not name.endswith(".gain")
        ]  # of a convolution, or a norm
        assert all(name.startswith(("norms", "before")) for name in own)


def test_every_parameter_gets_a_gradient():
    for norm in NORMS:
        net = make(norm=norm)
        functional.cross_entropy(net(images(8)), torch.arange(8)).backward()
        assert all(p.grad is not None for p in net.parameters()), norm
        assert all(c.weight.grad.abs().max() > 1e-9 for c in net.convolutions), norm


@pytest.mark.parametrize("initialisation", ["xavier", "kaiming"])
def test_variance_of_the_weights(initialisation):
    layer = torch.nn.Conv2d(30, 50, (3, 2))
    draw_normal_(layer, generator(0, "weights"), initialisation)
    variance = {"xavier": 2 / (80 * 6), "kaiming": 2 / 180}[initialisation]
    assert abs(float(layer.weight.square().mean()) / variance - 1) < 4 * (2 / layer.weight.numel()) ** 0.5
    assert float(layer.bias.detach().abs().max()) == 0


def test_nothing_global_is_drawn():
    before = torch.get_rng_state()
    net = make(norm="batch", initialisation="kaiming")
    assert torch.equal(torch.get_rng_state(), before)
    other = make(generator=generator(1, "weights"))
    assert not torch.equal(net.convolutions[0].weight, other.convolutions[0].weight)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: make(widths=()), r"widths: \(\) are not one to five widths"),
        (lambda: make(widths=(1, 1, 1, 1, 1, 1)), "widths: .* are not one to five widths"),
        (lambda: make(widths=(4, 0)), "widths: 0 is not a whole number"),
        (lambda: make(norm="bacth"), "norm: 'bacth' is not one of"),
        (lambda: make(initialisation="he"), "initialisation: 'he' is not one of"),
        (lambda: make()(images(size=28)), r"images: shape \(4, 3, 28, 28\) is not \(B, 3, 32, 32\)"),
        (lambda: make()(images(channels=1)), r"images: shape \(4, 1, 32, 32\) is not"),
        (lambda: make()(images().float()), "images: torch.float32 where the network holds"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
