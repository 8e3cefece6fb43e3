"""LeNet's training step on one core: compiled, and by PyTorch's operations as `training.train` runs them.

Processor time, so that whatever else runs on the machine does not count; without the seconds that compiling takes once.
How far the step reaches is asserted: times faster a core, the two ways in turns, with AVX-512 and without; and updates
a second of all cores by the clock, on a machine that does nothing else.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnlab import datasets
from bnlab.layers.nlms import NlmsConv2d
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.sweeps.executors import usable_cores
from bnlab.training.compiled import jit
from bnlab.training.compiled.evaluation import evaluate_compiled
from bnlab.training.compiled.train import train_compiled
from bnlab.training.train import Job, evaluate, train_job

pytest.importorskip("numba", reason="numba is not installed")
STEPS, BATCH = 60, 64
STEPS_IN_TURNS, ROUNDS = 300, 5  # as long as the book's quick runs
# Times faster; all others 6 with AVX-512, 5 without.
LEAST = {"nlms_l2": 3.0, "nlms_l2 with noise": 3.0}
LEAST_UPDATES = 650  # a second and core: 1,300 of two
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


def times_faster(network):
    """Ratio of the median processor times of PyTorch's operations and of the compiled step, in turns."""
    dataset, made = datasets.load("digits"), job(network, 1)
    seconds = {train_job: [], train_compiled: []}
    for _ in range(ROUNDS + 1):
        for way, own in seconds.items():
            start = time.process_time()
            way(made, dataset, steps=STEPS_IN_TURNS, batch_size=BATCH)
            own.append(time.process_time() - start)
    return statistics.median(seconds[train_job][1:]) / statistics.median(seconds[train_compiled][1:])


@pytest.mark.parametrize("network", NETWORKS)
def test_times_faster_a_core(benchmark, network):
    ratio = times_faster(network)
    least = LEAST.get(network, 6.0 if jit.LANES == 16 else 5.0)
    benchmark.group = f"{network}, {jit.LANES} floats a vector: {ratio:.1f} times PyTorch's, at least {least:g}"
    benchmark.pedantic(lambda: None, rounds=1)
    assert ratio >= least


def test_times_faster_without_avx512(benchmark):
    if jit.LANES == 8:
        pytest.skip("this machine has no AVX-512: the other tests tell")
    # PyTorch too is held to what a processor without AVX-512 has: else its products are those of this one.
    older = {"NUMBA_CPU_NAME": "haswell", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    ratio = float(_told("times_faster('batch')", **older).communicate()[0])
    benchmark.group = f"batch, both held to AVX2: {ratio:.1f} times PyTorch's, at least 5"
    benchmark.pedantic(lambda: None, rounds=1)
    assert ratio >= 5


def updates(steps):
    """Train one network for so many steps; seconds by the clock, what is loaded once apart."""
    dataset, made = datasets.load("digits"), job("batch", 1)
    train_compiled(made, dataset, steps=1, batch_size=BATCH)
    start = time.perf_counter()
    train_compiled(made, dataset, steps=steps, batch_size=BATCH)
    return time.perf_counter() - start


def test_updates_of_all_cores(benchmark):
    cores, steps = usable_cores(), 3000
    running = [_told(f"updates({steps})") for _ in range(cores)]
    rate = sum(steps / float(process.communicate()[0]) for process in running)
    benchmark.group = f"{rate:,.0f} updates a second of {cores} cores, at least {LEAST_UPDATES * cores:,}"
    benchmark.pedantic(lambda: None, rounds=1)
    assert rate >= LEAST_UPDATES * cores or jit.LANES == 8


def _told(call, **named):
    """A process of its own that prints what a function of this file gives."""
    words = [sys.executable, "-c", f"import {Path(__file__).stem} as here; print(here.{call})"]
    own = {**os.environ, "OMP_NUM_THREADS": "1", **named}
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=own, cwd=Path(__file__).parent)
