"""Sweeps: grids, resumption to the bit, kills, failures in their rows, other executors."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from bnlab.sweeps import sweep as sweeps


def table(point):
    return pd.DataFrame({"step": [0, 1], "value": [point["x"] / 3, point["x"] * 1e-17 / 7]})


def counted(point):
    Path(point["trace"], f"{point['x']}").touch()
    return table(point)


def fails_at_two(point):
    if point["x"] == 2:
        raise MemoryError("cannot allocate 9 GiB")
    return table(point)


def dies_at_two(point):
    if point["x"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does when memory runs out
    time.sleep(0.05)
    return table(point)


def slow(point):
    time.sleep(0.4)
    return table(point)


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_grid_is_the_product_and_refuses_nonsense():
    assert len(sweeps.grid(norm=["a", "b"], learning_rate=[0.1, 1.0], seed=range(3))) == 12
    for arguments, words in (
        ({}, "no parameters"),
        ({"seed": []}, r"seed = \[\]"),
        ({"seed": [1, 1]}, "twice"),
        ({"learning_rate": [0.1, 0.0]}, "learning_rate = 0.0"),
        ({"learning_rate": [float("nan")]}, "learning_rate = nan"),
        ({"norm": "batch"}, "norm = 'batch'"),
    ):
        with pytest.raises(sweeps.SweepError, match=words):
            sweeps.grid(**arguments)


def test_table_is_tidy_and_in_the_order_of_the_points(threads):
    found = sweeps.sweep(sweeps.grid(x=[3, 1, 2]), table, key="k", executor=threads, progress=False)
    assert list(found.columns) == ["x", "status", "step", "value"]
    assert list(found["x"]) == [3, 3, 1, 1, 2, 2]
    assert (found["status"] == "ok").all()


def test_resumed_and_fresh_are_the_same_to_the_bit_and_nothing_runs_twice(tmp_path, threads):
    trace = tmp_path / "trace"
    trace.mkdir()
    points = [{"x": x, "trace": str(trace)} for x in range(4)]
    kept = tmp_path / "kept"
    sweeps.sweep(points[:2], counted, key="k", folder=kept, executor=threads, progress=False)
    for mark in trace.iterdir():
        mark.unlink()
    resumed = sweeps.sweep(points, counted, key="k", folder=kept, executor=threads, progress=False)
    assert sorted(p.name for p in trace.iterdir()) == ["2", "3"]
    fresh = sweeps.sweep(points, counted, key="k", executor=threads, progress=False)
    pd.testing.assert_frame_equal(resumed, fresh, check_exact=True)
    assert fresh["value"].iloc[1 + 2] == 1e-17 / 7  # the text form loses nothing


def test_another_key_is_another_sweep(tmp_path, threads):
    sweeps.sweep([{"x": 1}], table, key="old library", folder=tmp_path, executor=threads, progress=False)
    sweeps.sweep([{"x": 1}], table, key="new library", folder=tmp_path, executor=threads, progress=False)
    assert len(list(tmp_path.glob("*.csv.gz"))) == 2


def test_a_failing_point_is_a_row_and_is_tried_again(tmp_path, threads):
    found = sweeps.sweep(
        sweeps.grid(x=[1, 2, 3]), fails_at_two, key="k", folder=tmp_path, executor=threads, progress=False
    )
    row = found[found["x"] == 2]
    assert len(row) == 1
    assert row["status"].item() == "failed: cannot allocate 9 GiB"
    assert (found[found["x"] != 2]["status"] == "ok").all()
    again = sweeps.sweep(sweeps.grid(x=[1, 2, 3]), table, key="k", folder=tmp_path, executor=threads, progress=False)
    assert (again["status"] == "ok").all()


def test_a_point_that_kills_its_worker_is_a_row_and_its_neighbours_finish():
    found = sweeps.sweep(sweeps.grid(x=[1, 2, 3, 4]), dies_at_two, key="k", progress=False)
    assert found[found["x"] == 2]["status"].item() == "failed: worker died (out of memory?)"
    assert len(found[found["status"] == "ok"]) == 6


def test_killed_in_the_middle_it_keeps_what_was_finished(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\nfrom bnlab.sweeps import sweep as sweeps\nimport test_sweep\n"
        "if __name__ == '__main__':\n"
        "    sweeps.sweep(sweeps.grid(x=list(range(40))), test_sweep.slow, key='k', folder=Path(sys.argv[1]))\n"
    )
    (tmp_path / "run.py").write_text(script)
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "kept"), str(Path(__file__).parent)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "kept").glob("*.csv.gz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    whole = list((tmp_path / "kept").glob("[!.]*.csv.gz"))
    assert 2 <= len(whole) < 40
    with ThreadPoolExecutor(8) as pool:
        found = sweeps.sweep(
            sweeps.grid(x=list(range(40))), table, key="k", folder=tmp_path / "kept", executor=pool, progress=False
        )
    assert (found["status"] == "ok").all()
    assert len(found) == 80


def test_many_points_as_one_computation_give_the_same_table(threads):
    points = sweeps.grid(x=[1, 2, 3])
    one = sweeps.sweep(points, table, key="k", executor=threads, progress=False)
    together = sweeps.sweep(points, table, key="k", batched=lambda ps: [table(p) for p in ps], progress=False)
    pd.testing.assert_frame_equal(one, together, check_exact=True)


def test_a_point_that_spoils_the_joint_computation_is_found_and_the_others_finish(tmp_path):
    points, sizes = sweeps.grid(x=range(6)), []

    def joint(some):
        sizes.append(len(some))
        if any(point["x"] == 4 for point in some):
            raise RuntimeError("out of memory")
        return [table(point) for point in some]

    found = sweeps.sweep(points, table, key="k", folder=tmp_path, batched=joint, progress=False)
    assert found.groupby("x")["status"].first().tolist() == ["ok"] * 4 + ["failed: out of memory", "ok"]
    assert max(sizes) == 6
    assert len(list(tmp_path.iterdir())) == 5


def test_dask_does_the_work():
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster:
        client = distributed.Client(cluster)
        found = sweeps.sweep(sweeps.grid(x=[1, 2, 3]), table, key="k", executor=client.get_executor(), progress=False)
        client.close()
    assert (found["status"] == "ok").all()


def test_progress_says_how_much_is_left(capsys, threads):
    sweeps.sweep(sweeps.grid(x=[1, 2]), table, key="k", executor=threads)
    assert "2/2 runs, 0 failed, about 0.0 min left" in capsys.readouterr().err


@pytest.mark.parametrize(("points", "words"), [([], "no points"), ([{"x": 1}, {"x": 1}], "equal")])
def test_no_points_or_equal_points_are_refused(points, words):
    with pytest.raises(sweeps.SweepError, match=words):
        sweeps.sweep(points, table, key="k")
