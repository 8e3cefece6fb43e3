"""The experiments on least squares: tables that say what they measure, on problems small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from bnlab.chapters.ch12_convergence_guarantees import least_squares as ols
from bnlab.theory import convergence, least_squares

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def sweep():
    return ols.rate_sweep(4, [1e-3, 0.1, 10.0, 1e5], 400, SEEDS, every=10)


def test_contraction_is_measured_not_computed():
    table = ols.contraction(5, SEEDS)
    assert (table["deviation"] < 1e-12).all()
    assert (table["random"] <= table["predicted"] + 1e-12).all()
    falling = table[table["predicted"] < 1]
    assert np.allclose(falling["slowest"], falling["predicted"])
    assert set(table.attrs["units"]) == set(table.columns)


def test_epochs_of_feature_scaling_are_those_of_iterating():
    table = ols.feature_scaling([1.5], 3, 1e-3, [0]).set_index("features")["epochs"]
    X, y = ols.design(3, 1.5 ** torch.arange(3, dtype=torch.float64), 0)
    for features, columns in (("raw", X - X.mean(0)), ("standardised", least_squares.standardise(X)[0])):
        problem = least_squares.least_squares(columns, y - y.mean())
        run = convergence.descend(problem, 1 / torch.linalg.eigvalsh(problem.H)[-1], 200)
        assert table[features] == int((run.excess <= 1e-3 * run.excess[0]).int().argmax())


def test_standardising_undoes_the_scales():
    table = ols.feature_scaling([1.0, 2.0], 4, 1e-3, SEEDS)
    epochs = table.pivot_table(index="seed", columns=["features", "base"], values="epochs")
    assert (epochs["standardised", 1.0] == epochs["standardised", 2.0]).all()
    assert (epochs["raw", 2.0] > 10 * epochs["raw", 1.0]).all()


def test_condition_numbers_fall_for_positive_and_not_for_indefinite_matrices():
    table = ols.effective_conditioning(4, 60, 0)
    positive, indefinite = (table[table["H"] == kind] for kind in ("positive", "indefinite"))
    assert (positive["kappa_star"] <= positive["kappa"] * (1 + 1e-9)).all()
    assert positive["interlaced"].all()
    assert (positive["zeros"] == 1).all()
    assert (indefinite["kappa_star"] > indefinite["kappa"]).any()
    assert len(positive) == 60


def test_sweep_tells_divergence_slowness_and_success_apart(sweep):
    runs = sweep.set_index(["method", "rate", "seed"]).sort_index()
    for method in (ols.PLAIN, ols.BEFORE):
        huge = runs.loc[(method, 1e5)]
        assert not (huge["last"] < 1).any()
        assert (huge["iterations"] == np.inf).all()
        assert (huge["times_bound"] > 1).all()
    X, y = ols.design(4, ols.feature_scales(4), 0)
    top = torch.linalg.eigvalsh(least_squares.least_squares(X - X.mean(0), y).H)[-1].item()
    assert runs.loc[(ols.PLAIN, 0.1, 0), "times_bound"] == pytest.approx(0.1 * top / 2)
    normalised = runs.loc[ols.AFTER]
    assert (normalised["times_bound"] < 1).all()
    assert (normalised["last"] < 1).all()
    assert np.isfinite(runs.loc[(ols.PLAIN, 0.1), "iterations"]).all()


def test_usable_decades():
    made = pd.DataFrame({"method": "m", "seed": 0, "rate": [0.1, 1.0, 10.0, 100.0], "iterations": [90, 10, 100, 101]})
    assert ols.usable_decades(made)["decades"].item() == pytest.approx(2)
    never = made.assign(iterations=np.inf)
    assert ols.usable_decades(never)["decades"].item() == 0
