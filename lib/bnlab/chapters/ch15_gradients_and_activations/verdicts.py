"""What chapter 15 decides about its claims, from its experiments' tables, by the same criteria quick and full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bnlab.chapters.ch15_gradients_and_activations import gradient_verdicts, last_verdicts, moment_verdicts
from bnlab.chapters.ch15_gradients_and_activations.printed_table import consistency
from bnlab.claims.criteria import checked, rows
from bnlab.claims.ledger import Verdict, identity, judge

Tables = Mapping[str, pd.DataFrame]
EXACT, DIFFERENCES = 1e-12, 1e-6


@dataclass(frozen=True)
class Found:
    """What the page has found about formulas, relative in float64."""

    convolution_off: float  # Eq. 3 from a convolution
    kernel_off: float  # Eq. 4 from automatic differentiation
    kernel_differences_off: float  # and from central differences
    outputs_off: float  # softmax minus one-hot from automatic differentiation


def quick(found: Found, tables: Tables, title: str) -> list[Verdict]:
    """Judge the quick run.

    Args:
        found: on the page.
        tables: the parts of `at_initialisation`.
        title: of the data set.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    return [*_formulas(checked(found)), printed(consistency()), *_from_tables(found, tables, title, "quick")]


def full(found: Found, tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables; raises as `quick`."""
    return _from_tables(checked(found), tables, title, "full")


def _from_tables(found: Found, tables: Tables, title: str, scale: str) -> list[Verdict]:
    where = {"scale": scale, "data": title}
    outputs, gradients = tables["outputs"], tables["gradients"]
    return [
        moment_verdicts.constant(tables["moments"], **where),
        moment_verdicts.one_negative(outputs, found.outputs_off, **where),
        moment_verdicts.one_class(outputs, **where),
        gradient_verdicts.cancels(gradients, **where),
        gradient_verdicts.dominated(gradients, **where),
        gradient_verdicts.aligned(gradients, **where),
        last_verdicts.last_alone(tables["rates"], **where),
        last_verdicts.sharpness(tables["spectra"], tables["rates"], **where),
        last_verdicts.conditioned(tables["conditions"], **where),
    ]


def _formulas(found: Found) -> list[Verdict]:
    return [
        judge(
            "B-Eq3",
            identity(found.convolution_off <= EXACT),
            statistic=found.convolution_off,
            measured=f"Eq. 3 and a convolution of padding 1 differ by {found.convolution_off:.0e}.",
        ),
        judge(
            "B-Eq4",
            identity(found.kernel_off <= EXACT and found.kernel_differences_off <= DIFFERENCES),
            statistic=found.kernel_off,
            measured=f"The sum of the summands differs from automatic differentiation by {found.kernel_off:.0e}, from "
            f"central differences by {found.kernel_differences_off:.0e}.",
        ),
    ]


def printed(table: pd.DataFrame) -> Verdict:
    """Judge B-Tab1r by `printed_table.consistency`."""
    fits = rows(table, "printed table")["consistent"]
    return judge(
        "B-Tab1r",
        identity(bool(fits.all())),
        statistic=float(fits.sum()),
        measured=f"{int(fits.sum())} of {len(fits)} printed ratios are what the printed digits allow.",
    )
