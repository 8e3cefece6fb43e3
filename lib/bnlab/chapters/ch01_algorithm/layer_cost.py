"""What one pass through a Batch Normalization layer costs, as m (images) or d (features) grows.

The encyclopedia article says O(m d). Two measures: the values that tensor operations read and write, which depends on
nothing else, and the processor time of one thread, which other programs on the computer disturb least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bnlab.layers.batchnorm import BatchNorm
from bnlab.randomness import generator
from bnlab.tables import table

UNITS = {"varied": "name", "m": "images", "d": "features", "values": "count", "touched": "values read or written",
         "milliseconds": "ms"}  # fmt: skip


class CountValues(TorchDispatchMode):
    """Count in ``total`` the values that tensor operations read and write inside a ``with``; views are free.

    >>> with CountValues() as counter:
    ...     doubled = torch.ones(5).view(5, 1) * 2  # writes 5, reads 5, writes 5
    >>> counter.total
    15
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Perform the operation and add up its tensors."""
        result = operation(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else [result]
        given, made = ([t for t in values if isinstance(t, Tensor)] for values in (args, results))
        memory = {t.untyped_storage().data_ptr() for t in given}
        in_place = any(returned.alias_info and returned.alias_info.is_write for returned in operation._schema.returns)
        if in_place or not any(t.untyped_storage().data_ptr() in memory for t in made):  # else a view
            self.total += sum(t.numel() for t in (*given, *made))
        return result


def costs(few: int, many: Sequence[int], seed: int, repetitions: int = 15) -> pd.DataFrame:
    """Cost of one forward and backward pass of a mini-batch (m, d), float32, on the CPU: m grows, then d.

    The size that does not grow is ``few``; the other takes the values ``many``. Time is the least of the repetitions.
    """
    rows = []
    for varied in ("m", "d"):
        for size in many:
            m, d = (size, few) if varied == "m" else (few, size)
            touched, milliseconds = measure(one_pass(m, d, seed), repetitions)
            rows.append((f"{varied} grows", m, d, m * d, touched, milliseconds))
    return table(rows, UNITS)


def one_pass(m: int, d: int, seed: int) -> Callable[[], object]:
    """Forward and backward pass of a mini-batch (m, d) through a fresh layer, to be called."""
    layer = BatchNorm(d)
    x = torch.randn(m, d, generator=generator(seed, "cost of a layer")).requires_grad_()  # (m, d)
    grad = torch.ones(m, d)
    return lambda: torch.autograd.grad(layer(x), (x, *layer.parameters()), grad)


def measure(work: Callable[[], object], repetitions: int) -> tuple[int, float]:
    """Values that ``work`` reads and writes, and its least processor time (ms) on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other would be counted as busy
    try:
        with CountValues() as counter:
            work()
        times = []
        for _ in range(repetitions):
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
    finally:
        torch.set_num_threads(threads)
    return counter.total, 1e3 * min(times)
