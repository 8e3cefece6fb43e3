"""The NLMS convolution: against explicit loops, padasip, and the plain convolution."""

import copy

import padasip
import pytest
import torch
from torch import nn

from bnlab.layers.nlms import NlmsConv2d, nlms_gradient, patch_power
from bnlab.randomness import generator


def draw(*shape, purpose="x"):
    return torch.randn(shape, generator=generator(0, purpose), dtype=torch.float64)


@pytest.mark.parametrize("norm", ["l2", "l1", "l1_squared"])
@pytest.mark.parametrize("span", ["channel", "patch"])
def test_direction_against_explicit_loops(norm, span):
    images, channels, z, positions, outputs = 2, 3, 4, 5, 2
    patches, errors = draw(images, channels * z, positions), draw(images, outputs, positions, purpose="e")
    expected = torch.zeros(outputs, channels * z, dtype=torch.float64)
    for b in range(images):
        for m in range(positions):
            for k in range(channels * z):
                block = patches[b, :, m] if span == "patch" else patches[b, k // z * z : k // z * z + z, m]
                power = {
                    "l2": (block**2).sum(),
                    "l1": block.abs().sum(),
                    "l1_squared": block.abs().sum() ** 2 / len(block),
                }[norm]
                expected[:, k] += errors[b, :, m] * patches[b, k, m] / power
    torch.testing.assert_close(nlms_gradient(patches, errors, channels, norm, span, 0.0), expected)


def test_one_patch_is_padasips_nlms():
    x, w, d, mu = draw(6), draw(6, purpose="w"), 0.7, 0.5
    adaptive = padasip.filters.FilterNLMS(6, mu=mu, eps=1e-300, w=w.numpy().copy())
    adaptive.adapt(d, x.numpy())
    error = w @ x - d  # dJ/dy
    step = nlms_gradient(x.view(1, 6, 1), error.view(1, 1, 1), 1, "l2", "patch", 0.0)[0]
    torch.testing.assert_close(w - mu * step, torch.from_numpy(adaptive.w))


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_which_norms_are_free_of_scale(scale):
    patches, errors = draw(2, 12, 5), draw(2, 2, 5, purpose="e")
    for norm, free in (("l2", True), ("l1_squared", True), ("l1", False)):
        one = nlms_gradient(patches, errors, 3, norm, "channel", 0.0)
        other = nlms_gradient(patches * scale, errors, 3, norm, "channel", 0.0) * scale
        assert torch.allclose(one, other) == free


def test_zero_patches_contribute_nothing_instead_of_nan():
    patches, errors = draw(2, 12, 5), draw(2, 2, 5, purpose="e")
    patches[0, :, 1] = 0
    assert nlms_gradient(patches, errors, 3, "l2", "channel", 1e-3).isfinite().all()
    assert torch.equal(nlms_gradient(patches * 0, errors, 3, "l2", "channel", 1e-3), torch.zeros(2, 12).double())


def twins(**arguments):
    plain = nn.Conv2d(3, 2, 3, stride=2, padding=1).double()
    ours = NlmsConv2d(3, 2, 3, stride=2, padding=1, **arguments).double()
    ours.load_state_dict(plain.state_dict())
    return plain, ours


def gradients(layer, x, probe):
    x = x.clone().requires_grad_()
    return torch.autograd.grad((layer(x) * probe).sum(), (x, layer.weight, layer.bias))


def test_output_error_below_and_bias_are_those_of_the_plain_convolution():
    plain, ours = twins(norm="l2")
    x, probe = draw(2, 3, 7, 7), draw(2, 2, 4, 4, purpose="probe")
    torch.testing.assert_close(ours(x), plain(x))
    for index in (0, 2):
        torch.testing.assert_close(gradients(ours, x, probe)[index], gradients(plain, x, probe)[index])


def test_noise_reaches_the_weights_alone():
    x, probe = draw(2, 3, 7, 7), draw(2, 2, 4, 4, purpose="probe")
    plain, noisy = twins(norm="none", noise=10.0, generator=generator(0, "noise"))
    clean = gradients(plain, x, probe)
    found = gradients(noisy, x, probe)
    torch.testing.assert_close(found[0], clean[0])
    torch.testing.assert_close(found[2], clean[2])
    assert (found[1] - clean[1]).norm() > clean[1].norm()
    _, silent = twins(norm="none")
    silent.load_state_dict(plain.state_dict())
    torch.testing.assert_close(gradients(silent, x, probe)[1], clean[1])


def test_noise_has_the_announced_strength():
    layer = NlmsConv2d(1, 200, 1, norm="none", noise=3.0, generator=generator(1, "noise")).double()
    x, errors = torch.ones(8, 1, 20, 20, dtype=torch.float64), draw(8, 200, 20, 20, purpose="e")
    added = layer.weight_gradient(x, errors).flatten() - errors.sum((0, 2, 3))
    # The sum of 3200 draws with standard deviation 3 std(errors), for each of 200 filters.
    expected = 3 * float(errors.std()) * 3200**0.5
    assert float(added.square().mean().sqrt()) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"norm": "l3"}, "norm: 'l3' is not"),
        ({"span": "pixel"}, "span: 'pixel' is not"),
        ({"noise": -1.0}, r"noise: -1\.0 is not"),
        ({"noise": 1.0}, "noise needs a generator"),
        ({"padding": "same"}, "padding: 'same' is not"),
        ({"regulariser": float("nan")}, "regulariser: nan is not"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        NlmsConv2d(1, 1, 3, **arguments)


@pytest.mark.parametrize("norm", ["l2", "l1", "none"])
def test_half_precision_and_autocast_give_the_gradient_of_single(norm):
    """At 300 sigma the power of a patch passes 65504: in float16 it is inf, and its share of the update was 0."""
    layer = NlmsConv2d(3, 2, 3, norm=norm)
    x, probe = 300 * draw(2, 3, 5, 5).float(), draw(2, 2, 3, 3, purpose="probe").float()
    expected = gradients(layer, x, probe)[1]
    scale = expected.abs().max().item()
    half = gradients(copy.deepcopy(layer).half(), x.half(), probe.half())[1]
    torch.testing.assert_close(half.float(), expected, rtol=0, atol=1e-2 * scale)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gradients(layer, x, probe)[1], expected)  # backward under autocast, too
        narrow = gradients(layer, x.bfloat16(), probe)[1]
    torch.testing.assert_close(narrow, expected, rtol=0, atol=2e-2 * scale)


@pytest.mark.parametrize(
    ("x", "line"),
    [
        (torch.ones(2, 3, 5, 5, dtype=torch.complex64), "x: torch.complex64 is no real"),
        (torch.ones(2, 3, 5, 5, dtype=torch.int64), "x: torch.int64 is no real"),
        (torch.ones(2, 3, 5, 5, dtype=torch.float64), "x: torch.float64 where the layer holds torch.float32"),
        (torch.ones(2, 4, 5, 5), r"x: shape \(2, 4, 5, 5\) is not \(B, 3, H, W\)"),
        (torch.ones(3, 5, 5), r"x: shape \(3, 5, 5\) is not \(B, 3, H, W\)"),
    ],
)
def test_what_is_no_input_is_refused(x, line):
    with pytest.raises(ValueError, match=line):
        NlmsConv2d(3, 2, 3)(x)


def test_functions_refuse_what_does_not_fit():
    patches, errors = draw(2, 12, 5), draw(2, 2, 5, purpose="e")
    rest = (3, "l2", "channel", 1e-3)
    for call, line in (
        (lambda: patch_power(patches.half(), 3), "patches: torch.float16 overflows at half precision"),
        (lambda: patch_power(patches, 5), r"is not \(B, 5 \* Z, M\)"),
        (lambda: nlms_gradient(patches, errors[:1], *rest), r"errors: \(1, 2, 5\)"),
        (lambda: nlms_gradient(patches, errors.float(), *rest), "errors: .* torch.float32 beside"),
        (lambda: nlms_gradient(patches, errors, 3, "l2", "channel", -1.0), r"regulariser: -1\.0 is not"),
    ):
        with pytest.raises(ValueError, match=line):
            call()


def test_power_of_a_whole_patch_is_the_sum_over_its_channels():
    patches = draw(2, 12, 5)
    by_channel, whole = patch_power(patches, 3), patch_power(patches, 3, span="patch")
    torch.testing.assert_close(by_channel.sum(1, keepdim=True), whole)
