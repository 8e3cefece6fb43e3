"""Halfspaces with Gaussian inputs: quadrature against scipy and Monte Carlo, Stein's form, and its limits."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import torch
from scipy.special import expit

from bnlab.randomness import generator
from bnlab.theory import gdnp, halfspaces


def draw(*shape, seed=0, purpose="draw"):
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def gaussian(d=4, seed=0, loss=None):
    A = draw(2 * d, d, seed=seed, purpose="covariance")
    return halfspaces.GaussianHalfspace(
        -0.6 * draw(d, seed=seed, purpose="u"), A.T @ A / (2 * d), loss or halfspaces.logistic()
    )


@pytest.mark.parametrize("length", [0.3, 1.0, 6.0])
def test_value_against_adaptive_quadrature(length):
    f, w = gaussian(), length * draw(4, purpose="w")
    m, sd = float(f.u @ w), math.sqrt(float(w @ f.covariance @ w))
    assert sd < 10
    density = lambda t: np.exp(-t * t / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    expected = scipy.integrate.quad(lambda t: np.logaddexp(0, m + sd * t) * density(t), -12, 12, points=[-m / sd])[0]
    assert float(f.value(w)) == pytest.approx(expected, rel=1e-9)
    curvature = scipy.integrate.quad(
        lambda t: expit(m + sd * t) * expit(-m - sd * t) * density(t), -12, 12, points=[-m / sd]
    )[0]
    assert float(f.coefficients(w)[1]) == pytest.approx(curvature, rel=1e-9)


def test_gradient_by_finite_differences_and_by_stein():
    f, w, h = gaussian(), draw(4, purpose="w"), 1e-5
    differences = torch.stack([(f.value(w + h * e) - f.value(w - h * e)) / (2 * h) for e in torch.eye(4).double()])
    assert (f.gradient(w) - differences).abs().max() < 1e-9
    c1, c2 = f.coefficients(w)
    assert (f.gradient(w) - (c1 * f.u + c2 * f.S @ w)).abs().max() < 1e-12
    assert torch.allclose(f.gradient(torch.zeros(4).double()), 0.5 * f.u)


def test_gradient_of_a_sample_tends_to_that_of_the_population():
    f, w = gaussian(), draw(4, purpose="w")
    z = f.u + draw(400_000, 4, purpose="z") @ torch.linalg.cholesky(f.covariance).T
    sample = halfspaces.SampledHalfspace(z)
    assert (sample.gradient(w) - f.gradient(w)).abs().max() < 0.01
    assert abs(float(sample.value(w) - f.value(w))) < 0.01
    h = 1e-5
    rows = [(sample.gradient(w + h * e) - sample.gradient(w - h * e)) / (2 * h) for e in torch.eye(4).double()]
    assert (sample.hessian(w) - torch.stack(rows)).abs().max() < 1e-8


def test_minimum_is_parallel_to_the_least_squares_direction():
    f = gaussian()
    f = halfspaces.GaussianHalfspace(0.5 * f.u, f.covariance)  # classes that overlap more: a shorter minimiser
    best = scipy.optimize.minimize(
        lambda w: (float(f.value(torch.from_numpy(w))), f.gradient(torch.from_numpy(w)).numpy()), np.zeros(4), jac=True,
        options={"gtol": 1e-10},
    ).x  # fmt: skip
    direction = np.linalg.solve(f.S.numpy(), f.u.numpy())
    assert abs(best @ direction) / np.linalg.norm(best) / np.linalg.norm(direction) == pytest.approx(1, abs=1e-9)


def test_scaled_loss():
    small = gaussian(loss=halfspaces.logistic(0.01))
    w = draw(4, purpose="w")
    assert torch.allclose(100 * small.gradient(w), gaussian().gradient(w))
    s = torch.linspace(-4, 4, 9).double()
    loss = halfspaces.logistic(3.0)
    h = 1e-6
    assert ((loss.value(s + h) - loss.value(s - h)) / (2 * h) - loss.slope(s)).abs().max() < 1e-8
    assert ((loss.slope(s + h) - loss.slope(s - h)) / (2 * h) - loss.curvature(s)).abs().max() < 1e-8
    assert loss.slope(s).max() < loss.largest_slope
    assert loss.curvature(s).max() <= loss.largest_curvature


@pytest.mark.parametrize("length", [9.99, 10.01, 50.0])
def test_beyond_ten_standard_deviations_the_quadrature_is_refused(length):
    f, w = gaussian(), draw(4, purpose="w")
    w = length * w / torch.sqrt(w @ f.covariance @ w)
    unit = w / torch.sqrt(w @ f.S @ w)
    scale = float(torch.sqrt(w @ f.S @ w))
    calls = (f.value, f.gradient, f.coefficients, f.outputs, lambda w: gdnp.squared_gradient_norm(f, w),
             lambda w: gdnp.normalised_hessian(f, unit, scale))  # fmt: skip
    for call in calls:
        if length < 10:
            call(w)
            continue
        with pytest.raises(ValueError, match=rf"z'w has standard deviation {length:.3g}, above 10"):
            call(w)


GAUSSIAN, SAMPLE, ONES = gaussian(), halfspaces.SampledHalfspace(draw(9, 4)), torch.ones(4).double()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: halfspaces.GaussianHalfspace(ONES, torch.eye(3).double()), r"covariance: shape \(3, 3\) for u of 4"),
        (lambda: halfspaces.GaussianHalfspace(ONES, -torch.eye(4).double()), "eigenvalue -1 is negative"),
        (lambda: halfspaces.GaussianHalfspace(ONES * torch.nan, torch.eye(4).double()), "u: not all entries"),
        (lambda: halfspaces.GaussianHalfspace(ONES.float(), torch.eye(4).double()), "are not of one dtype"),
        (lambda: halfspaces.SampledHalfspace(torch.ones(3, 2).long()), "z: torch.int64"),
        (lambda: halfspaces.logistic(0), "scale: 0 is not"),
        *(
            (lambda call=call, w=w: call(w), words)
            for f in (GAUSSIAN, SAMPLE)
            for call in (f.value, f.gradient, f.coefficients, f.outputs)
            for w, words in (
                (ONES[:3], r"w: shape \(3,\) is not \(4,\)"),
                (ONES.float(), "not of one dtype"),
                (ONES.cfloat(), "w: torch.complex64"),
                (ONES * torch.nan, "w: not all"),
            )
        ),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
