"""A Dask cluster as the place where the runs of a sweep are made.

What all runs share, the data among it, is sent to the workers once, and not with every run. A worker that is lost takes
only the runs in flight with it, which Dask hands to others. Runs are kept by the process that asks for them, so that no
file system has to be shared.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bnlab
from bnlab.records.tokens import source_hash

DECIDING = ("torch", "numpy", "numba")  # whose releases decide what a run rounds to
PATIENCE = 10  # seconds to wait for a scheduler


class ClusterError(RuntimeError):
    """A cluster that cannot be used. Its text is one clear line."""


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Connect to a Dask scheduler, ``tcp://host:8786``; give an executor for `sweeps.sweep`.

    Raises:
        ClusterError: Dask is not installed, that is no address, nobody answers there, the cluster has no workers, or a
            worker has another library than this process.
    """
    try:
        import distributed  # late: nobody else needs it
    except ModuleNotFoundError:
        raise ClusterError("Dask is not installed: pip install 'bnlab[cluster]'.") from None
    if not re.fullmatch(r"(tcp|tls|ucx|ws|wss)://[^:/\s]+:\d{1,5}", address):
        raise ClusterError(f"{address!r} is no scheduler's address: give one like tcp://host:8786.")
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ClusterError(f"no Dask scheduler answers at {address!r} ({reason}).") from None
    with client:
        _refuse_strangers(client, address)
        yield _Shared(client)


def fingerprint() -> dict[str, str]:
    """Name what decides numbers besides the processor: the library's source, and the releases it stands on."""
    folder = Path(bnlab.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)} {source_hash(path.read_text(encoding='utf-8'))}\n".encode())
    return {"bnlab": digest.hexdigest()[:12], **{name: _release(name) for name in DECIDING}}


def _release(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _refuse_strangers(client, address: str) -> None:
    """Refuse workers whose numbers would be of another library."""
    try:
        found = client.run(fingerprint)
    except Exception as error:  # a worker without the library raises whatever its import raised
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ClusterError(f"a worker of {address} cannot import this library ({reason}): install it there.") from None
    if not found:
        raise ClusterError(f"the cluster at {address} has no workers: start some, as in dask worker {address}.")
    own = fingerprint()
    for worker, theirs in found.items():
        if different := [name for name in own if theirs.get(name) != own[name]]:
            name = different[0]
            told = f"{name} {theirs.get(name)}, and this process {own[name]}"
            raise ClusterError(f"worker {worker} has {told}: install the same there.")


class _Shared(Executor):
    """An executor that sends the first argument of what it is given once to all workers."""

    def __init__(self, client):
        self._client, self._executor = client, client.get_executor(pure=False)
        self._sent: dict[int, tuple[object, object]] = {}  # by identity: what was sent, kept alive, and where it is

    def submit(self, function: Callable, /, shared: object, *own: object) -> Future:
        """Run ``function(shared, *own)`` on a worker."""
        if id(shared) not in self._sent:
            # A task, and no scattered data, of which Dask keeps one copy and which it cannot make again.
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it is large
                self._sent[id(shared)] = shared, self._client.submit(pickle.loads, pickle.dumps(shared), pure=False)
        return self._executor.submit(_single_threaded, function, self._sent[id(shared)][1], *own)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel what is waiting; the workers stay."""
        self._executor.shutdown(wait=wait)


def _single_threaded(function: Callable, *arguments: object) -> object:
    """Compute as a process of the laptop's pool does: sums over threads round otherwise."""
    import torch

    torch.set_num_threads(1)
    return function(*arguments)
