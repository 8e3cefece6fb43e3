"""A pool of processes on this machine to which what many tasks share, the data among it, goes once."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

from bnlab.sweeps.failures import SweepError

REMEDY = "use a function that stands on its own in a module that they can import"


class HandingPool(ProcessPoolExecutor):
    """Processes that read the first argument of what they are given from a file, each of them once.

    With every task it would go through one pipe, and be pickled and read again: a tenth of a second for MNIST. Tasks
    of one process are given the same object: none may change it.
    """

    def __init__(self, folder: Path, *arguments, **named):
        super().__init__(*arguments, **named)
        self._folder = folder
        self._handed: dict[int, tuple[object, Path]] = {}  # by identity: what was handed, kept alive, and where it is
        self._begun = False

    def submit(self, function: Callable, /, shared: object, *own: object) -> Future:
        """Run ``function(shared, *own)`` in a process.

        Raises:
            SweepError: ``shared`` cannot be written.
        """
        return super().submit(_call, function, self._path(shared), *own)

    def refuse_what_cannot_start(self, shared: object) -> None:
        """Find out before the first task that processes do not start, or cannot read what is to be shared.

        Raises:
            SweepError: they do not, or cannot, or one of them died in an earlier sweep; or it cannot be written.
        """
        path = self._path(shared)
        try:
            first = super().submit(_cannot_read, path)
            error = first.exception()
        except BrokenExecutor as broken:
            error = broken
        if self._begun and isinstance(error, BrokenExecutor):
            raise SweepError("a worker process has died (out of memory?): start another pool.")
        if error is not None:
            raise SweepError(
                f"worker processes cannot start ({words(error)}): put the script in a file, and what it runs below "
                "if __name__ == '__main__'."
            )
        if reason := first.result():
            raise SweepError(f"worker processes cannot import the runs ({reason}): {REMEDY}.")
        self._begun = True

    def _path(self, shared: object) -> Path:
        if id(shared) not in self._handed:
            path = self._folder / f"{len(self._handed)}.pickle"
            try:
                path.write_bytes(pickle.dumps(shared))
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                reason = f"the runs cannot be handed to worker processes ({words(error)}): {REMEDY}."
                raise SweepError(reason) from None
            except OSError as error:
                raise SweepError(
                    f"{path} cannot be written ({error.strerror}): set TMPDIR to a folder that can."
                ) from None
            self._handed[id(shared)] = shared, path
        return self._handed[id(shared)][1]


def words(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:300] or error.__class__.__name__


def _call(function: Callable, path: Path, *own: object) -> object:
    return function(_read(path), *own)


@lru_cache(maxsize=1)
def _read(path: Path) -> object:
    return pickle.loads(path.read_bytes())  # noqa: S301 - our own file


def _cannot_read(path: Path) -> str:
    """Say why this process cannot read what is shared; nothing if it can."""
    try:
        _read(path)
    except Exception as error:
        return f"{type(error).__name__}: {words(error)}"
    return ""
