"""Margins: an independent support vector machine, known cases; descent on separable data and its two exponents."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import torch
from scipy.special import expit

from bnlab.randomness import generator
from bnlab.theory import margins


def separable(n=60, d=3, gap=0.3, seed=0):
    draws = generator(seed, "points")
    x = torch.randn(n, d, generator=draws, dtype=torch.float64)
    w = torch.randn(d, generator=draws, dtype=torch.float64)
    w = w / w.norm()
    score = x @ w
    x = x + (score.sign() * gap)[:, None] * w  # moves every point away from the boundary
    return score.sign()[:, None] * x


def test_margin_against_a_general_optimiser():
    z = separable()
    best = scipy.optimize.minimize(
        lambda w: w @ w / 2, 5 * margins.largest_margin(z).direction.numpy() + 0.1, jac=lambda w: w, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda w: z.numpy() @ w - 1, "jac": lambda w: z.numpy()},
        options={"ftol": 1e-14, "maxiter": 500},
    ).x  # fmt: skip
    found = margins.largest_margin(z)
    assert found.margin == pytest.approx(1 / np.linalg.norm(best), rel=1e-6)
    assert found.direction.norm().item() == pytest.approx(1)
    assert (z @ found.direction).min().item() == pytest.approx(found.margin)


def test_margin_of_known_cases_and_in_other_units():
    z = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert margins.largest_margin(z).margin == pytest.approx(12 / 5)
    assert margins.largest_margin(1e6 * z).margin == pytest.approx(12e5 * 2)
    with pytest.raises(ValueError, match="not separable"):
        margins.largest_margin(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    with pytest.raises(ValueError, match="not separable"):
        margins.largest_margin(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"z: shape \(2,\)"):
        margins.largest_margin(torch.ones(2))


def test_descent_by_hand_and_side_by_side():
    z = torch.stack([separable(seed=1), separable(seed=2)])
    run = margins.logistic_descent(z, torch.tensor([0.5, 0.1]), 3, torch.tensor([0, 3]))
    for k, rate in enumerate((0.5, 0.1)):
        w = np.zeros(3)
        for _ in range(3):
            w = w + rate * (z[k].numpy() * expit(-(z[k].numpy() @ w))[:, None]).mean(0)
        assert run.length[1, k].item() == pytest.approx(np.linalg.norm(w), rel=1e-7)
        assert run.margin[1, k].item() == pytest.approx((z[k].numpy() @ w).min() / np.linalg.norm(w), rel=1e-7)
        assert run.loss[1, k].item() == pytest.approx(np.logaddexp(0, -(z[k].numpy() @ w)).mean(), rel=1e-7)
    assert run.margin[0].tolist() == [0, 0]
    assert run.loss[0].tolist() == pytest.approx([np.log(2)] * 2)


def test_positive_margin_falls_as_one_over_t():
    z = separable(gap=1.0)
    at = torch.tensor([3000, 30_000])
    run = margins.logistic_descent(z, 1.0, 30_000, at)
    exponent = (run.loss[1] / run.loss[0]).log() / np.log(10)
    assert -1.1 < exponent.item() < -0.9
    assert run.length[1] > run.length[0]


def test_zero_margin_falls_as_the_cube_root():
    at = torch.tensor([10_000, 100_000])
    run = margins.boundary_descent(4.0, 100_000, at)
    exponent = (run.loss[1] / run.loss[0]).log() / np.log(10)
    assert exponent.item() == pytest.approx(-1 / 3, abs=0.01)
    growth = (run.length[1] / run.length[0]).log() / np.log(10)
    assert growth.item() == pytest.approx(1 / 3, abs=0.01)


def test_boundary_descent_is_the_descent_of_a_large_sample():
    x = torch.randn(400_000, 1, generator=generator(0, "x"), dtype=torch.float64)
    at = torch.tensor([1, 20, 60])
    sample = margins.logistic_descent(x.abs(), 1.0, 60, at)
    population = margins.boundary_descent(1.0, 60, at)
    assert ((sample.length - population.length) / population.length).abs().max() < 0.01
    r = population.length[-1].item()
    half = scipy.integrate.quad(
        lambda s: np.logaddexp(0, -r * s) * np.exp(-s * s / 2) / np.sqrt(2 * np.pi), 0, 12, epsabs=1e-13
    )[0]
    assert population.loss[-1].item() == pytest.approx(2 * half, rel=1e-9)


Z = torch.ones(3, 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: margins.largest_margin(Z * torch.nan), "z: not all entries"),
        (lambda: margins.largest_margin(Z.long()), "z: torch.int64"),
        (lambda: margins.logistic_descent(Z, -1.0, 3, torch.tensor([3])), r"rate: -1\.0 is not"),
        (lambda: margins.logistic_descent(Z, torch.ones(2), 3, torch.tensor([3])), r"rate: shape \(2,\)"),
        (lambda: margins.logistic_descent(Z[0], 1.0, 3, torch.tensor([3])), r"z: shape \(2,\)"),
        (lambda: margins.logistic_descent(Z, 1.0, 3, torch.tensor([4])), r"record_at: \[4\] are not"),
        (lambda: margins.logistic_descent(Z, 1.0, 3, torch.tensor([])), r"record_at: \[\] are not"),
        (lambda: margins.boundary_descent(1.0, 3, torch.tensor([1.5])), r"record_at: 1\.5 is not"),
        (lambda: margins.boundary_descent(float("nan"), 3, torch.tensor([1])), "rate: nan is not"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_normalised_steps_are_gradient_descent_by_finite_differences():
    z = torch.tensor([[2.0, 0.5], [1.0, -0.3], [0.4, 0.2], [1.5, 0.1]], dtype=torch.float64)
    S, rate, h = (z.T @ z / len(z)).numpy(), 0.7, 1e-6

    def loss(a, w):
        return np.mean(np.logaddexp(0, -a * (z.numpy() @ w) / np.sqrt(w @ S @ w)))

    a, w = 0.0, z.mean(0).numpy()
    run = margins.normalised_logistic_descent(z, rate, 6, torch.arange(7))
    for t in range(7):
        assert float(run.loss[t]) == pytest.approx(loss(a, w), rel=1e-9)
        assert float(run.length[t]) == pytest.approx(abs(a), rel=1e-7, abs=1e-12)
        assert float(run.margin[t]) == pytest.approx(np.sign(a) * (z.numpy() @ w).min() / np.linalg.norm(w), rel=1e-7)
        slope = (loss(a + h, w) - loss(a - h, w)) / (2 * h)
        gradient = [(loss(a, w + h * e) - loss(a, w - h * e)) / (2 * h) for e in np.eye(2)]
        a, w = a - rate * slope, w - rate * np.array(gradient)


def test_normalised_runs_side_by_side_are_runs_one_by_one():
    z = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rates = torch.tensor([0.1, 1.0, 2.0], dtype=torch.float64)
    together = margins.normalised_logistic_descent(z, rates, 20, torch.tensor([0, 20]))
    for k in range(3):
        alone = margins.normalised_logistic_descent(z[k], rates[k].item(), 20, torch.tensor([0, 20]))
        assert torch.allclose(together.loss[:, k], alone.loss)
        assert torch.allclose(together.margin[:, k], alone.margin)
    assert torch.allclose(together.loss[0], torch.full((3,), math.log(2)).double())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.tensor([[1.0], [-1.0]]), 1.0, 3), "z: its mean is 0"),
        ((torch.ones(3), 1.0, 3), r"z: shape \(3,\) is not"),
        ((torch.ones(3, 2), -1.0, 3), "rate: -1"),
        ((torch.ones(3, 2), 1.0, 1), "record_at: .* are not one step or more of 0 to 1"),
    ],
)
def test_what_a_normalised_run_cannot_take_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        margins.normalised_logistic_descent(*arguments, torch.tensor([3]))
