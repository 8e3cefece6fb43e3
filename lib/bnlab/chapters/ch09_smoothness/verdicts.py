"""What chapter 09 decides about its claims, from its experiments' tables: quick, and at full scale the networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
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
        *_networks(tables, title, scale="quick", data=title),
    ]


def full(tables: Tables, title: str, vgg_title: str) -> list[Verdict]:
    """Judge the recorded tables, which hold networks alone; raises as `quick`.

    ``vgg_title``: of the data of the VGG-like network.
    """
    return _networks(tables, vgg_title, scale="full", data=title)


def numbers(tables: Tables) -> dict[str, float]:
    """Give what the page says of the networks by name, from quick or recorded tables; medians over all seeds."""
    curvatures = tables["curvatures"]
    lengths = hessian_verdicts.gradients_at_equal_loss(curvatures)["median"]
    cells = hessian_verdicts.cells(curvatures).median(axis=1)
    betas = landscape_verdicts.largest_betas(tables["probes"])
    trained = cells[np.isfinite(cells.index.get_level_values("level"))]
    by_depth = np.exp(trained.xs("batch", level="statistics").groupby("depth").median())
    found = {
        "lip": (lengths["batch"] / lengths["none"]).median(),
        "cells": len(cells),
        "smaller": (cells < 0).sum(),
        "pairs": len(betas),
        "beta": (betas["batch"] < betas["none"]).sum(),
        "shallow": by_depth.iloc[0],
        "deep": by_depth.iloc[-1],
    }
    for name, rates in (("rate", landscape_verdicts.survived), ("learnt", landscape_verdicts.learnt)):
        found |= {f"{name}_{norm}": value for norm, value in rates(tables["survival"]).median().items()}
    learnt = landscape_verdicts.learnt(tables["survival"])
    found["learnt_more"] = (learnt["batch"] > learnt["none"]).sum()
    counts = ("cells", "smaller", "pairs", "beta", "learnt_more")
    return {name: int(value) if name in counts else float(value) for name, value in found.items()}


def _networks(tables: Tables, vgg_title: str, **where: str) -> list[Verdict]:
    curvatures = tables["curvatures"]
    both = ", ".join(dict.fromkeys((where["data"], vgg_title)))
    return [
        landscape_verdicts.beta(tables["probes"], **where | {"data": both}),
        landscape_verdicts.variation(tables["probes"], **where),
        landscape_verdicts.contours(tables["level_lines"], **where),
        landscape_verdicts.rates(tables["survival"], **where | {"data": vgg_title}),
        hessian_verdicts.conditions(tables["conditions"], **where),
        hessian_verdicts.lipschitz(curvatures, **where),
        hessian_verdicts.depth(curvatures, **where),
        hessian_verdicts.consistency(curvatures, **where),
        hessian_verdicts.concentration(curvatures, **where),
    ]
