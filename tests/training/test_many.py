"""One door to many runs: which engine, which order, which refusals, and memory that runs out."""

import copy
import dataclasses
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.models.lenet import LeNet
from bnlab.models.mlp import MLP
from bnlab.randomness import generator
from bnlab.training import many
from bnlab.training.many import fastest, train_many
from bnlab.training.train import Job, train_job

LENGTH = {"steps": 4, "batch_size": 16, "record_at": (0, 2)}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=40, test=20)


def job(norm="batch", seed=0, rate=0.05, **more):
    model = LeNet(norm=norm, generator=generator(seed, "initialisation"))
    if norm == "nlms_l2":
        model.conv1.noise, model.conv1.generator = 1.0, generator(seed, "noise")
    return Job(model, generator(seed, "order"), rate, **more)


def grid():
    return [job(norm, seed) for norm in ("none", "nlms_l2") for seed in (0, 1)]


def assert_as_alone(jobs, runs, data, tolerance=1e-3):
    for made, run, reference in zip(jobs, runs, grid(), strict=True):
        expected = train_job(reference, data, **LENGTH)
        pd.testing.assert_frame_equal(run.history, expected.history, rtol=tolerance, check_exact=False)
        for ours, theirs in zip(made.model.parameters(), reference.model.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
        assert torch.equal(made.generator.get_state(), reference.generator.get_state())
        assert made.model.training


@pytest.mark.parametrize("engine", ["auto", "torch", "numba"])
def test_runs_come_back_in_order(engine, digits):
    if engine == "numba":
        pytest.importorskip("numba", reason="numba is not installed")
    jobs = grid()
    assert_as_alone(jobs, train_many(jobs, digits, engine=engine, **LENGTH), digits)


def test_in_other_processes_as_here(digits):
    jobs, here = grid(), grid()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        runs = train_many(jobs, digits, engine="torch", executor=pool, **LENGTH)
    assert_as_alone(jobs, runs, digits)
    train_many(here, digits, engine="torch", **LENGTH)
    for ours, theirs in zip(jobs, here, strict=True):
        for name, tensor in ours.model.state_dict().items():
            assert torch.equal(tensor, theirs.model.state_dict()[name])
    noise = [made.model.conv1.generator.get_state() for made in (jobs[2], here[2])]
    assert torch.equal(*noise)


def test_a_failure_in_a_worker_is_told(digits):
    def fail(model, step):
        raise RuntimeError("no step")

    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="no step"):
        train_many([job(adjust=fail), job()], digits, engine="torch", executor=pool, **LENGTH)


def test_auto_takes_what_can(digits):
    pytest.importorskip("numba", reason="numba is not installed")
    mlp = MLP(1024, 10, depth=1, width=4, generator=generator(0, "initialisation"))
    assert [fastest(model, digits) for model in (job().model, job().model.double(), mlp)] == ["numba", "torch", "torch"]


class OnGpu:
    """A data set that says it is on a GPU, so that the batched computation is chosen where there is none."""

    def __init__(self, data):
        self.data = data
        self.train_images = type("Images", (), {"is_cuda": True})()

    def __getattr__(self, name):
        return getattr(self.data, name)


@pytest.fixture
def batches(monkeypatch, digits):
    """Record how many networks are trained at once, by the true computation, which fits at most three."""
    from bnlab.training import batched

    sizes, train_batched = [], batched.train_batched

    def limited(jobs, dataset, **length):
        sizes.append(len(jobs))
        runs = train_batched(jobs, digits, **length)
        if len(jobs) > 3:  # so late that every network has been trained already
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return runs

    monkeypatch.setattr(batched, "train_batched", limited)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    return sizes


def test_out_of_memory_halves_and_starts_again(batches, digits):
    jobs = grid()
    runs = train_many(jobs, OnGpu(digits), **LENGTH)
    assert batches == [4, 2, 2]
    assert_as_alone(jobs, runs, digits)


def test_chunks_have_a_largest_size(batches, digits, monkeypatch):
    monkeypatch.setattr(many, "MOST_AT_ONCE", 3)
    jobs = grid()
    assert_as_alone(jobs, train_many(jobs, OnGpu(digits), **LENGTH), digits)
    assert batches == [3, 1]


def test_an_adjustment_starts_again_too(batches, digits):
    class Once:
        """Double the gradient of its own first step."""

        used = False

        def __call__(self, model, step):
            if not self.used:
                model.fc.weight.grad.mul_(2)
            self.used = True

    jobs, alone = ([dataclasses.replace(made, adjust=Once()) for made in grid()] for _ in range(2))
    train_many(jobs, OnGpu(digits), **LENGTH)
    assert batches == [4, 2, 2]
    for ours, theirs in zip(jobs, alone, strict=True):
        train_job(theirs, digits, **LENGTH)
        torch.testing.assert_close(ours.model.fc.weight, theirs.model.fc.weight, rtol=1e-3, atol=1e-4)


def test_another_failure_is_told_and_not_halved(monkeypatch, digits):
    from bnlab.training import batched

    sizes = []

    def broken(jobs, dataset, **length):
        sizes.append(len(jobs))
        raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(batched, "train_batched", broken)
    with pytest.raises(RuntimeError, match="device-side assert"):
        train_many(grid(), OnGpu(digits), **LENGTH)
    assert sizes == [4]


def test_refusals(digits):
    one = job()
    with pytest.raises(ValueError, match="engine: 'nvidia' is not one of 'auto', 'torch', 'numba', 'cuda'"):
        train_many([one], digits, engine="nvidia", **LENGTH)
    with pytest.raises(ValueError, match="engine: 'cuda' cannot train this network: the data set is not on a GPU"):
        train_many([one], digits, engine="cuda", **LENGTH)
    with pytest.raises(ValueError, match="jobs: 2 must each have a network of its own"):
        train_many([one, one], digits, **LENGTH)
    with pytest.raises(ValueError, match="steps: 0 is not a whole number"):
        train_many([one], digits, steps=0, batch_size=4)


def test_one_that_cannot_stops_all_before_anything_trains(digits):
    pytest.importorskip("numba", reason="numba is not installed")
    first, second = job(), dataclasses.replace(job(), model=job().model.double())
    before = copy.deepcopy(first.model.state_dict())
    with pytest.raises(ValueError, match=r"engine: 'numba' cannot train this network: conv1\.weight is torch\.float64"):
        train_many([first, second], digits, engine="numba", **LENGTH)
    assert all(torch.equal(before[name], tensor) for name, tensor in first.model.state_dict().items())


def test_no_jobs_are_no_runs(digits):
    assert train_many([], digits, **LENGTH) == []
