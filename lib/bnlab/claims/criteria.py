"""What a criterion may look at: numbers that are numbers, and tables with every arm and every run in them.

A comparison with nan is false, and a maximum may step over it: what was never measured would come out as "reproduced"
or "not reproduced". So a chapter's ``verdicts.py`` takes its numbers by way of this module, which answers nan, a
missing arm and a lost run with an error. Infinity is a number here: a run that diverged is the worst, not a lost one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import pandas as pd
import scipy.stats

from bnlab.claims.ledger import LedgerError, trend
from bnlab.claims.statistics import PowerLaw, log_log_slope

Found = TypeVar("Found")
MANY = 20  # draws of which a share may be judged: with fewer, one in twenty could not be told from none


@dataclass(frozen=True)
class Share:
    """In how many of at least `MANY` independent draws a statement holds."""

    holds: int
    draws: int

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval (Clopper and Pearson) of the share."""
        found = scipy.stats.binomtest(self.holds, self.draws).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    @property
    def verdict(self) -> str:
        """Reproduced if at most one draw in twenty says otherwise; partly if at most one in five does."""
        misses = self.draws - self.holds
        return "reproduced" if 20 * misses <= self.draws else "partly" if 5 * misses <= self.draws else "not reproduced"

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.holds} of {self.draws} draws (95 % interval of the share {low:.2f} to {high:.2f})"


def numbers(values: object, name: str) -> np.ndarray:
    """Take one number or several (a list, a column, an array) as float64 (n,), infinity included.

    >>> numbers([1, 2.5], "slopes").tolist(), numbers(3, "slope").tolist()
    ([1.0, 2.5], [3.0])

    Raises:
        LedgerError: there is none, one is nan or missing, or one is no real number.
    """
    try:
        # Text would become a number by way of float64, and a complex number lose its imaginary part.
        if not all(isinstance(value, int | float | np.number | np.bool_) for value in np.ravel(values).tolist()):
            raise TypeError
        vector = np.ravel(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise LedgerError(f"{name}: {str(values)[:80]} is no number, so it decides nothing.") from None
    if not len(vector):
        raise LedgerError(f"{name}: no number at all, so it decides nothing.")
    if lost := int(np.isnan(vector).sum()):
        raise LedgerError(f"{name}: {lost} of {len(vector)} values are not a number, so they decide nothing.")
    return vector


def largest(values: object, name: str) -> float:
    """Take the largest modulus of one number or several, as `numbers` takes them.

    >>> largest([1.0, -2.0], "errors")
    2.0
    """
    return float(np.abs(numbers(values, name)).max())


def power_law(x: object, y: object, name: str) -> PowerLaw:
    """Fit y ~ x^slope as `statistics.log_log_slope` does, to numbers as `numbers` takes them.

    Raises:
        LedgerError: fewer than three points, or a value that has no logarithm; the line says of what.
    """
    x, y = numbers(x, name), numbers(y, name)
    try:
        return log_log_slope(x, y)
    except ValueError as error:
        raise LedgerError(f"{name}: {error}") from None


def checked(found: Found) -> Found:
    """Give back a dataclass of what a page has found if all its fields but texts hold numbers, else LedgerError."""
    for field in fields(found):
        if not isinstance(value := getattr(found, field.name), str):
            numbers(value, field.name)
    return found


def rows(table: pd.DataFrame, name: str, **where: object) -> pd.DataFrame:
    """Select the rows of a table in which every column named has the value given.

    Raises:
        LedgerError: the table lacks a column, or no row is left (an arm is missing).
    """
    for column, value in where.items():
        if column not in table:
            raise LedgerError(f"{name}: no column {column!r} in it.")
        table = table[table[column] == value]
    if table.empty:
        asked = ", ".join(f"{column} = {value!r}" for column, value in where.items())
        raise LedgerError(f"{name}: no row{' with ' if asked else ''}{asked}.")
    return table


def by_run(
    table: pd.DataFrame, name: str, *, run: str | Sequence[str], arm: str, value: str, arms: Sequence[Hashable] = ()
) -> pd.DataFrame:
    """Set the arms of each run side by side: one row a run (a seed, say), one column an arm.

    ``arms`` are the columns wanted, in this order; without them, all that the table has.

    >>> table = pd.DataFrame({"seed": [0, 0, 1, 1], "norm": ["bn", "none"] * 2, "error": [1.0, 2.0, 1.5, 3.0]})
    >>> by_run(table, "runs", run="seed", arm="norm", value="error", arms=("none", "bn")).to_numpy().tolist()
    [[2.0, 1.0], [3.0, 1.5]]

    Raises:
        LedgerError: a column, an arm or a run is missing, a run is there twice, or a value is not a number.
    """
    keys = [run] if isinstance(run, str) else list(run)
    for column in (*keys, arm, value):
        if column not in table:
            raise LedgerError(f"{name}: no column {column!r} in it.")
    numbers(table[value], f"{name}, {value}")
    if table.duplicated([*keys, arm]).any():
        raise LedgerError(f"{name}: a run is there twice.")
    side_by_side = table.pivot(index=keys, columns=arm, values=value)
    if missing := [key for key in arms if key not in side_by_side]:
        raise LedgerError(f"{name}: no run of {arm} = {missing[0]!r}.")
    side_by_side = side_by_side[list(arms)] if arms else side_by_side
    if side_by_side.isna().any(axis=None):
        raise LedgerError(
            f"{name}: {int(side_by_side.isna().sum().sum())} runs are lost: not every {arm} has them all."
        )
    return side_by_side


def share(agree: Iterable[bool], name: str) -> Share:
    """Count in how many draws a statement holds.

    >>> found = share([True] * 19 + [False], "runs")
    >>> found.verdict, str(found)
    ('reproduced', '19 of 20 draws (95 % interval of the share 0.75 to 1.00)')

    Raises:
        LedgerError: there are fewer than `MANY` draws, or one is not True or False.
    """
    signs = [sign.item() if isinstance(sign, np.bool_) else sign for sign in agree]
    if wrong := [sign for sign in signs if not isinstance(sign, bool)]:
        raise LedgerError(f"{name}: {str(wrong[0])[:60]} is not True or False, so it decides nothing.")
    if len(signs) < MANY:
        raise LedgerError(f"{name}: a share needs at least {MANY} draws, not {len(signs)}.")
    return Share(sum(signs), len(signs))


def across(agree: Mapping[Hashable, Sequence[bool]]) -> tuple[str, tuple[int, int]]:
    """Judge trends over paired seeds at several settings: the verdict, and in how many of them all seeds agree.

    Reproduced if in all settings, partly if in some, or if a setting misses by one seed.

    >>> across({"a": [True] * 5, "b": [False] * 5})
    ('partly', (1, 2))

    Raises:
        LedgerError: no setting, settings of unlike numbers of seeds, or as `trend`.
    """
    if not agree or len({len(signs) for signs in agree.values()}) > 1:
        raise LedgerError(f"settings: {[len(signs) for signs in agree.values()]} seeds; they must be there, and equal.")
    words = [trend(list(signs)) for signs in agree.values()]
    held = words.count("reproduced")
    verdict = "reproduced" if held == len(words) else "partly" if held or "partly" in words else "not reproduced"
    return verdict, (held, len(words))
