"""What chapter 13 decides about the largest surviving rates: with and without BN, by depth, and after a warm-up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch13_learning_rate.largest_rates import HIGHEST, LOWEST
from bnlab.claims.criteria import across, by_run, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend
from bnlab.claims.statistics import quartiles

APART = 100.0
OCTAVE = 2.0
SEEDS = 8


def ends(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Give brackets without gaps: none survived counts as half the lowest rate tried, all as lost at twice the highest.

    Raises:
        LedgerError: a bracket whose ends are no numbers, or are not in order.
    """
    below, above = table["survived"].isna(), np.isinf(table["lost"])
    if (below & (table["lost"] != LOWEST)).any() or (above & (table["survived"] != HIGHEST)).any():
        raise LedgerError(f"{name}: a bracket without an end, though not at the end of what was tried.")
    made = table.assign(
        survived=table["survived"].where(~below, LOWEST / 2), lost=table["lost"].where(~above, HIGHEST * 2)
    )
    for column in ("survived", "lost"):
        numbers(made[column], f"{name}, {column}")
    if not (made["survived"] < made["lost"]).all():
        raise LedgerError(f"{name}: a rate that is survived lies above one that is lost.")
    return made


def ratios(largest_rates: pd.DataFrame) -> pd.DataFrame:
    """Largest rate survived with BN over the smallest lost without: a lower bound; a row a seed, a column a depth."""
    found = ends(largest_rates, "largest_rates")
    key = {"run": ["seed"], "arm": "depth"}
    batch = by_run(rows(found, "largest_rates", norm="batch"), "largest_rates", value="survived", **key)
    none = by_run(rows(found, "largest_rates", norm="none"), "largest_rates", value="lost", **key)
    made = batch / none
    numbers(made, "largest_rates: a depth or a seed that one of the two lacks")
    return made


def apart(largest_rates: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-LR by the deepest networks."""
    found = ratios(largest_rates)
    if len(found) < SEEDS:
        raise LedgerError(f"largest_rates: {SEEDS} seeds are asked for, not {len(found)}.")
    deepest = found[max(found.columns)]
    told = ", ".join(f"{quartiles(found[depth]).median:.3g} at {depth}" for depth in found)
    plain = ends(rows(largest_rates, "largest_rates", norm="none", depth=max(found.columns)), "largest_rates")
    return judge(
        "B-LR",
        trend(deepest >= APART),
        statistic=quartiles(deepest).median,
        interval=(deepest.min(), deepest.max()),
        seeds=len(found),
        measured=f"BN survives at least so many times the rate that is lost without (medians, by layers): {told}. At "
        f"{max(found.columns)} layers rates from {plain['survived'].min():.2g} to {plain['survived'].max():.2g} are "
        "survived without BN.",
        **where,
    )


def octaves(warm_up: pd.DataFrame) -> pd.DataFrame:
    """Octaves by which the largest rate of networks without BN falls short of BN's; columns (depth, warm-up)."""
    found = ends(warm_up, "warm_up")
    batch = by_run(rows(found, "warm_up", norm="batch"), "warm_up", run="seed", arm="depth", value="survived")
    plain = rows(found, "warm_up", norm="none")
    made = {}
    for depth in batch:
        own = by_run(rows(plain, "warm_up", depth=depth), "warm_up", run="seed", arm="warmup", value="survived")
        for warmup in own:
            made[depth, warmup] = np.log2(batch[depth] / own[warmup])
    table = pd.DataFrame(made)
    numbers(table, "warm_up: a seed that one of the two lacks")
    return table


def warmed(warm_up: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Warm13 by the longest warm-up, at each depth."""
    found = octaves(warm_up)
    depths = sorted(set(found.columns.get_level_values(0)))
    longest = {depth: found[depth][max(found[depth])] for depth in depths}
    verdict, settings = across({depth: list(short <= np.log2(OCTAVE) + 1e-9) for depth, short in longest.items()})
    told = "; ".join(
        f"{depth} layers: "
        + ", ".join(f"{quartiles(found[depth][warmup]).median:.1f} after {warmup}" for warmup in sorted(found[depth]))
        for depth in depths
    )
    return judge(
        "L-Warm13",
        verdict,
        statistic=max(quartiles(short).median for short in longest.values()),
        seeds=len(found),
        settings=settings,
        measured=f"Octaves below BN's largest rate without BN, by steps of warm-up (medians): {told}.",
        **where,
    )
