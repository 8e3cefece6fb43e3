"""What chapter 09 decides about its claims, from its experiments' tables: quick, and at full scale the networks."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch09_smoothness import bound_verdicts, hessian_verdicts, landscape_verdicts
from bnlab.claims.ledger import Verdict

Tables = Mapping[str, pd.DataFrame]


def quick(tables: Tables, title: str) -> list[Verdict]:
    """Judge the quick run.

    Args:
        tables: ``bound``, ``gains`` and ``hessians`` of `gradient_bound`, and the parts of `smoothness`.
        title: of the data.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    return [
        bound_verdicts.bound(tables["bound"]),
        bound_verdicts.gains(tables["gains"]),
        bound_verdicts.hessian(tables["hessians"]),
        bound_verdicts.bjorck(tables["conditions"], data=title),
        *_networks(tables, scale="quick", data=title),
    ]


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables, which hold networks alone; raises as `quick`."""
    return _networks(tables, scale="full", data=title)


def _networks(tables: Tables, **where: str) -> list[Verdict]:
    curvatures = tables["curvatures"]
    return [
        landscape_verdicts.beta(tables["probes"], **where),
        landscape_verdicts.variation(tables["probes"], **where),
        landscape_verdicts.contours(tables["level_lines"], **where),
        landscape_verdicts.rates(tables["survival"], **where),
        hessian_verdicts.conditions(tables["conditions"], **where),
        hessian_verdicts.lipschitz(curvatures, **where),
        hessian_verdicts.depth(curvatures, **where),
        hessian_verdicts.consistency(curvatures, **where),
        hessian_verdicts.concentration(curvatures, **where),
    ]
