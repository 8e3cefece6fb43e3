"""What of a claim's experiment was run: tables, rates, arms, seeds; what is not there is named, never judged.

At full scale what is not in a recording is told as "not run at full scale". In a quick run a rate or a table that the
reader left out is told alike, and a missing arm is a fault of the experiment: an error.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import pandas as pd

from bnlab.claims import ledger
from bnlab.claims.criteria import numbers
from bnlab.claims.ledger import LedgerError, Verdict

SEEDS = 5  # paired draws that a claim about runs needs at least


class NotRunError(LedgerError):
    """Something that a criterion looks at was not run. Its text says what."""


class MissingArmError(NotRunError):
    """One of the things compared is not in the table."""


def need(table: pd.DataFrame | None, name: str, **values: Sequence[Hashable]) -> pd.DataFrame:
    """Give the table back if it is there and its columns hold all the values named.

    >>> need(pd.DataFrame({"rate": [0.1, 3.0]}), "runs", rate=[3.0])["rate"].tolist()
    [0.1, 3.0]

    Raises:
        NotRunError: the table, or a value in it, is not there.
    """
    if table is None or table.empty:
        raise NotRunError(f"no {name}")
    for column, wanted in values.items():
        absent = [str(value) for value in wanted if value not in set(table[column])]
        if absent:
            raise NotRunError(f"no {name} with {column.replace('_', ' ')} {', '.join(absent)}")
    return table


def paired(wide: pd.DataFrame, name: str, arms: Sequence[Hashable]) -> pd.DataFrame:
    """Take the arms of runs set side by side: one row a seed, one column an arm, in the order of ``arms``.

    Raises:
        MissingArmError: an arm is not there at all.
        LedgerError: a run is lost (no number, for one seed), or there are fewer than `SEEDS` seeds.
    """
    for arm in arms:
        if arm not in wide or wide[arm].isna().all():
            raise MissingArmError(f"no {name} of {arm}")
    wide = wide[list(arms)]
    for arm in arms:
        numbers(wide[arm], f"{name} of {arm}")
    if len(wide) < SEEDS:
        raise LedgerError(f"{name}: {len(wide)} paired seeds are fewer than {SEEDS}.")
    return wide


def judged(
    claims: Sequence[str], judge: Callable[..., list[Verdict]], *tables: object, scale: str, data: str = ""
) -> list[Verdict]:
    """Judge, or say of each of the claims that it was not run and why.

    Args:
        claims: those that ``judge`` pronounces on.
        judge: called with the tables, ``scale`` and ``data``.
        tables: what it judges from.
        scale: "quick" or "full".
        data: the data set's title.

    Raises:
        LedgerError: as ``judge`` raises it; a missing arm only in a quick run.
    """
    try:
        return judge(*tables, scale=scale, data=data)
    except NotRunError as why:
        if isinstance(why, MissingArmError) and scale == "quick":
            raise
        return [ledger.judge(claim, "not run at full scale", measured=str(why), scale=scale, data=data)
                for claim in claims]  # fmt: skip
