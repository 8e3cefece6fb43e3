"""What chapter 12 decides about its claims, from its experiments' tables: quick, and at full scale the networks."""

from __future__ import annotations

from bnlab.chapters.ch12_convergence_guarantees import (
    halfspace_verdicts,
    least_squares_verdicts,
    network_verdicts,
    separable_verdicts,
)
from bnlab.chapters.ch12_convergence_guarantees.least_squares_verdicts import Tables
from bnlab.claims.ledger import Verdict, judge


def quick(tables: Tables, separable_refused: bool, title: str) -> list[Verdict]:
    """Judge the quick run.

    Args:
        tables: by the name of the function that makes each: ``contraction``, ``feature_scaling``,
            ``effective_conditioning``, ``last_phase``, ``rate_sweep``, ``rayleigh_runs``, ``rayleigh_curves``;
            ``separable_descent``, ``directions``, ``gdnp_runs``, ``stochastic_gdnp``, ``curvatures``,
            ``margin_growth``; and the parts of `tangent_kernels`, ``widths`` and ``spectra``.
        separable_refused: whether separable data have no stationary length.
        title: of the data of the networks.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    return [
        least_squares_verdicts.contraction(tables["contraction"]),
        least_squares_verdicts.epochs(tables["feature_scaling"]),
        least_squares_verdicts.effective(tables["effective_conditioning"]),
        least_squares_verdicts.place(tables["last_phase"], tables["rate_sweep"]),
        least_squares_verdicts.rayleigh(tables["rayleigh_runs"], tables["rayleigh_curves"]),
        least_squares_verdicts.robust(tables["rate_sweep"]),
        separable_verdicts.slow(tables["separable_descent"]),
        halfspace_verdicts.direction(tables["directions"]),
        halfspace_verdicts.bound(tables["gdnp_runs"], separable_refused),
        halfspace_verdicts.convex(tables["curvatures"]),
        halfspace_verdicts.complexity(tables["gdnp_runs"], tables["stochastic_gdnp"]),
        separable_verdicts.margins(tables["margin_growth"]),
        *_networks(tables, scale="quick", data=title),
        judge("E-90acc", "not run at full scale", measured="No such run is recorded."),
    ]


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables, which hold networks alone; raises as `quick`."""
    return _networks(tables, scale="full", data=title)


def _networks(tables: Tables, **where: str) -> list[Verdict]:
    return [network_verdicts.lazy(tables["widths"], **where), network_verdicts.chaos(tables["spectra"], **where)]
