"""Runs of the arms, their tables, and the trajectories of the sigmoid network, in miniature."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch08_internal_covariate_shift import arms, convolutional, estimates, factorial, runs, trajectories
from bnlab.measures.probes import probe_images
from bnlab.models.vgg import VGG
from bnlab.randomness import generator
from bnlab.theory.divergences import histogram_kl

SMALL = {"depth": 2, "width": 12, "activation": "relu", "steps": 40, "every": 5, "levels": [2.0, 1.0]}


@pytest.fixture(scope="module")
def data():
    return datasets.load("digits", size=8)


def one(data, arm, rate=0.3, seed=0, **other):
    shared = SMALL | {"batch_size": 32, "probe": 64} | other
    return runs.run({"arm": arm, "learning_rate": rate, "seed": seed}, dataset=data, **shared)


@pytest.fixture(scope="module")
def some(data):
    table = factorial.arm_runs(data, [arms.NONE, arms.BN], [0.03, 0.3], [0, 1], **SMALL, progress=False, probe=64)
    return table


@pytest.mark.parametrize("arm", list(arms.ARMS))
def test_every_arm_runs_and_repeats(data, arm):
    first, again = one(data, arm, rate=0.03, steps=10), one(data, arm, rate=0.03, steps=10)
    pd.testing.assert_frame_equal(first, again)
    end = first[first["at"] == "end"]
    assert end["layer"].tolist() == [1, 2]
    assert end[["loss", "drift", "travelled", "test_error"]].map(math.isfinite).all(axis=None)
    assert list(first.columns) == list(runs.UNITS) == list(first.attrs["units"])


def test_a_level_is_told_at_the_first_look_that_has_it(data):
    found = one(data, arms.BN)
    at = found[found["at"] == "loss 1"]
    assert at["loss"].max() <= 1
    assert at["step"].iloc[0] == found["steps_to_loss"].iloc[0]
    assert at["step"].iloc[0] % 5 == 0
    assert (at[["cosine", "cosine_matched"]].abs() <= 1).all(axis=None)
    assert (at["share"] > 0).all()
    assert (at["drift"] > 0).all()
    higher = found[found["at"] == "loss 2"]
    assert higher["step"].iloc[0] <= at["step"].iloc[0]


def test_a_lost_run_says_so(data):
    found = one(data, arms.NONE, rate=1000.0)
    assert found["diverged"].all()
    assert (found["steps_to_loss"] == math.inf).all()
    assert (found["test_error"] == 1).all()
    assert (found[found["at"] == "end"]["travelled"] == math.inf).all()


def test_training_is_plain_descent(data):
    """Two steps by hand, the plain arm."""
    net = arms.network(arms.NONE, 64, 10, depth=1, width=5, activation="tanh", seed=0, images=torch.zeros(2, 1, 8, 8))
    images, labels = next(runs.endless(data, 32, torch.Generator().manual_seed(0)))
    W0, b0, W1, b1 = (p.detach().double().clone() for p in net.parameters())
    W0, W1, b0, b1 = net.linears[0].weight, net.linears[1].weight, net.linears[0].bias, net.linears[1].bias
    W0, W1, b0, b1 = (p.detach().double().clone() for p in (W0, W1, b0, b1))
    x = images.double().flatten(1)
    h = (x @ W0.mT + b0).tanh()
    p = (h @ W1.mT + b1).softmax(1)
    e = (p - torch.eye(10).double()[labels]) / 32
    below = (e @ W1) * (1 - h**2)
    assert runs.update(net, arms.NONE, 0.5, images, labels)
    torch.testing.assert_close(net.linears[1].weight.double(), W1 - 0.5 * e.mT @ h, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(net.linears[0].weight.double(), W0 - 0.5 * below.mT @ x, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(net.linears[0].bias.double(), b0 - 0.5 * below.sum(0), rtol=1e-5, atol=1e-6)


def test_tables_of_the_arms(some):
    assert len(factorial.ends(some)) == 8
    assert some.attrs["units"]["drift"] == "deviations a step"
    best = factorial.at_best_rate(some)
    assert best[["arm", "seed"]].to_numpy().tolist() == [["none", 0], ["none", 1], ["BN", 0], ["BN", 1]]
    ends = factorial.ends(some).groupby(["arm", "seed"])["steps_to_loss"].min()
    assert [ends[row.arm, row.seed] for row in best.itertuples()] == best["steps_to_loss"].tolist()
    plain = factorial.at_plain_rate(some)
    assert plain.groupby("seed")["learning_rate"].nunique().tolist() == [1, 1]
    assert set(plain["arm"]) == {"none", "BN"}


def test_the_best_rate_among_equals_has_the_lowest_loss():
    rows = [("none", rate, 0, "end", 1, math.inf, math.inf, 0.5, loss, 0.1, 1.0, False)
            for rate, loss in ((0.1, 2.0), (0.3, 1.0), (1.0, math.inf))]  # fmt: skip
    names = ["arm", "learning_rate", "seed", "at", "layer", "steps_to_loss", "steps_to_good", "test_error", "loss"]
    table = pd.DataFrame(rows, columns=[*names, "drift", "travelled", "diverged"])
    assert factorial.at_best_rate(table)["learning_rate"].tolist() == [0.3]


def parts(data, **other):
    given = {"sigmoid_rate": 1.0, "sigmoid_steps": 20, "looks": 3, "arms": [arms.NONE], "rates": [0.1]}
    return factorial.parts(data, **given | SMALL | {"seeds": 1, "seed": 0} | other)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"arms": ["none", "layer"]}, "arms: 'layer' is not one of"),
        ({"rates": [0.1, 0.1]}, "rates"),
        ({"rates": [-1.0]}, "rates"),
        ({"levels": [0.3, 1.0]}, r"levels: \[0.3, 1.0\] do not fall"),
        ({"levels": []}, "levels"),
        ({"seeds": 0}, "seeds = 0"),
        (
            {"vgg_widths": [4], "vgg_rates": [0.1], "vgg_steps": 5},
            "images of 32 x 32, and digits has 8 x 8: give size 32",
        ),
        ({"vgg_widths": [4], "vgg_rates": [], "vgg_steps": 5}, "vgg_rates"),
        ({"vgg_widths": [4], "vgg_rates": [0.1], "vgg_steps": 0}, "vgg_steps"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(data, given, words):
    with pytest.raises(ValueError, match=words):
        parts(data, **given)


def test_parts_make_their_tables(data):
    made = {name: make() for name, make in parts(data).items()}
    assert set(made) == {"trajectories", "arms"}
    assert all(set(table.attrs["units"]) == set(table.columns) for table in made.values())


@pytest.fixture(scope="module")
def pictures():
    return datasets.load("digits", size=32)


@pytest.mark.parametrize("widths", [[0], [2.5], [2] * 6])
def test_widths_are_refused_by_the_name_that_the_chapter_gives_them(pictures, widths):
    with pytest.raises(ValueError, match=r"^vgg_widths"):
        parts(pictures, vgg_widths=widths, vgg_rates=[0.1], vgg_steps=5)


def test_convolutional_networks_make_a_table_of_the_same_kind(pictures, some):
    made = parts(pictures, steps=2, vgg_widths=[2, 3], vgg_rates=[0.03], vgg_steps=4, seeds=2, every=2, levels=[100.0])
    assert list(made) == ["trajectories", "arms", "vgg"]
    table = made["vgg"]()
    assert table.attrs["units"] == some.attrs["units"]
    assert set(table["arm"]) == {arms.NONE, arms.BN}
    at = table[table["at"] == "loss 100"]
    assert at.groupby(["arm", "seed"])["layer"].apply(list).tolist() == [[1, 2, 3, 4]] * 4  # 3 convolutions and fc
    assert (at[["drift", "difference"]] > 0).all(axis=None)
    assert at["cosine"].abs().max() <= 1


@pytest.mark.parametrize("arm", list(convolutional.NORMS))
def test_gradient_shift_of_a_convolutional_network_by_hand(pictures, arm):
    """The last layer's gradient before and after all convolutions have stepped, each by its own plain step."""
    rate = 0.05
    how = {"steps": 1, "every": 1, "batch_size": 64, "levels": [100.0], "probe": 32}
    point = {"arm": arm, "learning_rate": rate, "seed": 0}
    found = convolutional.vgg_run(point, dataset=pictures, widths=[2], **how)
    net = VGG(1, widths=[2], norm=convolutional.NORMS[arm], generator=generator(0, "weights"))
    images, labels = probe_images(pictures, 32), runs.probe_labels(pictures, 32)
    seen = []
    for _ in range(2):
        net.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        seen.append(torch.cat([p.grad.flatten().clone() for p in net.fc.parameters()]).double())
        with torch.no_grad():
            for name, p in net.named_parameters():
                if not name.startswith("fc"):
                    p -= rate * p.grad
    told = found[(found["at"] == "loss 100") & (found["layer"] == 2)].iloc[0]
    assert told["difference"] == pytest.approx((seen[0] - seen[1]).norm().item(), rel=1e-4)
    assert told["cosine"] == pytest.approx(torch.cosine_similarity(*seen, dim=0).item(), rel=1e-5)


def test_trajectories(data):
    table = trajectories.trajectories(data, [0], rate=1.0, steps=30, looks=4, width=12, probe=64)
    assert table["step"].drop_duplicates().tolist() == [0, 10, 20, 30]
    assert len(table) == 2 * 4 * 3
    first = table[table["step"] == 0]
    assert (first[["moved", "moved_own", "moved_next"]] == 0).all(axis=None)
    assert first[first["layer"] == 3][["kl_input", "kl_next", "kl_input_back"]].abs().max(axis=None) < 1e-12
    assert table[table["layer"] < 3]["kl_input"].isna().all()
    assert (table["p15"] <= table["p50"]).all()
    drifts = trajectories.drifts(table)
    assert drifts["moved"].tolist() == pytest.approx(
        table.groupby(["arm", "seed", "layer"], sort=False)["moved"].sum().tolist()
    )
    told = trajectories.divergences(table, 1e9)
    assert len(told) == 2 * 3
    assert told["level"].tolist() == pytest.approx([0.0] * 6, abs=1e-12)  # reached at once, before anything moved
    assert trajectories.divergences(table, 1e-9)["level"].isna().all()
    with pytest.raises(ValueError, match=r"looks: 99 is not from 2 to steps \+ 1 = 31"):
        trajectories.trajectories(data, [0], rate=1.0, steps=30, looks=99)


def test_estimates_hold_what_the_library_says():
    table = estimates.kl_cases(20000, [10, 100], 0)
    assert len(table) == 4 * 2 * 2
    forward = table[table["case"] == estimates.FORWARD]
    assert forward["exact"].iloc[0] == pytest.approx(math.log(2) + 2 / 8 - 0.5)
    assert table[table["case"] == estimates.BACKWARD]["exact"].iloc[0] == pytest.approx(-math.log(2) + 5 / 2 - 0.5)
    assert np.isinf(table[(table["case"] == estimates.BACKWARD) & (table["added"] == 0)]["estimate"]).all()
    x, y = torch.randn(2, 5, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert histogram_kl(x, x).item() == 0
    assert histogram_kl(x, y).item() > 0
