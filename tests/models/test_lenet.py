"""The LeNet of Chai et al. 2020, table 1, and its variants, which differ in their normalisation alone."""

import pytest
import torch
from torch.nn import functional

from bnlab.models import norms
from bnlab.models.lenet import LeNet


def lenet(norm="none", seed=3, **options):
    return LeNet(norm=norm, generator=torch.Generator().manual_seed(seed), **options)


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_parameters_of_table_1():
    counts = {name: parameter.numel() for name, parameter in lenet().named_parameters()}
    assert counts == {
        "conv1.weight": 150,
        "conv1.bias": 6,
        "conv2.weight": 2400,
        "conv2.bias": 16,
        "fc.weight": 4000,
        "fc.bias": 10,
    }
    assert sum(counts.values()) == 6582
    assert sum(p.numel() for p in lenet("batch").parameters()) == 6582 + 2 * (6 + 16)
    assert sum(p.numel() for p in lenet("batch_prior").parameters()) == 6582 + 2 * (1 + 6)
    assert sum(p.numel() for p in lenet(("none", "batch")).parameters()) == 6582 + 2 * 16


def test_forward_is_the_table_written_out():
    model, x = lenet(), images(3, 1, 32, 32)
    y = x
    for layer in (model.conv1, model.conv2):
        y = functional.conv2d(y, layer.weight, layer.bias).clamp(min=0)
        y = (y[..., ::2, ::2] + y[..., 1::2, ::2] + y[..., ::2, 1::2] + y[..., 1::2, 1::2]) / 4
    expected = y.reshape(3, 400) @ model.fc.weight.T + model.fc.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)


def test_batch_normalisation_stands_between_convolution_and_relu():
    model, x = lenet("batch"), images(8, 1, 32, 32)
    seen = {}
    for name in ("conv1", "norm1", "conv2", "norm2"):
        getattr(model, name).register_forward_hook(lambda _, i, o, name=name: seen.update({name: (i[0], o)}))
    relus = []
    model.relu.register_forward_hook(lambda _, i, o: relus.append(i[0]))
    model(x)
    for number, (conv, norm) in enumerate((("conv1", "norm1"), ("conv2", "norm2"))):
        assert seen[norm][0] is seen[conv][1]
        assert relus[number] is seen[norm][1]
        torch.testing.assert_close(
            seen[norm][1].mean((0, 2, 3)), torch.zeros(6 if number == 0 else 16), atol=1e-5, rtol=0
        )


def test_prior_normalises_what_the_convolution_takes():
    model, x = lenet("batch_prior"), images(8, 1, 32, 32).mul(3).add(1)
    powers = []
    for conv in (model.conv1, model.conv2):
        conv.register_forward_hook(lambda _, i, o: powers.append(i[0].square().mean((0, 2, 3))))
    model(x)
    for power in powers:
        torch.testing.assert_close(power, torch.ones_like(power), atol=2e-3, rtol=0)


@pytest.mark.parametrize("norm", [*norms.NORMS, ("none", "batch"), ("batch", "none")])
def test_variants_differ_in_nothing_but_the_norm(norm):
    plain, variant = lenet().state_dict(), lenet(norm).state_dict()
    assert all(torch.equal(plain[name], variant[name]) for name in plain)
    own = variant.keys() - plain.keys() - {"conv1.gain", "conv2.gain"}  # of a normalised convolution
    assert all(name.startswith(("norm", "before")) for name in own)
    children = [name for name, _ in lenet(norm).named_children()]
    assert children == [name for name, _ in lenet().named_children()]


@pytest.mark.parametrize("norm", list(norms.NORMS))
def test_every_parameter_receives_a_gradient(norm):
    model = lenet(norm)
    functional.cross_entropy(model(images(16, 1, 32, 32)), torch.arange(16) % 10).backward()
    for name, parameter in model.named_parameters():
        # A bias ahead of batch normalisation is redundant: its gradient is 0 but for rounding, and still exists.
        assert parameter.grad is not None, name
        redundant = norm != "none" and name in ("conv1.bias", "conv2.bias")
        unselected = ("amplify" in norm or "suppress" in norm) and name.startswith("norm")  # channels left as they are
        if not redundant and not unselected:
            assert parameter.grad.abs().max() > 1e-6, name


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = lenet("batch", seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model.conv2.weight, lenet(seed=5).conv2.weight)
    assert not torch.equal(model.conv2.weight, lenet(seed=6).conv2.weight)


def test_channels_and_classes():
    assert lenet(in_channels=3, classes=7)(images(2, 3, 32, 32)).shape == (2, 7)
    assert lenet().double()(images(2, 1, 32, 32).double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: lenet()(images(1, 1, 28, 28)),
            "images: 28 x 28 leave 256 features .* has 400: pad or resize to 32 x 32",
        ),
        (lambda: lenet()(images(1, 3, 32, 32)), r"images: shape \(1, 3, 32, 32\) is not \(B, 1, 32, 32\)"),
        (lambda: lenet()(images(1, 32, 32)), r"images: shape \(1, 32, 32\) is not"),
        (lambda: lenet()(images(1, 1, 8, 8)), "images: 8 x 8 leave 0 features"),
        (lambda: lenet("bacth"), "norm: 'bacth' is not one of 'none', 'batch', 'batch_prior'"),
        (lambda: lenet(("none", "batch", "none")), "norm: .* is not one name or two"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
