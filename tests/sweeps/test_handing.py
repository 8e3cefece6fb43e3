"""What many tasks share goes to a process once; processes that are not this pool's are handed everything each time."""

import os
from functools import partial
from pathlib import Path

import pytest

from bnlab import datasets
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.executors import processes
from bnlab.training.many import train_many
from bnlab.training.train import Job


class Heavy:
    """Leaves a trace wherever it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.__dict__ = state
        with (self.folder / f"{os.getpid()}").open("a") as trace:
            trace.write("read\n")


class Unreadable:
    def __setstate__(self, state):
        raise ImportError("No module named 'gone'")

    def __init__(self):
        self.something = 1


def named(point, heavy):
    from bnlab.tables import table

    return table([(os.getpid(),)], {"process": "index"})


def test_what_runs_share_is_read_once_a_process(tmp_path):
    with processes(2) as pool:
        for _ in range(2):
            run = partial(named, heavy=Heavy(tmp_path))
            found = sweeps.sweep(sweeps.grid(x=list(range(12))), run, executor=pool, progress=False)
    traces = {path.name: path.read_text().count("read") for path in tmp_path.iterdir()}
    assert set(map(str, found["process"])) <= set(traces)
    assert set(traces.values()) <= {1, 2}  # of two sweeps


def test_what_a_process_cannot_read_is_told_before_anything_runs_in_a_pool_that_is_given_too():
    with (
        processes(1) as pool,
        pytest.raises(sweeps.SweepError, match=r"cannot import the runs \(ImportError: No module named 'gone'\)"),
    ):
        sweeps.sweep([{"x": 1}], partial(named, heavy=Unreadable()), executor=pool, progress=False)


def test_what_cannot_be_handed_over_is_one_line(monkeypatch):
    with processes(1) as pool:
        with pytest.raises(sweeps.SweepError, match="cannot be handed to worker processes"):
            sweeps.sweep([{"x": 1}], lambda point: point, executor=pool, progress=False)

        def full(path, content):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(sweeps.SweepError, match=r"cannot be written \(No space left on device\): set TMPDIR"):
            sweeps.sweep([{"x": 1}], named, executor=pool, progress=False)


class Ending:
    def __setstate__(self, state):
        raise SystemExit(3)

    def __init__(self):
        self.something = 1


def test_a_process_that_ends_itself_while_reading_does_not_end_this_one():
    with processes(1) as pool, pytest.raises(sweeps.SweepError, match=r"cannot start \(3\)"):
        sweeps.sweep([{"x": 1}], partial(named, heavy=Ending()), executor=pool, progress=False)


def dies(point):
    os._exit(1)


def test_a_pool_whose_worker_died_is_told_as_that():
    with processes(1) as pool:
        found = sweeps.sweep([{"x": 1}], dies, executor=pool, progress=False)
        assert found["status"].tolist() == ["failed: worker died (out of memory?)"]
        with pytest.raises(sweeps.SweepError, match=r"^a worker process has died \(out of memory\?\): start another"):
            sweeps.sweep([{"x": 1}], dies, executor=pool, progress=False)


def test_networks_trained_in_the_pool_share_its_data():
    data = datasets.load("digits").subset(train=64, test=10)

    def jobs():
        return [Job(LeNet(generator=generator(n, "initialisation")), generator(n, "order"), 0.1) for n in range(3)]

    with processes(1) as pool:
        away = train_many(jobs(), data, steps=3, batch_size=16, executor=pool)
        assert len(pool._handed) == 1
    here = train_many(jobs(), data, steps=3, batch_size=16)
    assert all(one.history.equals(other.history) for one, other in zip(away, here, strict=True))
