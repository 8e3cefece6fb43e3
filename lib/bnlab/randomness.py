"""Random streams: one CPU generator for each (seed, purpose), so that nothing global is drawn from.

A run asks for one stream per purpose ("initialisation", "order of mini-batches", "injected noise"). A new draw for one
purpose then leaves every other purpose's numbers alone, two networks compared at one seed see the same batches, and a
GPU run draws the same numbers as a CPU run, since a CUDA generator would give others.
"""

import hashlib
from numbers import Integral

import torch


def generator(seed: int, purpose: str) -> torch.Generator:
    """CPU generator keyed by (seed, purpose) through SHA-256.

    start = first 4 bytes of sha256("<seed>:<purpose>"), read as a big-endian integer.

    The key is hashed because `seed + 1` for a second purpose would hand one run's stream to the next run. Four bytes
    are all that torch's Mersenne Twister starts from, so some two of k keys share a stream with probability about k**2
    / 2**33: 0.01 % for a thousand keys.
    Raises ValueError if `seed` is not an integer or `purpose` is not a text that says what the numbers are for.

    >>> a, b = generator(0, "order of mini-batches"), generator(0, "order of mini-batches")
    >>> bool(torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b)))
    True
    >>> c, d = generator(0, "order of mini-batches"), generator(0, "initialisation")
    >>> bool(torch.equal(torch.rand(3, generator=c), torch.rand(3, generator=d)))
    False
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise ValueError(f"seed={seed!r} must be an integer, such as seed=0")
    if not isinstance(purpose, str) or not purpose.strip():
        raise ValueError(f"purpose={purpose!r} must say what the numbers are for, such as purpose='initialisation'")
    digest = hashlib.sha256(f"{int(seed)}:{purpose}".encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:4], "big"))
