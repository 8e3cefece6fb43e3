"""Machine code is compiled once, by a process of its own, and run only as it was kept.

A process that compiles and one that loads what was kept do not run the same code: in the first, functions that were
compiled on the way, each optimised alone, take the place of those in the whole. Their rounding differs, and training
amplifies it. So nobody runs what it compiled itself, and the same parameters give the same bits, first time or not.
"""

import hashlib
import os
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np

from bnlab.datasets import load
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.training.compiled import jit, step
from bnlab.training.compiled.network import Arrays

NO_NOISE = np.zeros((0, 0, 0, 0), np.float32)


@cache
def make_ready() -> None:
    """Have the entries compiled and kept, if they are not.

    Warns where that cannot be done, in one line: this process compiles for itself then.
    """
    marker = _marker()
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _warn(f"nothing can be kept in {marker.parent} ({error.strerror})")
        return
    if marker.exists():
        return
    # The paths of this process, as it may have been started from anywhere.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    program = f"from {__name__} import compile_entries; compile_entries()"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        _warn((done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1])


def _warn(reason: str) -> None:
    warnings.warn(
        f"the compiled step could not be prepared: {reason}. Each process compiles it for itself, which takes a "
        "minute, and its numbers may round differently from those of kept code.",
        stacklevel=3,
    )


def compile_entries() -> None:
    """Compile every entry for the one set of argument types that it has, and say beside it that it is kept."""
    dataset = load("digits").subset(train=2, test=2)
    model = LeNet(generator=generator(0, "initialisation"))
    order = np.array([[0, 1]])
    network = Arrays(model, dataset, "train", 2).bound()
    step.advance(network, order, step.FORWARD, (NO_NOISE, NO_NOISE), np.zeros(1), 1.0)
    step.count_errors(Arrays(model.eval(), dataset, "test", 2, training=False).bound(), 2)
    _marker().touch()


def _marker() -> Path:
    """A file beside the code, named by what numba looks at before it takes what was kept."""
    stat = Path(step.__file__).stat()
    host = jit.binding.get_host_cpu_name(), jit.binding.get_host_cpu_features().flatten()
    facts = (stat.st_mtime_ns, stat.st_size, sys.version, jit.numba.__version__, jit.numba.config.CPU_NAME, *host)
    return jit.cache_folder(jit.LANES) / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}.ready"
