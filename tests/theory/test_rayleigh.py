"""The Rayleigh quotient: its gap against the definition, the step against finite differences, the bound, refusals."""

import numpy as np
import pytest
import torch

from bnlab.randomness import generator
from bnlab.theory import least_squares, rayleigh


def draw(*shape, seed=0, purpose="draw"):
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def spd(d=5, seed=0):
    A = draw(2 * d, d, seed=seed, purpose="S")
    return A.T @ A / (2 * d)


def quotient(w, S, u):
    return -((u @ w) ** 2) / (w @ S @ w)


def test_gap_is_the_quotient_above_its_minimum():
    S, u, w = spd(), draw(5, purpose="u"), draw(7, 5)
    least = quotient(np.linalg.solve(S.numpy(), u.numpy()), S.numpy(), u.numpy())
    expected = np.array([quotient(row, S.numpy(), u.numpy()) - least for row in w.numpy()])
    assert np.abs(rayleigh.rayleigh_gap(w, S, u).numpy() - expected).max() < 1e-12
    near = torch.linalg.solve(S, u) * 3 + 1e-9 * w[0]
    assert 0 < rayleigh.rayleigh_gap(near, S, u) < 1e-16  # by subtraction it would be rounding noise


def test_step_is_gradient_descent_with_the_papers_rate():
    S, u, w, h = spd(), draw(5, purpose="u"), draw(5, purpose="w"), 1e-6
    s, v, x = S.numpy(), u.numpy(), w.numpy()
    gradient = np.array([(quotient(x + h * e, s, v) - quotient(x - h * e, s, v)) / (2 * h) for e in np.eye(5)])
    rate = (x @ s @ x) / (2 * np.linalg.eigvalsh(s)[-1] * abs(quotient(x, s, v)))
    expected = x - rate * gradient
    found = rayleigh.rayleigh_descend(S, u, w, 1)[1].numpy()
    assert np.abs(found - expected / np.sqrt(expected @ s @ expected)).max() < 1e-8


def test_bound_holds_for_many_problems_and_is_attained():
    worst = 0.0
    for seed in range(60):
        S, u, w = spd(seed=seed), draw(5, seed=seed, purpose="u"), draw(20, 5, seed=seed, purpose="w")
        values = torch.linalg.eigvalsh(S)
        gaps = rayleigh.rayleigh_gap(rayleigh.rayleigh_descend(S, u, w, 30), S, u)  # (31, 20)
        bound = (1 - values[0] / values[-1]) ** (2 * torch.arange(31).double()[:, None]) * gaps[0]
        worst = max(worst, (gaps[1:] / bound[1:]).max().item())
    assert worst <= 1 + 1e-9
    # u without the slowest direction: the error keeps it, and the bound is the rate.
    S, u, w = torch.diag(torch.tensor([0.1, 1.0, 2.0])), torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 0.7])
    gaps = rayleigh.rayleigh_gap(rayleigh.rayleigh_descend(S, u, w, 400), S, u)
    assert (gaps[-1] / gaps[-2]).item() == pytest.approx(0.95**2, rel=1e-6)


def test_too_long_a_step_breaks_the_bound():
    S, u, w = spd(), draw(5, purpose="u"), draw(5, purpose="w")
    values = torch.linalg.eigvalsh(S)
    gaps = rayleigh.rayleigh_gap(rayleigh.rayleigh_descend(S, u, w, 40, L=values[-1].item() / 4), S, u)
    bound = (1 - 4 * values[0] / values[-1]) ** (2 * torch.arange(41).double()) * gaps[0]
    assert (gaps > 10 * bound.abs()).any()


def test_direction_of_the_quotient_is_the_least_squares_solution():
    X, y = draw(50, 4), draw(50, purpose="y")
    p = least_squares.least_squares(X, y)
    w = rayleigh.rayleigh_descend(p.H, p.g, draw(4, purpose="w"), 500)[-1]
    cosine = (w @ p.H @ p.solution) / torch.sqrt((w @ p.H @ w) * (p.solution @ p.H @ p.solution))
    assert cosine.abs().item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize(
    ("S", "u", "w", "words"),
    [
        (torch.eye(2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), "u'w0 is 0"),
        (torch.diag(torch.tensor([0.0, 1.0])), torch.ones(2), torch.ones(2), "not positive definite"),
        (torch.eye(2), torch.zeros(2), torch.ones(2), "u: shape"),
        (torch.eye(2), torch.ones(3), torch.ones(2), "u: shape"),
        (torch.eye(2), torch.ones(2).long(), torch.ones(2), "u: torch.int64"),
        (torch.eye(2) * torch.inf, torch.ones(2), torch.ones(2), "S: not all entries"),
        (torch.eye(2), torch.ones(2), torch.zeros(2), "w0: 0 has no direction"),
        (torch.eye(2), torch.ones(2), torch.ones(3), r"w0: shape \(3,\) is not"),
    ],
)
def test_refusals(S, u, w, words):
    with pytest.raises(ValueError, match=words) as refusal:
        rayleigh.rayleigh_descend(S, u, w, 1)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rayleigh.rayleigh_descend(torch.eye(2), torch.ones(2), torch.ones(2), -1), "steps: -1"),
        (lambda: rayleigh.rayleigh_descend(torch.eye(2), torch.ones(2), torch.ones(2), 1, L=0), "L: 0 is not"),
        (lambda: rayleigh.rayleigh_gap(torch.zeros(2), torch.eye(2), torch.ones(2)), "w: 0 has no direction"),
        (lambda: rayleigh.rayleigh_gap(torch.ones(3, 2) * torch.nan, torch.eye(2), torch.ones(2)), "w: not all"),
        (lambda: rayleigh.rayleigh_gap(torch.ones(3), torch.eye(2), torch.ones(2)), r"w: shape \(3,\) is not"),
    ],
)
def test_more_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
