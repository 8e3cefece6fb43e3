"""Scaling by the root mean square: closed forms in float64, and finite differences for its gradient."""

import pytest
import torch

from bnlab.layers.rms_norm import RmsNorm


def maps(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_every_channel_leaves_with_unit_power_and_its_own_sign():
    x = 3 * maps(5, 2, 4, 4) + torch.tensor([4.0, -1.0]).view(1, 2, 1, 1)
    y = RmsNorm(2, eps=0.0).double()(x)
    assert y.square().mean((0, 2, 3)).tolist() == pytest.approx([1, 1], abs=1e-12)
    by_hand = x / (x.square().sum((0, 2, 3)) / (5 * 16)).sqrt().view(1, 2, 1, 1)
    torch.testing.assert_close(y, by_hand, rtol=1e-12, atol=0)
    assert (y.mean((0, 2, 3)).abs() > 0.1).all()  # it does not centre


def test_eps_gamma_and_beta():
    x = maps(4, 1, 3, 3)
    layer = RmsNorm(1, eps=2.0).double()
    with torch.no_grad():
        layer.weight.fill_(3.0)
        layer.bias.fill_(-1.0)
    torch.testing.assert_close(layer(x), 3 * x / (x.square().mean() + 2).sqrt() - 1, rtol=1e-12, atol=1e-12)


def test_evaluation_uses_the_moving_average_and_sees_no_other_image():
    layer = RmsNorm(2, decay=0.75).double()
    batches = [maps(4, 2, 3, 3, seed=n) * (n + 1) for n in range(3)]
    expected = torch.ones(2, dtype=torch.float64)
    for batch in batches:
        layer(batch)
        expected = 0.75 * expected + 0.25 * batch.square().mean((0, 2, 3))
    torch.testing.assert_close(layer.running_power, expected, rtol=1e-12, atol=0)
    layer.eval()
    alone = layer(batches[0][:1])
    assert torch.equal(layer(batches[0])[:1], alone)
    torch.testing.assert_close(alone, batches[0][:1] / (expected + 1e-5).sqrt().view(1, 2, 1, 1))
    torch.testing.assert_close(layer.running_power, expected, rtol=0, atol=0)


def test_gradient_against_finite_differences():
    layer, x, h = RmsNorm(2).double(), maps(3, 2, 2, 2), 1e-6
    pull = maps(3, 2, 2, 2, seed=1)
    (gradient,) = torch.autograd.grad((layer(x.requires_grad_()) * pull).sum(), x)
    for place in [(0, 0, 0, 0), (2, 1, 1, 0), (1, 0, 1, 1)]:
        nudge = torch.zeros_like(x)
        nudge[place] = h
        with torch.no_grad():
            slope = ((layer(x + nudge) - layer(x - nudge)) * pull).sum() / (2 * h)
        assert gradient[place].item() == pytest.approx(slope.item(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 2), (2, 2, 4)])
def test_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"x: shape .* is not \(B, 2, H, W\)"):
        RmsNorm(2)(torch.zeros(shape))
