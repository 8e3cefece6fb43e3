"""Trends asked at several declared settings, and paired arms of the tables of this chapter."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bnlab.claims.criteria import across, by_run

__all__ = ["across", "paired"]


def paired(table: pd.DataFrame, name: str, run: Sequence[str], value: str) -> pd.DataFrame:
    """Set a value without and with BN side by side: a row a run, columns "none" and "batch"; raises as `by_run`."""
    return by_run(table, name, run=run, arm="norm", value=value, arms=("none", "batch"))
