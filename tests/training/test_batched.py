"""Many networks as one computation against as many single runs: the same trajectories, whatever else trains beside."""

import dataclasses

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bnlab import datasets
from bnlab.datasets import Dataset
from bnlab.measures.probes import SplitError
from bnlab.models.batched_lenet import BatchedLeNets
from bnlab.models.lenet import LeNet
from bnlab.models.norms import NORMS
from bnlab.randomness import generator
from bnlab.sweeps import points as lenet_runs
from bnlab.training.batched import train_batched
from bnlab.training.train import Job, train_job

STEPS, BATCH = 4, 16


class Double(Dataset):
    """The same images in float64, so that two orders of summation agree to many digits."""

    def normalise(self, images, dtype=torch.float64):
        return super().normalise(images, torch.float64)


def doubled(data):
    return Double(**{field.name: getattr(data, field.name) for field in dataclasses.fields(data)})


@pytest.fixture(scope="module")
def single_precision():
    return datasets.load("digits").subset(train=40, test=20)  # two batches and a rest: the third step is a new epoch


@pytest.fixture(scope="module")
def digits(single_precision):
    return doubled(single_precision)


def job(norm, seed=0, rate=0.1, device="cpu", dtype=torch.float64, **more):
    model = LeNet(norm=norm, generator=generator(seed, "initialisation")).to(device, dtype)
    for layer in (model.conv1, model.conv2):
        if hasattr(layer, "noise"):
            layer.noise, layer.generator = 1.0, generator(seed, "noise")
    return Job(model, generator(seed, "order"), rate, other_learning_rate=0.1, **more)


def alone(made, data, steps=STEPS):
    return train_job(made, data, steps=steps, batch_size=BATCH, record_at=range(steps + 1))


def assert_same(first, second, data, steps=STEPS, tolerance=1e-10):
    """Train copies of the same jobs one after another and together: same histories, parameters and buffers."""
    single = [alone(made, data, steps) for made in first]
    joint = train_batched(second, data, steps=steps, batch_size=BATCH, record_at=range(steps + 1))
    close = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
    for a, b, one, many in zip(single, joint, first, second, strict=True):
        assert a.diverged == b.diverged
        pd.testing.assert_index_equal(a.history.columns, b.history.columns)
        torch.testing.assert_close(torch.tensor(a.history.to_numpy()), torch.tensor(b.history.to_numpy()), **close)
        state, other = one.model.state_dict(), many.model.state_dict()
        assert list(state) == list(other)
        for name in state:
            torch.testing.assert_close(state[name], other[name], **close)
    return joint


@pytest.mark.parametrize("norm", list(NORMS))
def test_every_norm_trains_as_it_does_alone(norm, digits):
    def made():
        return [job(norm, seed, rate) for seed, rate in ((0, 0.1), (1, 0.1), (0, 1.0))]

    assert_same(made(), made(), digits)


GRID = [*NORMS, ("none", "batch"), ("batch", "none"), ("amplify", "nlms_l2"), ("batch_prior", "suppress")]


def mixed(dtype, device="cpu"):
    return [job(norm, i % 3, 0.05 * (1 + i % 4), device, dtype) for i, norm in enumerate(GRID)]


def test_all_variants_train_in_one_computation(digits):
    assert_same(mixed(torch.float64), mixed(torch.float64), digits, steps=3)


def test_all_variants_in_single_precision(single_precision):
    """After one step they agree to 1e-6; by and by a ReLU input near 0 rounds to the other side, which 1e-3 allows."""
    assert_same(mixed(torch.float32), mixed(torch.float32), single_precision, steps=1, tolerance=1e-4)
    assert_same(mixed(torch.float32), mixed(torch.float32), single_precision, steps=2, tolerance=1e-3)


class Calls(TorchDispatchMode):
    """Counts what reaches the kernels."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("norm", ["none", "batch", "batch_prior", "amplify", "suppress_variance", "rms"])
def test_more_networks_of_one_kind_are_no_more_calls(norm, digits):
    counts = []
    for number in (2, 6):
        nets = BatchedLeNets([job(norm, seed).model for seed in range(number)])
        images = digits.normalise(digits.train_images[:8]).expand(number, -1, -1, -1, -1)
        with Calls() as calls:
            nets(images).sum().backward()
        counts.append(calls.count)
    assert counts[0] == counts[1]


def test_a_second_training_goes_on_from_the_first(digits):
    def made():
        jobs = [job("batch"), job("batch", 1), job("amplify", 2)]
        alone(jobs[0], digits, steps=2)  # its counter of batches is now ahead of its neighbour's
        return jobs

    assert_same(made(), made(), digits)


def test_frozen_parameters_measurements_and_adjustments(digits):
    def halve_conv2(model, step):
        model.conv2.weight.grad.mul_(0.5 / step)

    def replace_fc(model, step):
        model.fc.weight.grad = model.fc.weight.grad.sign() * 0.01

    def made():
        watched = {"weight": lambda m: m.conv2.weight.norm(), "two": lambda m: {"a": 1.0, "mode": m.training}}
        return [
            job("batch", rates={"fc": 0.0}),
            job("batch", rates={"conv1": 0.3}, adjust=halve_conv2),
            job("suppress", measurements=watched),
            job("batch", 1, adjust=replace_fc),
        ]

    runs = assert_same(made(), made(), digits)
    assert list(runs[2].history.columns) == ["step", "loss", "weight", "a", "mode"]
    assert runs[2].history["mode"].eq(0).all()


def test_each_network_has_its_own_momentum_and_weight_decay(digits):
    def made():
        return [
            job("none", momentum=0.9, weight_decay=0.01),
            job("batch", 1, 0.02),
            job("none", 1, momentum=0.5),
            job("batch", 2, weight_decay=0.1),
        ]

    assert_same(made(), made(), digits)


@pytest.mark.parametrize("rate", [1e3, 1e200])
def test_a_network_that_diverges_is_taken_out_and_leaves_the_others_alone(rate, digits):
    """A healthy network and one at the wild rate for each norm, so that they are neighbours in every joint tensor."""
    norms = ("none", "batch", "batch_prior", "amplify", "suppress", "rms", "nlms_l2", "gain_channel")

    def made():
        return [made for norm in norms for made in (job(norm, 1, momentum=0.5), job(norm, 2, rate, momentum=0.5))]

    runs = assert_same(made(), made(), digits, steps=6)
    assert not any(run.diverged for run in runs[::2])
    assert all(len(run.history) == 7 for run in runs[::2])
    assert runs[1].diverged
    assert len(runs[1].history) < 7


def test_all_networks_may_diverge(digits):
    runs = train_batched(
        [job("none", 0, 1e200), job("none", 1, 1e200)], digits, steps=50, batch_size=BATCH, record_at=()
    )
    assert all(run.diverged and run.history["step"].iloc[-1] < 10 for run in runs)


def test_trained_networks_own_their_tensors(digits):
    jobs = [job("batch"), job("none")]
    train_batched(jobs, digits, steps=1, batch_size=BATCH)
    for made in jobs:
        for parameter in made.model.parameters():
            assert parameter.untyped_storage().nbytes() == parameter.nbytes
            assert parameter.grad is None


def test_points_trained_together_give_the_tables_of_points_trained_alone(single_precision):
    changes = [{}, {"norm": "batch+none", "fc": "matched"}, {"spectrum": "all"}, {"cap": 1.0}, {"batch_size": 8}]
    points = [lenet_runs.complete({"batch_size": 16, **change}) for change in changes]
    data = single_precision  # points build float32 networks
    setting = lenet_runs.Setting(data, 3, (0, 2), {"test": SplitError(data)})
    joint = lenet_runs.run_batched(points, setting)
    for point, table in zip(points, joint, strict=True):
        pd.testing.assert_frame_equal(table, lenet_runs.run_point(point, setting), rtol=1e-4)


def test_refusals(digits):
    one = job("none")
    with pytest.raises(ValueError, match="jobs: 0 must be at least one"):
        train_batched([], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="jobs: 2 must be at least one, each with a network of its own"):
        train_batched([one, one], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="learning_rate: 0 is not a finite number above 0"):
        train_batched([dataclasses.replace(one, learning_rate=0)], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match=r"momentum: -0\.1 is not a finite number of at least 0"):
        train_batched([dataclasses.replace(one, momentum=-0.1)], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="batch_size=41 must be an integer of 1 to 40"):
        train_batched([one], digits, steps=1, batch_size=41)
    with pytest.raises(ValueError, match="models: Linear is not a LeNet"):
        train_batched([dataclasses.replace(one, model=torch.nn.Linear(1, 1))], digits, steps=1, batch_size=4)
    rgb = dataclasses.replace(one, model=LeNet(3, generator=generator(0, "initialisation")).double())
    with pytest.raises(ValueError, match=r"one pair for all, not \[\(1, 10\), \(3, 10\)\]"):
        train_batched([one, rgb], digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="is not \\(B, 3, 32, 32\\)"):
        train_batched([rgb], digits, steps=1, batch_size=4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_as_on_the_cpu(digits):
    on_gpu = doubled(datasets.load("digits", device="cuda").subset(train=40, test=20))
    single = [alone(made, digits) for made in mixed(torch.float64)]
    joint = train_batched(
        mixed(torch.float64, "cuda"), on_gpu, steps=STEPS, batch_size=BATCH, record_at=range(STEPS + 1)
    )
    for a, b in zip(single, joint, strict=True):
        torch.testing.assert_close(
            torch.tensor(a.history["loss"].to_numpy()), torch.tensor(b.history["loss"].to_numpy()), rtol=1e-6, atol=1e-8
        )
