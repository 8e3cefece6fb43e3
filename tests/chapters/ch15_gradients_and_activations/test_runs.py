"""The chapter's runs on few images and small depths: what each row means, reproducibility, refusals."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.chapters.ch15_gradients_and_activations import (
    arms,
    at_initialisation,
    last_layer,
    looks,
    moment_verdicts,
    output_gradients,
)
from bnlab.datasets import load
from bnlab.measures.kernels import empirical_ntk, fisher_gram
from bnlab.measures.probes import using_batch_statistics


@pytest.fixture(scope="module")
def data():
    return load("digits-rgb").subset(train=60, test=10)


@pytest.fixture(scope="module")
def seen(data):
    return {arm: looks.look({"arm": arm, "seed": 1}, data, 20, 12, "xavier") for arm in looks.ARMS}


def named(seen, arm, table):
    return looks.select(seen[arm].assign(arm=arm, seed=1), table)


def test_arms_have_equal_weights_and_differ_in_norm(data):
    x, labels = arms.batch(data, 12, 0)
    assert x.shape == (12, 3, 32, 32)
    assert labels.bincount().min() >= 1, "a batch is stratified"
    nets = {arm: arms.network(arm, 8, x, 10, "xavier", 0) for arm in arms.ARMS}
    for net in nets.values():
        for own, other in zip(net.convolutions, nets["none"].convolutions, strict=True):
            assert torch.equal(own.weight, other.weight)
        assert torch.equal(net.fc.weight, nets["none"].fc.weight)
    with torch.no_grad():
        out = {arm: net(x) for arm, net in nets.items()}
    assert len({round(float(o[0, 0]), 5) for o in out.values()}) == len(arms.ARMS)
    with pytest.raises(ValueError, match="arm: 'first BN' is not one of"):
        arms.network("first BN", 8, x, 10, "xavier", 0)


def test_centring_takes_the_mean_and_nothing_else():
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64) * 5 + 7
    y = arms.Centring()(x)
    assert y.mean((0, 2, 3)).abs().max() < 1e-12
    norm = nn.BatchNorm2d(3, eps=1e-12).double()
    torch.testing.assert_close(y / x.var((0, 2, 3), unbiased=False, keepdim=True).sqrt(), norm(x).detach())


@pytest.mark.parametrize("printed", [18, 45, 54, 90])
def test_layers_stand_in_their_stage_at_every_depth(printed):
    assert arms.layer_at(printed, 110) == printed
    for depth in range(20, 201, 6):
        stage = 3 * (printed - 1) // 108
        assert 3 * (arms.layer_at(printed, depth) - 1) // (depth - 2) == stage, depth


def test_moments_are_those_of_the_maps(data, seen):
    x, _ = arms.batch(data, 12, 1)
    for arm, places in (("none", {"convolution", "stream"}), ("all", {"convolution", "norm", "stream"})):
        table = named(seen, arm, "moments")
        assert set(table["place"]) == places
        assert table.groupby("place").size().to_dict() == {p: 10 if p == "stream" else 19 for p in places}
        net = arms.network(arm, 20, x, 10, "xavier", 1)
        kept = {}
        handles = [
            module.register_forward_hook(
                lambda _, __, out, key=key, kept=kept: kept.update({key: out.detach().double()})
            )
            for key, module in (("convolution", net.convolutions[4]), ("stream", net.relus[4]))
        ]
        net(x)
        for handle in handles:
            handle.remove()
        for place, maps in kept.items():
            row = table[(table["place"] == place) & (table["layer"] == 4)].iloc[0]
            means, variances = maps.mean((0, 2, 3)).abs(), maps.var((0, 2, 3), unbiased=False)
            expected = (means.mean(), means.std(), means.max(), variances.mean(), variances.std())
            found = row[["mean", "mean_spread", "largest_mean", "variance", "variance_spread"]]
            assert found.to_list() == pytest.approx([float(e) for e in expected], rel=1e-4)


def test_a_constant_channel_has_no_variance():
    kept = []
    looks._keeper(kept, "convolution", 0)(None, None, torch.ones(2, 3, 2, 2))
    assert kept == [("convolution", 0, 1.0, 0.0, 1.0, 0.0, 0.0)]


def test_gradients_and_pairs(data, seen):
    x, labels = arms.batch(data, 12, 1)
    for arm in ("none", "all"):
        table, pairs = named(seen, arm, "gradients"), named(seen, arm, "pairs")
        assert table["layer"].to_list() == [0, 3, 6, 7, 9, 12, 15, 18]
        net = arms.network(arm, 20, x, 10, "xavier", 1)
        functional.cross_entropy(net(x), labels).backward()
        for layer, side in ((3, 32), (7, 16), (15, 8)):
            row = table[table["layer"] == layer].iloc[0]
            gradient = net.convolutions[layer].weight.grad.double()
            assert row["net"] == pytest.approx(gradient.abs().mean().item(), rel=1e-3)
            assert row["summands"] == 12 * side * side
            assert row["absolute"] >= row["net"]
        M = net.convolutions[7].weight.grad.double().abs().sum((2, 3)).T
        assert pairs["layer"].unique().tolist() == [7]
        np.testing.assert_allclose(pairs.pivot(index="in", columns="out", values="size"), M, rtol=2e-3, atol=1e-7)
        values = torch.linalg.svdvals(M)
        assert table[table["layer"] == 7]["top_share"].item() == pytest.approx(
            float(values[0] / values.sum()), rel=1e-3
        )
    assert math.isnan(named(seen, "none", "gradients")["rank_correlation"][0]), "three channels have no rank"


def test_outputs(data, seen):
    x, labels = arms.batch(data, 12, 1)
    table = named(seen, "last BN", "outputs")
    assert len(table) == 120
    with torch.no_grad():
        logits = arms.network("last BN", 20, x, 10, "xavier", 1)(x)
    values, own = moment_verdicts.logits(table, "last BN")[1]
    assert torch.equal(own, labels)
    torch.testing.assert_close(values.float(), logits, rtol=1e-4, atol=1e-5)
    made = torch.tensor(table["gradient"].to_numpy()).view(12, 10)
    torch.testing.assert_close(made, output_gradients.output_gradients(values, labels))
    assert all(table.attrs["units"][column] for column in table)


def test_output_gradients_are_the_derivatives():
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    (expected,) = torch.autograd.grad(functional.cross_entropy(logits, labels, reduction="sum"), logits)
    found = output_gradients.output_gradients(logits.detach(), labels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    step = 1e-6
    for j in range(4):
        ends = []
        for sign in (1, -1):
            moved = logits.detach().clone()
            moved[:, j] += sign * step
            ends.append(functional.cross_entropy(moved, labels, reduction="none"))
        torch.testing.assert_close((ends[0] - ends[1]) / (2 * step), found[:, j], rtol=1e-6, atol=1e-9)


def test_output_gradients_where_the_softmax_is_certain():
    labels = torch.tensor([0, 1])
    logits = torch.tensor([[100.0, 0.0], [100.0, 0.0]])
    found = output_gradients.output_gradients(logits, labels)
    assert found[0, 0] < 0 < found[0, 1]
    assert found.sum(1).tolist() == [0, 0]
    assert output_gradients.log_misplaced(logits, labels).tolist() == pytest.approx([-100, 0])
    assert output_gradients.output_gradients(torch.tensor([[2000.0, 0.0]]), labels[:1]).abs().max() == 0
    assert output_gradients.log_misplaced(torch.tensor([[2000.0, 0.0]]), labels[:1]).item() == -2000


@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        (torch.ones(2, 1), torch.tensor([0, 0]), "no second class"),
        (torch.ones(2, 3), torch.tensor([0]), "labels: torch.int64 of shape"),
        (torch.ones(2, 3), torch.tensor([0.0, 1.0]), "labels: torch.float32"),
        (torch.ones(2, 3), torch.tensor([0, 3]), "not all of 0 to 2"),
        (torch.ones(3), torch.tensor([0]), "logits"),
    ],
)
def test_output_gradients_refuse(logits, labels, words):
    with pytest.raises(ValueError, match=words):
        output_gradients.output_gradients(logits, labels)


def test_spectra_are_those_of_the_whole_matrices(data):
    point = {"arm": "last BN", "depth": 8, "seed": 1}
    found = last_layer.spectra(point, data, 20, 10, "xavier").iloc[0]
    x, _ = arms.batch(data, 20, 1)
    net = arms.network("last BN", 8, x, 10, "xavier", 1)
    kept = []
    handle = net.fc.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].detach().double()))
    net(x)
    handle.remove()
    R = kept[0].T @ kept[0] / 20
    assert found["features"] == pytest.approx(torch.linalg.eigvalsh(R)[-1].item(), rel=1e-5)
    few, _ = arms.batch(data, 10, 1)
    kernel = empirical_ntk(net, few)
    with torch.no_grad(), using_batch_statistics(net):
        logits = net(few).double()
    for likelihood in ("gaussian", "softmax"):
        whole = torch.linalg.eigvalsh(fisher_gram(kernel, logits, likelihood))[-1].item()
        assert found[likelihood] == pytest.approx(whole, rel=0.01)
        assert 0 <= found[f"{likelihood}_residual"] <= last_layer.TOLERANCE


def test_conditions_without_and_with_one_bn(data):
    table = last_layer.conditions({"arm": "all", "depth": 8, "seed": 1}, data, 60, "xavier")
    assert table["norm"].to_list() == ["without", "with"]
    x, _ = arms.batch(data, 60, 1)
    net = arms.network("all", 8, x, 10, "xavier", 1)
    kept = []
    net.fc.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].detach().double()))
    net(x)
    centred = kept[0] - kept[0].mean(0)
    normal = centred / (centred.square().mean(0) + 1e-5).sqrt()
    for row, features in zip(table.itertuples(), (kept[0], normal), strict=True):
        values = torch.linalg.eigvalsh(features.T @ features / 60)
        alive = values[values > 1e-10 * values[-1]]
        assert row.largest == pytest.approx(values[-1].item(), rel=1e-6)
        assert row.resolved == len(alive)
        assert row.condition == pytest.approx((alive[-1] / alive[0]).item(), rel=1e-3)


def test_rates_are_bracketed(data):
    found = {
        arm: last_layer.rates({"arm": arm, "depth": 8, "seed": 0}, data, 12, 3, 10.0, "xavier").iloc[0]
        for arm in ("none", "last BN")
    }
    assert 0 < found["none"]["survived"] < found["none"]["lost"] <= 10 * found["none"]["survived"] * (1 + 1e-9)
    assert found["last BN"]["survived"] == last_layer.HIGHEST
    assert math.isinf(found["last BN"]["lost"])


def test_a_network_that_survives_no_rate_has_the_rate_zero(data, monkeypatch):
    monkeypatch.setattr(last_layer, "survives", lambda *_, **__: False)
    found = last_layer.rates({"arm": "none", "depth": 8, "seed": 0}, data, 12, 2, 10.0, "xavier").iloc[0]
    assert (found["survived"], found["lost"]) == (0.0, last_layer.LOWEST)


def test_an_unnormalised_network_by_kaiming_is_looked_at_whatever_its_size(data):
    made = looks.look({"arm": "none", "seed": 0}, data, 110, 10, "kaiming").assign(arm="none", seed=0)
    facts = moment_verdicts.rows_of_figure(looks.select(made, "outputs"))
    assert facts["loss"].item() > 1e6
    assert facts["signs"].all()
    assert np.isfinite(looks.select(made, "gradients")[["absolute", "net"]]).all(axis=None)


SMALL = {"depth": 20, "images": 10, "last_depths": [8], "fisher_images": 10, "rate_batch": 10, "rate_steps": 1}
SMALL |= {"rate_factor": 100.0, "condition_depths": [8], "condition_images": 20, "seeds": 1, "end_seeds": 1}


def test_parts_share_one_look_and_repeat(data, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    calls = []
    real = looks.look
    monkeypatch.setattr(looks, "look", lambda point, **more: (calls.append(point), real(point, **more))[1])
    with ThreadPoolExecutor(1) as pool:
        how = {"executor": pool, "progress": False}
        made = {name: make(**how) for name, make in at_initialisation.parts(data, **SMALL).items()}
    assert list(made) == ["moments", "gradients", "outputs", "pairs", "spectra", "rates", "conditions"]
    assert [point["arm"] for point in calls] == list(looks.ARMS)
    assert sorted(made["spectra"]["arm"]) == sorted(arms.ARMS)
    for name in looks.UNITS:
        assert set(made[name].attrs["units"]) == set(made[name])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"depth": 100}, "depth: 100 is not 6n"),
        ({"last_depths": [20, 20]}, "last_depths = .* holds a value twice"),
        ({"condition_depths": [8, 9]}, "condition_depths: 9 is not 6n"),
        ({"images": 100}, "images: 100 images are more than the 60"),
        ({"condition_images": 61}, "condition_images: 61 images are more"),
        ({"initialisation": "he"}, "initialisation: 'he'"),
        ({"rate_factor": 1.0}, "rate_factor"),
        ({"rate_steps": 0}, "rate_steps"),
        ({"seeds": 0}, "seeds"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(data, given, words):
    with pytest.raises(ValueError, match=words):
        at_initialisation.parts(data, **SMALL | given)
