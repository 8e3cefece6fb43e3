"""What chapter 12 decides about descent on least squares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bnlab.chapters.ch12_convergence_guarantees.least_squares import AFTER, BEFORE, PLAIN, usable_decades
from bnlab.claims.criteria import by_run, largest, numbers, rows
from bnlab.claims.ledger import Verdict, correction, identity, judge, trend

Tables = Mapping[str, pd.DataFrame]
RULES = ("1 / lambda_max", "2 / (lambda_min + lambda_max)", "2.02 / lambda_max")


@dataclass(frozen=True)
class Ends:
    """Where the runs of a sweep over learning rates end, as shares of runs."""

    diverged: (
        float  # of those on standardised features above 2 / lambda_max: their loss at the end is not below the first
    )
    settled: float  # of those with a normalised output: below 2 / lambda_max(H*), with a loss that still falls


def contraction(table: pd.DataFrame) -> Verdict:
    """Judge E-OLS1 by the table of contraction factors."""
    off = by_run(table, "contraction", run="seed", arm="rule", value="deviation", arms=RULES)
    random = by_run(table, "contraction", run="seed", arm="rule", value="random", arms=RULES)
    predicted = by_run(table, "contraction", run="seed", arm="rule", value="predicted", arms=RULES)
    exact = (off < 1e-12).all(axis=1) & (random - predicted < 1e-12).all(axis=1)
    worst, slower = largest(off, "deviations"), float((random - predicted).max(axis=None))
    return judge(
        "E-OLS1",
        identity(trend(exact) == "reproduced"),
        seeds=len(off),
        statistic=worst,
        measured=f"The factors agree with their formulas to {worst:.0e}; random starts are "
        f"{f'slower by up to {slower:.0e} in some step' if slower > 0 else 'nowhere slower'}.",
    )


def epoch_ratios(table: pd.DataFrame) -> pd.Series:
    """Epochs with raw over epochs with standardised features, medians of the seeds, by base.

    Raises:
        LedgerError: an arm or a run is missing, or a value is not a number.
    """
    features = ("raw", "standardised")
    both = by_run(table, "feature scaling", run=["base", "seed"], arm="features", value="epochs", arms=features)
    medians = both.groupby("base").median()
    return medians["raw"] / medians["standardised"]


def in_printed_range(ratios: pd.Series) -> list[float]:
    """Bases for which the ratio of epochs lies between 2 and 5, as printed."""
    return ratios.index[(ratios >= 2) & (ratios <= 5)].tolist()


def epochs(table: pd.DataFrame) -> Verdict:
    """Report E-OLS2 by the table of feature scales."""
    ratios = epoch_ratios(table)
    printed = ", ".join(f"{base:g}" for base in in_printed_range(ratios)) or "none"
    return judge(
        "E-OLS2",
        "reported",
        seeds=table["seed"].nunique(),
        interval=(ratios.min(), ratios.max()),
        measured=f"Standardising divides the epochs by {ratios.min():.2g} to {ratios.max():,.0f} for bases "
        f"{ratios.index.min():g} to {ratios.index.max():g}; by 2 to 5 for {printed}.",
    )


def effective(table: pd.DataFrame) -> Verdict:
    """Judge E-OLS3 by the table of random matrices."""
    change = {
        kind: numbers(found["kappa_star"] / found["kappa"], f"condition numbers, {kind} H")
        for kind in ("positive", "indefinite")
        for found in [rows(table, "random matrices", H=kind)]
    }
    positive = rows(table, "random matrices", H="positive")
    rose, rose_indefinite = ((found > 1 + 1e-9).mean() for found in change.values())
    whole = bool(positive["interlaced"].all()) and bool((positive["zeros"] == 1).all())
    middle = float(pd.Series(change["positive"]).median())
    return judge(
        "E-OLS3",
        identity(bool(rose == 0 and whole and rose_indefinite > 0)),
        statistic=middle,
        measured=f"{round(rose * len(positive))} exceptions in {len(positive)} problems, whose eigenvalues "
        f"{'interlace with one zero' if whole else 'do not all interlace with one zero'}; median ratio {middle:.2f}; "
        f"with an indefinite $H$ exceptions in {rose_indefinite:.0%}.",
    )


def sweep_ends(sweep: pd.DataFrame) -> Ends:
    """Count where the runs of `least_squares.rate_sweep` end; a loss that is no number has diverged.

    Raises:
        LedgerError: a method or a run is missing, or no rate on standardised features is above its bound.
    """
    runs, methods = "sweep over learning rates", (PLAIN, BEFORE, AFTER)
    by_run(sweep, runs, run=["seed", "rate"], arm="method", value="times_bound", arms=methods)
    standard, normalised = (rows(sweep, runs, method=method) for method in (BEFORE, AFTER))
    fast = rows(standard[standard["times_bound"] > 1], f"{runs}, above the bound")
    falling = (normalised["last"] < normalised["half"]) | (normalised["last"] <= 1e-12)
    return Ends(
        diverged=float((~(fast["last"] < 1)).mean()),
        settled=float(((normalised["times_bound"] < 1) & falling).mean()),
    )


def place(phase: pd.DataFrame, sweep: pd.DataFrame) -> Verdict:
    """Judge E-OLS4 by the last phase of both models; where the sweep's runs end is reported."""
    off = by_run(phase, "last phase", run="seed", arm="method", value="off", arms=(BEFORE, AFTER))
    printed, normalised = (trend(off[method] < 1e-4) == "reproduced" for method in (BEFORE, AFTER))
    ends = sweep_ends(sweep)
    return judge(
        "E-OLS4",
        correction(printed, normalised),
        seeds=len(off),
        statistic=off[BEFORE].min(),
        measured=f"Steps on standardised features are off the factors of $H^*$ by at least {off[BEFORE].min():.0e}, "
        f"steps with a normalised output by at most {off[AFTER].max():.0e}. Above $2/\\lambda_{{\\max}}$ "
        f"{ends.diverged:.0%} of the runs on standardised features diverge; {ends.settled:.0%} of those with a "
        f"normalised output settle, at rates from {sweep['rate'].min():g} to {sweep['rate'].max():g}.",
    )


def rayleigh(worst: pd.DataFrame, curves: pd.DataFrame) -> Verdict:
    """Judge E-OLS5 by random problems and by the hardest start."""
    moved = worst[worst["step"] > 0]  # at step 0 the gap is the bound
    ratios = {
        length: largest(rows(moved, "random problems", step_length=length)["worst_ratio"], "gap / bound")
        for length in (1, 4)
    }
    hard = rows(curves[curves["step"] > 0], "hardest start", start="hardest")
    series = ("Rayleigh quotient", "bound")
    gaps = by_run(hard, "hardest start", run="step", arm="series", value="gap", arms=series)
    hardest = largest(gaps["Rayleigh quotient"] / gaps["bound"], "gap / bound of the hardest start")
    return judge(
        "E-OLS5",
        identity(max(ratios[1], hardest) <= 1 + 1e-9 and ratios[4] > 1),
        statistic=ratios[1],
        measured=f"The gap is at most {ratios[1]:.3f} of the bound in random problems; on one problem, from the "
        f"start that an optimiser found hardest for step ten, at most {hardest:.3f}; with four times the step it "
        f"reaches {ratios[4]:.0e} of it.",
    )


def robust(sweep: pd.DataFrame) -> Verdict:
    """Judge E-OLS6 by the decades of learning rates that cost at most ten times the best."""
    usable, methods = usable_decades(sweep), (PLAIN, BEFORE, AFTER)
    by_run(sweep, "sweep", run=["seed", "rate"], arm="method", value="iterations", arms=methods)
    decades = by_run(usable, "usable rates", run="seed", arm="method", value="decades", arms=methods)
    printed, corrected = (trend(decades[method] > decades[PLAIN]) == "reproduced" for method in (BEFORE, AFTER))
    middle = decades.median()
    return judge(
        "E-OLS6",
        correction(printed, corrected),
        statistic=middle[BEFORE],
        seeds=len(decades),
        measured=f"Usable powers of ten of the rate (medians): {middle[BEFORE]:.2g} with standardised features, "
        f"{middle[PLAIN]:.2g} for plain descent, {middle[AFTER]:.2g} with a normalised output.",
    )
