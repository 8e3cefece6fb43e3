"""How the engine is compiled, and where the machine code is kept.

Numba keeps machine code by a function's own file alone: an edit in another file, or another width of vectors, would
run the old code. Here its folder is named by all sources of machine code and by the width. Without numba the modules
can be imported all the same, and their functions are plain Python that nobody calls.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

try:
    import numba
    from llvmlite import binding
except ModuleNotFoundError:
    numba = None

WIDTHS = (8, 16)
PYTHON_ONLY = (
    "__init__.py",
    "evaluation.py",
    "machine_code.py",
    "network.py",
    "train.py",
)  # nothing of these is in the machine code
# Not fastmath=True: that lets LLVM assume that there is no nan, and a loss that is none would pass every comparison.
OPTIONS = {"fastmath": {"reassoc", "contract", "arcp", "nsz"}, "error_model": "numpy"}


def vector_width() -> int:
    """Give the floats in a vector: 16 with AVX-512, else 8; the environment variable BNLAB_LANES says otherwise.

    Raises:
        ValueError: BNLAB_LANES is neither.
    """
    given = os.environ.get("BNLAB_LANES")
    if given:
        if given not in map(str, WIDTHS):
            raise ValueError(f"BNLAB_LANES: {given!r} is not one of {', '.join(map(str, WIDTHS))}")
        return int(given)
    wide = numba is not None and not numba.config.CPU_NAME and binding.get_host_cpu_features().get("avx512f", False)
    return WIDTHS[-1] if wide else WIDTHS[0]


def sources_key(folder: Path, lanes: int) -> str:
    """Hash the source files of a folder from which machine code is made, and the width of vectors."""
    digest = hashlib.sha256(f"{lanes} lanes".encode())
    for path in sorted(path for path in folder.glob("*.py") if path.name not in PYTHON_ONLY):
        digest.update(f"\n{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder(lanes: int) -> Path:
    """Where machine code of these sources is kept: below NUMBA_CACHE_DIR, else below the user's cache folder."""
    home = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "bnlab" / sources_key(Path(__file__).parent, lanes)


def compiled(function: Callable) -> Callable:
    """Compile a function for those of this package that call it."""
    return function if numba is None else numba.njit(**OPTIONS)(function)


def inlined(function: Callable) -> Callable:
    """Compile a function into those that call it: LLVM optimises what it calls once, and not once a level of calls."""
    return function if numba is None else numba.njit(inline="always", **OPTIONS)(function)


def entry(function: Callable) -> Callable:
    """Compile a function that Python calls, with all that it calls, and keep the machine code.

    Only entries are kept, each for one set of argument types, so that two processes that compile at once write the
    same: numba's index files would not survive two different additions.
    """
    if numba is None:
        return function
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(cache_folder(LANES))
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    finally:
        numba.config.CACHE_DIR = before


LANES = vector_width()
