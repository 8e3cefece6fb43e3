"""BN_Amplify and BN_Suppress: against BatchNorm, against identity, and channel by channel."""

import pytest
import torch
from torch import nn

from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.randomness import generator

SCALES = torch.tensor([0.1, 3.0, 0.5, 2.0])  # powers 0.01, 9, 0.25, 4


def images(seed=0, offset=0.0):
    x = torch.randn(32, 4, 6, 6, generator=generator(seed, "images"), dtype=torch.float64)
    return x * SCALES.view(1, -1, 1, 1).double() + offset


@pytest.mark.parametrize(
    ("where", "chosen"), [("below", [True, False, True, False]), ("above", [False, True, False, True])]
)
def test_one_side_is_batch_norm_and_the_other_untouched(where, chosen):
    layer, reference, x = ThresholdNorm(4, where).double(), nn.BatchNorm2d(4).double(), images()
    y, expected = layer(x), reference(x)
    for channel, normalised in enumerate(chosen):
        torch.testing.assert_close(y[:, channel], (expected if normalised else x)[:, channel], rtol=1e-12, atol=1e-12)
    assert layer.mask.tolist() == chosen


def test_amplify_raises_small_channels_and_suppress_lowers_large_ones():
    x = images()
    before = x.square().mean((0, 2, 3))
    up = ThresholdNorm(4, "below").double()(x).square().mean((0, 2, 3))
    down = ThresholdNorm(4, "above").double()(x).square().mean((0, 2, 3))
    assert (up >= before * (1 - 1e-12)).all()
    assert (down <= before * (1 + 1e-12)).all()


def test_mask_of_a_step_comes_from_the_steps_before_and_disagreement_is_told():
    layer = ThresholdNorm(4, "below", decay=0.5).double()
    layer(images(0))
    layer(images(1).flip(1))  # loud and quiet channels swapped: the batch would have chosen the opposite
    assert layer.mask.tolist() == [True, False, True, False]
    assert layer.disagreement.tolist() == [True] * 4


def test_evaluation_does_not_depend_on_the_other_images():
    layer = ThresholdNorm(4, "below").double()
    for seed in range(3):
        layer(images(seed))
    layer.eval()
    alone = layer(images(7)[:1])
    torch.testing.assert_close(layer(images(7))[:1], alone, rtol=0, atol=0)


def test_running_statistics_of_every_channel_as_torch_keeps_them():
    layer, reference = ThresholdNorm(4, "below", decay=0.9).double(), nn.BatchNorm2d(4, momentum=0.1).double()
    for seed in range(5):
        layer(images(seed))
        reference(images(seed))
    torch.testing.assert_close(layer.running_mean, reference.running_mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.running_var, reference.running_var, rtol=1e-12, atol=1e-12)


def test_power_is_mean_square_or_variance():
    x = images(offset=5.0)  # every mean square is above 1, variances still straddle it
    by_square, by_variance = ThresholdNorm(4, "below").double(), ThresholdNorm(4, "below", power="variance").double()
    by_square(x)
    by_variance(x)
    assert by_square.mask.tolist() == [False] * 4
    assert by_variance.mask.tolist() == [True, False, True, False]


def test_gradient_against_finite_differences():
    layer = ThresholdNorm(4, "below").double()
    layer(images(0))  # so that the mask does not depend on the perturbed input
    fixed = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    probe = torch.randn(2, 4, 3, 3, generator=generator(9, "probe"), dtype=torch.float64)

    def output(x):
        for name, buffer in fixed.items():
            setattr(layer, name, buffer.clone())
        return (layer(x) * probe).sum()

    x = images(1)[:2, :, :3, :3].clone().requires_grad_()
    gradient = torch.autograd.grad(output(x), x)[0]
    direction = torch.randn(x.shape, generator=generator(9, "direction"), dtype=torch.float64)
    with torch.no_grad():
        difference = (output(x + 1e-6 * direction) - output(x - 1e-6 * direction)) / 2e-6
    assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"where": "over"}, "where: 'over' is not"),
        ({"where": "below", "threshold": float("inf")}, "threshold: inf is not"),
        ({"where": "below", "power": "energy"}, "power: 'energy' is not"),
        ({"where": "below", "decay": 1.0}, r"decay: 1\.0 is not"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        ThresholdNorm(4, **arguments)


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"\(2, 3, 6, 6\) is not \(B, 4, H, W\)"):
        ThresholdNorm(4, "below")(torch.zeros(2, 3, 6, 6))
