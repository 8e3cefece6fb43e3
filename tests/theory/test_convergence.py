"""Least squares by descent: closed forms and finite differences; plain, normalised, and the last phase."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch

from bnlab.randomness import generator
from bnlab.theory import convergence, least_squares, modes, stability


def draw(*shape, seed=0, purpose="draw"):
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def problem(d=6, n=40, seed=0):
    X = draw(n, d, seed=seed) * torch.logspace(0, 1, d, dtype=torch.float64)
    return least_squares.least_squares(
        X, X @ draw(d, seed=seed, purpose="weights") + draw(n, seed=seed, purpose="noise")
    )


def loss_by_hand(p, a, w):
    """The mean over explicit samples would do; here 1/2 (E y^2 - 2 a w'g/sigma + a^2), term by term in numpy."""
    H, g, w = p.H.numpy(), p.g.numpy(), np.asarray(w)
    sigma = np.sqrt(w @ H @ w)
    return 0.5 * (float(p.power) - 2 * a * (w @ g) / sigma + a * a)


def test_singular_design_has_the_solution_of_least_norm_and_descent_finds_it():
    X = draw(30, 4)
    X = torch.cat([X, X[:, :1], torch.zeros(30, 1, dtype=torch.float64)], 1)  # a copied and a dead feature
    y = draw(30, purpose="y")
    p = least_squares.least_squares(X, y)
    expected, *_ = scipy.linalg.lstsq(X.numpy(), y.numpy())
    assert np.abs(p.solution.numpy() - expected).max() < 1e-10
    run = convergence.descend(p, 1 / modes.natural_modes(p.H).eigenvalues[-1], 3000, every=3000)
    assert (run.weights[-1] - p.solution).abs().max() < 1e-8


def test_excess_is_the_loss_above_the_minimum():
    X, y, w = draw(30, 5), draw(30, purpose="y"), draw(5, purpose="w")
    p = least_squares.least_squares(X, y)
    least = 0.5 * np.mean((y - X @ p.solution).numpy() ** 2)
    direct = 0.5 * np.mean((y - X @ w).numpy() ** 2) - least
    assert float(convergence.excess_loss(p, w)) == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize(("rule", "factor"), [("1/L", lambda k: 1 - 1 / k), ("best", lambda k: (k - 1) / (k + 1))])
def test_contraction_of_the_slowest_mode(rule, factor):
    p = problem()
    found = modes.natural_modes(p.H)
    kappa = (found.eigenvalues[-1] / found.eigenvalues[0]).item()
    rate = 1 / found.eigenvalues[-1].item() if rule == "1/L" else stability.best_rate(p.H)[0]
    start = p.solution + found.eigenvectors[:, 0]  # the error lies along the slowest mode alone
    run = convergence.descend(p, rate, 20, start)
    lengths = (run.weights - p.solution).norm(dim=-1)
    assert (lengths[1:] / lengths[:-1] - factor(kappa)).abs().max() < 1e-12


def test_descent_side_by_side_is_descent_one_by_one_and_diverges_above_the_bound():
    p = problem()
    bound = stability.stability_bound(p.H)
    rates = torch.tensor([0.5, 0.99, 1.01], dtype=torch.float64) * bound
    start = draw(6, purpose="w0")
    together = convergence.descend(p, rates, 400, start, every=100)
    for k, rate in enumerate(rates):
        alone = convergence.descend(p, float(rate), 400, start, every=100)
        assert torch.allclose(together.excess[:, k], alone.excess, rtol=1e-10)
    assert (together.excess[-1, :2] < together.excess[0, :2]).all()
    assert together.excess[-1, 2] > 100 * together.excess[0, 2]
    assert together.steps.tolist() == [0, 100, 200, 300, 400]


def test_normalised_step_is_the_gradient_by_finite_differences():
    p, w, a, rate, h = problem(), draw(6, purpose="w0"), 0.7, 0.3, 1e-6
    run = convergence.normalised_descend(p, rate, 1, w, a0=a, a_rate=0.4)
    gradient = np.array([
        (loss_by_hand(p, a, w.numpy() + h * e) - loss_by_hand(p, a, w.numpy() - h * e)) / (2 * h) for e in np.eye(6)
    ])  # fmt: skip
    assert np.abs((run.weights[1] - w).numpy() + rate * gradient).max() < 1e-6 * np.abs(gradient).max()
    slope = (loss_by_hand(p, a + h, w) - loss_by_hand(p, a - h, w)) / (2 * h)
    least = loss_by_hand(p, a, w) - float(run.excess[0])
    after = loss_by_hand(p, a - 0.4 * slope, run.weights[1])
    assert float(run.excess[1]) == pytest.approx(after - least, rel=1e-8)


def test_normalised_step_is_a_plain_step_at_the_recorded_rate():
    p, w = problem(), draw(6, purpose="w0")
    run = convergence.normalised_descend(p, 0.5, 6, w, a0=0.3)
    for t in range(6):
        now, after = run.weights[t], run.weights[t + 1]
        target = p.solution * (now @ p.H @ now) / (now @ p.g)  # the multiple of the solution on w's level
        assert torch.allclose(after, now - run.rates[t] * p.H @ (now - target), rtol=1e-9)


def test_first_values_of_a_are_used_in_full_precision():
    p, w = problem(), draw(6, purpose="w0")
    run = convergence.normalised_descend(p, 1.0, 1, w, a0=0.7)
    H, g, x = p.H.numpy(), p.g.numpy(), w.numpy()
    sigma = np.sqrt(x @ H @ x)
    expected = 0.7 / sigma * (g - (x @ g) / sigma**2 * H @ x)
    assert np.abs((run.weights[1] - w).numpy() - expected).max() < 1e-14 * np.abs(expected).max() * 10


def test_length_never_falls():
    rates = torch.tensor([1e-3, 1.0, 1e4], dtype=torch.float64)
    run = convergence.normalised_descend(problem(), rates, 50, draw(6, purpose="w0"))
    lengths = run.weights.norm(dim=-1)
    assert (lengths[1:] >= lengths[:-1] * (1 - 1e-12)).all()


def test_scaling_law():
    p, w = problem(), draw(6, purpose="w0")
    one = convergence.normalised_descend(p, 0.7, 30, w)
    other = convergence.normalised_descend(p, 0.7 * 25.0, 30, 5.0 * w)
    assert torch.allclose(one.excess, other.excess, rtol=1e-9)
    assert torch.allclose(5 * one.weights, other.weights, rtol=1e-9)


def test_effective_hessian_is_the_hessian_of_the_normalised_loss_at_the_solution():
    p, h = problem(), 1e-4
    u = p.solution.numpy()
    a = np.sqrt(u @ p.H.numpy() @ u)
    second = np.empty((6, 6))
    for i, e in enumerate(h * np.eye(6)):
        for j, f in enumerate(h * np.eye(6)):
            corners = [loss_by_hand(p, a, u + s * e + t * f) for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            second[i, j] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h * h)
    reduced = convergence.effective_hessian(p.H, p.solution)
    assert np.abs(second - reduced.numpy()).max() < 1e-5 * np.abs(second).max()


def test_eigenvalues_interlace_and_one_is_zero():
    for seed in range(50):
        p = problem(seed=seed)
        u = draw(6, seed=seed, purpose="u")
        reduced = convergence.effective_hessian(p.H, u)
        assert (reduced @ u).norm() < 1e-12 * (p.H @ u).norm()
        before, after = torch.linalg.eigvalsh(p.H), torch.linalg.eigvalsh(reduced)
        assert (after <= before + 1e-10 * before[-1]).all()
        assert (after[1:] >= before[:-1] - 1e-10 * before[-1]).all()


def test_last_phase_of_normalised_descent_contracts_as_the_effective_hessian_says():
    p = problem()
    positive = torch.linalg.eigvalsh(convergence.effective_hessian(p.H, p.solution))[1:]
    rate = 1 / positive[-1]
    start = p.solution + 1e-5 * draw(6, purpose="w0")
    run = convergence.normalised_descend(p, rate, 1500, start, every=100)
    factor = (run.excess[-1] / run.excess[-2]) ** (1 / 200)
    assert factor == pytest.approx((1 - positive[0] / positive[-1]).item(), rel=1e-5)


def test_refusals_are_one_line():
    p = problem()
    cases = [
        (lambda: convergence.normalised_descend(p, 1.0, 1, torch.zeros(6)), "no output to normalise"),
        (lambda: convergence.normalised_descend(p, 1.0, 1, torch.ones(6), a_rate=1.5), r"a_rate: 1\.5"),
        (lambda: convergence.effective_hessian(torch.eye(2), torch.zeros(2)), "u'Hu is not positive"),
    ]
    for call, words in cases:
        with pytest.raises(ValueError, match=words) as refusal:
            call()
        assert "\n" not in str(refusal.value)


def test_what_cannot_be_answered_is_refused():
    p, nan = problem(), torch.tensor([torch.nan] * 6)
    cases = [
        (lambda: convergence.descend(p, -1.0, 3), r"rate: -1 is negative"),
        (lambda: convergence.descend(p, torch.tensor([0.1, torch.inf]), 3), "rate: not all"),
        (lambda: convergence.descend(p, 0.1, -1), "steps: -1"),
        (lambda: convergence.descend(p, 0.1, 3, every=0), "every: 0"),
        (lambda: convergence.descend(p, 0.1, 3, torch.ones(5)), r"w0: shape \(5,\) is not \(\.\.\., 6\)"),
        (lambda: convergence.descend(p, torch.ones(3), 3, torch.ones(2, 6)), "do not fit"),
        (lambda: convergence.normalised_descend(p, 0.1, 3, nan), "w0: not all"),
        (lambda: convergence.effective_hessian(torch.eye(2), torch.ones(3)), r"H, u: shapes \(2, 2\) and \(3,\)"),
        (lambda: convergence.excess_loss(p, torch.ones(6).long()), "w: torch.int64"),
    ]
    for call, words in cases:
        with pytest.raises(ValueError, match=words) as refusal:
            call()
        assert "\n" not in str(refusal.value)
