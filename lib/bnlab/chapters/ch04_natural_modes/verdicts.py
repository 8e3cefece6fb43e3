"""What chapter 04 decides about its claims: from what its page has computed, and from its experiment's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.chapters.ch04_natural_modes import layer_verdicts
from bnlab.claims.criteria import checked, largest, numbers
from bnlab.claims.ledger import Verdict, correction, identity, judge

Tables = Mapping[str, pd.DataFrame]

_FOUR = (r"\lambda_{\min}", r"\lambda_2", r"\lambda_3", r"\lambda_{\max}")  # the page's four eigenvalues, ascending


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
    tau_rates: int  # stable rates looked at
    tau_alternating: int  # of them those above 1 / lambda, where the sign alternates
    around: Sequence[float]  # rates of the two runs that follow, in 1 / lambda_max
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
    layer = layer_verdicts.of_layer(tables, fits, scale="quick", data=found.title)
    return [*_optimum(found), *_update(found), *_each_mode(found), _hessian(found), *layer]


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables; raises as `quick`."""
    return layer_verdicts.of_layer(tables, tables["fits"], scale="full", data=title)


def _optimum(found: Found) -> list[Verdict]:
    off_wiener = largest([found.wiener_full, found.wiener_singular], "Wiener solutions")
    return [
        judge(
            "C-Orth",
            identity(found.orthogonality < 1e-9),
            statistic=found.orthogonality,
            data=found.title,
            measured=f"$E[XE_o]$ is {found.orthogonality:.0e} of its size at $W = 0$, while the error keeps "
            f"{found.left_over:.0%} of the power of $D$",
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
            measured=f"{found.wiener_full:.0e} from least squares at full rank; {found.wiener_singular:.0e} with "
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
            measured=f"printed: the loss times {found.loss_printed:.3g} in one step, the weight error times "
            f"{found.growth_printed:.1e} in {found.few_steps}; corrected: the loss times {found.loss_corrected:.2g} in "
            f"one step, and the modes are on $(1-\\mu\\lambda)^n$ to {found.off_law:.0e}",
        ),
        judge(
            "C-Eq5",
            identity(off_matrix < 1e-10),
            statistic=off_matrix,
            data=found.title,
            measured=f"from the matrix power: {found.as_row:.0e} read as a row, as printed; {found.as_column:.0e} as a "
            "column, with the matrix on its left. The printed product of a column and the matrix is "
            f"{found.column_times_matrix}",
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
    slowest = "; ".join(
        f"at {rate:.2f} that of ${_FOUR[mode]}$" for rate, mode in zip(found.around, (below, above), strict=True)
    )
    # The printed logarithm has no value above 1 / lambda alone, so equal counts mean the same rates.
    these = ", all those with $\\mu\\lambda > 1$" if 0 < found.tau_undefined == found.tau_alternating else ""
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
            f"undefined at {found.tau_undefined} of {found.tau_rates} stable rates{these}",
        ),
        judge(
            "C-TauMin",
            correction(below == above == 0, below == 0 and above == 3),
            statistic=found.crossover,
            measured=f"slowest mode of a run, by $\\mu\\lambda_{{\\max}}$: {slowest}; the switch by the "
            f"formula: {found.crossover:.3f}",
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
            measured=f"the {len(found.off_positions)} largest eigenvalues of the sum are $M$ = {found.positions} times "
            f"those of the mean, to {off_positions:.0e}; gradients too, to {off_convention:.0e}",
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
