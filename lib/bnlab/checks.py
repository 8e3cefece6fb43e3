"""What public functions ask of their arguments, and the one line with which they refuse anything else.

A number is a real one of Python's, of NumPy's or of a tensor without dimensions; a truth value is none. A tensor is
real, floating-point, not empty and finite; what computes in the dtype it is given asks for float32 or float64, because
half precision overflows at 65504.

>>> number("rate", 0, above=0)
Traceback (most recent call last):
    ...
ValueError: rate: 0 is not a finite number above 0
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
WIDE = (torch.float32, torch.float64)


def is_number(value: object) -> bool:
    """Whether a value is a real, finite number: Python's, NumPy's or a tensor's of no dimension, and no truth value."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number beyond float64
        return False


def is_whole(value: object) -> bool:
    """Whether a value is an integer: Python's or NumPy's, and no truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def number(
    name: str,
    value: Real,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    hint: str = "",
) -> float:
    """Give a finite number within its bounds as a float; ``hint`` ends the refusal.

    Raises:
        ValueError: no number, not finite, or out of bounds.
    """
    bounds = (("above", above), ("of at least", least), ("below", below), ("of at most", most))
    fits = is_number(value) and not (
        (above is not None and value <= above)
        or (least is not None and value < least)
        or (below is not None and value >= below)
        or (most is not None and value > most)
    )
    if not fits:
        right = " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
        raise ValueError(f"{name}: {value!r} is not a finite number{right and f' {right}'}{hint and f'; {hint}'}")
    return float(value)


def whole(name: str, value: Integral, least: int = 1, hint: str = "") -> int:
    """Give a whole number of at least ``least`` as an int; ``hint`` ends the refusal.

    Raises:
        ValueError: no whole number, or a smaller one.
    """
    if not is_whole(value) or value < least:
        raise ValueError(f"{name}: {value!r} is not a whole number of at least {least}{hint and f'; {hint}'}")
    return int(value)


def array(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Give real, finite numbers as a float64 array of their shape.

    Raises:
        ValueError: complex numbers, text, truth values, or a number that is not finite.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.double() if values.dtype in HALF else values  # NumPy knows no bfloat16
    found = np.asarray(values)
    if found.dtype.kind not in "iuf":
        raise ValueError(f"{name}: {found.dtype} is no array of real numbers")
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"{name}: {found[~np.isfinite(found)][0]} is not finite")
    return found


def square(name: str, value: Tensor) -> Tensor:
    """Give a finite square matrix (K, K) back.

    Raises:
        ValueError: as `tensor`, or not square.
    """
    tensor(name, value, "(K, K)", 2)
    if value.shape[0] != value.shape[1]:
        raise ValueError(f"{name}: shape {tuple(value.shape)} is not (K, K)")
    return value


def alike(**tensors: Tensor) -> None:
    """Refuse tensors of different dtypes or devices, which torch would mix or stumble over.

    Raises:
        ValueError: with the names of all.
    """
    if len({(value.dtype, value.device) for value in tensors.values()}) > 1:
        found = ", ".join(f"{name} {value.dtype} on {value.device}" for name, value in tensors.items())
        raise ValueError(f"{', '.join(tensors)}: {found} are not of one dtype and device")


def fits(name: str, value: Tensor, dtype: torch.dtype) -> None:
    """Refuse a tensor of another dtype than the network's that takes it, unless autocast minds the dtypes.

    Raises:
        ValueError: with both.
    """
    if value.dtype != dtype and not torch.is_autocast_enabled(value.device.type):
        raise ValueError(f"{name}: {value.dtype} where the network holds {dtype}; convert the one or the other")


def choice(name: str, value: object, known: Sequence[str]) -> None:
    """Refuse a word that is not one of the known ones.

    Raises:
        ValueError: with the words that there are.
    """
    if value not in known:
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(map(repr, known))}")


def tensor(
    name: str,
    value: Tensor,
    shape: str = "",
    ndim: int | Sequence[int] | None = None,
    *,
    half: bool = False,
    finite: bool = True,
    empty: bool = False,
) -> Tensor:
    """Give a tensor back that is real, floating-point, not empty, finite, and of as many dimensions as it must have.

    Args:
        name: what the reader calls it.
        value: the tensor.
        shape: its right shape in words, "(B, C)".
        ndim: the numbers of dimensions that it may have; None for any.
        half: whether float16 and bfloat16 are taken as well: the caller widens them.
        finite: whether nan and inf are refused. A network that diverges is not an error of the caller's.
        empty: whether it may be empty.

    Raises:
        ValueError: the first of these that it is not.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: {type(value).__name__} is not a tensor")
    if value.dtype in HALF and not half:
        raise ValueError(f"{name}: {value.dtype} overflows at half precision; convert it first, as with {name}.float()")
    if value.dtype not in WIDE + HALF:
        raise ValueError(f"{name}: {value.dtype} is no real floating-point dtype; convert it, as with {name}.float()")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if (allowed is not None and value.ndim not in allowed) or (value.numel() == 0 and not empty):
        right = shape or "(...)"
        raise ValueError(f"{name}: shape {tuple(value.shape)} is not {right} with at least one entry")
    if finite and not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name}: not all entries are finite")
    return value
