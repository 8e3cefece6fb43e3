"""Length and direction apart: a Pythagoras, bisection, GDNP against the Rayleigh quotient, curvature."""

import math

import pytest
import torch

from bnlab.randomness import generator
from bnlab.theory import gdnp, halfspaces, rayleigh


def draw(*shape, seed=0, purpose="draw"):
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def gaussian(d=4, seed=0, loss=None):
    A = draw(2 * d, d, seed=seed, purpose="covariance")
    return halfspaces.GaussianHalfspace(
        -0.6 * draw(d, seed=seed, purpose="u"), A.T @ A / (2 * d), loss or halfspaces.logistic()
    )


def test_length_is_stationary_and_off_by_what_bisection_says():
    f, w = gaussian(), draw(4, purpose="w")
    exact = gdnp.stationary_length(f, w)
    unit = w / torch.sqrt(w @ f.S @ w)
    assert abs(float(unit @ f.gradient(exact * unit))) < 1e-13
    for steps in (3, 8, 20):
        assert abs(gdnp.stationary_length(f, w, (-8.0, 8.0), steps) - exact) <= 16 / 2 ** (steps + 1)


def test_gradient_norm_is_a_pythagoras():
    f = gaussian()
    for seed in range(5):
        w = draw(4, seed=seed, purpose="w")
        v, g = w / torch.sqrt(w @ f.S @ w), 1.7  # not a stationary length
        by_length = v @ f.gradient(g * v)
        c1, _ = f.coefficients(g * v)
        expected = c1**2 * rayleigh.rayleigh_gap(v, f.S, f.u) + by_length**2
        assert gdnp.squared_gradient_norm(f, g * v) == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_coefficient_of_u_is_bounded_at_every_length_stationary_or_not(scale):
    f = gaussian(loss=halfspaces.logistic(scale))
    for seed in range(20):
        w = draw(4, seed=seed, purpose="w")
        v = w / torch.sqrt(w @ f.S @ w)
        for g in (-9.0, -1.0, -0.01, 0.3, 2.0, 9.0):
            c1, _ = f.coefficients(g * v)
            assert 0 <= c1 <= scale


def test_gdnp_is_descent_on_the_rayleigh_quotient():
    f, w = gaussian(), draw(4, purpose="w")
    L = torch.linalg.eigvalsh(f.S)[-1].item()
    path = rayleigh.rayleigh_descend(f.S, f.u, w, 25, L)
    for t in range(25):
        w, g = gdnp.gdnp_step(f, w, L)
        assert torch.allclose(w, path[t + 1], rtol=1e-7, atol=1e-9)
    assert g == pytest.approx(gdnp.stationary_length(f, path[24]))


def test_separable_data_have_no_stationary_length():
    z = -draw(200, 3).abs()  # z'w < 0 for every positive w
    with pytest.raises(ValueError, match="no stationary length") as refusal:
        gdnp.stationary_length(halfspaces.SampledHalfspace(z), torch.ones(3).double())
    assert "\n" not in str(refusal.value)


def test_normalised_landscape_is_flat_along_w_and_curves_down_somewhere():
    f = gaussian()
    for seed in range(4):
        w = draw(4, seed=seed, purpose="w")
        H = gdnp.normalised_hessian(f, w, 1.5)
        assert abs(float(w @ H @ w)) < 1e-12
        assert torch.linalg.eigvalsh(H)[0] < -1e-4
        h, S = 1e-4, f.S
        normalised = lambda x: float(f.value(1.5 * x / torch.sqrt(x @ S @ x)))  # noqa: B023, E731
        e = draw(4, seed=seed, purpose="e")
        second = (normalised(w + h * e) - 2 * normalised(w) + normalised(w - h * e)) / h**2
        assert float(e @ H @ e) == pytest.approx(second, rel=1e-4, abs=1e-6)


GAUSSIAN, SAMPLE, ONES = gaussian(), halfspaces.SampledHalfspace(draw(9, 4)), torch.ones(4).double()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gdnp.stationary_length(GAUSSIAN, 0 * ONES), "w: w'Sw = 0 is not positive"),
        (lambda: gdnp.stationary_length(GAUSSIAN, ONES, (1.0, -1.0)), "interval: .* is not a lower and a higher"),
        (lambda: gdnp.stationary_length(GAUSSIAN, ONES, (-1.0, torch.inf)), "interval: inf"),
        (lambda: gdnp.gdnp_step(GAUSSIAN, ONES, 0.0), r"L: 0\.0 is not"),
        (lambda: gdnp.normalised_hessian(SAMPLE, ONES, math.nan), "g: nan is not"),
        (lambda: halfspaces.of_unit_power(SAMPLE, 0 * ONES), "w: w'Sw = 0 is not positive"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0])
def test_c1_is_within_the_largest_slope_at_a_stationary_length(scale):
    for seed in range(10):
        f, w = gaussian(seed=seed, loss=halfspaces.logistic(scale)), draw(4, seed=seed, purpose="w")
        unit = halfspaces.of_unit_power(f, w)
        g = gdnp.stationary_length(f, w)
        c1, _ = f.coefficients(g * unit)
        m, variance = float(f.u @ (g * unit)), float(g * g * unit @ f.covariance @ unit)
        s, p = f.outputs(g * unit)
        assert float(c1) == pytest.approx((1 + m * m / variance) * float(p @ f.loss.slope(s)), rel=1e-6)
        assert 0 < c1 <= scale
