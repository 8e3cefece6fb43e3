"""Many networks as one computation against as many single runs: the same trajectories, whatever else trains beside."""

import dataclasses

import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.datasets import Dataset
from bnlab.experiments import lenet_runs
from bnlab.models.lenet import LeNet
from bnlab.models.norms import NORMS
from bnlab.probes import SplitError
from bnlab.randomness import generator
from bnlab.together import train_together
from bnlab.training import Job, train

STEPS, BATCH = 4, 16


class Double(Dataset):
    """The same images in float64, so that two orders of summation agree to many digits."""

    def normalise(self, images, dtype=torch.float64):
        return super().normalise(images, torch.float64)


@pytest.fixture(scope="module")
def digits():
    few = datasets.load("digits").subset(train=40, test=20)  # two batches and a rest: the third step is a new epoch
    return Double(**{field.name: getattr(few, field.name) for field in dataclasses.fields(few)})


def job(norm, seed=0, rate=0.1, device="cpu", **more):
    model = LeNet(norm=norm, generator=generator(seed, "initialisation")).double().to(device)
    if hasattr(model.conv2, "noise"):
        model.conv2.noise, model.conv2.generator = 1.0, generator(seed, "noise")
    return Job(model, generator(seed, "order"), rate, other_learning_rate=0.1, **more)


def alone(made, data, steps=STEPS, **settings):
    return train(
        made.model,
        data,
        learning_rate=made.learning_rate,
        other_learning_rate=made.other_learning_rate,
        rates=made.rates,
        adjust=made.adjust,
        measurements=made.measurements,
        generator=made.generator,
        steps=steps,
        batch_size=BATCH,
        record_at=range(steps + 1),
        **settings,
    )


def assert_same(first, second, data, steps=STEPS, **settings):
    """Train copies of the same jobs one after another and together: same histories, parameters and buffers."""
    single = [alone(made, data, steps, **settings) for made in first]
    joint = train_together(second, data, steps=steps, batch_size=BATCH, record_at=range(steps + 1), **settings)
    for a, b, one, many in zip(single, joint, first, second, strict=True):
        assert a.diverged == b.diverged
        torch.testing.assert_close(
            torch.tensor(a.history.to_numpy()), torch.tensor(b.history.to_numpy()), rtol=1e-9, atol=1e-9, equal_nan=True
        )
        state, other = one.model.state_dict(), many.model.state_dict()
        assert list(state) == list(other)
        for name in state:
            torch.testing.assert_close(state[name], other[name], rtol=1e-8, atol=1e-10, equal_nan=True)
    return joint


@pytest.mark.parametrize("norm", list(NORMS))
def test_every_norm_trains_as_it_does_alone(norm, digits):
    def made():
        return [job(norm, seed, rate) for seed, rate in ((0, 0.1), (1, 0.1), (0, 1.0))]

    assert_same(made(), made(), digits)


def test_all_variants_train_in_one_computation(digits):
    grid = [*NORMS, ("none", "batch"), ("batch", "none"), ("amplify", "nlms_l2")]

    def made():
        return [job(norm, seed=i % 3, rate=0.05 * (1 + i % 4)) for i, norm in enumerate(grid)]

    assert_same(made(), made(), digits, steps=3)


def test_frozen_parameters_measurements_and_adjustments(digits):
    def halve_conv2(model, step):
        model.conv2.weight.grad.mul_(0.5 / step)

    def made():
        watched = {"weight": lambda m: m.conv2.weight.norm(), "two": lambda m: {"a": 1.0, "mode": m.training}}
        return [
            job("batch", rates={"fc": 0.0}),
            job("batch", rates={"conv1": 0.3}, adjust=halve_conv2),
            job("suppress", measurements=watched),
        ]

    runs = assert_same(made(), made(), digits)
    assert list(runs[2].history.columns) == ["step", "loss", "weight", "a", "mode"]
    assert runs[2].history["mode"].eq(0).all()


def test_momentum_and_weight_decay(digits):
    def made():
        return [job("none"), job("batch", 1, 0.02)]

    assert_same(made(), made(), digits, momentum=0.9, weight_decay=0.01)


@pytest.mark.parametrize("rate", [1e3, 1e200])
def test_a_network_that_diverges_is_taken_out_and_leaves_the_others_alone(rate, digits):
    def made():
        return [job("none"), job("none", 1, rate), job("batch", 2), job("nlms_l2", 3), job("suppress", 1, rate)]

    runs = assert_same(made(), made(), digits, steps=6, momentum=0.5)
    assert [run.diverged for run in runs] == [False, True, False, False, runs[4].diverged]
    assert len(runs[1].history) < 7


def test_all_networks_may_diverge(digits):
    runs = train_together(
        [job("none", 0, 1e200), job("none", 1, 1e200)], digits, steps=50, batch_size=BATCH, record_at=()
    )
    assert all(run.diverged and run.history["step"].iloc[-1] < 10 for run in runs)


def test_trained_networks_own_their_tensors(digits):
    jobs = [job("batch"), job("none")]
    train_together(jobs, digits, steps=1, batch_size=BATCH)
    for made in jobs:
        for parameter in made.model.parameters():
            assert parameter.untyped_storage().nbytes() == parameter.nbytes
            assert parameter.grad is None


def test_points_trained_together_give_the_tables_of_points_trained_alone(digits):
    changes = [{}, {"norm": "batch+none", "fc": "matched"}, {"spectrum": "all"}, {"cap": 1.0}, {"batch_size": 8}]
    points = [lenet_runs.complete({"batch_size": 16, **change}) for change in changes]
    single = datasets.load("digits").subset(train=40, test=20)  # points build float32 networks
    setting = lenet_runs.Setting(single, 3, (0, 2), {"test": SplitError(single)})
    joint = lenet_runs.run_together(points, setting)
    for point, table in zip(points, joint, strict=True):
        pd.testing.assert_frame_equal(table, lenet_runs.run_point(point, setting), rtol=1e-4)


def test_refusals(digits):
    one = job("none")
    with pytest.raises(ValueError, match="jobs: 0 must be at least one"):
        train_together([], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="jobs: 2 must be at least one, each with a network of its own"):
        train_together([one, one], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="learning_rate = 0 must be a positive number"):
        train_together([dataclasses.replace(one, learning_rate=0)], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="batch_size=41 must be an integer of 1 to 40"):
        train_together([one], digits, steps=1, batch_size=41)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_as_on_the_cpu(digits):
    there = datasets.load("digits", device="cuda").subset(train=40, test=20)
    on_gpu = Double(**{field.name: getattr(there, field.name) for field in dataclasses.fields(there)})
    grid = list(NORMS)
    on_cpu = [job(norm, seed=i % 3) for i, norm in enumerate(grid)]
    single = [alone(made, digits) for made in on_cpu]
    jobs = [job(norm, seed=i % 3, device="cuda") for i, norm in enumerate(grid)]
    joint = train_together(jobs, on_gpu, steps=STEPS, batch_size=BATCH, record_at=range(STEPS + 1))
    for a, b in zip(single, joint, strict=True):
        torch.testing.assert_close(
            torch.tensor(a.history["loss"].to_numpy()), torch.tensor(b.history["loss"].to_numpy()), rtol=1e-6, atol=1e-8
        )
