"""The experiments on halfspaces: tables that say what they measure, on problems small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from bnlab.chapters.ch12_convergence_guarantees import halfspaces as planes
from bnlab.theory import margins

SEEDS = (0, 1)


def test_separable_points_have_the_margin_asked_for():
    z = planes.separable(200, 4, 0.3, 0)
    assert margins.largest_margin(z).margin >= 0.3


def test_decay_fits_know_a_power_from_an_exponential():
    t = np.unique(np.geomspace(1, 10_000, 60).astype(int))
    for loss, kind in ((t**-1.0, "power_law"), (np.exp(-t / 1000.0), "exponential")):
        table = pd.DataFrame({"data": "d", "seed": 0, "step": t, "loss": loss, "length": np.log(t + 1.0)})
        fit = planes.decay_fits(table).iloc[0]
        assert fit[kind] == pytest.approx(1)
        assert fit[kind] == max(fit["power_law"], fit["exponential"])
    descent = planes.separable_descent(40, 3, 0.5, 1000, SEEDS)
    assert (descent.groupby(["data", "seed"])["length"].is_monotonic_increasing).all()


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


def test_scaled_margins_do_not_see_the_spread():
    share = planes.margin_growth([1, 8], 60, 3, 0.5, 300, SEEDS).pivot_table(
        index="seed", columns=["features", "spread"], values="share"
    )
    assert np.allclose(share["scaled", 1], share["scaled", 8])
    assert (share <= 1 + 1e-9).all(axis=None)
