"""The largest learning rate a linear network survives: closed form for one layer, finite differences."""

import numpy as np
import pytest
import torch

from bnlab.chapters.ch16_random_matrices.deep_linear import (
    largest_stable_rate,
    largest_stable_rates,
    loss_and_gradients,
    survives,
)
from bnlab.theory.matrix_products import iid_matrices


def test_one_layer_is_stable_up_to_two():
    """Hessian I: the error grows as |1 - mu|^n, so tenfold loss in 100 steps is at mu = 1 + 10^(1/200) + 1."""
    rates = largest_stable_rate(1, size=8, runs=3, precision=1e-3)
    np.testing.assert_allclose(rates, 1 + 10 ** (1 / 200), rtol=2e-3)
    tighter = largest_stable_rate(1, size=8, runs=2, steps=2000, precision=1e-4)
    np.testing.assert_allclose(tighter, 2, rtol=1e-3)


def test_rates_fall_with_depth_and_are_reproducible():
    table = largest_stable_rates((1, 2, 4, 8), size=16, runs=3, seed=3)
    median = table.groupby("depth")["largest_rate"].median()
    assert median.is_monotonic_decreasing
    assert median[1] / median[8] > 10
    assert table.equals(largest_stable_rates((1, 2, 4, 8), size=16, runs=3, seed=3))
    assert set(table.attrs["units"]) == set(table.columns)


def test_gradients_against_finite_differences():
    draws, h = torch.Generator().manual_seed(0), 1e-6
    layers = list(iid_matrices(3, 6, draws).reshape(3, 2, 3, 3))  # three layers of two runs
    target = iid_matrices(3, 2, draws)
    loss, gradients = loss_and_gradients(layers, target)
    np.testing.assert_allclose(loss, (layers[2] @ layers[1] @ layers[0] - target).square().sum((1, 2)) / 2)
    for which, i, j in np.ndindex(3, 3, 3):
        ends = []
        for sign in (1, -1):
            moved = [layer.clone() for layer in layers]
            moved[which][:, i, j] += sign * h
            ends.append(loss_and_gradients(moved, target)[0])
        np.testing.assert_allclose(gradients[which][:, i, j], (ends[0] - ends[1]) / (2 * h), atol=1e-8)


def test_a_run_that_diverges_leaves_the_others_alone():
    draws = torch.Generator().manual_seed(0)
    layers = [layer.expand(3, 5, 5) for layer in iid_matrices(5, 2, draws).split(1)]
    target = iid_matrices(5, 1, draws).expand(3, 5, 5)
    together = survives(layers, target, torch.tensor([0.05, 1e3, 0.1], dtype=torch.float64), 500)
    assert together.tolist() == [True, False, True]


def test_refuses_impossible_depths():
    for arguments in ({"depth": 0}, {"depth": 2, "steps": 0}, {"depth": 1.5}):
        with pytest.raises(ValueError, match=r"^(depth|steps) must be an integer >= 1, got"):
            largest_stable_rate(**arguments)
    with pytest.raises(ValueError, match=r"^N: 0 is not a whole number of at least 1"):
        largest_stable_rate(2, size=0)
