"""Table 1 of Bjorck et al. 2018 as printed, and what its digits allow."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from bnlab.tables import table

# Layer, arm, a = sum |d|, b = |sum d|, a/b: as printed.
PRINTED = (
    (18, "all", "7.5e-05", "3.0e-07", "251.8"),
    (54, "all", "1.9e-05", "1.7e-07", "112.8"),
    (90, "all", "6.6e-06", "1.6e-07", "40.7"),
    (18, "none", "6.3e-05", "3.6e-05", "1.7"),
    (54, "none", "2.2e-04", "8.4e-05", "2.6"),
    (90, "none", "2.6e-04", "1.2e-04", "2.1"),
)
LAYERS = (18, 54, 90)


def within(printed: str) -> tuple[Decimal, Decimal]:
    """The numbers that are printed so, if rounded to nearest: half a unit of the last digit either way.

    >>> [str(end) for end in within("7.5e-05")]
    ['0.0000745', '0.0000755']
    """
    value = Decimal(printed)
    half = Decimal((0, (5,), value.as_tuple().exponent - 1))
    return value - half, value + half


def consistency(printed: tuple = PRINTED) -> pd.DataFrame:
    """Each printed ratio beside the interval of a / b that the printed a and b allow; ``consistent`` if they meet."""
    rows = []
    for layer, arm, a, b, ratio in printed:
        (a_low, a_high), (b_low, b_high), (low, high) = within(a), within(b), within(ratio)
        least, most = a_low / b_high, a_high / b_low
        found = (float(a), float(b), float(ratio), float(least), float(most), low <= most and least <= high)
        rows.append((layer, arm, *found))
    units = {"layer": "convolutions before it", "arm": "name", "a": "nats", "b": "nats", "ratio": "1", "least": "1"}
    return table(rows, units | {"most": "1", "consistent": "bool"})
