"""How a file gets its name: written in a folder of its own beside the target, then moved into place, which is atomic.

One lock per folder lets a second process wait for the first, and makes any staging folder found under the lock the
leftover of a killed run, to be removed.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bnlab.datasets.base import DatasetError

INCOMING = ".incoming-"


@contextlib.contextmanager
def sole_writer(root: Path, patience: float) -> Iterator[None]:
    """Be the only process that writes into `root`, made if need be; wait at most `patience` seconds for another one.

    Raises DatasetError if the wait was too long or the file system has no locks, OSError if `root` cannot be written.
    """
    from filelock import FileLock, Timeout

    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / ".lock", timeout=patience):
            for leftover in root.glob(f"{INCOMING}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield
    except Timeout as error:
        raise DatasetError(
            f"another process has kept {str(root)!r} locked for {patience:g} s: end it and load again"
        ) from error
    except NotImplementedError as error:
        raise DatasetError(
            f"{str(root)!r} lies on a file system without locks: name a local folder with root=... or BNLAB_DATA"
        ) from error


def staging_folder(root: Path) -> tempfile.TemporaryDirectory:
    """A new folder inside `root`, hence on the same file system, removed at the end; for use under `sole_writer`."""
    return tempfile.TemporaryDirectory(prefix=INCOMING, dir=root)


def publish(path: Path, place: Path) -> None:
    """Move a finished file to its place in one step, replacing what is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb+") as file:
        os.fsync(file.fileno())  # a power cut after the move must not leave a whole name on half a file
    path.replace(place)
