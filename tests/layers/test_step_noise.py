"""Noise by Algorithm 1: its moments in closed form, new at every step, the same for all values of a unit."""

import pytest
import torch

from bnlab.layers.step_noise import StepNoise


def made(seed=0, **settings):
    return StepNoise(torch.Generator().manual_seed(seed), **settings)


def test_moments_are_those_of_the_algorithm():
    n_mu, n_sigma, r = 0.5, 1.25, 0.1
    units = 40000
    noise = made()
    shift = noise(torch.zeros(20, units, dtype=torch.float64))  # m, as s times 0 is 0
    assert abs(shift.mean().item()) < 4 * (n_mu**2 / 3 / units) ** 0.5
    assert shift.var().item() == pytest.approx(n_mu**2 / 3 + r**2 / 3, rel=0.02)
    within = shift.var(0, correction=1).mean().item()
    assert within == pytest.approx(r**2 / 3, rel=0.02)
    assert shift.abs().max().item() <= n_mu + r
    huge = 1e6
    scale = made(1)(torch.full((20, units), huge, dtype=torch.float64)) / huge  # s
    assert scale.mean().item() == pytest.approx((1 + n_sigma) / 2, abs=4 * (0.25 / 12**0.5 / units**0.5 + r / 900))
    assert scale.var(0, correction=1).mean().item() == pytest.approx(r**2, rel=0.02)
    assert scale.mean(0).var().item() == pytest.approx((n_sigma - 1) ** 2 / 12 + r**2 / 20, rel=0.03)


def test_new_at_each_step_and_reproducible():
    x = torch.ones(4, 3)
    noise, again = made(5), made(5)
    first = noise(x)
    assert not torch.equal(first, noise(x))
    assert torch.equal(first, again(x))


def test_none_in_evaluation_and_none_where_none_is_asked():
    x = torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert made().eval()(x) is x
    assert torch.equal(made(shift=0, scale=1, jitter=0)(x), x)


def test_positions_of_a_map_share_their_units_draw():
    out = made(jitter=0)(torch.zeros(5, 3, 4, 4))
    assert out.flatten(2).transpose(0, 1).flatten(1).std(1).max() == 0
    assert out[0, :, 0, 0].unique().numel() == 3


def test_gradient_is_the_scale():
    x = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    y = made(jitter=0)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    shifted = made(jitter=0)(x.detach() + 1)
    torch.testing.assert_close(gradient, shifted - y.detach(), rtol=1e-12, atol=1e-12)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"generator: 0 is not a CPU torch.Generator"):
        StepNoise(0)
    with pytest.raises(ValueError, match=r"scale: 0.5 is not a finite number of at least 1"):
        made(scale=0.5)
    with pytest.raises(ValueError, match=r"jitter: -1 is not"):
        made(jitter=-1)
    assert "shift=0.5" in repr(made())
