"""Runs that diverge, brackets of rates, catapults: on small networks, and the reading of their tables."""

import math

import pandas as pd
import pytest
import torch
from torch.nn import functional

from bnlab.chapters.ch14_divergence import catapults, networks, runs
from bnlab.datasets import load


@pytest.fixture(scope="module")
def data():
    return load("digits-rgb").subset(train=40, test=10)


def test_a_run_is_that_of_descent(data):
    found = runs.run({"rate": 0.01, "seed": 1}, dataset=data, depth=8, images=8, steps=4)
    assert found["step"].tolist() == [0, 1, 2, 3, 4]
    assert found["guessing"].unique().tolist() == [0.1]
    net, endless = networks.network("none", 8, data, 1), networks.batches(data, 8, 1)
    velocity = [torch.zeros_like(p) for p in net.parameters()]
    for row in found.itertuples():
        x, labels = next(endless)
        logits = net(x)
        loss = functional.cross_entropy(logits, labels)
        assert row.loss == pytest.approx(loss.item(), rel=1e-5)
        assert row.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
        slopes = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, v, g in zip(net.parameters(), velocity, slopes, strict=True):
                v.mul_(0.9).add_(g + 1e-4 * p)
                p -= 0.01 * v


def test_a_lost_run_ends_with_infinity(data):
    found = runs.run({"rate": 1e4, "seed": 1}, dataset=data, depth=8, images=8, steps=50)
    assert found["loss"].iloc[-1] == math.inf
    assert len(found) < 20
    assert not found["loss"].isna().any()


def test_a_diverged_run_goes_on(data):
    """At this rate the loss passes the threshold, and the network dies: finite to the end."""
    found = runs.run({"rate": 30.0, "seed": 0}, dataset=data, depth=8, images=8, steps=6)
    one = runs.crossings(found.assign(rate=30.0, seed=0)).iloc[0]
    assert one["corrected"] < 6
    ended = one["corrected"] + 6
    assert math.isinf(one["end"]) or one["steps"] == ended


@pytest.mark.parametrize(
    ("script", "rows"),
    [
        ([500.0, 4000.0, 5001.0] + [2.3] * 9, 6),  # passes ten times the first at step 2, and goes on for 3 more
        ([500.0, 4000.0, 5000.0] + [2.3] * 9, 4),
        ([2.0, 999.0, 1001.0] + [2.3] * 9, 6),  # ten times the first is not enough: 1e3 as well
        ([2.0, 999.0, 1000.0] + [2.3] * 9, 4),
        ([2.0, 2000.0, math.nan], 3),
    ],
)
def test_how_long_a_run_lasts(data, monkeypatch, script, rows):
    losses = iter(script)
    monkeypatch.setattr(functional, "cross_entropy", lambda logits, _: 0 * logits.sum() + next(losses))
    found = runs.run({"rate": 0.1, "seed": 0}, dataset=data, depth=8, images=2, steps=3)
    expected = [math.inf if math.isnan(value) else value for value in script[:rows]]
    assert found["loss"].tolist() == pytest.approx(expected)


def lived(losses, accuracy=0.1, rate=1.0, seed=0):
    return pd.DataFrame(
        {"rate": rate, "seed": seed, "step": range(len(losses)), "loss": losses, "accuracy": accuracy, "guessing": 0.1}
    )


@pytest.mark.parametrize(
    ("losses", "accuracy", "printed", "corrected", "recovered"),
    [
        ([2.0, 1001.0, 2.0], 0.1, 1, 1, False),
        ([2.0, 1001.0, 2.0], 0.2, 1, 1, True),
        ([2.0, 1000.0, 2.0], 0.1, math.inf, math.inf, False),
        ([2000.0, 20000.0, 20001.0], 0.1, 0, 2, False),
        ([2.0, 1e9, math.inf], 0.9, 1, 1, False),
        ([2.0, math.inf], 0.9, 1, 1, False),
    ],
)
def test_crossings(losses, accuracy, printed, corrected, recovered):
    one = runs.crossings(lived(losses, accuracy)).iloc[0]
    assert (one["printed"], one["corrected"], one["recovered"]) == (printed, corrected, recovered)
    assert (one["first"], one["end"], one["steps"]) == (losses[0], losses[-1], len(losses) - 1)


def test_accuracy_is_that_of_the_last_mini_batches():
    table = lived([2.0, 2000.0] + [3.0] * 40)
    table.loc[table["step"] < 22, "accuracy"] = 0.9
    assert runs.crossings(table).iloc[0]["accuracy"] == pytest.approx(0.1)


def test_brackets(data):
    kind = {"dataset": data, "images": 4, "steps": 2, "factor": 2.0}
    shallow = runs.stable_rate({"arm": "none", "depth": 8, "seed": 0}, lowest=1e-3, highest=1e3, **kind).iloc[0]
    assert 0 < shallow["survived"] < shallow["lost"] <= 2.0001 * shallow["survived"]
    lost = runs.stable_rate({"arm": "none", "depth": 8, "seed": 0}, lowest=1e4, highest=1e5, **kind).iloc[0]
    assert (lost["survived"], lost["lost"]) == (0, 1e4)
    alive = runs.stable_rate({"arm": "none", "depth": 8, "seed": 0}, lowest=1e-6, highest=1e-5, **kind).iloc[0]
    assert (alive["survived"], alive["lost"]) == (1e-5, math.inf)


def test_losses_of_constant_answers():
    labels = torch.tensor([0, 1, 1, 2])
    shares = torch.tensor([0.25, 0.5, 0.25])
    answer = shares.expand(4, 3)
    assert catapults.constant_loss("squares", labels) == pytest.approx(catapults.squares(answer, labels).item())
    logits = shares.log().expand(4, 3)
    expected = functional.cross_entropy(logits, labels).item()
    assert catapults.constant_loss("cross-entropy", labels) == pytest.approx(expected)
    for other in (answer + 0.1, answer * 0.9):
        assert catapults.squares(other, labels) > catapults.constant_loss("squares", labels)


@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        ([1.0, 1.0, 0.5], "monotone"),
        ([1.0, 1.01, 0.5], "catapult"),
        ([1.0, 50.0, 0.692], "catapult"),
        ([1.0, 50.0, 0.694], "lost"),
        ([1.0, 0.9, 0.8], "lost"),  # fallen, and no better than a constant
        ([0.3, 0.9, 0.4], "lost"),
        ([1.0, math.inf], "lost"),
    ],
)
def test_kinds(losses, kind):
    assert catapults.kind(losses, 0.7) == kind


def test_descent_on_a_quadratic_knows_two():
    """One weight, loss lambda w^2 / 2 with lambda = 4: monotone below 2 / lambda, lost beyond."""

    def quadratic(outputs, _):
        return 2 * outputs.square().mean()

    x, labels = torch.ones(1, 1), torch.zeros(1, dtype=torch.long)
    for c, factor in ((1.5, 0.25), (2.5, 2.25)):
        line = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(line.weight)
        assert catapults.top_curvature(torch.nn.Linear(1, 2), x, labels, catapults.squares, 0) > 0
        losses, _ = catapults.descent(line, x, labels, quadratic, c / 4, 3)
        assert losses == pytest.approx([2 * factor**k for k in range(4)])


def test_phases_of_a_wide_network(data):
    found = catapults.phases(
        {"network": "MLP", "loss": "squares", "seed": 0}, dataset=data, images=16, multiples=(1.0, 3.0, 50.0), steps=150
    )
    assert list(found) == list(catapults.UNITS)
    assert found["kind"].tolist() == ["monotone", "catapult", "lost"]
    assert found["rate"].tolist() == pytest.approx([c / found["start_curvature"][0] for c in (1, 3, 50)])
    assert found["end_curvature"][1] * found["rate"][1] < 2 < found["start_curvature"][1] * found["rate"][1]
    assert math.isinf(found["last"][2])
    assert math.isnan(found["end_curvature"][2])


@pytest.mark.parametrize("name", catapults.NETWORKS)
def test_networks_without_normalisation(data, name):
    x, _ = catapults.batch(data, name, 4, 0)
    net = catapults.network(name, x, 10, 0)
    assert net(x).shape == (4, 10)
    assert not any("Norm" in type(module).__name__ for module in net.modules())
