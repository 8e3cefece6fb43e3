"""Least squares by descent: closed forms, finite differences, scipy; plain, standardised, normalised; edge cases."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch

from bnlab.randomness import generator
from bnlab.theory import convergence, modes, stability


def draw(*shape, seed=0, purpose="draw"):
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def problem(d=6, n=40, seed=0):
    X = draw(n, d, seed=seed) * torch.logspace(0, 1, d, dtype=torch.float64)
    return convergence.least_squares(X, X @ draw(d, seed=seed, purpose="weights") + draw(n, seed=seed, purpose="noise"))


def loss_by_hand(p, a, w):
    """The mean over explicit samples would do; here 1/2 (E y^2 - 2 a w'g/sigma + a^2), term by term in numpy."""
    H, g, w = p.H.numpy(), p.g.numpy(), np.asarray(w)
    sigma = np.sqrt(w @ H @ w)
    return 0.5 * (float(p.power) - 2 * a * (w @ g) / sigma + a * a)


def test_solution_is_that_of_scipy():
    X, y = draw(30, 5), draw(30, purpose="y")
    expected, *_ = scipy.linalg.lstsq(X.numpy(), y.numpy())
    assert np.abs(convergence.least_squares(X, y).solution.numpy() - expected).max() < 1e-12


def test_singular_design_has_the_solution_of_least_norm_and_descent_finds_it():
    X = draw(30, 4)
    X = torch.cat([X, X[:, :1], torch.zeros(30, 1, dtype=torch.float64)], 1)  # a copied and a dead feature
    y = draw(30, purpose="y")
    p = convergence.least_squares(X, y)
    expected, *_ = scipy.linalg.lstsq(X.numpy(), y.numpy())
    assert np.abs(p.solution.numpy() - expected).max() < 1e-10
    run = convergence.descend(p, 1 / modes.natural_modes(p.H).eigenvalues[-1], 3000, every=3000)
    assert (run.weights[-1] - p.solution).abs().max() < 1e-8


def test_excess_is_the_loss_above_the_minimum():
    X, y, w = draw(30, 5), draw(30, purpose="y"), draw(5, purpose="w")
    p = convergence.least_squares(X, y)
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


@pytest.mark.parametrize("rate", [0.3, 1.0, 1.7])
def test_steps_are_counted_as_iterating_counts_them(rate):
    eigenvalues = torch.tensor([0.01, 0.2, 1.0], dtype=torch.float64)
    components = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    error, first, count = components.clone(), float((eigenvalues * components**2).sum()), 0
    while float((eigenvalues * error**2).sum()) > 1e-4 * first:
        error, count = error - rate * eigenvalues * error, count + 1
    assert convergence.steps_to(eigenvalues, components, rate, 1e-4) == count


def test_steps_of_edge_cases():
    one, two = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0])
    assert convergence.steps_to(one, two, 1.0, 0.5) == 1  # the dead mode has no loss
    assert convergence.steps_to(one, two, 2.0, 0.5) == np.inf
    assert convergence.steps_to(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 0.0]), 1.5, 0.3) == 1
    for wrong in ({"rate": 0.0, "tolerance": 0.5}, {"rate": 1.0, "tolerance": 1.0}):
        with pytest.raises(ValueError, match=r"rate: 0\.0|tolerance: 1\.0"):
            convergence.steps_to(one, two, **wrong)


def test_standardised_features():
    X = draw(50, 3) * torch.tensor([1.0, 1e3, 1e-3]) + torch.tensor([1e6, -5.0, 2.0])
    X = torch.cat([X, torch.full((50, 1), 0.1, dtype=torch.float64)], 1)
    Z, mean, scale = convergence.standardise(X)
    assert Z[:, :3].mean(0).abs().max() < 1e-9
    assert np.abs(Z[:, :3].numpy().std(0) - 1).max() < 1e-9
    assert (Z[:, 3] == 0).all()
    assert scale[3] == 1
    assert torch.allclose(Z[:, :3] * scale[:3] + mean[:3], X[:, :3])


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, -1e-30])
@pytest.mark.parametrize("rows", [3, 7, 49, 1000])
def test_rounding_of_a_constant_feature_does_not_become_one(value, rows):
    Z, _, scale = convergence.standardise(torch.full((rows, 1), value, dtype=torch.float64))
    assert (Z == 0).all()
    assert scale == 1


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
    X, p = torch.ones(3, 2), problem()
    cases = [
        (lambda: convergence.least_squares(X, torch.ones(2)), r"X: shape \(3, 2\) with y of shape \(2,\)"),
        (lambda: convergence.least_squares(X * torch.nan, torch.ones(3)), "not all entries are finite"),
        (lambda: convergence.least_squares(torch.ones(0, 2), torch.ones(0)), r"X: shape \(0, 2\)"),
        (lambda: convergence.standardise(torch.ones(3)), r"X: shape \(3,\)"),
        (lambda: convergence.normalised_descend(p, 1.0, 1, torch.zeros(6)), "no output to normalise"),
        (lambda: convergence.normalised_descend(p, 1.0, 1, torch.ones(6), a_rate=1.5), r"a_rate: 1\.5"),
        (lambda: convergence.effective_hessian(torch.eye(2), torch.zeros(2)), "u'Hu is not positive"),
    ]
    for call, words in cases:
        with pytest.raises(ValueError, match=words) as refusal:
            call()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("scale", [1e-6, 1e-12, 1e6])
def test_a_feature_of_another_scale_is_not_taken_for_a_dead_one(scale):
    X, y = draw(60, 4), draw(60, purpose="y")
    scales = torch.tensor([1.0, scale, 1.0, 1.0], dtype=torch.float64)
    expected = convergence.least_squares(X, y).solution / scales
    torch.testing.assert_close(convergence.least_squares(X * scales, y).solution, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_far_from_the_origin_are_told_apart(dtype):
    """Two features of deviation 1 around 1e6 differ from each other by a millionth of their length."""
    X, y = (draw(60, 2) + 1e6).to(dtype), draw(60, purpose="y").to(dtype)
    exact = np.array(np.linalg.lstsq(X.double().numpy(), y.double().numpy(), rcond=1e-14)[0])
    np.testing.assert_allclose(convergence.least_squares(X, y).solution, exact, rtol=1e-6)


def test_scales_from_one_to_four_to_the_ninth():
    """Condition number of H 7e10: cut at a ratio of 1e10 the solution was 18 % off."""
    scales = 4.0 ** torch.arange(10, dtype=torch.float64)
    X, y = draw(200, 10), draw(200, purpose="y")
    expected = convergence.least_squares(X, y).solution / scales
    torch.testing.assert_close(convergence.least_squares(X * scales, y).solution, expected, rtol=1e-9, atol=0)


def test_features_that_depend_on_each_other_in_single_precision():
    X = draw(50, 4).float()
    X = torch.cat([X, X.sum(1, keepdim=True), 1e-3 * X[:, :1]], 1)  # a sum rounded to float32, and a scaled copy
    y = draw(50, purpose="y").float()
    expected, *_ = scipy.linalg.lstsq(X.double().numpy(), y.double().numpy(), cond=1e-6)
    np.testing.assert_allclose(convergence.least_squares(X, y).solution, expected, rtol=0, atol=1e-5)


def test_several_problems_of_which_one_is_hard():
    X, y = torch.stack([draw(40, 3), draw(40, 3, seed=1)]), torch.stack([draw(40, purpose="y")] * 2)
    X[1] *= torch.tensor([1.0, 1e-8, 1.0])
    found = convergence.least_squares(X, y).solution
    for own, part, target in zip(found, X, y, strict=True):
        assert torch.equal(own, convergence.least_squares(part, target).solution)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_standardised_at_any_offset(offset):
    x = draw(200, 2) + offset
    exact = (x - x[0]).numpy()  # what is left of the data, with no digits lost
    exact = (exact - exact.mean(0)) / exact.std(0)
    np.testing.assert_allclose(convergence.standardise(x)[0], exact, rtol=0, atol=1e-9)


def test_a_feature_that_varies_in_the_last_place_of_its_dtype_is_constant():
    x = torch.full((50, 1), 0.1)
    x[::2] = torch.nextafter(x[::2], torch.tensor(1.0))
    assert (convergence.standardise(x)[0] == 0).all()
    assert (convergence.standardise(1e6 + draw(50, 1).float())[0].abs() > 0).all()


def test_steps_of_slow_modes():
    """A mode of 1e-14 decays in some 1e14 steps: 1 - 1e-14 has two digits left in float64."""
    for slow in (1e-6, 1e-14, 1e-200):
        eigenvalues, components = torch.tensor([[slow, 1.0], [slow**-0.5, 0.0]], dtype=torch.float64)
        steps = convergence.steps_to(eigenvalues, components, rate=1.0, tolerance=0.5)
        assert steps == pytest.approx(np.log(2) / (2 * slow), rel=1e-5)


def test_what_cannot_be_answered_is_refused():
    p, nan = problem(), torch.tensor([torch.nan] * 6)
    two = torch.tensor([1.0, 1.0])
    cases = [
        (lambda: convergence.steps_to(torch.tensor([-1.0, 1.0]), two, 0.5, 0.5), "eigenvalue -1 is negative"),
        (lambda: convergence.steps_to(torch.tensor([torch.nan, 1.0]), two, 0.5, 0.5), "eigenvalues: not all"),
        (lambda: convergence.steps_to(two, torch.ones(1), 0.5, 0.5), "components: 1 of them for 2"),
        (lambda: convergence.steps_to(two.double(), 1e300 * two.double(), 0.5, 0.5), "components: .* overflow"),
        (lambda: convergence.least_squares(torch.ones(3, 2).cfloat(), torch.ones(3)), "X: torch.complex64"),
        (lambda: convergence.least_squares(torch.ones(3, 2), torch.ones(3).long()), "y: torch.int64"),
        (lambda: convergence.standardise(torch.ones(3, 2).half()), "X: torch.float16"),
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
