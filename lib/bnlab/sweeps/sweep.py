"""Many runs, one tidy table: a grid of points, any executor, resumable at any moment.

Every finished point is kept at once, in a file named by what decides its numbers, so a sweep killed at any moment
loses at most the runs in flight and, called again, ends with the same table to the bit (every result passes through
its file's text form, fresh or resumed). The default on a CPU is one single-threaded process a core: on two cores that
beats both threads and batching many networks into one call.
"""

import hashlib
import itertools
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pandas as pd

from bnlab.records import recorded

Point = dict[str, object]
Run = Callable[[Point], pd.DataFrame]


class SweepError(ValueError):
    """A grid that cannot be swept. Its text is one clear line."""


def grid(**values: Sequence) -> list[Point]:
    """List every combination of the given values, the last name varying fastest.

    >>> grid(norm=["none", "batch"], seed=[0])
    [{'norm': 'none', 'seed': 0}, {'norm': 'batch', 'seed': 0}]

    Raises:
        SweepError: no names, an empty list, the same value twice, or a rate (a name ending in ``rate``) that is not
            finite and positive.
    """
    if not values:
        raise SweepError("the grid has no parameters: name at least one, such as seed=[0, 1, 2, 3, 4].")
    for name, choices in values.items():
        if isinstance(choices, str) or len(choices) == 0:
            raise SweepError(f"{name} = {choices!r} must be a list of at least one value.")
        if len(set(choices)) < len(choices):
            raise SweepError(f"{name} = {choices!r} holds a value twice.")
        for choice in choices:
            if name.endswith("rate") and not (isinstance(choice, int | float) and 0 < choice < math.inf):
                raise SweepError(f"{name} = {choice!r} must be a finite number above 0.")
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def seeds_from(first: int, count: int) -> list[int]:
    """List ``count`` consecutive seeds.

    >>> seeds_from(3, 2)
    [3, 4]

    Raises:
        SweepError: fewer than one.
    """
    if count < 1:
        raise SweepError(f"seeds = {count} must be at least 1")
    return list(range(first, first + count))


def sweep(
    points: Sequence[Point],
    run: Run,
    *,
    key: str,
    folder: Path | None = None,
    executor: Executor | None = None,
    batched: Callable[[Sequence[Point]], Sequence[pd.DataFrame]] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run every point and stack their tables, each row led by its point's columns and a ``status``.

    Args:
        points: what `grid` lists; or your own.
        run: point to tidy table; must be importable where the executor runs it (a module's function, not a lambda).
        key: names what else decides the numbers (library hash, data checksum, settings common to all points).
        folder: keeps finished points; None keeps nothing.
        executor: any concurrent.futures.Executor (a Dask, Ray or MPI cluster's); None: one process a core.
        batched: runs many points as one computation (on a GPU) in place of ``run``.
        progress: say on standard error how many are done and about how long is left.

    Returns:
        ``status`` is "ok" or, in the single row of a point that raised or killed its worker, "failed: why". Failed
        points are not kept: the next call tries them again.

    Raises:
        SweepError: no points, or two that are equal.
    """
    if not points:
        raise SweepError("there are no points to run: give at least one.")
    names = [_name(point, key) for point in points]
    if len(set(names)) < len(names):
        raise SweepError("two points of the sweep are equal: every run must differ in something.")
    results = {n: _read(folder, n) for n in names}
    waiting = [(name, point) for name, point in zip(names, points, strict=True) if results[name] is None]
    tell = _Progress(len(points), len(points) - len(waiting), progress)
    source = _in_batches(waiting, batched) if batched else _one_by_one(waiting, run, executor)
    for name, content in source:
        results[name] = content
        if folder is not None and isinstance(content, bytes):
            folder.mkdir(parents=True, exist_ok=True)
            recorded.write_atomically(folder / f"{name}.csv.gz", content)
        tell.done(failed=isinstance(content, str))
    tables = [_rows(point, results[name]) for name, point in zip(names, points, strict=True)]
    return pd.concat(tables, ignore_index=True)


def _one_by_one(waiting: list, run: Run, executor: Executor | None) -> Iterator[tuple[str, bytes | str]]:
    """Yield each point's packed table, or the reason of its failure, as they finish."""
    suspects = []
    with _executor(executor) as pool:
        futures = {pool.submit(_packed, run, point): (name, point) for name, point in waiting}
        try:
            for future in as_completed(futures):
                name, point = futures[future]
                error = future.exception()
                if isinstance(error, BrokenExecutor) and executor is None:
                    suspects.append((name, point))  # a worker died and took its neighbours along: who was it?
                else:
                    yield name, future.result() if error is None else _reason(error)
        finally:
            for future in futures:
                future.cancel()
    for name, point in suspects:  # alone, the culprit dies again and the innocent finish
        with _executor(None, workers=1) as pool:
            error = (future := pool.submit(_packed, run, point)).exception()
            yield name, future.result() if error is None else _reason(error)


def _in_batches(waiting: list, batched: Callable) -> Iterator[tuple[str, bytes | str]]:
    """Yield every point's packed table from one computation; from two halves if it fails, so that a bad point is alone.

    Halving also answers a grid that is too large for the memory of a GPU.
    """
    if not waiting:
        return
    try:
        packed = [recorded.pack("point", table) for table in batched([point for _, point in waiting])]
    except Exception as error:
        reason = _reason(error)
    else:
        yield from zip([name for name, _ in waiting], packed, strict=True)
        return
    if len(waiting) == 1:
        yield waiting[0][0], reason
        return
    middle = len(waiting) // 2
    yield from _in_batches(waiting[:middle], batched)
    yield from _in_batches(waiting[middle:], batched)


@contextmanager
def processes(workers: int | None = None) -> Iterator[Executor]:
    """Start one single-threaded process a core (or so many), which several sweeps can share: a start takes seconds."""
    # spawn: a forked child inherits torch's locked thread pool and hangs.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context, initializer=_one_thread)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _executor(given: Executor | None, workers: int | None = None) -> AbstractContextManager[Executor]:
    return processes(workers) if given is None else nullcontext(given)  # the caller's, so the caller shuts it down


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _packed(run: Run, point: Point) -> bytes:
    return recorded.pack("point", run(point))


def _reason(error: BaseException) -> str:
    words = " ".join(str(error).split())[:300] or error.__class__.__name__
    return f"failed: {'worker died (out of memory?)' if isinstance(error, BrokenExecutor) else words}"


def _name(point: Mapping, key: str) -> str:
    return hashlib.sha256(json.dumps([key, point], sort_keys=True, default=str).encode()).hexdigest()[:24]


def _read(folder: Path | None, name: str) -> bytes | None:
    path = folder / f"{name}.csv.gz" if folder is not None else None
    return path.read_bytes() if path is not None and path.is_file() else None


def _rows(point: Point, content: bytes | str) -> pd.DataFrame:
    if isinstance(content, str):
        table = pd.DataFrame({"status": [content]})
    else:
        table = recorded.unpack(content)
        table.insert(0, "status", "ok")
    for position, (name, value) in enumerate(point.items()):
        table.insert(position, name, [value] * len(table))
    return table


class _Progress:
    """One line on standard error, rewritten: done of all, failed, and about how long is left."""

    def __init__(self, total: int, kept: int, shown: bool):
        self.total, self.kept, self.shown = total, kept, shown
        self.finished, self.failures, self.started = kept, 0, time.perf_counter()

    def done(self, *, failed: bool) -> None:
        self.finished += 1
        self.failures += failed
        if not self.shown:
            return
        each = (time.perf_counter() - self.started) / (self.finished - self.kept)
        left = each * (self.total - self.finished)
        words = f"{self.finished}/{self.total} runs, {self.failures} failed, about {left / 60:.1f} min left"
        print(f"\r{words:<70}", end="\n" if self.finished == self.total else "", file=sys.stderr, flush=True)
