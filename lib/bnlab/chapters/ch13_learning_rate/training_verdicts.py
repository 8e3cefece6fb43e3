"""What chapter 13 decides about whole trainings at several rates: the experiment of Figure 1, its grid and variants."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bnlab.chapters.ch13_learning_rate.learning_rate import VARIANTS
from bnlab.claims.criteria import across, by_run, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend
from bnlab.claims.statistics import quartiles

CLASSES = 10
CHANCE = 1 / CLASSES
GUESSING = 0.999 * math.log(CLASSES)  # nats: a training loss above it tells the classes apart by nothing
FITTED = 0.99
TENFOLD = 10.0
DEPTH, EPOCHS = 110, (2400, 1320, 165)  # of the document, for its rates in ascending order


def final(runs: pd.DataFrame) -> pd.DataFrame:
    """Last look at every run, with ``gap`` (training minus test accuracy), and whether it was ``lost``.

    Lost is what diverged or ends guessing; its accuracies are then those of chance.

    Raises:
        LedgerError: a run that did not diverge has no number.
    """
    if runs.empty:
        raise LedgerError("runs: no row.")
    last = runs.groupby(["norm", "rate", "seed"], sort=False).tail(1)
    diverged = last["diverged"].astype(bool)
    known = last[["train_accuracy", "test_accuracy", "train_loss"]].notna().all(axis=1)
    if not (known | diverged).all():
        raise LedgerError("runs: one that did not diverge has no accuracy, so it decides nothing.")
    lost = diverged | (last["train_loss"] >= GUESSING)
    made = last.assign(lost=lost)
    for column in ("train_accuracy", "test_accuracy"):
        made[column] = made[column].where(~lost, CHANCE)
    return made.assign(gap=made["train_accuracy"] - made["test_accuracy"])


def by_rate(runs: pd.DataFrame, norm: str, value: str) -> pd.DataFrame:
    """One number of the last look at the runs of one norm: a row a seed, a column a rate, ascending."""
    ends = rows(final(runs), "runs", norm=norm)
    return by_run(ends.assign(**{value: ends[value].astype(float)}), "runs", run="seed", arm="rate", value=value)


def as_in_figure_1(runs: pd.DataFrame, three: Sequence[float]) -> pd.DataFrame:
    """Which parts of B-Fig1's criterion hold, a row a seed: ``alike``, ``gaps``, ``lost`` and ``all``."""
    small, _, large = three
    _there(runs, three)
    test, plain, gap = (
        by_rate(runs, *arm) for arm in (("batch", "test_accuracy"), ("none", "test_accuracy"), ("batch", "gap"))
    )
    if not test.index.equals(plain.index):
        raise LedgerError("runs: networks with and without BN do not have the same seeds.")
    apart = (test[small] - plain[small]).abs()
    made = pd.DataFrame(
        {
            "alike": apart < (test[large] - test[small]) / 2,
            "gaps": gap[small] > gap[large],
            "lost": by_rate(runs, "none", "lost")[large] == 1,
        }
    )
    return made.assign(all=made.all(axis=1))


def _there(runs: pd.DataFrame, three: Sequence[float]) -> None:
    for norm in ("batch", "none"):
        found = set(runs.loc[runs["norm"] == norm, "rate"])
        if missing := [rate for rate in three if rate not in found]:
            raise LedgerError(f"runs: no run of {norm!r} at the rate {missing[0]:g}.")


def at_documents_scale(runs: pd.DataFrame, depth: int, three: Sequence[float]) -> bool:
    """Whether the network is as deep, and each rate trained for as many epochs, as in the document."""
    epochs = runs.groupby("rate")["epochs"].min()
    return depth >= DEPTH and all(epochs[rate] >= least for rate, least in zip(three, EPOCHS, strict=True))


def figure_1(runs: pd.DataFrame, three: Sequence[float], depth: int, **where: str) -> Verdict:
    """Judge B-Fig1 at the document's scale; smaller runs are told by the same criterion, and decide nothing."""
    held = as_in_figure_1(runs, three)
    small, _, large = three
    medians = {
        (norm, rate): quartiles(by_rate(runs, norm, "test_accuracy")[rate]).median
        for norm in ("batch", "none")
        for rate in (small, large)
    }
    counts = {name: f"{int(held[name].sum())} of {len(held)}" for name in held}
    return judge(
        "B-Fig1",
        _verdict(runs, depth, three, held["all"]),
        statistic=medians["batch", large] - medians["batch", small],
        seeds=len(held),
        measured=f"ResNet-{depth}, test accuracy (medians): {medians['batch', small]:.3f} with BN and "
        f"{medians['none', small]:.3f} without at the rate {small:g}; {medians['batch', large]:.3f} with BN at "
        f"{large:g}. Alike at the small rate in {counts['alike']} seeds, gap larger there in {counts['gaps']}, lost "
        f"without BN at {large:g} in {counts['lost']}; all three in {counts['all']}.",
        **where,
    )


def fitted(runs: pd.DataFrame, three: Sequence[float], depth: int, **where: str) -> Verdict:
    """Judge B-Fig1L at the document's scale; smaller runs are told by the same criterion, and decide nothing."""
    _there(runs, three)
    train, gap = by_rate(runs, "batch", "train_accuracy"), by_rate(runs, "batch", "gap")
    small, middle, large = three
    fits, falls = train[small] >= FITTED, (gap[small] > gap[middle]) & (gap[middle] > gap[large])
    gaps = ", ".join(f"{quartiles(gap[rate]).median:.3f} at {rate:g}" for rate in three)
    return judge(
        "B-Fig1L",
        _verdict(runs, depth, three, fits & falls),
        statistic=quartiles(gap[small] - gap[large]).median,
        seeds=len(gap),
        measured=f"ResNet-{depth} with BN: training accuracy {quartiles(train[small]).median:.3f} at the rate "
        f"{small:g} (median; {FITTED} reached in {int(fits.sum())} of {len(fits)} seeds); train-test gap {gaps}, "
        f"falling in {int(falls.sum())} of {len(falls)}.",
        **where,
    )


def _verdict(runs: pd.DataFrame, depth: int, three: Sequence[float], holds: pd.Series) -> str:
    return trend(holds) if at_documents_scale(runs, depth, three) else "not run at full scale"


def best(runs: pd.DataFrame, depth: int, **where: str) -> Verdict:
    """Judge B-Best by networks with BN over the grid of rates."""
    test = by_rate(runs, "batch", "test_accuracy")
    if len(test.columns) < 3:
        raise LedgerError(f"runs: a grid needs at least three rates, not {len(test.columns)}.")
    rates = np.array(test.columns, dtype=float)
    top = test.to_numpy().argmax(1)
    rises = [bool((np.diff(row[: place + 1]) > 0).all()) for row, place in zip(test.to_numpy(), top, strict=True)]
    holds = np.array(rises) & (rates[top] >= TENFOLD * rates[0] * (1 - 1e-9))
    told = ", ".join(f"{quartiles(test[rate]).median:.3f} at {rate:g}" for rate in test)
    return judge(
        "B-Best",
        trend(holds),
        statistic=float(np.median(rates[top])),
        seeds=len(test),
        measured=f"ResNet-{depth}, test accuracy with BN (medians): {told}. It rises up to the best rate in "
        f"{sum(rises)} of {len(test)} seeds; the best is {min(rates[top]):g} to {max(rates[top]):g}.",
        **where,
    )


def variants(runs: pd.DataFrame, three: Sequence[float], depth: int, **where: str) -> Verdict:
    """Judge B-Tab4 by layer, group and instance normalisation at the three rates."""
    small, middle, large = three
    agree, told = {}, []
    for norm in VARIANTS:
        test = by_rate(runs, norm, "test_accuracy")
        if missing := [rate for rate in three if rate not in test]:
            raise LedgerError(f"runs: no run of {norm!r} at the rate {missing[0]:g}.")
        holds = (test[middle] > test[small]) & (test[large] >= test[small])
        agree[norm] = list(holds)
        accuracies = " / ".join(f"{quartiles(test[rate]).median:.3f}" for rate in three)
        told.append(f"{norm} {accuracies} ({int(holds.sum())} of {len(test)} seeds)")
    verdict, settings = across(agree)
    listed = ", ".join(f"{rate:g}" for rate in three)
    return judge(
        "B-Tab4",
        verdict,
        seeds=len(test),
        settings=settings,
        measured=f"ResNet-{depth}, test accuracy at {listed} (medians): {'; '.join(told)}.",
        **where,
    )
