"""A grid of LeNets: trained as one batched computation, against one after another as anyone would write it.

The batched computation is meant for a GPU, where small networks wait for the launch of their kernels. On one CPU thread
it is the slower way, which is why sweeps there take one process a core.
"""

import pytest
import torch

from bnlab import datasets
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.training.batched import train_batched
from bnlab.training.train import Job, train

NORMS = ("none", "batch", "amplify", "suppress")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SEEDS = range(5 if DEVICE == "cuda" else 1)
STEPS, BATCH = 5, 64


def grid():
    return [
        Job(LeNet(norm=norm, generator=generator(seed, "initialisation")).to(DEVICE), generator(seed, "order"), 0.1)
        for norm in NORMS
        for seed in SEEDS
    ]


def as_one(jobs, data):
    return train_batched(jobs, data, steps=STEPS, batch_size=BATCH)


def one_by_one(jobs, data):
    return [
        train(job.model, data, learning_rate=job.learning_rate, steps=STEPS, batch_size=BATCH, generator=job.generator)
        for job in jobs
    ]


@pytest.mark.parametrize("way", [as_one, one_by_one], ids=["bnlab, as one", "one by one"])
def test_a_grid_of_networks(benchmark, way):
    data = datasets.load("digits", device=DEVICE)
    runs = benchmark.pedantic(lambda: way(grid(), data), rounds=3, warmup_rounds=1)
    assert [run.diverged for run in runs] == [False] * len(NORMS) * len(SEEDS)
