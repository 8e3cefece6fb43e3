"""Mean-field constants against quadrature by SciPy, closed forms, and wide networks drawn by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special

from bnlab.theory import mean_field

FUNCTIONS = {
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0)),
    "tanh": (math.tanh, lambda z: 1 / math.cosh(z) ** 2),
    "sigmoid": (special.expit, lambda z: special.expit(z) * special.expit(-z)),
    "linear": (lambda z: z, lambda z: 1.0),
}


def expectation(function, variance):
    """E f(z) by adaptive quadrature on either side of 0."""
    q = math.sqrt(variance)

    def density(z):
        return function(q * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    return sum(integrate.quad(density, *ends, epsabs=1e-13, epsrel=1e-12)[0] for ends in ((-12, 0), (0, 12)))


@pytest.mark.parametrize("name", mean_field.ACTIVATIONS)
@pytest.mark.parametrize("variance", [0.01, 1.0, 2.0])
def test_moments_are_those_of_quadrature(name, variance):
    value, slope = FUNCTIONS[name]
    found = mean_field.moments(name, variance)
    assert found.mean == pytest.approx(expectation(value, variance), abs=1e-10)
    assert found.square == pytest.approx(expectation(lambda z: value(z) ** 2, variance), rel=1e-9)
    assert found.slope_square == pytest.approx(expectation(lambda z: slope(z) ** 2, variance), rel=1e-9)
    assert found.variance == pytest.approx(found.square - found.mean**2, rel=1e-12)


def test_rates_that_have_closed_forms():
    assert mean_field.plain_rate("relu", 1.0) == 0.5
    assert mean_field.plain_rate("relu", 2.0, variance=7.0) == 1.0
    assert mean_field.plain_rate("linear", 3.0) == 3.0
    assert mean_field.normalised_rate("relu") == pytest.approx(math.pi / (math.pi - 1), rel=1e-14)
    assert mean_field.normalised_rate("linear") == 1.0


def test_normalised_rate_is_at_least_one_and_one_near_the_linear_regime():
    """Poincare; tanh is linear for small inputs, but normalised ones are not small."""
    for name in ("relu", "tanh", "sigmoid"):
        assert mean_field.normalised_rate(name) > 1.01
    small = mean_field.moments("tanh", 1e-4)
    assert small.slope_square * 1e-4 / small.variance == pytest.approx(1, abs=1e-6)


def test_normalised_rate_from_hermite_coefficients():
    """E phi'^2 / Var phi = sum k a_k^2 / sum a_k^2, k from 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    weights = weights / weights.sum()
    squares = []
    for k in range(1, 60):
        he = np.polynomial.hermite_e.hermeval(nodes, [0] * k + [1]) / math.exp(math.lgamma(k + 1) / 2)
        squares.append((weights @ (np.tanh(nodes) * he)) ** 2)
    ratio = sum(k * a for k, a in enumerate(squares, 1)) / sum(squares)
    assert mean_field.normalised_rate("tanh") == pytest.approx(ratio, rel=1e-6)


def test_plain_profiles_are_products_of_the_rates_on_the_way():
    assert mean_field.plain_profile("relu", 4, 1.0).tolist() == [0.125, 0.25, 0.5, 1.0]
    assert mean_field.plain_profile("linear", 3, 2.0).tolist() == [4.0, 2.0, 1.0]
    q, product = 0.7, 1.0
    for _ in range(2):
        product *= 1.5 * expectation(lambda z: math.cosh(z) ** -4, q)
        q = 1.5 * expectation(lambda z: math.tanh(z) ** 2, q)
    assert mean_field.plain_profile("tanh", 3, 1.5, 0.7)[0].item() == pytest.approx(product, rel=1e-9)


def test_tanh_without_a_norm_decays_as_a_power_of_the_depth():
    """At weight variance 1, q_l ~ 1 / (2 l), and each factor is about 1 - 2 q = 1 - 1 / l: gradients fall as 1 / l."""
    profile = mean_field.plain_profile("tanh", 4001, 1.0)
    assert (profile[1000] / profile[2000]).item() == pytest.approx(0.5, abs=0.01)
    assert (profile[1000] / profile[4000]).item() == pytest.approx(0.25, abs=0.01)


def test_residual_profiles():
    assert mean_field.residual_profile("relu", 3, normalised=False).tolist() == [8.0, 4.0, 2.0, 1.0]
    assert mean_field.residual_profile("linear", 2, 1.0, variance=1.0).tolist() == [3.0, 1.5, 1.0]  # (l + 2) / (l + 1)
    grown = 1 - 1 / math.pi
    expected = (1 + 1 / (0.5 + grown)) * (1 + 1 / 0.5)
    assert mean_field.residual_profile("relu", 2, variance=0.5)[0].item() == pytest.approx(expected, rel=1e-12)


def test_residual_growth_is_a_power_of_the_depth_with_the_rate_as_exponent():
    profile = [mean_field.residual_profile("relu", blocks)[0].item() for blocks in (1000, 2000)]
    assert math.log2(profile[1] / profile[0]) == pytest.approx(math.pi / (math.pi - 1), abs=0.002)


def test_branch_shares():
    shares = mean_field.branch_shares("relu", 500)
    added = 1 - 1 / math.pi
    assert shares[0].item() == pytest.approx(added / (1 + added), rel=1e-12)
    assert shares[-1].item() * 500 == pytest.approx(1, abs=0.01)
    assert (shares.diff() < 0).all()


@pytest.mark.parametrize("skip", [False, True])
def test_gradient_correlations_are_those_of_a_wide_network_of_two_inputs(skip):
    """Without normalisation: masks of two inputs, and one direction that both gradients start from."""
    rng = torch.Generator().manual_seed(3)
    width, depth, c = 1500, 3, 0.6

    def normal(*shape):
        return torch.randn(*shape, generator=rng)

    a, b, t = normal(width), normal(width), normal(width)
    h, t = torch.stack([a, c * a + math.sqrt(1 - c * c) * b]), torch.stack([t, t])
    expected = mean_field.gradient_correlations(c, depth, skip=skip, normalised=False)
    for block in range(depth):
        weight = normal(width, width) * math.sqrt(2 / width)
        y, s = h.relu() @ weight.T, ((h > 0) * t) @ weight.T
        h, t = (h + y, t + s) if skip else (y, s)
        found = torch.nn.functional.cosine_similarity(t[0], t[1], dim=0).item()
        assert found == pytest.approx(expected[block].item(), abs=0.05)


@pytest.mark.parametrize("skip", [False, True])
def test_gradient_correlations_with_normalisation_are_those_of_a_wide_network_on_a_batch(skip):
    """A batch of independent pairs, each of correlation c; statistics held."""
    rng = torch.Generator().manual_seed(4)
    width, depth, c, others = 1000, 3, 0.8, 300

    def normal(*shape):
        return torch.randn(*shape, generator=rng)

    h, t = normal(others, width), normal(width).expand(others, width)
    h[1::2] = c * h[::2] + math.sqrt(1 - c * c) * h[1::2]
    expected = mean_field.gradient_correlations(c, depth, skip=skip, normalised=True)
    for block in range(depth):
        weight = normal(width, width) * math.sqrt(2 / width)
        scale = h.std(0, unbiased=False)
        x = (h - h.mean(0)) / scale
        y, s = x.relu() @ weight.T, ((x > 0) * t / scale) @ weight.T
        h, t = (h + y, t + s) if skip else (y, s)
        found = torch.nn.functional.cosine_similarity(t[::2], t[1::2], dim=1).mean().item()
        assert found == pytest.approx(expected[block].item(), abs=0.02)


def test_ends_of_the_correlation():
    for skip in (False, True):
        for normalised in (False, True):
            same = mean_field.gradient_correlations(1.0, 5, skip=skip, normalised=normalised)
            torch.testing.assert_close(same, torch.ones(5, dtype=torch.float64))
    assert mean_field.gradient_correlations(-1.0, 1, skip=False, normalised=False).item() == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_field.moments("gelu"), "activation: 'gelu' is not one of"),
        (lambda: mean_field.moments("relu", 0), "variance: 0 is not a finite number above 0"),
        (lambda: mean_field.plain_rate("relu", -1), "weight_variance: -1 is not"),
        (lambda: mean_field.plain_profile("relu", 0, 1.0), "depth: 0 is not a whole number"),
        (lambda: mean_field.residual_profile("relu", 1.5), "blocks: 1.5 is not a whole number"),
        (lambda: mean_field.branch_shares("relu", 2, math.nan), "weight_variance: nan"),
        (lambda: mean_field.gradient_correlations(1.1, 2, skip=True, normalised=True), "correlation: 1.1 is not"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match="^" + words):
        call()
