"""What chapter 12 decides about tangent kernels, from the experiment's tables, by the same criteria quick and full."""

from __future__ import annotations

import pandas as pd

from bnlab.claims.criteria import by_run, power_law
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend
from bnlab.claims.statistics import quartiles


def width_slopes(widths: pd.DataFrame) -> pd.DataFrame:
    """Log-log slopes against the width of ``kernel_change`` and ``forecast_error``: a row a seed.

    Raises:
        LedgerError: a run is missing, a value is not a positive number, or widths are too few for a slope.
    """
    found = {}
    for column in ("kernel_change", "forecast_error"):
        runs = by_run(widths, "widths", run="seed", arm="width", value=column)
        sizes = runs.columns.to_numpy()
        found[column] = {seed: power_law(sizes, row, f"{column} against width").slope for seed, row in runs.iterrows()}
    return pd.DataFrame(found)


def lazy(widths: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-NTK1 by the change of the kernel in training."""
    slopes = width_slopes(widths)
    falls = slopes["forecast_error"] < 0
    rate = (abs(slopes["kernel_change"] + 0.5) <= 0.15) & falls
    bound = (slopes["kernel_change"] <= -0.35) & falls
    change, error = (quartiles(slopes[column].to_numpy()) for column in ("kernel_change", "forecast_error"))
    kernel = "The kernel's"
    if falls.all() and (slopes["kernel_change"] < 0).all():
        off = change.median + 0.5
        pace = "at about" if abs(off) <= 0.15 else "faster than" if off < 0 else "slower than"
        kernel = f"Wide networks do become linear, their kernel {pace} the rate judged: its"
    return judge(
        "E-NTK1",
        trend(rate),
        statistic=change.median,
        interval=(change.q1, change.q3),
        seeds=len(slopes),
        measured=f"{kernel} change falls at a slope of {change.median:.2f} (median), within "
        f"$-0.5 \\pm 0.15$ in {int(rate.sum())} of {len(rate)} seeds. As a bound: at least as fast as $N^{{-1/2}}$, "
        f"but for 0.15, in {int(bound.sum())} of {len(bound)}. The forecast's error has a slope of {error.median:.2f} "
        f"(widths {widths['width'].min()} to {widths['width'].max()}).",
        **where,
    )


def chaos(spectra: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-NTK2 by the spectra before training."""
    kinds = ("none", "passed through")
    run = ["depth", "seed"]
    values = {
        column: by_run(spectra, "spectra", run=run, arm="statistics", value=column, arms=kinds)
        for column in ("top_share", "correlation")
    }
    lower = pd.DataFrame({column: both["passed through"] < both["none"] for column, both in values.items()})
    by_seed = lower.all(axis=1).unstack("depth")
    if lost := int(by_seed.isna().sum(axis=None)):
        raise LedgerError(f"spectra: {lost} runs are lost: not every seed has all depths.")
    told = {
        column: ", ".join(
            f"{row['none']:.2f} to {row['passed through']:.3f} at {depth} layers"
            for depth, row in both.groupby("depth").median().iterrows()
        )
        for column, both in values.items()
    }
    return judge(
        "E-NTK2",
        trend(by_seed.astype(bool).all(axis=1)),
        seeds=len(by_seed),
        measured=f"With BN the top eigenvalue's share of the trace goes from {told['top_share']}; the mean "
        f"correlation from {told['correlation']} (medians).",
        **where,
    )
