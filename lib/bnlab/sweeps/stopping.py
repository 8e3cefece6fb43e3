"""Told to stop: SIGTERM is answered like Ctrl-C, so that files are left whole and no worker outlives its parent."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection


@contextmanager
def stopping() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt for a while, in the main thread and where nobody else handles it."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not ours:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def begin_worker(parent: Connection, folder: str) -> None:
    """Prepare a worker process: one thread, and an end as soon as ``parent`` is closed at its other end.

    It then takes the parent's temporary ``folder`` away: a parent that was killed did not.
    """
    import torch  # late: the parent may never compute

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches everybody; the parent answers it
    torch.set_num_threads(1)
    threading.Thread(target=_follow, args=(parent, folder), daemon=True).start()


def _follow(parent: Connection, folder: str) -> None:
    try:
        parent.recv_bytes()
    except (EOFError, OSError):
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)  # in the middle of a run, whose result nobody waits for
