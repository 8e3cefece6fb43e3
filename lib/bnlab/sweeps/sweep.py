"""Many runs, one tidy table: a grid of points, any executor, resumable at any moment.

Every finished point is kept at once, in a file named by what decides its numbers, so a sweep killed at any moment
loses at most the runs in flight and, called again, ends with the same table to the bit (every result passes through
its file's text form, fresh or resumed). The default on a CPU is one single-threaded process a core: on two cores that
beats both threads and batching many networks into one call.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bnlab.checks import is_number
from bnlab.records import keys
from bnlab.records.arithmetic import Arithmetic, engine_of
from bnlab.records.content import ContentError, content
from bnlab.records.files import write_atomically
from bnlab.records.packing import unpack
from bnlab.sweeps.executors import in_batches, one_by_one, processes
from bnlab.sweeps.failures import SweepError
from bnlab.sweeps.progress import Progress
from bnlab.sweeps.stopping import stopping

__all__ = ["Sample", "SweepError", "grid", "processes", "seeds_from", "sweep"]

Point = dict[str, object]
Run = Callable[[Point], pd.DataFrame]


@dataclass(frozen=True)
class Sample:
    """In place of a folder: run only ``count`` points, drawn by ``seed``, and keep nothing."""

    count: int
    seed: int


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
            if name.endswith("rate") and not (is_number(choice) and choice > 0):
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
    folder: Path | Sample | None = None,
    executor: Executor | None = None,
    batched: Callable[[Sequence[Point]], Sequence[pd.DataFrame]] | None = None,
    arithmetic: Arithmetic | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run every point and stack their tables, each row led by its point's columns and a ``status``.

    Args:
        points: what `grid` lists; or your own.
        run: point to tidy table; must be importable where the executor runs it (a module's function, not a lambda),
            what all points share bound to it by `functools.partial`, and left as it is: many runs are given one object.
        folder: keeps finished points, each under a name that says what decides it: the point, ``run`` and all that is
            bound to it by content, the source of both, and the arithmetic. None keeps nothing.
        executor: any concurrent.futures.Executor (a Dask, Ray or MPI cluster's); None: one process a core.
        batched: runs many points as one computation (on a GPU) in place of ``run``.
        arithmetic: of the device that computes; if None the CPU's, with the engine that ``run`` can use.
        progress: say on standard error how many are done and about how long is left.

    Returns:
        ``status`` is "ok" or, in the single row of a point that raised or killed its worker, "failed: why". Failed
        points are not kept: the next call tries them again.

    Raises:
        SweepError: no points, or two that are equal; a run whose columns are named like the point's; the folder cannot
            be written, or the source was changed meanwhile.
        ContentError: results are to be kept, and a point or what is bound to ``run`` has no stable key.
    """
    if not points:
        raise SweepError("there are no points to run: give at least one.")
    if isinstance(folder, Sample):
        points = random.Random(folder.seed).sample(list(points), min(folder.count, len(points)))  # noqa: S311
        folder = None
    keeper = _Nowhere() if folder is None else _Folder.of(Path(folder), run, arithmetic, batched is not None)
    names = [keeper.name(point) for point in points]
    if len(set(names)) < len(names):
        raise SweepError("two points of the sweep are equal: every run must differ in something.")
    results = {name: keeper.read(name) for name in names}
    tell = Progress(len(points), sum(found is not None for found in results.values()), progress)
    tasks = list(zip(names, points, strict=True))
    source = in_batches(tasks, results, batched) if batched else _missing(tasks, results, run, executor)
    with stopping(), closing(source):  # closed, so that workers end before the reason for it travels on
        for name, made in source:
            if isinstance(made, bytes):
                _refuse_shared_columns(points[0], unpack(made))
                keeper.write(name, made)
            results[name] = made
            tell.done(failed=isinstance(made, str))
    return pd.concat([_rows(point, results[name]) for name, point in tasks], ignore_index=True)


@dataclass(frozen=True)
class _Folder:
    """Finished points of one run function in a folder that many sweeps may share."""

    folder: Path
    facts: Mapping[str, object]
    sources: keys.Sources

    @classmethod
    def of(cls, folder: Path, run: Run, arithmetic: Arithmetic | None, batched: bool) -> "_Folder":
        modules: set[str] = set()
        what = content(run, "run", modules)
        sources = keys.Sources.of(*keys.decisive(modules))
        how = arithmetic or Arithmetic.now("cpu", "batched" if batched else engine_of("cpu", sources.hashes))
        return cls(folder, {"run": what, "sources": dict(sources.hashes), **how.facts()}, sources)

    def name(self, point: Point) -> str:
        return keys.digest({**self.facts, "point": content(point, "point")})[:24]

    def read(self, name: str) -> bytes | None:
        try:
            kept = (self.folder / f"{name}.csv.gz").read_bytes()
            unpack(kept)
        except (OSError, ValueError):
            return None  # missing or damaged: made again
        return kept

    def write(self, name: str, made: bytes) -> None:
        if changed := self.sources.changed():
            raise SweepError(f"{', '.join(changed)} changed while runs were under way: the last ones are not kept.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / f"{name}.csv.gz", made)
        except OSError as error:
            reason = f"{self.folder} cannot be written ({error.strerror}): name a folder that can be."
            raise SweepError(reason) from None


class _Nowhere:
    """Keeps nothing: any point will do, if only it can be told from the others."""

    def name(self, point: Point) -> str:
        try:
            return keys.digest({"point": content(point, "point")})
        except ContentError:
            return f"object {id(point)}"

    def read(self, name: str) -> None:
        return None

    def write(self, name: str, made: bytes) -> None:
        pass


def _missing(tasks: list, results: Mapping, run: Run, executor: Executor | None) -> Iterator[tuple[str, bytes | str]]:
    return one_by_one([task for task in tasks if results[task[0]] is None], run, executor)


def _refuse_shared_columns(point: Point, table: pd.DataFrame) -> None:
    if shared := [name for name in table if name in {*point, "status"}]:
        raise SweepError(f"the run's column {shared[0]!r} is named like one of the sweep's own: rename it.")


def _rows(point: Point, made: bytes | str) -> pd.DataFrame:
    if isinstance(made, str):
        table = pd.DataFrame({"status": [made]})
    else:
        table = unpack(made)
        table.insert(0, "status", "ok")
    for position, (name, value) in enumerate(point.items()):
        table.insert(position, name, [value] * len(table))
    return table
