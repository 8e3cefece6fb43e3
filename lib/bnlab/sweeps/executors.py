"""Who runs the points: one process a core, a caller's executor, or one batched computation."""

import multiprocessing
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path

from bnlab.records.packing import RecordedError, pack
from bnlab.sweeps.handing import HandingPool, words
from bnlab.sweeps.stopping import begin_worker
from bnlab.training.memory import is_out_of_memory

MOST_AT_ONCE = 64  # points in one batched computation; after each so many, results are kept

_offered: ContextVar[Executor | None] = ContextVar("offered", default=None)

Tasks = list[tuple[str, dict]]  # the name under which a point is kept, and the point
Made = Iterator[tuple[str, bytes | str]]  # that name, and a packed table or the reason of a failure


def one_by_one(waiting: Tasks, run: Callable, executor: Executor | None) -> Made:
    """Yield each point's packed table, or the reason of its failure, as they finish.

    Raises:
        SweepError: a worker process cannot start, or cannot import ``run``.
    """
    if not waiting:
        return
    executor = _offered.get() if executor is None else executor
    suspects = []
    with _executor(executor) as pool:
        if isinstance(pool, HandingPool):
            pool.refuse_what_cannot_start(run)
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


def in_batches(tasks: Tasks, results: Mapping[str, object], batched: Callable) -> Made:
    """Yield packed tables from one computation for so many points, always the same so many, as each is finished.

    A batch of which a point is missing is computed whole: in other company its numbers would round differently.
    """
    for start in range(0, len(tasks), MOST_AT_ONCE):
        batch = tasks[start : start + MOST_AT_ONCE]
        if any(results[name] is None for name, _ in batch):
            for name, made in _halved(batch, batched):
                if results[name] is None:
                    yield name, made


def _halved(batch: Tasks, batched: Callable) -> Made:
    """Compute points as one, in halves where memory does not hold them; any other failure is told of all of them."""
    try:
        packed = [pack("point", table) for table in batched([point for _, point in batch])]
    except Exception as error:
        reason, out_of_memory = _reason(error), is_out_of_memory(error)
    else:
        yield from zip([name for name, _ in batch], packed, strict=True)
        return
    if not out_of_memory or len(batch) == 1:
        yield from ((name, reason) for name, _ in batch)
        return
    middle = len(batch) // 2
    yield from _halved(batch[:middle], batched)
    yield from _halved(batch[middle:], batched)


@contextmanager
def offered(executor: Executor) -> Iterator[None]:
    """Give an executor, a cluster's say, to every sweep in this block that names none."""
    before = _offered.set(executor)
    try:
        yield
    finally:
        _offered.reset(before)


def usable_cores() -> int:
    """Count the cores that this process may use: a container or a batch system may grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def processes(workers: int | None = None) -> Iterator[Executor]:
    """Start one single-threaded process a core (or so many), which several sweeps can share: a start takes seconds.

    They end with this block; in the middle of a run if it is left by an interruption, or if this process dies.
    """
    # spawn: a forked child inherits torch's locked thread pool and hangs.
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="bnlab-") as folder:
        begin = {"initializer": begin_worker, "initargs": (theirs, folder)}
        pool = HandingPool(Path(folder), workers or usable_cores(), context, **begin)
        try:
            yield pool
        except BaseException as error:
            if not isinstance(error, Exception):
                ours.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            ours.close()
            theirs.close()


def _executor(given: Executor | None, workers: int | None = None) -> AbstractContextManager[Executor]:
    return processes(workers) if given is None else nullcontext(given)  # the caller's, so the caller shuts it down


def _packed(run: Callable, point: dict) -> bytes:
    return pack("point", run(point))


def _reason(error: BaseException) -> str:
    if isinstance(error, BrokenExecutor):
        return "failed: worker died (out of memory?)"
    if isinstance(error, ValueError | RecordedError) or is_out_of_memory(error):
        return f"failed: {words(error)}"
    # Nobody expected it: whoever mends it needs more than its words.
    traceback.print_exception(error, file=sys.stderr)
    return f"failed: {type(error).__name__}: {words(error)}"
