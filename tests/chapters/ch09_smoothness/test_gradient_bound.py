"""One normalised unit: its gradient and Hessian by the formulas, against finite differences and known cases."""

import math

import torch

from bnlab.chapters.ch09_smoothness import gradient_bound
from bnlab.randomness import generator


def draw(*shape, purpose="y"):
    return torch.randn(*shape, generator=generator(0, purpose), dtype=torch.float64)


def z(y, gamma, eps):
    return gamma * (y - y.mean()) / (((y - y.mean()) ** 2).mean() + eps).sqrt()


def differences(function, at, step=1e-5):
    units = step * torch.eye(len(at), dtype=torch.float64)
    return torch.stack([(function(at + unit) - function(at - unit)) / (2 * step) for unit in units])


def test_gradient_is_that_of_finite_differences():
    y, b = 2 * draw(7), draw(7, purpose="b")
    for eps in (0.0, 0.3):
        unit = gradient_bound.normalised(y, 1.7, eps)
        expected = differences(lambda v, eps=eps: b @ z(v, 1.7, eps), y)
        torch.testing.assert_close(gradient_bound.gradient_through(unit, b), expected, rtol=1e-7, atol=1e-8)


def test_hessian_is_that_of_finite_differences():
    y, b, A = 2 * draw(6), draw(6, purpose="b"), draw(6, 6, purpose="A")
    H, gamma = A @ A.T, 0.8
    unit = gradient_bound.normalised(y, gamma)

    def gradient(v):
        at = gradient_bound.normalised(v, gamma)
        return gradient_bound.gradient_through(at, H @ (gamma * at.yhat) + b)

    found = gradient_bound.hessian_through(unit, H @ (gamma * unit.yhat) + b, H)
    torch.testing.assert_close(found, differences(gradient, y), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found, found.T)


def test_equality_without_eps_and_strict_with_it():
    y, g = draw(9), draw(9, purpose="g")
    for eps, low, high in ((0.0, 1 - 1e-12, 1 + 1e-12), (1.0, 0.0, 1 - 1e-6)):
        unit = gradient_bound.normalised(y, 1.3, eps)
        left = float(gradient_bound.gradient_through(unit, g).square().sum())
        assert low <= left / gradient_bound.right_side(unit, g) <= high


def test_bound_rows():
    table = gradient_bound.bound_rows(16, [0.0, 1.0], range(3))
    ours = table[table["reading"] == "at the BN output"].assign(ratio=lambda t: t["left"] / t["right"])
    assert (ours.loc[ours["eps"] == 0, "ratio"] - 1).abs().max() < 1e-12
    assert ours.loc[ours["eps"] == 1, "ratio"].max() < 1
    assert len(table) == 12


def test_gain_is_one_over_the_deviation_but_for_the_projection():
    table = gradient_bound.gain_rows(16, [0.1, 1.0, 4.0], range(3))
    assert ((table["gain"] * table["deviation"]) / table["projected"] - 1).abs().max() < 1e-12
    assert table["projected"].between(0, 1).all()


def test_hessian_rows():
    table = gradient_bound.hessian_rows(8, 20, 0)
    assert table["deviation"].max() < 1e-9
    assert (table["plain"] > 0).all()
    assert all(math.isfinite(value) for value in table["along"])
