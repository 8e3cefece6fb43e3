"""What chapter 15 decides about one normalisation at the end of a ResNet, from the tables of `last_layer`."""

from __future__ import annotations

import math
import warnings

import pandas as pd
import scipy.stats

from bnlab.chapters.ch15_gradients_and_activations.arms import ARMS
from bnlab.claims.criteria import by_run, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend

FALLS, STAYS = 10.0, 3.0  # without normalisation over with it
STEADY = 3.0  # largest over smallest condition number over the depths
MEASURES = ("features", "gaussian", "softmax")


def by_arm(table: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    """One number of every arm: a row a depth and seed.

    Raises:
        LedgerError: an arm or a run is missing, or a value is not a number.
    """
    return by_run(table, name, run=["depth", "seed"], arm="arm", value=value, arms=tuple(ARMS))


def over_depths(holds: pd.Series, name: str) -> tuple[str, int]:
    """Verdict of what holds at every depth, by seed, and at how many depths it holds in all seeds.

    Raises:
        LedgerError: a depth lacks a seed, or seeds are too few.
    """
    wide = holds.unstack("depth")
    if wide.isna().any(axis=None):
        raise LedgerError(f"{name}: not every depth has all seeds.")
    wide = wide.astype(bool)
    return trend(wide.all(axis=1)), sum(trend(wide[depth]) == "reproduced" for depth in wide)


def ordered(rates: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Largest surviving rates by depth and seed, and whether they rise from none by way of the last BN to all."""
    found = by_arm(rates, "rates", "survived")
    return found, (found["none"] < found["last BN"]) & (found["last BN"] < found["all"])


def last_alone(rates: pd.DataFrame, **where: str) -> Verdict:
    """Report on B-LastBN, whose accuracy nobody has run here."""
    found, rises = ordered(rates)
    _, depths = over_depths(rises, "rates")
    deepest = found.groupby("depth").median().iloc[-1]
    return judge(
        "B-LastBN",
        "not run at full scale",
        statistic=float(deepest["last BN"]),
        settings=(depths, rises.index.get_level_values("depth").nunique()),
        seeds=rises.index.get_level_values("seed").nunique(),
        measured=f"Largest surviving rates at depth {found.index.get_level_values('depth').max()} (medians): "
        f"{deepest['none']:.1e} without BN, {deepest['last BN']:.1e} with one at the end, {deepest['all']:.1e} with BN "
        f"everywhere; in this order in {int(rises.sum())} of {len(rises)} runs. Accuracy: not trained.",
        **where,
    )


def rank_correlations(spectra: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation over the arms of 1 / lambda_max with the largest surviving rate: a row a depth and seed.

    nan where all arms have one rate.
    """
    survived = by_arm(rates, "rates", "survived")
    found = {}
    for measure in MEASURES:
        tops = by_arm(spectra, "spectra", measure)
        if not tops.index.equals(survived.index):
            raise LedgerError("spectra: not the depths and seeds of the rates.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", scipy.stats.ConstantInputWarning)
            found[measure] = [
                float(scipy.stats.spearmanr(-tops.loc[run], survived.loc[run]).statistic) for run in survived.index
            ]
    return pd.DataFrame(found, index=survived.index)


def sharpness(spectra: pd.DataFrame, rates: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Last."""
    tops = by_arm(spectra, "spectra", "gaussian")
    times = pd.DataFrame({arm: tops["none"] / tops[arm] for arm in ARMS if arm != "none"})
    verdict, depths = over_depths((times["last BN"] >= FALLS) & (times["all but last"] <= STAYS), "spectra")
    ranks = rank_correlations(spectra, rates).median()
    words = {"features": "$R$", "gaussian": "the Fisher matrix", "softmax": "that of the softmax"}
    told = ", ".join(
        f"{'undefined' if math.isnan(ranks[measure]) else f'{ranks[measure]:.2f}'} for {words[measure]}"
        for measure in MEASURES
    )
    each = "; ".join(
        f"depth {depth}: " + ", ".join(f"{arm} {value:.2g}" for arm, value in part.median().items())
        for depth, part in times.groupby("depth")
    )
    return judge(
        "L-Last",
        verdict,
        statistic=float(times["last BN"].min()),
        settings=(depths, tops.index.get_level_values("depth").nunique()),
        seeds=tops.index.get_level_values("seed").nunique(),
        measured=f"$\\lambda_{{\\max}}$ of the Fisher matrix, without normalisation over with it (medians): {each}. "
        f"Rank correlation of $1/\\lambda_{{\\max}}$ with the largest surviving rate: {told}.",
        **where,
    )


def conditioned(conditions: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Cond."""
    found = {}
    for norm in ("without", "with"):
        chosen = rows(conditions, "conditions", arm="all", norm=norm)
        found[norm] = by_run(chosen, f"conditions {norm}", run="seed", arm="depth", value="condition")
    without, behind = found["without"], found["with"]
    if not without.index.equals(behind.index) or without.shape[1] < 2:
        raise LedgerError("conditions: not the same seeds with and without, or fewer than two depths.")
    grows = without.iloc[:, -1] > without.iloc[:, 0]
    span = behind.max(axis=1) / behind.min(axis=1)
    ends = f"{without.iloc[:, 0].median():.1e} at depth {without.columns[0]}, {without.iloc[:, -1].median():.1e} at "
    return judge(
        "L-Cond",
        trend(grows & (span <= STEADY)),
        statistic=float(span.median()),
        seeds=len(grows),
        measured=f"Pseudo-condition number of $R$: {ends}{without.columns[-1]} (larger in {int(grows.sum())} of "
        f"{len(grows)} seeds); behind one BN {behind.iloc[:, 0].median():.1e} and {behind.iloc[:, -1].median():.1e}, "
        f"over the depths within a factor {span.min():.1f} to {span.max():.1f}.",
        **where,
    )
