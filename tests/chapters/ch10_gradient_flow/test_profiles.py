"""Profiles of gradients: the shape of the tables, the same weights in every arm, slopes of known lines, theory."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from bnlab import datasets
from bnlab.chapters.ch10_gradient_flow import gradient_flow, profiles
from bnlab.measures.jacobians import gradient_profile
from bnlab.theory import mean_field


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=32)


def test_an_arm_is_the_network_made_afresh():
    batch = profiles.random_inputs(12, 3)
    rows = profiles.profile_rows(batch, profiles.ARMS, "tanh", "orthogonal", 4, 20, 3)
    table = pd.DataFrame(rows, columns=list(profiles.UNITS))
    names = ["stem", *(f"blocks.{k}" for k in range(4))]
    for arm in profiles.ARMS:
        net = profiles.network(batch[0], arm, "tanh", "orthogonal", 4, 20, 3)
        fresh = gradient_profile(net, *batch, functional.cross_entropy, names)
        kept = table[table["arm"] == arm]
        assert kept["layer"].tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(kept["gradient"], fresh.outputs.numpy(), rtol=1e-12)
        np.testing.assert_allclose(kept["power"], fresh.powers.numpy(), rtol=1e-12)
        assert set(kept["weights"]) == {"orthogonal"}


def test_tables_have_every_arm_and_every_layer(digits):
    made = {
        "grid": (profiles.grid(5, 16, 17, [0, 1]), 3 * 2 * 4),
        "images": (profiles.on_images(digits, 5, 16, 17, [0, 1]), 3 * 2 + 1),
        "rectifiers": (profiles.rectifiers(digits, 5, 16, 17, [0, 1]), 3),
        "residual": (profiles.residual(5, 16, 17, [0, 1]), 2),
    }
    for table, networks in made.values():
        assert list(table.attrs["units"]) == list(table.columns)
        runs = table.groupby(["activation", "weights", "arm", "seed"])["layer"].apply(list)
        assert len(runs) == 2 * networks
        assert all(layers == list(range(6)) for layers in runs)
        assert (table["gradient"] > 0).all()


def test_images_and_random_inputs_are_seeded(digits):
    for draw in (lambda seed: profiles.random_inputs(11, seed), lambda seed: profiles.image_inputs(digits, 11, seed)):
        (x, labels), (again, _), (other, _) = draw(0), draw(0), draw(1)
        assert torch.equal(x, again)
        assert not torch.equal(x, other)
        assert len(x) == len(labels) == 11
        assert x.dtype == torch.float64


def known(heights, arm="BN"):
    columns = {"activation": "relu", "weights": "Gaussian", "arm": arm, "seed": 0, "layer": range(len(heights))}
    return pd.DataFrame(columns | {"gradient": np.exp(heights)})


def test_slopes_of_an_exponential_and_of_a_power():
    layer = np.arange(30)
    (line,) = profiles.slopes(known(3 - 0.4 * layer)).itertuples()
    assert (line.slope, line.r_squared) == (pytest.approx(0.4), pytest.approx(1))
    assert line.total == pytest.approx(math.exp(0.4 * 29))
    assert line.r_squared_power < 0.95
    (power,) = profiles.slopes(known(1 - 1.5 * np.log(layer + 1))).itertuples()
    assert (power.exponent, power.r_squared_power) == (pytest.approx(1.5), pytest.approx(1))
    assert power.r_squared < 0.95


def test_slopes_of_rows_in_another_order_and_of_what_has_no_logarithm():
    table = known(np.array([4.0, 2.0, 0.0]))
    assert profiles.slopes(table.iloc[::-1])["slope"].item() == pytest.approx(2)
    table.loc[1, "gradient"] = 0.0
    found = profiles.slopes(table).iloc[0]
    assert math.isnan(found["slope"])
    assert math.isnan(found["r_squared"])
    assert profiles.line(np.arange(3.0), np.ones(3)) == (pytest.approx(0), 1.0)


@pytest.mark.parametrize("arm", ["none", "BN", "skip", "skip + BN"])
def test_wide_networks_follow_the_mean_field(arm):
    """Rectifiers, 12 blocks: the growth of the squared gradient a block, but for what the two ends add."""
    ratios = []
    for seed in range(4):
        rows = profiles.profile_rows(profiles.random_inputs(128, seed), (arm,), "relu", "Gaussian", 12, 256, seed)
        table = pd.DataFrame(rows, columns=list(profiles.UNITS))
        ratios.append(table["gradient"].iloc[0] / table["gradient"].iloc[-1])
    expected = {
        "none": 1.0,
        "BN": mean_field.normalised_rate("relu") ** 12,
        "skip": mean_field.residual_profile("relu", 12, normalised=False)[0].item(),
        "skip + BN": mean_field.residual_profile("relu", 12)[0].item(),
    }[arm]
    assert np.median(ratios) ** (1 / 12) == pytest.approx(expected ** (1 / 12), rel=0.04)


def test_parts_are_the_tables_of_their_makers(digits):
    parts = gradient_flow.parts(
        digits,
        depth=3,
        width=16,
        batch=16,
        rectifier_depth=3,
        rectifier_width=16,
        residual_blocks=4,
        jacobian_units=8,
        jacobian_batch=4,
        points=16,
        line_depth=4,
        line_width=16,
        resnet_depth=20,
        resnet_images=2,
        seeds=1,
        seed=7,
    )
    assert list(parts) == ["profiles", "images", "rectifiers", "residual", "spectra", "shattering", "streams"]
    for name, make in parts.items():
        table = make()
        assert set(table["seed"]) == {7}, name
        assert list(table.attrs["units"]) == list(table.columns), name
    with pytest.raises(ValueError, match="seeds 0"):
        gradient_flow.parts(digits, seeds=0)
