"""Separable data: margins as asked for, powers told from exponentials, and a normalised run beside the plain one."""

import numpy as np
import pandas as pd
import pytest

from bnlab.chapters.ch12_convergence_guarantees import separable
from bnlab.theory import margins

SEEDS = (0, 1)


def test_separable_points_have_the_margin_asked_for():
    z = separable.separable(200, 4, 0.3, 0)
    assert margins.largest_margin(z).margin >= 0.3


def test_decay_fits_know_a_power_from_an_exponential():
    t = np.unique(np.geomspace(1, 10_000, 60).astype(int))
    for loss, kind in ((t**-1.0, "power_law"), (np.exp(-t / 1000.0), "exponential")):
        table = pd.DataFrame({"data": "d", "seed": 0, "step": t, "loss": loss, "length": np.log(t + 1.0)})
        fit = separable.decay_fits(table).iloc[0]
        assert fit[kind] == pytest.approx(1)
        assert fit[kind] == max(fit["power_law"], fit["exponential"])
    descent = separable.separable_descent(40, 3, 0.5, 1000, SEEDS)
    assert (descent.groupby(["data", "seed"])["length"].is_monotonic_increasing).all()


def test_scaled_margins_do_not_see_the_spread():
    share = separable.margin_growth([1, 8], 60, 3, 0.5, 300, SEEDS).pivot_table(
        index="seed", columns=["features", "spread"], values="share"
    )
    assert np.allclose(share["scaled", 1], share["scaled", 8])
    assert (share <= 1 + 1e-9).all(axis=None)


def test_every_run_starts_alike_and_is_there_once():
    table = separable.separable_descent(40, 3, 0.5, 1000, SEEDS)
    first = table[table["step"] == 1].set_index(["data", "seed"])["loss"]
    assert set(first.index) == {(kind, s) for kind in (separable.PLAIN, separable.NORMALISED) for s in SEEDS} | {
        (separable.ZERO, -1)
    }
    assert not table.duplicated(["data", "seed", "step"]).any()
    assert set(table.attrs["units"]) == set(table.columns)
    assert (first < np.log(2)).all()
