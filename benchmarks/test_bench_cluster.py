"""A sweep of LeNets by local processes and by a Dask cluster of as many local workers; and with a worker lost halfway.

What a cluster costs beside local processes is the way of points and tables over the scheduler; the data go to each
worker once. A lost worker's runs are made again by the others.
"""

import os
import signal
import threading
import time

import pytest

from bnlab import datasets
from bnlab.measures.probes import SplitError
from bnlab.sweeps import cluster as clusters
from bnlab.sweeps.executors import processes, usable_cores
from bnlab.sweeps.points import Setting, run_points
from bnlab.sweeps.sweep import grid

distributed = pytest.importorskip("distributed", reason="distributed is not installed")

COUNTS = sorted({1, usable_cores(), 2 * usable_cores()})
POINTS = grid(norm=["none", "batch", "amplify", "suppress"], learning_rate=[0.01, 0.1], seed=list(range(8)))


@pytest.fixture(scope="module")
def setting():
    data = datasets.load("digits", size=32)
    return Setting(data, 300, (300,), {"test": SplitError(data)})


def local(workers):
    return distributed.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)


def made(setting, executor):
    table = run_points(POINTS, setting, executor=executor, progress=False)
    assert (table["status"] == "ok").all()
    return table


@pytest.mark.parametrize("workers", COUNTS)
def test_local_processes(benchmark, setting, workers):
    with processes(workers) as pool:
        benchmark.pedantic(lambda: made(setting, pool), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("workers", COUNTS)
def test_dask_workers(benchmark, setting, workers):
    with local(workers) as ours, clusters.cluster(ours.scheduler_address) as executor:
        benchmark.pedantic(lambda: made(setting, executor), rounds=3, warmup_rounds=1)


def test_a_dask_worker_lost_halfway(benchmark, setting):
    """One of `usable_cores`, and a spare one, so that something is left; the numbers are those of an unharmed sweep."""
    with local(usable_cores() + 1) as ours, clusters.cluster(ours.scheduler_address) as executor:
        made(setting, executor)  # workers are warm from here on
        began = time.perf_counter()
        unharmed = made(setting, executor)
        half = (time.perf_counter() - began) / 2
        with distributed.Client(ours.scheduler_address, set_as_default=False) as client:
            victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Timer(half, os.kill, (victim, signal.SIGKILL))
        killer.start()
        found = benchmark.pedantic(lambda: made(setting, executor), rounds=1)
        assert not killer.is_alive(), "the sweep was over before the worker was lost"
    assert found.equals(unharmed)
