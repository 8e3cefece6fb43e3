"""LeNet's training step on one core: compiled, and by PyTorch's operations as `training.train` runs them.

Processor time, so that whatever else runs on the machine does not count; without the seconds that compiling takes once.
"""

import time

import pytest

from bnlab import datasets
from bnlab.layers.nlms import NlmsConv2d
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.training.compiled.evaluation import evaluate_compiled
from bnlab.training.compiled.train import train_compiled
from bnlab.training.train import Job, evaluate, train_job

pytest.importorskip("numba", reason="numba is not installed")
STEPS = 60
NETWORKS = ["none", "batch", "amplify", "suppress", "rms", "batch_prior", "nlms_l2", "nlms_l2 with noise"]


def job(network, channels):
    model = LeNet(channels, norm=network.split()[0], generator=generator(0, "initialisation"))
    for layer in (model.conv1, model.conv2):
        if isinstance(layer, NlmsConv2d) and network.endswith("noise"):
            layer.noise, layer.generator = 1.0, generator(0, "noise")
    return Job(model, generator(0, "order"), 0.01)


@pytest.mark.parametrize("way", [train_compiled, train_job], ids=["compiled", "PyTorch"])
@pytest.mark.parametrize(
    ("network", "data", "batch"),
    [*((network, "digits", 64) for network in NETWORKS), ("batch", "digits", 16), ("batch", "digits", 256),
     ("batch", "digits-rgb", 64)],
    ids=str,
)  # fmt: skip
def test_training(benchmark, network, data, batch, way):
    dataset = datasets.load(data)
    made = job(network, len(dataset.mean))
    benchmark.group, benchmark._timer = f"{STEPS} steps: {network}, {data}, {batch} images", time.process_time
    run = benchmark.pedantic(lambda: way(made, dataset, steps=STEPS, batch_size=batch), rounds=5, warmup_rounds=1)
    assert not run.diverged


@pytest.mark.parametrize("way", [evaluate_compiled, evaluate], ids=["compiled", "PyTorch"])
def test_evaluation(benchmark, way):
    dataset = datasets.load("digits")
    model = job("batch", 1).model.eval()
    benchmark.group, benchmark._timer = "error rate of 1,437 images", time.process_time
    error, _ = benchmark.pedantic(lambda: way(model, dataset, "train"), rounds=5, warmup_rounds=1)
    assert 0 < error < 1
