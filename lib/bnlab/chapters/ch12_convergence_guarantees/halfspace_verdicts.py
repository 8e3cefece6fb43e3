"""What chapter 12 decides about halfspaces with overlapping classes."""

from __future__ import annotations

import pandas as pd

from bnlab.chapters.ch12_convergence_guarantees.halfspaces import line_fits
from bnlab.claims.criteria import by_run, largest, numbers, power_law, rows, share
from bnlab.claims.ledger import Verdict, correction, identity, judge, refutation, trend

RANDOM, FEW = "random classes", "few bisections"
ROUNDING = 1e-24  # squared gradient norms below are rounding
STRAIGHT = 0.99  # R^2 above which a line is straight


def direction_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Distances in direction: a row a sample size and seed, a column a kind of inputs.

    Raises:
        LedgerError: an arm or a run is missing, or a value is not a number.
    """
    kinds = ("Gaussian", "exponential")
    return by_run(table, "directions", run=["samples", "seed"], arm="inputs", value="gap", arms=kinds)


def direction(table: pd.DataFrame) -> Verdict:
    """Judge E-HS2 by the directions of minimisers."""
    gaps = direction_gaps(table)
    medians = gaps["Gaussian"].groupby("samples").median()
    slope = power_law(medians.index.to_numpy(), medians, "distances against samples").slope
    most = gaps.loc[gaps.index.get_level_values("samples").max()]
    apart = (most["exponential"] / most["Gaussian"]).min()
    near = trend((most["Gaussian"] < 1e-4) & (most["exponential"] >= 20 * most["Gaussian"]))
    return judge(
        "E-HS2",
        identity(near == "reproduced" and abs(slope + 1) <= 0.25),
        statistic=most["Gaussian"].median(),
        seeds=len(most),
        measured=f"$1 - |\\cos|$ is at most {most['Gaussian'].max():.0e} with {max(medians.index):,} samples, and "
        f"falls with their number at a slope of {slope:.2f}; exponential inputs: at least {apart:.0f} times that.",
    )


def bound_ratios(gdnp: pd.DataFrame) -> dict[str, float]:
    """Largest left over right side: of the corrected inequality, and of the printed one in two norms.

    The printed right side keeps its "error term", taken as the bisection's on the slope by the length (not squared, as
    the printed norm is not).

    Raises:
        LedgerError: a case is missing, or a value is not a number.
    """
    for column in ("squared", "bound", "euclidean", "printed", "error"):
        numbers(gdnp[column], f"GDNP, {column}")
    for case in (RANDOM, FEW, "features in units of 1/100", "slowest direction missing in u"):
        rows(gdnp, "GDNP", case=case)
    visible = rows(gdnp[gdnp["squared"] > ROUNDING], "GDNP, above rounding")
    whole = rows(visible[visible["case"] != FEW], "GDNP, above rounding")
    right = whole["printed"] + whole["error"] ** 0.5
    return {
        "corrected": largest(visible["squared"] / visible["bound"], "corrected bound"),
        "euclidean": largest(whole["euclidean"] / right, "printed bound, Euclidean"),
        "free of units": largest(whole["squared"] ** 0.5 / right, "printed bound"),
    }


def bound(gdnp: pd.DataFrame, separable_refused: bool) -> Verdict:
    """Judge E-HS3 by the gradient norms on the way."""
    ratios = bound_ratios(gdnp)
    fails = min(ratios["euclidean"], ratios["free of units"]) > 1.5
    return judge(
        "E-HS3",
        correction(not fails, bool(fails and separable_refused and ratios["corrected"] <= 1 + 1e-9)),
        statistic=ratios["corrected"],
        seeds=rows(gdnp, "GDNP", case=RANDOM)["seed"].nunique(),
        measured=f"Printed: the left side is up to {ratios['euclidean']:.0e} (Euclidean) and "
        f"{ratios['free of units']:.0e} ($S^{{-1}}$) times the right. Corrected: the squared $S^{{-1}}$ norm is at "
        f"most {ratios['corrected']:.2f} of its bound. Separable data {'have no' if separable_refused else 'have a'} "
        "stationary length.",
    )


def convex(points: pd.DataFrame) -> Verdict:
    """Judge E-HS4 by the curvature at random points."""
    flat = largest(points["along_w"], "curvature along w")
    negative = int((numbers(points["smallest"], "smallest curvatures") < 0).sum())
    return judge(
        "E-HS4",
        refutation(flat < 1e-12 and negative > 0),
        statistic=negative / len(points),
        measured=f"The curvature along $w$ is {flat:.0e} of the largest; it is negative in some direction at "
        f"{negative} of {len(points)} points. Proved for every normalised loss.",
    )


def complexity(gdnp: pd.DataFrame, stochastic: pd.DataFrame) -> Verdict:
    """Judge E-HS5 by the straightness of ln(f - f*) against the steps."""
    for name, runs in (("GDNP", gdnp), ("mini-batches", stochastic)):
        numbers(runs["excess"], f"{name}, excess loss")
    exact, drawn = line_fits(rows(gdnp, "GDNP", case=RANDOM)), line_fits(stochastic)
    found = share(exact > STRAIGHT, "GDNP")
    printed = trend(drawn > STRAIGHT) == "reproduced"
    word = correction(printed, found.verdict == "reproduced")
    late = stochastic[stochastic["step"] > stochastic["step"].max() // 2]["excess"].median()
    return judge(
        "E-HS5",
        found.verdict if word == "not reproduced" else word,
        statistic=found.holds / found.draws,
        interval=found.interval,
        seeds=found.draws,
        measured=f"With exact gradients $R^2 > {STRAIGHT}$ in {found}, the smallest {exact.min():.3f}. "
        f"Mini-batches of {stochastic['batch'].iloc[0]}: at most {drawn.max():.2f}, stalled at {late:.1g} nats.",
    )
