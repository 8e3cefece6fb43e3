"""Words typed by people, read as what they look like: numbers, lists, and the name that was meant."""

import ast
import difflib
import warnings
from collections.abc import Iterable
from contextlib import suppress

import yaml

LARGEST = 1e300  # well inside float64, so that no arithmetic with a parameter overflows at once


def literal(value: object) -> object:
    """Read a string as the number or list it looks like; anything else stays what it is.

    >>> literal("[1e-3, 2]"), literal("[batch, none]"), literal("batch")
    ([0.001, 2], ['batch', 'none'], 'batch')
    """
    if not isinstance(value, str):
        return value
    # literal_eval first, for 1e-3 (which YAML 1.1 takes for a string).
    with warnings.catch_warnings(), suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        warnings.simplefilter("ignore")  # Python's remarks on an odd literal would be a second line of answer
        return ast.literal_eval(value.strip())
    with suppress(ValueError):
        read = plain_yaml(value)  # [batch, none]
        return read if isinstance(read, list) else value
    return value


def plain_yaml(text: str) -> object:
    """Read YAML as nothing but text, lists and mappings.

    What a text is (a number, a truth value) is for the declared type to say: YAML 1.1 would take 1e-3 for text,
    1:30 for 90, 010 for 8, off for False; and its tags let a hostile file stop the reader in a dozen ways.

    Raises:
        ValueError: not YAML.
    """
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def number_in(value: object) -> int | float:
    """Read a finite number; an integer stays one, with all its digits.

    Raises:
        ValueError: not a number, not finite, or above 1e300.
    """
    value = literal(value)
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)  # 010, inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if not abs(value) < LARGEST:  # so written, it catches nan too
        raise ValueError("not finite, or above 1e300")
    return value


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the name that was probably meant; None where nothing is near.

    >>> nearest("epoch", ["epochs", "rates"])
    'epochs'
    """
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    return lowered[near[0]] if near else None
