"""Files that a kill at any moment leaves whole, and a lock so that two recordings do not write the same one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"  # ends the name of a file that is being written


class LockedError(RuntimeError):
    """Another process works there. Its text is one clear line."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part: temporary file, fsync, rename."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=PART, delete=False) as part:
        try:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
            os.chmod(part.name, 0o644)
            os.replace(part.name, path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock for a while; the system gives it back when the process ends, however it ends.

    Raises:
        LockedError: another process holds it; the line says which.
        OSError: the file cannot be made.
    """
    import fcntl  # late: Windows has none, and reads results without it

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LockedError(f"{what} by another process ({holder}): wait for it, or stop it.") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
