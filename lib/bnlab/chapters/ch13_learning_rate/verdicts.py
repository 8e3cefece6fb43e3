"""What chapter 13 decides about its claims, from its experiments' tables, by the same criteria quick and full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bnlab.chapters.ch13_learning_rate import (
    noise_verdicts,
    rate_verdicts,
    sharpness_verdicts,
    training_verdicts,
)
from bnlab.chapters.ch13_learning_rate.noise_verdicts import Noise
from bnlab.claims.ledger import Verdict

Tables = Mapping[str, pd.DataFrame]
LISTED = (0.1, 0.003, 0.001, 0.0003, 0.0001, 0.00003)  # Section 1.2
USED = (0.1, 0.003, 0.0001, 0.03)  # Section 2 and, the last one, Section 4


def quick(found: Noise, tables: Tables, depth: int, three: Sequence[float], title: str) -> list[Verdict]:
    """Judge the quick run.

    Args:
        found: on the page.
        tables: the parts of `learning_rate`.
        depth: layers of the network of ``runs``.
        three: its rates in Figure 1, ascending.
        title: of the data set.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    known = [
        noise_verdicts.grid(LISTED, USED),
        noise_verdicts.decomposition(found),
        noise_verdicts.bound(found),
        noise_verdicts.two_knobs(found),
    ]
    return known + _from_tables(tables, depth, three, scale="quick", data=title)


def full(tables: Tables, depth: int, three: Sequence[float], title: str) -> list[Verdict]:
    """Judge the recorded tables; arguments and errors as of `quick`."""
    return _from_tables(tables, depth, three, scale="full", data=title)


def _from_tables(tables: Tables, depth: int, three: Sequence[float], **where: str) -> list[Verdict]:
    return [
        rate_verdicts.apart(tables["largest_rates"], **where),
        rate_verdicts.warmed(tables["warm_up"], **where),
        training_verdicts.figure_1(tables["runs"], three, depth, **where),
        training_verdicts.fitted(tables["runs"], three, depth, **where),
        training_verdicts.best(tables["runs"], depth, **where),
        training_verdicts.variants(tables["runs"], three, depth, **where),
        sharpness_verdicts.keskar(tables["sharpness"], **where),
        sharpness_verdicts.on_lines(tables["sharpness"], **where),
        sharpness_verdicts.batch_sharpness(tables["plateau"], **where),
    ]
