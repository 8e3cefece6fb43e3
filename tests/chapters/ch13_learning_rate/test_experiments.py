"""Chapter 13's experiments at tiny sizes: what they compare is comparable, and what cannot be run is refused."""

import math

import pandas as pd
import pytest
import torch
from torch.nn import functional

from bnlab import datasets
from bnlab.chapters.ch13_learning_rate import (
    largest_rates,
    learning_rate,
    networks,
    noise,
    plateau,
    sharpness,
    three_rates,
)
from bnlab.randomness import generator


@pytest.fixture(scope="module")
def data():
    return datasets.load("digits-rgb").subset(train=40, test=20)


def tiny(data, **changes):
    return learning_rate.parts(
        data,
        **{
            "depths": [8],
            "rate_width": 2,
            "rate_pooled": 8,
            "first_steps": 2,
            "rate_factor": 1000,
            "warmups": [1],
            "warmup_depths": [8],
            "width": 2,
            "pooled": 4,
            "train_images": 40,
            "test_images": 20,
            "rates": [0.01, 0.1, 1.0],
            "epochs": [2, 1, 1],
            "three": [0.01, 0.1, 1.0],
            "sharp_images": 30,
            "ratios": [0.01, 0.02],
            "batch_sizes": [5, 10],
            "level": 2.2,
            "sharp_epochs": 3,
            "plateau_images": 20,
            "plateau_steps": 8,
            "seeds": 1,
            **changes,
        },
    )


class Here:
    """An executor that runs each task as it comes."""

    def submit(self, call, *arguments):
        from concurrent.futures import Future

        future = Future()
        try:
            future.set_result(call(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def test_every_table_is_made_and_has_units(data):
    tables = {name: make(executor=Here(), progress=False) for name, make in tiny(data).items()}
    assert list(tables) == ["largest_rates", "warm_up", "runs", "sharpness", "plateau"]
    assert len(tables["largest_rates"]) == 2 * learning_rate.RATE_SEEDS
    assert len(tables["warm_up"]) == 3
    assert len(tables["sharpness"]) == 4
    assert set(tables["runs"]["norm"]) == set(networks.NORMS)
    assert len(tables["plateau"]) == 2 * 8
    for table in tables.values():
        assert not table.isna().all().any()


def test_runs_in_turn_equal_runs_of_an_executor(data):
    """What a GPU does, on a CPU: the batched way of the sweep, one run after another."""
    points = learning_rate.run_points([0.01, 0.1, 1.0], [2, 1, 1], [0.01, 0.1, 1.0], [0])[:4]
    setting = three_rates.Setting(data, 8, 2, 8, 10, 2, True, False)
    one = learning_rate._table(None, points, learning_rate.partial(three_rates.run, setting=setting), executor=Here())
    run = learning_rate.partial(three_rates.run, setting=setting)
    made = learning_rate.in_turn(run, points)
    other = pd.concat([table.assign(**point) for point, table in zip(points, made, strict=True)], ignore_index=True)
    pd.testing.assert_frame_equal(one, other[list(one)], check_exact=True)


def test_bn_meets_every_rate_and_the_others_the_three():
    points = learning_rate.run_points([1, 2, 3, 4], [9, 8, 7, 6], [1, 3, 4], [0, 1])
    assert len(points) == 2 * (4 + 4 * 3)
    assert {p["epochs"] for p in points if p["rate"] == 3} == {7}
    assert {p["rate"] for p in points if p["norm"] == "group"} == {1, 3, 4}
    assert {p["rate"] for p in points if p["norm"] == "batch"} == {1, 2, 3, 4}


def test_all_arms_of_the_warm_up_take_equally_many_steps():
    points = learning_rate.warm_up_points([8], [5, 20], 10, [0])
    assert {p["steps"] for p in points} == {30}
    assert sorted((p["norm"], p["warmup"]) for p in points) == [("batch", 0), ("none", 0), ("none", 5), ("none", 20)]


def test_networks_of_all_norms_have_the_same_weights_and_differ_in_norm_alone(data):
    nets = {norm: networks.resnet(8, norm, data, 3, width=4, pooled=4)[1] for norm in networks.NORMS}
    for net in nets.values():
        for a, b in zip(net.convolutions, nets["none"].convolutions, strict=True):
            assert torch.equal(a.weight, b.weight)
        assert torch.equal(net.fc.weight, nets["none"].fc.weight)
    affine = {norm: sum(p.numel() for p in net.norms.parameters()) for norm, net in nets.items()}
    assert affine["none"] == 0
    assert affine["batch"] == affine["layer"] == affine["group"] == affine["instance"] > 0


def test_first_batches_go_on_epoch_after_epoch(data):
    found = networks.first_batches(data, 7, 20, 1)
    assert [len(labels) for _, labels in found] == [20] * 7
    again = networks.first_batches(data, 3, 20, 1)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(found, again, strict=False))


def test_a_bracket_holds_what_it_says(data):
    setting = largest_rates.Setting(data, 10, 2, 8, 2.0)
    point = {"depth": 8, "norm": "none", "steps": 3, "warmup": 0, "seed": 0}
    row = largest_rates.bracket(point, setting).iloc[0]
    assert 1 < row["lost"] / row["survived"] <= 2
    assert row["how"] in ("diverged", "constant")
    assert row["initial_loss"] == pytest.approx(math.log(10), abs=0.5)


def test_checkpoints_are_named_by_what_decides_a_run(data, tmp_path):
    setting = three_rates.Setting(data, 8, 2, 8, 10, 2, False, False, str(tmp_path))
    point = {"norm": "batch", "rate": 0.1, "epochs": 2, "seed": 0}
    path = setting.checkpoint(point)
    assert path.parent == tmp_path
    elsewhere = three_rates.Setting(data, 8, 2, 8, 10, 2, False, False, str(tmp_path / "other"))
    assert elsewhere.checkpoint(point).name == path.name
    others = [setting.checkpoint({**point, "seed": 1}), setting.checkpoint({**point, "epochs": 3})]
    deeper = three_rates.Setting(data, 14, 2, 8, 10, 2, False, False, str(tmp_path))
    assert path.name not in {other.name for other in [*others, deeper.checkpoint(point)]}
    first = three_rates.run(point, setting)
    assert path.exists()
    assert first.equals(three_rates.run(point, setting))
    assert first.equals(three_rates.run(point, three_rates.Setting(data, 8, 2, 8, 10, 2, False, False)))


def test_gradients_of_single_images_against_autograd():
    net = networks.mlp(6, 3, 0, width=5, activation="relu")
    x, labels = torch.randn(4, 6, generator=generator(0, "x")), torch.tensor([0, 1, 2, 0])
    found = noise.image_gradients(net, x, labels)
    for row, image, label in zip(found, x, labels, strict=True):
        parts = torch.autograd.grad(functional.cross_entropy(net(image[None]), label[None]), list(net.parameters()))
        torch.testing.assert_close(row, torch.cat([part.flatten() for part in parts]), rtol=1e-5, atol=1e-7)
    whole = torch.autograd.grad(functional.cross_entropy(net(x), labels), list(net.parameters()))
    torch.testing.assert_close(found.mean(0), torch.cat([part.flatten() for part in whole]), rtol=1e-5, atol=1e-7)


def vectors():
    draw = generator(0, "vectors")
    labels = torch.arange(60) % 3
    centres = 2 * torch.randn(3, 5, generator=draw)
    return centres[labels] + torch.randn(60, 5, generator=draw), labels


def test_sharpness_is_measured_where_the_loss_is_reached():
    x, labels = vectors()
    setting = sharpness.Setting(x, labels, x, labels, 3, 8, 0.3, 200, look_every=1)
    row = sharpness.run({"ratio": 0.01, "batch_size": 10, "repeat": 0, "seed": 0}, setting).iloc[0]
    assert row["reached"]
    assert 0.2 < row["train_loss"] <= 0.3
    assert row["rate"] == pytest.approx(0.1)
    assert row["largest"] > 0
    assert row["residual"] < 0.02


@pytest.mark.parametrize("ratio", [1e-9, 1e6])
def test_what_does_not_reach_the_loss_is_not_looked_at(ratio):
    x, labels = vectors()
    setting = sharpness.Setting(x, labels, x, labels, 3, 8, 0.1, 2)
    row = sharpness.run({"ratio": ratio, "batch_size": 10, "repeat": 0, "seed": 0}, setting).iloc[0]
    assert not row["reached"]
    assert math.isnan(row["largest"])


def test_a_diverged_plateau_is_infinite_and_no_error():
    x, labels = vectors()
    targets = functional.one_hot(labels, 3).float()
    setting = plateau.Setting(x, targets, 8, 10, 400, 4, 3)
    found = plateau.run({"rate": 1e4, "seed": 0}, setting)
    assert len(found) == 4
    assert (found[["batch", "largest"]].iloc[-1] == math.inf).all()
    calm = plateau.run({"rate": 0.01, "seed": 0}, setting)
    assert calm["batch"].gt(0).all()
    assert list(calm["step"]) == [100, 200, 300, 400]


def test_squared_error_is_half_the_squared_distance():
    assert plateau.squared_error(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])) == 2.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rates": [0.1, 0.01, 1.0]}, "rates = .* must ascend"),
        ({"epochs": [1, 2]}, "epochs = .* one number for each of 3 rates"),
        ({"three": [0.01, 0.1]}, "three = .* three rates that ascend"),
        ({"three": [0.01, 0.1, 0.5]}, "three: 0.5 is not one of the rates"),
        ({"train_images": 41}, "train_images: 41 images are more than the 40"),
        ({"depths": [8, 8]}, "depths = .* twice"),
        ({"ratios": [0.0]}, "ratios: 0.0"),
        ({"seeds": 0}, "seeds = 0"),
        ({"warmups": []}, "warmups = .* at least one"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(data, changes, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        tiny(data, **changes)
