"""Tables that say what their columns are measured in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd


class Units(dict):
    """Units that all tables made from a table share, not to be changed.

    pandas copies `attrs` deeply in every operation, which was a third of what judging a wide table cost.
    """

    def __deepcopy__(self, memo: dict) -> Units:
        """Give itself."""
        return self


def table(rows: Iterable[Sequence[object]], units: Mapping[str, str]) -> pd.DataFrame:
    """Tidy table from rows and from the unit of each column in order; the units stay in `attrs["units"]`.

    Raises ValueError if the rows do not have one value a column.

    >>> table([(1, 0.5)], {"M": "factors", "ks_distance": "probability"}).attrs["units"]["M"]
    'factors'
    """
    made = pd.DataFrame.from_records([tuple(row) for row in rows], columns=list(units))
    made.attrs["units"] = Units(units)
    return made
