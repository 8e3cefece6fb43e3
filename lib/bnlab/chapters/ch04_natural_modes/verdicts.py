"""What chapter 04 decides about its claims: from what its page has computed, and from its experiment's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.chapters.ch04_natural_modes.lms_modes import ORDERS
from bnlab.chapters.ch04_natural_modes.natural_modes import FEWEST_POINTS
from bnlab.claims.criteria import by_run, checked, largest, numbers, power_law, rows
from bnlab.claims.ledger import Verdict, correction, identity, judge, trend

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Found:
    """What the page computes before a reader's eyes. Distances are relative unless they say otherwise."""

    title: str  # of the data
    orthogonality: float  # max |E[X E_o]| over the same at W = 0
    left_over: float  # power of the error at the optimum, over that of D
    equation_2: float  # distance of its two sides
    wiener_full: float  # Wiener solution from least squares, full rank
    wiener_singular: float  # the same with channels without power
    without_power: int  # modes, there
    loss_printed: float  # loss after a step over the loss before it, Eq. 4 as printed
    loss_corrected: float
    growth_printed: float  # ||C(n)|| / ||C(0)|| after few_steps
    off_law_printed: float  # largest distance from (1 - mu lambda)^n, over the largest |v_k(0)|
    off_law: float  # the same, corrected Eq. 4
    few_steps: int
    weights: int  # K
    as_row: float  # distance from the matrix power, C read as a row
    as_column: float
    column_times_matrix: str  # "defined" or "undefined"
    leakage: float  # largest size of another mode, over the start's
    edge_steps: int
    decays: float  # top mode after edge_steps over its start, at 1.99 / lambda_max
    stays: float  # at 2.00
    grows: float  # at 2.01
    positions: int  # M
    off_positions: Sequence[float]  # eigenvalues of the sum over M times those of the mean, minus 1
    off_convention: Sequence[float]  # slopes of three losses by autograd over those expected, minus 1
    off_tau: Sequence[float]  # fitted time constants over the corrected formula, minus 1, in the whole stable range
    tau_undefined: int  # stable rates at which the printed formula is not a number
    slowest_below: int  # of four modes, 0 for lambda_min, below 2 / (lambda_min + lambda_max)
    slowest_above: int
    crossover: float  # 2 / (lambda_min + lambda_max), in 1 / lambda_max
    missed_entries: Sequence[float]  # 1 - R^2 of one exponential, entries of C
    missed_modes: Sequence[float]
    distance_squared: float  # Hessian of half the squared error from R
    distance_entropy: float  # Hessian of the cross-entropy from R
    top_hessian: float  # largest eigenvalue of the latter
    top_r: float


def quick(found: Found, tables: Tables, converged: pd.DataFrame) -> list[Verdict]:
    """Judge the quick run; ``converged`` are the fits of the layer that is watched to the end.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    checked(found)
    fits = pd.concat([tables["fits"], converged])
    layer = _layer(tables, fits, scale="quick", data=found.title)
    return [*_optimum(found), *_update(found), *_each_mode(found), _hessian(found), *layer]


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables; raises as `quick`."""
    return _layer(tables, tables["fits"], scale="full", data=title)


def _optimum(found: Found) -> list[Verdict]:
    off_wiener = largest([found.wiener_full, found.wiener_singular], "Wiener solutions")
    return [
        judge(
            "C-Orth",
            identity(found.orthogonality < 1e-9),
            statistic=found.orthogonality,
            data=found.title,
            measured=f"{found.orthogonality:.0e} of its size at $W = 0$, with {found.left_over:.0%} of the power left "
            "in the error",
        ),
        judge(
            "C-Eq2",
            identity(found.equation_2 < 1e-12),
            statistic=found.equation_2,
            data=found.title,
            measured=f"both sides agree to {found.equation_2:.0e}",
        ),
        judge(
            "C-Eq3",
            identity(off_wiener < 1e-8),
            statistic=off_wiener,
            data=found.title,
            measured=f"{found.wiener_full:.0e} from least squares; {found.wiener_singular:.0e} with "
            f"{found.without_power} modes without power",
        ),
    ]


def _update(found: Found) -> list[Verdict]:
    off_matrix = largest([found.as_row, found.as_column], "matrix powers")
    return [
        judge(
            "C-Eq4",
            correction(
                found.loss_printed < 1 and found.off_law_printed < 1e-10,
                found.loss_corrected < 1 and found.off_law < 1e-10,
            ),
            statistic=found.off_law,
            data=found.title,
            measured=f"printed: one step multiplies the loss by {found.loss_printed:.3g}, {found.few_steps} the error "
            f"by {found.growth_printed:.1e}; corrected: by {found.loss_corrected:.2g}, and the modes are on "
            f"$(1-\\mu\\lambda)^n$ to {found.off_law:.0e}",
        ),
        judge(
            "C-Eq5",
            identity(off_matrix < 1e-10),
            statistic=off_matrix,
            data=found.title,
            measured=f"row {found.as_row:.0e}, column {found.as_column:.0e}; with a column in its place the printed "
            f"product is {found.column_times_matrix}",
        ),
        judge(
            "C-V",
            identity(found.leakage < 1e-10),
            statistic=found.leakage,
            data=found.title,
            measured=f"leak into other modes at most {found.leakage:.0e}",
        ),
        judge(
            "C-Eq6",
            identity(found.off_law < 1e-12),
            statistic=found.off_law,
            data=found.title,
            measured=f"all {found.weights} modes, {found.few_steps} steps: {found.off_law:.0e}",
        ),
    ]


def _each_mode(found: Found) -> list[Verdict]:
    off_tau = largest(found.off_tau, "time constants")
    entries, modes = numbers(found.missed_entries, "entries of C"), numbers(found.missed_modes, "modes")
    off_positions = largest(found.off_positions, "eigenvalues of the sum")
    off_convention = largest(found.off_convention, "slopes by autograd")
    edge_holds = found.decays < 1e-10 and abs(found.stays - 1) < 1e-6 and found.grows > 1e10
    below, above = found.slowest_below, found.slowest_above
    return [
        judge(
            "C-Stab",
            identity(edge_holds),
            statistic=found.stays,
            data=found.title,
            measured=f"top mode after {found.edge_steps} steps at 1.99, 2.00, 2.01: {found.decays:.0e}, "
            f"{found.stays:.3f}, {found.grows:.0e}; other losses shift the bound to $1/\\lambda_{{\\max}}$ and "
            f"$2/(M\\lambda_{{\\max}})$, to {off_convention:.0e}",
        ),
        judge(
            "C-Tau",
            correction(found.tau_undefined == 0 and off_tau < 1e-6, off_tau < 1e-6),
            statistic=off_tau,
            measured=f"with the modulus: slopes to {off_tau:.0e} on both sides of $\\mu\\lambda = 1$; printed: "
            f"undefined at {found.tau_undefined} of the stable rates looked at",
        ),
        judge(
            "C-TauMin",
            correction(below == above == 0, below == 0 and above == 3),
            statistic=found.crossover,
            measured="the slowest mode changes from $\\lambda_{\\min}$ to $\\lambda_{\\max}$ at "
            f"$\\mu\\lambda_{{\\max}} = {found.crossover:.3f}$",
        ),
        judge(
            "C-CEntry",
            correction(entries.max() < 1e-9, modes.max() < 1e-9),
            statistic=float(np.median(entries)),
            data=found.title,
            measured=f"median $1 - R^2$ of one exponential: {np.median(entries):.2g} for entries of $C$; at most "
            f"{modes.max():.0e} for modes",
        ),
        judge(
            "C-Rnorm",
            identity(max(off_positions, off_convention) < 1e-10),
            statistic=off_positions,
            data=found.title,
            measured=f"eigenvalues of the sum are $M$ = {found.positions} times those of the mean, to "
            f"{off_positions:.0e}; gradients too, to {off_convention:.0e}",
        ),
    ]


def _hessian(found: Found) -> Verdict:
    squared, entropy = found.distance_squared < 1e-6, found.distance_entropy < 1e-6
    return judge(
        "C-Hess",
        "not reproduced" if not squared else "reproduced" if entropy else "partly",
        statistic=found.top_hessian / found.top_r,
        data=found.title,
        measured=f"half squared error: {found.distance_squared:.0e} from $R$; cross-entropy: "
        f"{found.distance_entropy:.0%} from it, largest eigenvalue {found.top_hessian:.3g} against {found.top_r:.3g}",
    )


def _layer(tables: Tables, fits: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge a trained layer, quick or recorded; where: scale and data."""
    # A mode that is gone in a step or two leaves no line, and one without power has no slope to compare.
    lines = rows(fits[(fits["points"] >= FEWEST_POINTS) & (fits["eigenvalue"] > 0)], "lines through ln|v_k|")
    off_slope = largest(numbers(lines["slope"], "slopes") / numbers(lines["theory"], "Eq. 6") - 1, "slopes over Eq. 6")
    r_squared = numbers(lines["r_squared"], "R² of the lines").min()
    return [
        judge(
            "C-ConvModes",
            identity(off_slope < 0.01 and r_squared > 0.999),
            statistic=off_slope,
            **where,
            measured=f"{len(lines)} lines (modes and rates): slopes off by at most {off_slope:.1g} of themselves, "
            f"smallest R² one minus {1 - r_squared:.0e}",
        ),
        _stochastic(tables, **where),
        _levers(tables, **where),
    ]


def _stochastic(tables: Tables, **where: str) -> Verdict:
    noisy = tables["lms_modes"]
    share = numbers(noisy["share"], "rates of LMS").min()
    calm = noisy[noisy["share"] == share].assign(off=lambda calm: calm["distance"].abs())
    far = by_run(calm, "LMS", run=["step", "mode", "seed"], arm="order", value="off", arms=ORDERS)
    worst = far.groupby("seed").max()
    bound = numbers(tables["lms_bounds"]["mu"], "bounds of LMS")
    printed, mended = trend(worst["sliding"] < 4), trend(worst["independent"] < 4)
    return judge(
        "C-SGD",
        "corrected" if (printed, mended) == ("not reproduced", "reproduced") else printed,
        statistic=worst["sliding"].median(),
        interval=(worst["sliding"].min(), worst["sliding"].max()),
        seeds=len(worst),
        **where,
        measured=f"with the sliding window up to {worst['sliding'].max():.0f} standard errors from Eq. 6, with "
        f"independent patches at most {worst['independent'].max():.1f}, at {share:.2g} of $2/\\mathrm{{tr}}\\,R$; "
        f"bounds on $\\mu$: mean {bound[0]:.3g}, $2/\\mathrm{{tr}}\\,R$ {bound[1]:.3g}, sharp mean-square "
        f"{bound[2]:.3g}",
    )


def _levers(tables: Tables, **where: str) -> Verdict:
    raised, capped = tables["convergence"], tables["largest_rate"]
    slopes = [
        power_law(raised["smallest_eigenvalue"], raised["steps"], "steps against the smallest eigenvalue").slope,
        power_law(capped["largest_eigenvalue"], capped["largest_rate"], "rates against the largest eigenvalue").slope,
    ]
    return judge(
        "C-FastTrain",
        identity(largest([slope + 1 for slope in slopes], "slopes") < 0.02),
        statistic=slopes[0],
        **where,
        measured=f"log-log slopes {slopes[0]:.3f} (steps against $\\lambda_{{\\min}}$) and {slopes[1]:.3f} (largest "
        "rate against $\\lambda_{\\max}$)",
    )
