"""What a parameter may be: kinds of values, with words for people and the function that coerces what arrived."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bnlab.literals import literal, nearest, number_in


@dataclass(frozen=True)
class Kind:
    """What a parameter may be: a type for people, and the function that turns what arrived into a plain value.

    ``coerce`` raises ValueError with the reason when it cannot.
    """

    description: str
    type: str
    coerce: Callable[[object], object]


def integer(low: int | None = None, high: int | None = None) -> Kind:
    """Describe a whole number with low <= value <= high.

    >>> integer(1).coerce("3")
    3
    """

    def coerce(value: object) -> int:
        number = number_in(value)
        if number != int(number):
            raise ValueError("not a whole number")
        _within(number, low, high)
        return int(number)  # never by way of a float, which has 53 bits

    return Kind(f"a whole number{_range(low, high)}", "int", coerce)


def real(low: float | None = None, high: float | None = None, *, above: float | None = None) -> Kind:
    """Describe a finite real number with low <= value <= high, or value > above.

    >>> real(above=0).coerce("1e-3")
    0.001
    """

    def coerce(value: object) -> float:
        number = number_in(value)
        _within(number, low, high, above)
        return float(number)

    return Kind(f"a number{_range(low, high, above)}", "float", coerce)


def boolean() -> Kind:
    """Describe a truth value: True or False, also written true, false, yes, no, 1, 0.

    >>> boolean().coerce("false")
    False
    """

    def coerce(value: object) -> bool:
        word = value.strip().lower() if isinstance(value, str) else str(int(value)) if isinstance(value, int) else ""
        if word in ("true", "yes", "1"):
            return True
        if word in ("false", "no", "0"):
            return False
        raise ValueError("neither true nor false")

    return Kind("true or false", "bool", coerce)


def choice(*options: str) -> Kind:
    """Describe one of a few names.

    >>> choice("batch", "none").coerce("none")
    'none'
    >>> choice("none", "gain, each channel").description
    "one of 'none', 'gain, each channel'"
    """

    def coerce(value: object) -> str:
        if value in options:
            return str(value)
        near = nearest(str(value), options)
        raise ValueError(f"did you mean {near!r}?" if near else "no such choice")

    holds_commas = any("," in option for option in options)  # then only quotation marks tell the names apart
    return Kind("one of " + ", ".join(repr(o) if holds_commas else o for o in options), "str", coerce)


def text() -> Kind:
    """Describe any non-empty string.

    >>> text().coerce("photographs")
    'photographs'
    """

    def coerce(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("not a non-empty text")
        return value

    return Kind("a text", "str", coerce)


def list_of(item: Kind, *, at_least: int = 1, at_most: int | None = None, distinct: bool = False) -> Kind:
    """Describe a list whose every entry is of one kind; a single value counts as a list of one.

    ``distinct``: no entry twice (0.1 and 1e-1 are one).

    >>> list_of(real(above=0)).coerce("[0.1, 3]")
    [0.1, 3.0]
    """

    def coerce(value: object) -> list:
        value = literal(value)
        values = list(value) if isinstance(value, list | tuple) else [value]
        if len(values) < at_least or (at_most is not None and len(values) > at_most):
            raise ValueError("1 entry" if len(values) == 1 else f"{len(values)} entries")
        coerced = [_entry(item, number, entry, len(values)) for number, entry in enumerate(values, 1)]
        if distinct and (again := [entry for n, entry in enumerate(coerced) if entry in coerced[:n]]):
            raise ValueError(f"{again[0]!r} is there twice")
        return coerced

    several = f"at least {at_least}" + ("" if at_most is None else f" and at most {at_most}")
    return Kind(f"a list of {several}{', no two alike' if distinct else ''}, each {item.description}", "list", coerce)


def _entry(item: Kind, number: int, entry: object, count: int) -> object:
    try:
        return item.coerce(entry)
    except ValueError as error:
        where = f"entry {number}, {str(entry)[:40]!r}: " if count > 1 else ""
        raise ValueError(f"{where}{error}") from None


def dataset() -> Kind:
    """Describe a data set that `bnlab.datasets.load` knows, or ``folder:PATH`` of a folder that is there.

    A relative PATH is given back absolute: the kernel of a chapter works in another folder than the reader does.
    """
    from bnlab.datasets import NAMES, DatasetError  # late: a chapter without data must not need the data floor
    from bnlab.datasets.roots import data_root

    def coerce(value: object) -> str:
        if not isinstance(value, str) or not value.startswith("folder:"):
            return choice(*NAMES).coerce(value)
        given = value.removeprefix("folder:").strip()
        with suppress(OSError, RuntimeError, DatasetError):  # RuntimeError: ~ of a user that is not there
            for base in (Path.cwd(), data_root()) if given else ():
                if (path := base / Path(given).expanduser()).is_dir():
                    return f"folder:{path.resolve()}"
        raise ValueError("no such folder")

    return Kind("one of " + ", ".join(NAMES) + " or folder:PATH", "str", coerce)


def device() -> Kind:
    """Describe where tensors live: auto (CUDA where there is one), cpu or cuda; the answer is cpu or cuda."""

    def coerce(value: object) -> str:
        import torch  # late: refusing a misspelt name needs no torch

        value = choice("auto", "cpu", "cuda").coerce(value)
        available = torch.cuda.is_available()
        if value == "cuda" and not available:
            raise ValueError("this machine's torch sees no CUDA device")
        return ("cuda" if available else "cpu") if value == "auto" else value

    return Kind("auto, cpu, or cuda where there is one", "str", coerce)


def _within(number: float, low: float | None, high: float | None, above: float | None = None) -> None:
    if low is not None and number < low:
        raise ValueError(f"below {_plain(low)}")
    if high is not None and number > high:
        raise ValueError(f"above {_plain(high)}")
    if above is not None and number <= above:
        raise ValueError(f"not above {_plain(above)}")


def _range(low: float | None, high: float | None, above: float | None = None) -> str:
    bounds = (("above", above), ("at least", low), ("at most", high))
    words = [f"{word} {_plain(bound)}" for word, bound in bounds if bound is not None]
    return ", " + " and ".join(words) if words else ""


def _plain(bound: float) -> str:
    """Write a limit as people do: 1000000, not 1000000.0, and 1e+50."""
    return str(int(bound)) if bound == int(bound) and abs(bound) < 1e15 else str(bound)
