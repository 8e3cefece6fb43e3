"""What chapter 14 decides about its claims, from its experiments' tables, by the same criteria quick and full."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch14_divergence import look_verdicts, run_verdicts
from bnlab.claims.ledger import Verdict

Tables = Mapping[str, pd.DataFrame]


def quick(tables: Tables, title: str) -> list[Verdict]:
    """Judge the quick run.

    Args:
        tables: the parts of `divergence`.
        title: of the data set.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few. What has
            overflowed is no error: it is reported, and decides nothing.
    """
    return _from_tables(tables, title, scale="quick")


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables; raises as `quick`."""
    return _from_tables(tables, title, scale="full")


def _from_tables(tables: Tables, title: str, scale: str) -> list[Verdict]:
    where = {"scale": scale, "data": title}
    return [
        look_verdicts.gradient_tails(tables["gradients"], **where),
        look_verdicts.forgiving(tables["walks"], **where),
        look_verdicts.explodes_in_depth(tables["updates"], **where),
        look_verdicts.subset(tables["updates"], **where),
        look_verdicts.kept_normalised(tables["updates"], **where),
        run_verdicts.no_return(tables["runs"], **where),
        run_verdicts.falls_with_depth(tables["depths"], **where),
        run_verdicts.comes_back(tables["catapults"], **where),
    ]
