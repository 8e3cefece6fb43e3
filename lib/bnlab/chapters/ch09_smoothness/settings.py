"""Trends asked at several declared settings, and paired arms of the tables of this chapter."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from bnlab.claims.criteria import by_run
from bnlab.claims.ledger import LedgerError, trend


def paired(table: pd.DataFrame, name: str, run: Sequence[str], value: str) -> pd.DataFrame:
    """Set a value without and with BN side by side: a row a run, columns "none" and "batch"; raises as `by_run`."""
    return by_run(table, name, run=run, arm="norm", value=value, arms=("none", "batch"))


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
