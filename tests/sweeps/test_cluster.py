"""Runs on a Dask cluster of several local worker processes: the same table, whoever is lost on the way."""

import os
import signal
import threading
import time
from functools import partial

import pandas as pd
import pytest

from bnlab.commands import record
from bnlab.commands.presets import RecordingError
from bnlab.records import recorded
from bnlab.sweeps import cluster as clusters
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.executors import offered

distributed = pytest.importorskip("distributed", reason="distributed is not installed")


def slow(point, offset=0, seconds=0.0, log=None):
    import torch

    time.sleep(seconds)
    if log is not None:
        with (log / str(os.getpid())).open("a") as own:
            own.write(f"{point['x']}\n")
    return pd.DataFrame({"y": [point["x"] + offset], "worker": [os.getpid()], "threads": [torch.get_num_threads()]})


@pytest.fixture(scope="module")
def address():
    settings = {"n_workers": 3, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as local:
        yield local.scheduler_address


def test_a_worker_that_is_lost_costs_only_its_runs(address, tmp_path):
    """Each of three workers has had runs; one is killed in the middle, and every point has its row.

    What runs twice had run on the lost one, or was in the hands of one of the two others, which may have to fetch anew
    what all runs share.
    """
    points, victims = sweeps.grid(x=list(range(30))), []

    def kill():
        while not any(tmp_path.iterdir()):
            time.sleep(0.1)
        victims.append(int(next(tmp_path.iterdir()).name))  # it has finished a run and is in the middle of another
        os.kill(victims[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    with clusters.cluster(address) as executor:
        killer.start()
        found = sweeps.sweep(
            points, partial(slow, offset=7, seconds=0.3, log=tmp_path), executor=executor, progress=False
        )
    killer.join()
    assert (found["status"] == "ok").all()
    assert found["y"].tolist() == [x + 7 for x in range(30)]
    assert found["worker"].nunique() >= 3
    assert os.getpid() not in set(found["worker"])
    assert set(found["threads"]) == {1}
    done = {int(log.name): log.read_text().split() for log in tmp_path.iterdir()}
    on_others = [x for worker, own in done.items() if worker != victims[0] for x in own]
    again = {x for x in on_others if on_others.count(x) > 1}
    assert len(again - set(done[victims[0]])) <= 2
    assert len(on_others) <= 30 + 2


def test_what_runs_share_is_sent_once(address):
    with clusters.cluster(address) as executor:
        for _ in range(2):
            shared = partial(slow, offset=1)
            sweeps.sweep(sweeps.grid(x=[1, 2, 3]), shared, executor=executor, progress=False)
        assert len(executor._sent) == 2


def test_sweeps_take_what_is_offered_and_only_there(address):
    points = sweeps.grid(x=[1, 2])
    with clusters.cluster(address) as executor, offered(executor):
        there = sweeps.sweep(points, slow, progress=False)
        workers = set(executor._client.run(os.getpid).values())
    assert set(there["worker"]) <= workers
    assert not set(sweeps.sweep(points, slow, progress=False)["worker"]) & workers


def test_nobody_there(monkeypatch):
    monkeypatch.setattr(clusters, "PATIENCE", 1)
    words = r"no Dask scheduler answers at 'tcp://127.0.0.1:9'"
    with pytest.raises(clusters.ClusterError, match=words) as error, clusters.cluster("tcp://127.0.0.1:9"):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", ["", "nonsense", "tcp://", "tcp://:8786", "tcp://host:x", "tcp://a b:1", "host:8786"])
def test_no_address(given):
    words = "is no scheduler's address: give one like tcp"
    with pytest.raises(clusters.ClusterError, match=words) as error, clusters.cluster(given):
        raise AssertionError
    assert "\n" not in str(error.value)


def test_a_cluster_without_workers():
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as local:
        words = f"the cluster at {local.scheduler_address} has no workers"
        with pytest.raises(clusters.ClusterError, match=words), clusters.cluster(local.scheduler_address):
            pass


def test_a_worker_with_another_library(address, monkeypatch):
    own = clusters.fingerprint()
    monkeypatch.setattr(clusters, "fingerprint", _Strangers({**own, "torch": "1.0"}))
    with (
        pytest.raises(clusters.ClusterError, match=r"has torch .*, and this process 1\.0: install the same"),
        clusters.cluster(address),
    ):
        pass


class _Strangers:
    """Workers answer with what is theirs; this process has something else."""

    def __init__(self, here):
        self.here, self.process = here, os.getpid()

    def __call__(self):
        from bnlab.sweeps.cluster import fingerprint

        return self.here if os.getpid() == self.process else fingerprint()


@pytest.mark.parametrize(("chapter", "device"), [("04", "cpu"), ("16", "cpu")])
def test_a_chapter_without_single_runs_is_refused(chapter, device, tmp_path):
    with pytest.raises(
        RecordingError, match=f"chapter {chapter} has no single runs on CPUs that a cluster could share"
    ):
        record.record(chapter, {}, device=device, folder=tmp_path, scheduler="tcp://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_on_a_cluster_is_that_of_this_machine(address, tmp_path):
    """Chapter 07's tables of single runs, small, from one command each: the same rows, bit for bit."""
    small = {"dataset": "digits", "probe_size": 32, "first_seeds": 1, "ratio_batch_sizes": [16], "ratio_steps": 1,
             "ratio_seeds": 1, "methods": ["none", "batch", "batch_prior", "nlms_l2"], "rates": [0.1, 0.3],
             "noises": [10.0], "fc": ["frozen"], "frontier_steps": 3, "frontier_seeds": 1, "unknown_seeds": 0,
             "epochs": 0, "seeds": 1, "tuning_seeds": 1, "batch_size": 32}  # fmt: skip
    here, there = (
        recorded.read(record.record("07", small, device="cpu", folder=tmp_path / name, dirty=True, scheduler=scheduler))
        for name, scheduler in (("here", ""), ("there", address))
    )
    assert here.provenance["key"] == there.provenance["key"]
    assert here.provenance["tables"] == there.provenance["tables"]  # by their checksums
    assert set(here.tables) == {"powers", "directions", "noise_ratio", "frontier"}
