"""The chapter's runs on few images: columns, reproducibility, what each row means; and refusals."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from bnlab.chapters.ch09_smoothness import landscapes, layer_hessians, networks, paths, rates, resnets, smoothness
from bnlab.datasets import load
from bnlab.measures.curvature import hessian_ends
from bnlab.measures.surface import LossSurface
from bnlab.randomness import generator


@pytest.fixture(scope="module")
def data():
    return load("digits-rgb").subset(train=40, test=10)


COMMON = {"images": 12, "pooled": 8}


def test_pairs_have_equal_weights_and_differ_in_norm(data):
    x, _ = networks.batch(data, 12, 0, 8)
    assert x.shape == (12, 3, 4, 4)
    for name in (networks.LINEAR, networks.CONVOLUTIONAL):
        images = x if name == networks.LINEAR else networks.batch(data, 12, 0)[0]
        plain, batch = (networks.build(name, norm, images, 10, 0) for norm in networks.NORMS)
        own, other = plain.state_dict(), batch.state_dict()
        assert all(torch.equal(own[key], other[key]) for key in own)
    assert len([p for p in networks.build(networks.LINEAR, "none", x, 10, 0).parameters()]) == networks.LAYERS
    with pytest.raises(ValueError, match="network: 'LeNet' is not one of"):
        networks.build("LeNet", "none", x, 10, 0)


def test_length_of_the_weights():
    net = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
        net[0].bias.fill_(100)
    assert networks.weight_norm(net) == 5


def test_descent_at_the_small_rate(data):
    x, labels = networks.batch(data, 12, 0, 8)
    model = networks.residual(8, 2, "batch", x, 10, 0)
    before = functional.cross_entropy(model(x), labels).item()
    path = paths.descend(model, x, labels, levels=(before - 0.01, 0.0), most=5, seed=0)
    steps = [row[0] for row in path.steps]
    assert steps == list(range(6))
    assert path.steps[0][1] == pytest.approx(before)
    assert list(path.at_level) == [before - 0.01], "the level 0 is not reached"
    at = functional.cross_entropy(path.at_level[before - 0.01](x), labels).item()
    assert at <= before - 0.01
    plain = networks.residual(8, 2, "none", x, 10, 0)
    surface = LossSurface(plain, x, labels, functional.cross_entropy)
    ends = hessian_ends(surface, tolerance=1e-3, generator=generator(3, "another start"))
    most = max(float(ends.largest[0]), -ends.smallest)
    assert paths.small_rate(plain, x, labels, 0) == pytest.approx(paths.SHARE / most, rel=0.3)


def test_probes(data):
    point = {"network": networks.LINEAR, "norm": "batch", "rule": "0.05", "seed": 1}
    table = landscapes.probes(point, data, **COMMON, steps=2, every=2)
    assert sorted(table["step"].unique()) == [0, 2]
    assert len(table) == 2 * (1 + len(landscapes.DISTANCES) + len(landscapes.RELATIVE))
    assert np.isfinite(table["beta"]).all()
    assert table.equals(landscapes.probes(point, data, **COMMON, steps=2, every=2))
    share = table[table["kind"] == "share of ||w||"].iloc[0]
    assert share["change"] == pytest.approx(share["beta"] * share["length"] * share["weight_norm"])


def test_a_lost_network_is_infinite(data):
    point = {"network": networks.LINEAR, "norm": "none", "rule": "1e9", "seed": 1}
    table = landscapes.probes(point, data, **COMMON, steps=2, every=1)
    assert np.isinf(table.loc[table["step"] == 2, ["loss", "range", "beta"]]).all(axis=None)
    assert np.isfinite(table.loc[table["step"] == 0, "loss"]).all()


def test_curvatures(data):
    for norm, kinds in (("none", ["none"]), ("batch", ["batch", "population", "running"])):
        point = {"depth": 8, "norm": norm, "seed": 0}
        table = resnets.curvatures(point, data, **COMMON, width=2, levels=(99.0,), most=2)
        spectra = table[table["what"] == "spectrum"]
        assert [*spectra["statistics"]] == 2 * kinds
        assert sorted(spectra["level"].unique()) == [99.0, math.inf]
        shares = spectra.loc[spectra["share"].notna(), "statistics"]
        assert [*shares] == [kind for kind in kinds if kind != "running"]
        assert spectra["share"].dropna().between(0, 1).all()
        assert (spectra["largest"] >= spectra["smallest"]).all()


def test_layers_and_level_lines(data):
    found = layer_hessians.layer_conditions({"network": "MLP", "norm": "batch", "seed": 0}, data, **COMMON)
    assert [*found["size"]] == [64, 64]
    assert (found["kappa"] >= 1).all()
    lines = layer_hessians.level_lines({"norm": "none", "seed": 0}, data, **COMMON, most=2)
    assert [*lines["place"]] == ["start", "later"]
    assert (lines["aspect"] >= 1).all()


def test_survival(data):
    low, high = (
        rates.survival({"norm": "none", "rate": rate, "seed": 0}, data, steps=3, batch_size=16, judged=20)
        for rate in (0.01, 1e6)
    )
    assert bool(low["survived"].iloc[0])
    assert not bool(high["survived"].iloc[0])


def test_parts_have_their_tables_and_refuse_in_one_line(data):
    names = ["probes", "curvatures", "conditions", "level_lines", "survival"]
    assert list(smoothness.parts(data, images=12)) == names
    for other, words in (
        ({"common_rates": [0.1, 0.1]}, "common_rates = .* holds a value twice"),
        ({"stability_rates": []}, "stability_rates = .* at least one value"),
        ({"path_steps": 0}, "path_steps: 0 is not a whole number"),
        ({"images": 41}, "41 images are more than the 40"),
        ({"seeds": 0}, "seeds = 0"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            smoothness.parts(data, **{"images": 12} | other)
        assert "\n" not in str(error.value)
