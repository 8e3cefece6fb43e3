"""What chapter 16 decides about its claims, from its experiment's tables, by the same criteria quick and full."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bnlab.chapters.ch16_random_matrices import conditioning_verdicts
from bnlab.claims.criteria import by_run, largest, numbers, power_law, rows
from bnlab.claims.ledger import Verdict, correction, identity, judge

Tables = Mapping[str, pd.DataFrame]


def quick(tables: Tables, off_marchenko_pastur: float, stable: pd.DataFrame) -> list[Verdict]:
    """Judge the quick run.

    Args:
        tables: the experiment's tables by name.
        off_marchenko_pastur: largest relative difference of the law of one factor from its closed form.
        stable: largest stable rates of deep linear networks (`deep_linear.largest_stable_rates`).

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or draws are too few.
    """
    judged = _tables(tables, "quick")
    judged.insert(2, _one_factor(off_marchenko_pastur))
    judged.insert(-1, conditioning_verdicts.deep_networks(stable))
    return judged


def full(tables: Tables) -> list[Verdict]:
    """Judge the recorded tables, which hold neither closed forms nor networks; raises as `quick`."""
    return _tables(tables, "full")


def _tables(tables: Tables, scale: str) -> list[Verdict]:
    return [
        _formula(tables["moments"], scale),
        _squares_only(tables["distances"], scale),
        _support(tables["extremes"], tables["variances"], scale),
        _blow_up(tables["zero_exponents"], scale),
        _growth(tables["largest"], scale),
        _heavier(tables["moments"], scale),
        _sampled(tables["distances"], tables["extremes"], scale),
        conditioning_verdicts.with_depth(tables["depth"], scale),
        conditioning_verdicts.descent_steps(tables["gradient_descent"], scale),
        conditioning_verdicts.stable_rates(tables["rates"], scale),
        conditioning_verdicts.schemes(tables["initialisations"], scale),
        conditioning_verdicts.pathological(tables["zero_or_value"], scale),
        _universal(tables["distances"], scale),
    ]


def _formula(moments: pd.DataFrame, scale: str) -> Verdict:
    off = largest(moments["relative_error"], "moments")
    return judge(
        "B-Thm1",
        identity(off < 1.2e-8),
        measured=f"mass and moments up to order {moments['order'].max()}: largest relative error {off:.1e}",
        statistic=off,
        scale=scale,
    )


def _ks(distances: pd.DataFrame, entries: str, quantity: str) -> np.ndarray:
    found = rows(distances, "distances to the law", entries=entries, quantity=quantity)
    return numbers(found["ks_distance"], f"distances to the law, {entries} {quantity}")


def _runs(table: pd.DataFrame) -> int:
    return table["run"].nunique()


def _squares_only(distances: pd.DataFrame, scale: str) -> Verdict:
    squared, plain = (_ks(distances, "gaussian", quantity) for quantity in ("squared", "plain"))
    return judge(
        "B-Thm1sq",
        correction(plain.max() < 0.01, squared.max() < 0.01 and plain.min() > 0.1),
        measured=f"distance of $s^2$ to the law at most {squared.max():.4f}, $s$ at least {plain.min():.3f} "
        f"(N = {distances['N'].max()})",
        statistic=np.median(squared),
        interval=(squared.min(), squared.max()),
        seeds=_runs(rows(distances, "distances to the law", entries="gaussian")),
        scale=scale,
    )


def _one_factor(off: float) -> Verdict:
    off = largest(off, "difference to Marchenko–Pastur")
    return judge(
        "B-MP",
        identity(off < 1e-10),
        measured=f"largest relative difference to Marchenko–Pastur {off:.1e}",
        statistic=off,
    )


def _support(extremes: pd.DataFrame, variances: pd.DataFrame, scale: str) -> Verdict:
    gaussian = rows(extremes, "extreme singular values", entries="gaussian")
    on_edge = largest(gaussian["largest_squared_over_edge"] - 1, "distance from the edge")
    scaled = rows(variances, "variances", sigmas="3 x 2")
    printed, mended = (numbers(scaled[name], name)[0] for name in ("over_printed_edge", "over_edge"))
    return judge(
        "B-Supp",
        correction(on_edge < 0.1 and abs(printed - 1) < 0.1, on_edge < 0.1 and abs(mended - 1) < 0.1),
        measured=f"$s_{{\\max}}^2$ within {on_edge:.3f} of the edge at unit variances; at $\\sigma = 3, 2$ it is "
        f"{printed:.1f} times the printed edge and {mended:.3f} times the edge with $\\prod\\sigma_i^2$",
        statistic=printed,
        seeds=_runs(gaussian),
        scale=scale,
    )


def _blow_up(exponents: pd.DataFrame, scale: str) -> Verdict:
    off = {}
    for quantity in ("squared", "plain"):
        found = rows(exponents, "exponents at zero", quantity=quantity)
        M, fitted = numbers(found["M"], "factors"), numbers(found["measured_exponent"], f"exponents, {quantity}")
        off[quantity], off_plain = (
            largest(fitted + M / (M + 1), quantity),
            largest(fitted + (M - 1) / (M + 1), quantity),
        )
    worst = max(off["squared"], off_plain)
    return judge(
        "B-Blow",
        correction(off["plain"] < 1e-3, worst < 1e-3),
        measured="exponent $-M/(M+1)$ for squared values, $-(M-1)/(M+1)$ for singular values; "
        f"fitted to within {worst:.0e}",
        statistic=worst,
        scale=scale,
    )


def _growth(found: pd.DataFrame, scale: str) -> Verdict:
    growth = power_law(found["M"], found["largest"], "largest singular value against M").slope
    edge = power_law(found["M"], found["root_of_edge"], "root of the edge against M").slope
    return judge(
        "B-OM",
        correction(abs(growth - 1) < 0.15, abs(growth - edge) < 0.15),
        measured=f"exponent of M: {growth:.2f} measured, {edge:.2f} for the square root of the edge; 1 holds for the "
        "square",
        statistic=growth,
        seeds=_runs(found),
        scale=scale,
    )


def _heavier(moments: pd.DataFrame, scale: str) -> Verdict:
    by_order = by_run(moments, "moments", run="M", arm="order", value="quadrature", arms=(1, 2)).sort_index()
    ratios, M = by_order[2] / by_order[1] ** 2, by_order.index.to_numpy()
    off = largest(ratios / (M + 1) - 1, "second moment over squared mean")
    return judge(
        "B-Fig8",
        identity((np.diff(ratios) > 0).all() and off < 1.2e-8),
        measured=f"second moment over squared mean is $M + 1$, to {off:.0e}: it grows with every factor",
        statistic=off,
        scale=scale,
    )


def _sampled(distances: pd.DataFrame, extremes: pd.DataFrame, scale: str) -> Verdict:
    squared, plain = (_ks(distances, "gaussian", quantity) for quantity in ("squared", "plain"))
    gaussian = rows(extremes, "extreme singular values", entries="gaussian")
    top = gaussian.groupby("M")["largest_standard_gaussian"].median()
    return judge(
        "B-Fig9",
        identity(squared.max() < 0.01 and plain.min() > 0.1),
        measured="spectra on the transformed law; median largest value "
        f"{', '.join(f'{value:.4g}' for value in top)} for M = {', '.join(map(str, top.index))}",
        statistic=np.median(squared),
        seeds=_runs(gaussian),
        scale=scale,
    )


def _universal(distances: pd.DataFrame, scale: str) -> Verdict:
    uniform = _ks(distances, "uniform", "squared")
    return judge(
        "B-NonGauss",
        identity(uniform.max() < 0.01),
        measured=f"uniform entries: distance of $s^2$ to the same law at most {uniform.max():.4f} "
        f"(N = {distances['N'].max()})",
        statistic=uniform.max(),
        seeds=_runs(rows(distances, "distances to the law", entries="uniform")),
        scale=scale,
    )
