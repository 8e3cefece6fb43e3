"""Looks at a small ResNet: columns, what each row means, the same weights in both arms, overflow; and refusals."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from bnlab.chapters.ch14_divergence import divergence, looks, networks
from bnlab.datasets import load
from bnlab.measures.update_path import ChannelMoments, Waypoint
from bnlab.theory.tails import excess_kurtosis, tail_index

STEPS = (1e-5, 1e-3)


@pytest.fixture(scope="module")
def data():
    return load("digits-rgb").subset(train=40, test=10)


@pytest.fixture(scope="module")
def look(data):
    return partial(looks.look, dataset=data, depth=86, images=4, middle=43, layer_step=36, plain_steps=STEPS,
                   bn_steps=(1e-2,), rate=1e-3)  # fmt: skip


@pytest.fixture(scope="module")
def plain(look):
    return look({"arm": "none", "seed": 0, "batch": 0}).assign(arm="none", seed=0, batch=0)


def test_arms_share_convolutions_and_mini_batches(data):
    one, other = (networks.network(arm, 8, data, 3) for arm in ("none", "BN"))
    for a, b in zip(one.convolutions, other.convolutions, strict=True):
        assert torch.equal(a.weight, b.weight)
    assert not any(isinstance(norm, torch.nn.BatchNorm2d) for norm in one.norms)
    assert all(isinstance(norm, torch.nn.BatchNorm2d) for norm in other.norms)
    first, second = (next(networks.batches(data, 4, 3)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    endless = networks.batches(data, 20, 3)
    passes = [next(endless)[0] for _ in range(4)]
    assert not torch.equal(passes[0], passes[2]), "every pass has an order of its own"


def test_tables_are_whole(plain):
    for name, units in looks.UNITS.items():
        table = looks.only(plain, name)
        assert list(table) == [*looks.POINT, *units]
        assert table.attrs["units"] == looks.POINT | units
        assert len(table)
        assert not table.isna().any(axis=None)
    assert len(looks.only(plain, "gradients")) == 85
    assert looks.only(plain, "histogram")["share"].sum() == pytest.approx(1)
    channels = looks.only(plain, "channels")
    assert channels.groupby("layer")["channel"].nunique().to_dict() == {8: 16, 44: 32, 80: 64}
    updates = looks.only(plain, "updates")
    assert updates[updates["network"] == looks.PLAIN]["fraction"].unique() == pytest.approx([0, 0.01, 1])
    assert updates[updates["network"] == looks.WITH_BN]["fraction"].unique().tolist() == [1]


def test_numbers_are_those_of_the_network(plain, data):
    net = networks.network("none", 86, data, 0)
    x, labels = next(networks.batches(data, 4, 0))
    seen = {}
    net.convolutions[44].register_forward_hook(lambda _, __, y: seen.update(maps=y.detach().double()))
    loss = functional.cross_entropy(net(x), labels)
    loss.backward()
    gradients = looks.only(plain, "gradients").set_index("layer")
    assert gradients["loss"].iloc[0] == pytest.approx(loss.item())
    values = net.convolutions[43].weight.grad.flatten().double()
    assert gradients["scale"][43] == pytest.approx(values.numpy().std(), rel=1e-5)
    assert gradients["kurtosis"][43] == pytest.approx(excess_kurtosis(values), rel=1e-5)
    assert gradients["tail"][43] == pytest.approx(tail_index(values), rel=1e-5)
    channels = looks.only(plain, "channels")
    start = channels[(channels["layer"] == 44) & (channels["fraction"] == 0)].sort_values("channel")
    flat = seen["maps"].transpose(0, 1).flatten(1)
    np.testing.assert_allclose(start["mean"], flat.mean(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(start["variance"], flat.var(1, correction=0), rtol=1e-4)
    updates = looks.only(plain, "updates")
    row = updates[(updates["layer"] == 44) & (updates["fraction"] == 0)].iloc[0]
    assert row["variance"] == pytest.approx(start["variance"].sort_values().iloc[15])  # torch's median is the lower one
    with torch.no_grad():
        for p in net.parameters():
            p -= 1e-5 * p.grad
        after = functional.cross_entropy(net(x), labels)
    walks = looks.only(plain, "walks").set_index("step_size")
    assert walks["loss"][1e-5] == pytest.approx(after.item(), rel=1e-3)
    assert walks["ratio"][1e-5] == pytest.approx((after / loss).item(), rel=1e-3)


def test_with_batch_normalization_there_is_no_update(look):
    table = look({"arm": "BN", "seed": 0, "batch": 1})
    assert set(table["table"]) == {"gradients", "histogram", "walks"}


def test_normalised_outputs_stay_normalised(plain):
    updates = looks.only(plain, "updates")
    twin = updates[updates["network"] == looks.WITH_BN]
    assert (twin["off_mean"] < 1e-3).all()
    assert (twin["off_variance"] < 0.05).all()
    assert np.isfinite(twin["loss"]).all()


def test_what_overflows_is_infinite():
    assert looks.statistics({"convolutions.0.weight": torch.tensor([1.0, math.inf])}, 0) == (math.inf,) * 3
    assert looks.statistics({"convolutions.0.weight": torch.zeros(2)}, 0) == (math.inf,) * 3
    assert looks.finite(math.nan) == math.inf
    lost = ChannelMoments(torch.tensor([math.nan, 1.0]), torch.tensor([math.nan, 1.0]))
    [row] = looks.summaries(looks.PLAIN, [Waypoint(1.0, math.nan, {"convolutions.8": lost})])
    assert row[:4] == (looks.PLAIN, 1.0, 8, math.inf)
    assert row[6] == math.inf, "no share of powers that overflow"
    assert row[7:] == (math.inf, math.inf)


def test_a_histogram_holds_all_values_and_no_scale():
    draws = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    one, scaled = (looks.histogram(g.view(10, 10, 10, 1), 5) for g in (draws, 1e6 * draws))
    assert one == scaled
    assert sum(share for _, _, share in one) == pytest.approx(1)
    draws[0] = 1e3
    outside = looks.histogram(draws.view(10, 10, 10, 1), 5)
    assert outside[-1][2] == pytest.approx(1 / 1000)


def test_parts_share_one_sweep(data, monkeypatch):
    made = []

    def sweep(points, run, **how):
        made.append(len(points))
        return pd.DataFrame({"status": ["ok"], "table": "walks", "arm": "none", "seed": 0, "batch": 0,
                             "step_size": 1.0, "loss": 1.0, "ratio": 1.0})  # fmt: skip

    monkeypatch.setattr(divergence, "sweep", sweep)
    parts = divergence.parts(data, batch_size=8, run_images=8, catapult_images=8, looks_a_seed=2)
    assert list(parts) == [*looks.UNITS, "runs", "depths", "catapults"]
    assert len(parts["walks"]()) == len(parts["walks"]()) == 1
    assert made == [2 * 5 * 2]
    parts["depths"]()
    assert made[-1] == 3 * 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"layer_step": 5}, "layer_step: 5 does not divide 36"),
        ({"update_rate": 0.5}, "update_rate: 0.5 is not one of plain_steps"),
        ({"plain_steps": [1e-3, 1e-3]}, "plain_steps = .* holds a value twice"),
        ({"bn_steps": [-1.0]}, "bn_steps: -1.0 is not a finite number above 0"),
        ({"depth_arms": ["all"]}, "depth_arms: 'all' is not one of 'none', 'BN'"),
        ({"catapult_networks": ["VGG"]}, "catapult_networks: 'VGG' is not one of 'MLP', 'LeNet', 'ResNet-8'"),
        ({"run_steps": 0}, "run_steps: 0 is not a whole number of at least 1"),
        ({"batch_size": 50}, "50 images are more than the 40"),
        ({"looks_a_seed": 2, "batch_size": 30}, "60 images are more than the 40"),
        ({"seeds": 0}, "seeds = 0 must be at least 1"),
    ],
)
def test_what_cannot_run_is_refused(data, given, words):
    usual = {"batch_size": 8, "run_images": 8, "catapult_images": 8}
    with pytest.raises(ValueError, match=words):
        divergence.parts(data, **usual | given)
