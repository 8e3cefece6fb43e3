"""How far the compiled step reaches: times faster than PyTorch's operations a core, with and without AVX-512; updates a
second of all cores.

The two ways take turns, so that a processor that slows down slows both. Ratios are of processor time; what all cores do
together is told by the clock, on a machine that does nothing else.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_bench_compiled import NETWORKS, job

from bnlab import datasets
from bnlab.sweeps.executors import processes, usable_cores
from bnlab.training.compiled import jit
from bnlab.training.compiled.train import train_compiled
from bnlab.training.train import train_job

pytest.importorskip("numba", reason="numba is not installed")
STEPS, ROUNDS, BATCH = 60, 5, 64
LEAST = {"nlms_l2": 3.0, "nlms_l2 with noise": 3.0}  # all others: 6 with AVX-512, 5 without
LEAST_UPDATES = 650  # a second and core: 1,300 of two


def times_faster(network):
    """Ratio of the median processor times of PyTorch's operations and of the compiled step, in turns."""
    dataset, made = datasets.load("digits"), job(network, 1)
    seconds = {train_job: [], train_compiled: []}
    for _ in range(ROUNDS + 1):
        for way, own in seconds.items():
            start = time.process_time()
            way(made, dataset, steps=STEPS, batch_size=BATCH)
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
    words = [sys.executable, "-c", "from test_bench_reach import times_faster; print(times_faster('batch'))"]
    named = {**os.environ, "NUMBA_CPU_NAME": "haswell", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=named, cwd=Path(__file__).parent, check=True)
    ratio = float(done.stdout)
    benchmark.group = f"batch, code for AVX2 alone: {ratio:.1f} times PyTorch's, at least 5"
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
    with processes() as pool:
        list(pool.map(updates, [1] * cores))
        rate = sum(steps / seconds for seconds in pool.map(updates, [steps] * cores))
    benchmark.group = f"{rate:,.0f} updates a second of {cores} cores, at least {LEAST_UPDATES * cores:,}"
    benchmark.pedantic(lambda: None, rounds=1)
    assert rate >= LEAST_UPDATES * cores or jit.LANES == 8
