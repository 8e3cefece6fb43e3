"""What chapter 10 decides about its claims, from its experiments' tables, by the same criteria quick and full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bnlab.chapters.ch10_gradient_flow import flow_verdicts, network_verdicts
from bnlab.claims.ledger import Verdict

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Found:
    """What the page has found about one BN map; one entry a seed, but for the first."""

    jacobian_off: float  # largest distance of its singular values from {0, 0, gamma / sigma}, of gamma / sigma
    corrected_off: list[float]  # relative error of (gamma / sigma) P dL/dy
    scaled_off: list[float]  # of (gamma / sigma) dL/dy
    printed_off: list[float]  # of the true derivative divided by sigma once more, as printed


def quick(found: Found, tables: Tables, title: str) -> list[Verdict]:
    """Judge the quick run.

    Args:
        found: on the page.
        tables: the parts of `gradient_flow`.
        title: of the data set.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    return [flow_verdicts.double_counted(found), *_from_tables(tables, found.jacobian_off, title, scale="quick")]


def full(found: Found, tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables; of ``found`` one BN map's spectrum, which has no other scale; raises as `quick`."""
    return _from_tables(tables, found.jacobian_off, title, scale="full")


def _from_tables(tables: Tables, jacobian_off: float, title: str, scale: str) -> list[Verdict]:
    images = {"scale": scale, "data": title}
    random = {"scale": scale}
    return [
        flow_verdicts.vanishing(tables["rectifiers"], **images),
        flow_verdicts.exploding(tables["rectifiers"], **images),
        network_verdicts.clustered(tables["spectra"], jacobian_off, **random),
        flow_verdicts.ninety(tables["images"], **images),
        flow_verdicts.stable(tables["residual"], **random),
        network_verdicts.remedied(tables["streams"], **images),
        flow_verdicts.orthogonal(tables["profiles"], tables["images"], **random),
        network_verdicts.shattered(tables["shattering"], **random),
        network_verdicts.shares(tables["streams"], **images),
    ]
