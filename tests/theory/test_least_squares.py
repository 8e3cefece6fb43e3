"""Least squares problems: closed forms, scipy, features of any scale and offset, steps counted without iterating."""

import numpy as np
import pytest
import scipy.linalg
import torch

from bnlab.randomness import generator
from bnlab.theory import least_squares


def draw(*shape, seed=0, purpose="draw"):
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def test_solution_is_that_of_scipy():
    X, y = draw(30, 5), draw(30, purpose="y")
    expected, *_ = scipy.linalg.lstsq(X.numpy(), y.numpy())
    assert np.abs(least_squares.least_squares(X, y).solution.numpy() - expected).max() < 1e-12


@pytest.mark.parametrize("rate", [0.3, 1.0, 1.7])
def test_steps_are_counted_as_iterating_counts_them(rate):
    eigenvalues = torch.tensor([0.01, 0.2, 1.0], dtype=torch.float64)
    components = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    error, first, count = components.clone(), float((eigenvalues * components**2).sum()), 0
    while float((eigenvalues * error**2).sum()) > 1e-4 * first:
        error, count = error - rate * eigenvalues * error, count + 1
    assert least_squares.steps_to(eigenvalues, components, rate, 1e-4) == count


def test_steps_of_edge_cases():
    one, two = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0])
    assert least_squares.steps_to(one, two, 1.0, 0.5) == 1  # the dead mode has no loss
    assert least_squares.steps_to(one, two, 2.0, 0.5) == np.inf
    assert least_squares.steps_to(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 0.0]), 1.5, 0.3) == 1
    for wrong in ({"rate": 0.0, "tolerance": 0.5}, {"rate": 1.0, "tolerance": 1.0}):
        with pytest.raises(ValueError, match=r"rate: 0\.0|tolerance: 1\.0"):
            least_squares.steps_to(one, two, **wrong)


def test_standardised_features():
    X = draw(50, 3) * torch.tensor([1.0, 1e3, 1e-3]) + torch.tensor([1e6, -5.0, 2.0])
    X = torch.cat([X, torch.full((50, 1), 0.1, dtype=torch.float64)], 1)
    Z, mean, scale = least_squares.standardise(X)
    assert Z[:, :3].mean(0).abs().max() < 1e-9
    assert np.abs(Z[:, :3].numpy().std(0) - 1).max() < 1e-9
    assert (Z[:, 3] == 0).all()
    assert scale[3] == 1
    assert torch.allclose(Z[:, :3] * scale[:3] + mean[:3], X[:, :3])


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, -1e-30])
@pytest.mark.parametrize("rows", [3, 7, 49, 1000])
def test_rounding_of_a_constant_feature_does_not_become_one(value, rows):
    Z, _, scale = least_squares.standardise(torch.full((rows, 1), value, dtype=torch.float64))
    assert (Z == 0).all()
    assert scale == 1


def test_refusals_are_one_line():
    X = torch.ones(3, 2)
    cases = [
        (lambda: least_squares.least_squares(X, torch.ones(2)), r"X: shape \(3, 2\) with y of shape \(2,\)"),
        (lambda: least_squares.least_squares(X * torch.nan, torch.ones(3)), "not all entries are finite"),
        (lambda: least_squares.least_squares(torch.ones(0, 2), torch.ones(0)), r"X: shape \(0, 2\)"),
        (lambda: least_squares.standardise(torch.ones(3)), r"X: shape \(3,\)"),
    ]
    for call, words in cases:
        with pytest.raises(ValueError, match=words) as refusal:
            call()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("scale", [1e-6, 1e-12, 1e6])
def test_a_feature_of_another_scale_is_not_taken_for_a_dead_one(scale):
    X, y = draw(60, 4), draw(60, purpose="y")
    scales = torch.tensor([1.0, scale, 1.0, 1.0], dtype=torch.float64)
    expected = least_squares.least_squares(X, y).solution / scales
    torch.testing.assert_close(least_squares.least_squares(X * scales, y).solution, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_far_from_the_origin_are_told_apart(dtype):
    """Two features of deviation 1 around 1e6 differ from each other by a millionth of their length."""
    X, y = (draw(60, 2) + 1e6).to(dtype), draw(60, purpose="y").to(dtype)
    exact = np.array(np.linalg.lstsq(X.double().numpy(), y.double().numpy(), rcond=1e-14)[0])
    np.testing.assert_allclose(least_squares.least_squares(X, y).solution, exact, rtol=1e-6)


def test_scales_from_one_to_four_to_the_ninth():
    """Condition number of H 7e10: cut at a ratio of 1e10 the solution was 18 % off."""
    scales = 4.0 ** torch.arange(10, dtype=torch.float64)
    X, y = draw(200, 10), draw(200, purpose="y")
    expected = least_squares.least_squares(X, y).solution / scales
    torch.testing.assert_close(least_squares.least_squares(X * scales, y).solution, expected, rtol=1e-9, atol=0)


def test_features_that_depend_on_each_other_in_single_precision():
    X = draw(50, 4).float()
    X = torch.cat([X, X.sum(1, keepdim=True), 1e-3 * X[:, :1]], 1)  # a sum rounded to float32, and a scaled copy
    y = draw(50, purpose="y").float()
    expected, *_ = scipy.linalg.lstsq(X.double().numpy(), y.double().numpy(), cond=1e-6)
    np.testing.assert_allclose(least_squares.least_squares(X, y).solution, expected, rtol=0, atol=1e-5)


def test_several_problems_of_which_one_is_hard():
    X, y = torch.stack([draw(40, 3), draw(40, 3, seed=1)]), torch.stack([draw(40, purpose="y")] * 2)
    X[1] *= torch.tensor([1.0, 1e-8, 1.0])
    found = least_squares.least_squares(X, y).solution
    for own, part, target in zip(found, X, y, strict=True):
        alone = least_squares.least_squares(part, target).solution  # rounded otherwise on some processors
        torch.testing.assert_close(own, alone, rtol=1e-9, atol=0)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_standardised_at_any_offset(offset):
    x = draw(200, 2) + offset
    exact = (x - x[0]).numpy()  # what is left of the data, with no digits lost
    exact = (exact - exact.mean(0)) / exact.std(0)
    np.testing.assert_allclose(least_squares.standardise(x)[0], exact, rtol=0, atol=1e-9)


def test_a_feature_that_varies_in_the_last_place_of_its_dtype_is_constant():
    x = torch.full((50, 1), 0.1)
    x[::2] = torch.nextafter(x[::2], torch.tensor(1.0))
    assert (least_squares.standardise(x)[0] == 0).all()
    assert (least_squares.standardise(1e6 + draw(50, 1).float())[0].abs() > 0).all()


def test_steps_of_slow_modes():
    """A mode of 1e-14 decays in some 1e14 steps: 1 - 1e-14 has two digits left in float64."""
    for slow in (1e-6, 1e-14, 1e-200):
        eigenvalues, components = torch.tensor([[slow, 1.0], [slow**-0.5, 0.0]], dtype=torch.float64)
        steps = least_squares.steps_to(eigenvalues, components, rate=1.0, tolerance=0.5)
        assert steps == pytest.approx(np.log(2) / (2 * slow), rel=1e-5)


def test_what_cannot_be_answered_is_refused():
    two = torch.tensor([1.0, 1.0])
    cases = [
        (lambda: least_squares.steps_to(torch.tensor([-1.0, 1.0]), two, 0.5, 0.5), "eigenvalue -1 is negative"),
        (lambda: least_squares.steps_to(torch.tensor([torch.nan, 1.0]), two, 0.5, 0.5), "eigenvalues: not all"),
        (lambda: least_squares.steps_to(two, torch.ones(1), 0.5, 0.5), "components: 1 of them for 2"),
        (lambda: least_squares.steps_to(two.double(), 1e300 * two.double(), 0.5, 0.5), "components: .* overflow"),
        (lambda: least_squares.least_squares(torch.ones(3, 2).cfloat(), torch.ones(3)), "X: torch.complex64"),
        (lambda: least_squares.least_squares(torch.ones(3, 2), torch.ones(3).long()), "y: torch.int64"),
        (lambda: least_squares.standardise(torch.ones(3, 2).half()), "X: torch.float16"),
    ]
    for call, words in cases:
        with pytest.raises(ValueError, match=words) as refusal:
            call()
        assert "\n" not in str(refusal.value)
