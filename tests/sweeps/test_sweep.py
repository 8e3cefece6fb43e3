"""Sweeps: grids, resumption to the bit, kills, failures in their rows, other executors."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bnlab.records import keys
from bnlab.records.arithmetic import Arithmetic
from bnlab.records.content import ContentError
from bnlab.sweeps import executors, failures
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


def scaled(point, by):
    return table(point).assign(value=point["x"] * by)


def endless(point):
    if point["x"] == 0:
        return table(point)
    Path(point["trace"], f"worker.{os.getpid()}").touch()
    time.sleep(600)


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
    found = sweeps.sweep(sweeps.grid(x=[3, 1, 2]), table, executor=threads, progress=False)
    assert list(found.columns) == ["x", "status", "step", "value"]
    assert list(found["x"]) == [3, 3, 1, 1, 2, 2]
    assert (found["status"] == "ok").all()


def test_resumed_and_fresh_are_the_same_to_the_bit_and_nothing_runs_twice(tmp_path, threads):
    trace = tmp_path / "trace"
    trace.mkdir()
    points = [{"x": x, "trace": str(trace)} for x in range(4)]
    kept = tmp_path / "kept"
    sweeps.sweep(points[:2], counted, folder=kept, executor=threads, progress=False)
    for mark in trace.iterdir():
        mark.unlink()
    resumed = sweeps.sweep(points, counted, folder=kept, executor=threads, progress=False)
    assert sorted(p.name for p in trace.iterdir()) == ["2", "3"]
    fresh = sweeps.sweep(points, counted, executor=threads, progress=False)
    pd.testing.assert_frame_equal(resumed, fresh, check_exact=True)
    assert fresh["value"].iloc[1 + 2] == 1e-17 / 7  # the text form loses nothing


def test_what_is_bound_to_the_run_is_in_its_key(tmp_path, threads):
    for factor in (1.0, 2.0, 1.0):
        sweeps.sweep([{"x": 1}], partial(scaled, by=factor), folder=tmp_path, executor=threads, progress=False)
    assert len(list(tmp_path.glob("*.csv.gz"))) == 2
    sweeps.sweep([{"x": 1}], table, folder=tmp_path, executor=threads, progress=False)
    assert len(list(tmp_path.glob("*.csv.gz"))) == 3


def test_the_source_and_the_arithmetic_are_in_the_key(tmp_path, threads, monkeypatch):
    def names():
        sweeps.sweep([{"x": 1}], table, folder=tmp_path, executor=threads, progress=False)
        return {path.name for path in tmp_path.glob("*.csv.gz")}

    first = names()
    assert names() == first
    monkeypatch.setattr(keys, "sources", lambda *names, library=None: {"bnlab.x": "another"})
    monkeypatch.setattr(keys, "_found", Path)
    assert len(second := names()) == 2
    monkeypatch.setattr(sweeps.Arithmetic, "now", lambda *_: Arithmetic("cuda", "batched", "2.13", False, True))
    assert names() > second


def test_a_run_is_not_kept_whose_source_changed_meanwhile(tmp_path, threads, monkeypatch):
    monkeypatch.setattr(keys.Sources, "changed", lambda self: ["bnlab.theory.modes"])
    with pytest.raises(sweeps.SweepError, match=r"bnlab\.theory\.modes changed while runs were under way"):
        sweeps.sweep([{"x": 1}], table, folder=tmp_path, executor=threads, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("points", "run"),
    [
        ([{"x": 1}], lambda point: table(point)),
        ([{"x": 1}], partial(scaled, by=object())),
        ([{"x": 1, "adjust": lambda model: model}], table),
        ([{"x": object()}], table),
    ],
)
def test_what_has_no_stable_key_is_not_kept(points, run, tmp_path, threads):
    with pytest.raises(ContentError, match="has no stable key"):
        sweeps.sweep(points, run, folder=tmp_path, executor=threads, progress=False)
    assert not list(tmp_path.iterdir())


def test_where_nothing_is_kept_nothing_needs_a_key(threads):
    found = sweeps.sweep([{"x": 1, "note": object()}], lambda point: table(point), executor=threads, progress=False)
    assert (found["status"] == "ok").all()


def test_numbers_of_numpy_name_a_point_as_numbers(tmp_path, threads):
    for x in (3, np.int64(3)):
        sweeps.sweep([{"x": x, "rate": x / 10}], table, folder=tmp_path, executor=threads, progress=False)
    assert len(list(tmp_path.glob("*.csv.gz"))) == 1
    assert sweeps.grid(learning_rate=[np.float32(0.5)]) == [{"learning_rate": 0.5}]


def test_a_kept_run_that_is_damaged_is_made_again(tmp_path, threads):
    first = sweeps.sweep([{"x": 1}], table, folder=tmp_path, executor=threads, progress=False)
    (path,) = tmp_path.glob("*.csv.gz")
    path.write_bytes(path.read_bytes()[:-9])
    again = sweeps.sweep([{"x": 1}], table, folder=tmp_path, executor=threads, progress=False)
    pd.testing.assert_frame_equal(first, again, check_exact=True)


@pytest.mark.parametrize("name", ["x", "status"])
def test_a_column_named_like_the_sweeps_own_is_refused_at_the_first_result(name, threads):
    calls = []

    def run(point):
        calls.append(point)
        time.sleep(0.05)
        return table(point).assign(**{name: 1})

    with pytest.raises(sweeps.SweepError, match=f"column '{name}' is named like one of the sweep's own"):
        sweeps.sweep(sweeps.grid(x=range(50)), run, executor=threads, progress=False)
    assert len(calls) < 10


def test_failures_are_refused_where_there_may_be_no_holes(threads):
    found = sweeps.sweep(sweeps.grid(x=[1, 2, 3], y=["a"]), fails_at_two, executor=threads, progress=False)
    with pytest.raises(failures.FailedRunsError) as error:
        failures.refuse_failures(found)
    assert str(error.value).startswith("1 of the runs failed: (x = 2, y = a); the first failed: cannot allocate 9 GiB.")
    whole = found[found["status"] == "ok"]
    assert failures.refuse_failures(whole) is whole


def test_a_sample_runs_few_points_and_keeps_nothing(threads):
    points = sweeps.grid(x=range(40))
    few = [
        sweeps.sweep(points, table, folder=sweeps.Sample(3, seed), executor=threads, progress=False)
        for seed in (0, 0, 1)
    ]
    assert len(few[0]) == 6
    assert few[0].equals(few[1])
    assert set(few[0]["x"]) != set(few[2]["x"])


def test_a_failing_point_is_a_row_and_is_tried_again(tmp_path, threads):
    found = sweeps.sweep(sweeps.grid(x=[1, 2, 3]), fails_at_two, folder=tmp_path, executor=threads, progress=False)
    row = found[found["x"] == 2]
    assert len(row) == 1
    assert row["status"].item() == "failed: cannot allocate 9 GiB"
    assert (found[found["x"] != 2]["status"] == "ok").all()
    again = sweeps.sweep(sweeps.grid(x=[1, 2, 3]), table, folder=tmp_path, executor=threads, progress=False)
    assert (again["status"] == "ok").all()


def test_a_point_that_kills_its_worker_is_a_row_and_its_neighbours_finish():
    found = sweeps.sweep(sweeps.grid(x=[1, 2, 3, 4]), dies_at_two, progress=False)
    assert found[found["x"] == 2]["status"].item() == "failed: worker died (out of memory?)"
    assert len(found[found["status"] == "ok"]) == 6


def test_killed_in_the_middle_it_keeps_what_was_finished(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\nfrom bnlab.sweeps import sweep as sweeps\nimport test_sweep\n"
        "if __name__ == '__main__':\n"
        "    sweeps.sweep(sweeps.grid(x=list(range(40))), test_sweep.slow, folder=Path(sys.argv[1]))\n"
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
            sweeps.grid(x=list(range(40))), table, folder=tmp_path / "kept", executor=pool, progress=False
        )
    assert (found["status"] == "ok").all()
    assert len(found) == 80


def test_many_points_as_one_computation_give_the_same_table(threads):
    points = sweeps.grid(x=[1, 2, 3])
    one = sweeps.sweep(points, table, executor=threads, progress=False)
    together = sweeps.sweep(points, table, batched=lambda ps: [table(p) for p in ps], progress=False)
    pd.testing.assert_frame_equal(one, together, check_exact=True)


def test_a_batched_sweep_that_memory_does_not_hold_is_halved(tmp_path):
    points, sizes = sweeps.grid(x=range(6)), []

    def joint(some):
        sizes.append(len(some))
        if any(point["x"] == 4 for point in some):
            raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")
        return [table(point) for point in some]

    found = sweeps.sweep(points, table, folder=tmp_path, batched=joint, progress=False)
    reason = "failed: CUDA out of memory. Tried to allocate 9 GiB"
    assert found.groupby("x")["status"].first().tolist() == ["ok"] * 4 + [reason, "ok"]
    assert max(sizes) == 6
    assert len(list(tmp_path.iterdir())) == 5


def test_any_other_failure_of_a_batch_is_told_for_what_it_is(tmp_path, capsys):
    calls = []

    def joint(some):
        calls.append(len(some))
        raise KeyError("momentum")

    found = sweeps.sweep(sweeps.grid(x=range(6)), table, folder=tmp_path, batched=joint, progress=False)
    assert calls == [6]
    assert set(found["status"]) == {"failed: KeyError: 'momentum'"}
    assert "in joint" in capsys.readouterr().err


def test_a_batched_sweep_keeps_each_batch_and_goes_on_in_the_same_company(tmp_path, monkeypatch):
    """Killed in its third batch: the first two are kept, and the rest is computed in the batches it would have had."""
    monkeypatch.setattr(executors, "MOST_AT_ONCE", 4)
    points, companies = sweeps.grid(x=range(10)), []

    def joint(some, stop=()):
        companies.append([point["x"] for point in some])
        if 8 in stop and some[0]["x"] == 8:
            raise KeyboardInterrupt
        return [table(point) for point in some]

    with pytest.raises(KeyboardInterrupt):
        sweeps.sweep(points, table, folder=tmp_path, batched=partial(joint, stop=(8,)), progress=False)
    assert len(list(tmp_path.iterdir())) == 8
    companies.clear()
    sorted(tmp_path.iterdir())[0].unlink()
    found = sweeps.sweep(points, table, folder=tmp_path, batched=joint, progress=False)
    assert companies[-1] == [8, 9]
    assert all(some in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9]) for some in companies)
    assert len(companies) == 2
    assert (found["status"] == "ok").all()


def script(folder, text: str, *arguments: str):
    """Start a script that can import this file, in a session of its own."""
    path = folder / "script.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n" + textwrap.dedent(text))
    command, temporary = [sys.executable, str(path), *arguments], folder / "temporary"
    temporary.mkdir()
    own = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=own)


def test_a_worker_that_cannot_import_its_function_is_told_as_that(tmp_path):
    """Not as out of memory, after each point was tried alone."""
    child = script(
        tmp_path,
        """
        import types
        from bnlab.sweeps import sweep as sweeps
        gone = types.ModuleType("gone")
        sys.modules["gone"] = gone
        exec("def run(point): return None", gone.__dict__)
        gone.run.__module__ = "gone"
        if __name__ == "__main__":
            try:
                sweeps.sweep(sweeps.grid(x=list(range(5))), gone.run, progress=False)
            except sweeps.SweepError as error:
                print(error, file=sys.stderr)
        else:
            del sys.modules["gone"]
        """,
    )
    told = child.communicate(timeout=120)[1].strip().splitlines()
    assert told == [
        "worker processes cannot import the runs (ModuleNotFoundError: No module named 'gone'): use a function that "
        "stands on its own in a module that they can import."
    ]


def test_workers_that_cannot_start_are_told_as_that(tmp_path):
    child = script(
        tmp_path,
        """
        from bnlab.sweeps import sweep as sweeps
        import test_sweep
        if __name__ != "__main__":
            raise SystemExit("a main module that does not bear being imported")
        try:
            sweeps.sweep(sweeps.grid(x=list(range(5))), test_sweep.table, progress=False)
        except sweeps.SweepError as error:
            print("TOLD", error, file=sys.stderr)
        """,
    )
    told = [line for line in child.communicate(timeout=120)[1].splitlines() if line.startswith("TOLD")]
    assert len(told) == 1
    assert "TOLD worker processes cannot start" in told[0]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent_and_no_part_of_a_file_is_left(tmp_path, ending):
    kept = tmp_path / "kept"
    child = script(
        tmp_path,
        """
        from pathlib import Path
        from bnlab.sweeps import sweep as sweeps
        import test_sweep
        if __name__ == "__main__":
            points = [{"x": x, "trace": sys.argv[2]} for x in range(40)]
            try:
                sweeps.sweep(points, test_sweep.endless, folder=Path(sys.argv[1]))
            except KeyboardInterrupt:
                print("told to stop", file=sys.stderr)
        """,
        str(kept),
        str(tmp_path),
    )
    deadline = time.monotonic() + 120
    while not (list(tmp_path.glob("worker.*")) and list(kept.glob("*.csv.gz"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = [int(path.suffix[1:]) for path in tmp_path.glob("worker.*")]
    child.send_signal(ending)  # to the parent alone, as a batch system does
    told = child.communicate(timeout=60)[1]
    assert ("told to stop" in told) == (ending == signal.SIGTERM)
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.05)
    assert list((tmp_path / "temporary").iterdir()) == []
    if ending == signal.SIGTERM:
        assert [path.name for path in kept.iterdir() if path.name.startswith(".")] == []


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_progress_says_how_much_is_left(capsys, threads):
    sweeps.sweep(sweeps.grid(x=[1, 2]), table, executor=threads)
    assert "2/2 runs, 0 failed, about 0.0 min left" in capsys.readouterr().err


@pytest.mark.parametrize(("points", "words"), [([], "no points"), ([{"x": 1}, {"x": 1}], "equal")])
def test_no_points_or_equal_points_are_refused(points, words):
    with pytest.raises(sweeps.SweepError, match=words):
        sweeps.sweep(points, table)
