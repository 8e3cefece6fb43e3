"""The experiments on halfspaces: tables that say what they measure, on problems small enough to check by hand."""

import numpy as np
import pytest
import torch

from bnlab.chapters.ch12_convergence_guarantees import halfspaces as planes

SEEDS = (0, 1)


def test_directions_agree_for_gaussian_inputs_only():
    gaps = planes.directions(4, [1000, 50_000], SEEDS)
    largest = gaps[gaps["samples"] == 50_000].pivot_table(index="seed", columns="inputs", values="gap")
    assert (largest["Gaussian"] < 1e-4).all()
    assert (largest["exponential"] > 5 * largest["Gaussian"]).all()


def test_population_is_what_it_says():
    f, _ = planes.population(5, 0)
    assert float(f.u @ torch.linalg.solve(f.covariance, f.u)) == pytest.approx(1)
    assert torch.linalg.eigvalsh(f.covariance).tolist()[::4] == pytest.approx([1, 10])
    other, _ = planes.population(5, 0, units=100.0)
    assert torch.allclose(other.S, 1e4 * f.S)
    aligned, _ = planes.population(5, 0, aligned=True)
    values, vectors = torch.linalg.eigh(aligned.S)
    assert abs(float(vectors[:, 0] @ aligned.u)) < 1e-12
    assert values[0].item() == pytest.approx(1)


def test_gdnp_stays_below_the_bound_and_above_the_printed_one():
    runs = planes.gdnp_runs(4, 60, SEEDS)
    seen = runs[runs["squared"] > 1e-24]
    assert (seen["squared"] <= seen["bound"] * (1 + 1e-9)).all()
    units = seen[seen["case"] == "features in units of 1/100"]
    assert (units["euclidean"] > units["printed"]).any()
    aligned = seen[seen["case"] == "slowest direction missing in u"]
    assert (aligned["squared"] ** 0.5 > aligned["printed"]).any()
    few = runs[(runs["case"] == "few bisections") & (runs["bisections"] == 4)]
    assert few["error"].iloc[0] == pytest.approx((0.25 * 32 / 2**5) ** 2)  # sup phi'' = 1/4, interval (-16, 16)
    assert few["squared"].iloc[-1] > 1e3 * runs[runs["case"] == "random classes"]["squared"].min()


def test_straightness():
    t = np.arange(100)
    slope, r_squared = planes.straightness(t, np.exp(-0.5 * t))
    assert slope == pytest.approx(-0.5)
    assert r_squared == pytest.approx(1)
    dipped = np.exp(-0.5 * t)
    dipped[10] = -1e-17  # rounding below the minimum ends the fit, it is no logarithm
    assert planes.straightness(t, dipped)[1] == pytest.approx(1)
    assert np.isnan(planes.straightness(t, np.zeros(100))[1])


def test_mini_batches_stall():
    runs = planes.stochastic_gdnp(4, 60, 64, [0])
    assert runs["excess"].iloc[-20:].min() > 1e-6


def test_curvatures():
    table = planes.curvatures(4, 5, 0)
    assert (table["along_w"].abs() < 1e-12).all()
    assert (table["smallest"] < 0).all()


def test_a_mini_batch_that_its_direction_separates_is_passed_over(monkeypatch):
    runs = planes.stochastic_gdnp(2, 60, 8, [0])  # of 8 points, one batch in four has no stationary length
    assert len(runs) == 61
    assert np.isfinite(runs["excess"]).all()

    def refuse(*_, **__):
        raise ValueError("no stationary length")

    monkeypatch.setattr(planes.gdnp, "gdnp_step", refuse)
    with pytest.raises(ValueError, match="batch: 100 mini-batches of 8 in a row have no stationary length"):
        planes.stochastic_gdnp(2, 60, 8, [0])
