"""What chapter 08 decides about its claims, from its experiments' tables: quick run and full scale alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from bnlab.chapters.ch08_internal_covariate_shift import cause_verdicts as causes
from bnlab.chapters.ch08_internal_covariate_shift import distribution_verdicts as distributions
from bnlab.claims.coverage import judged, need
from bnlab.claims.ledger import Verdict, judge

NOT_RUN = "not run: it takes a VGG network on CIFAR-10, trained to the end with five seeds"


def quick(tables: Mapping[str, pd.DataFrame], cases: pd.DataFrame, *, level: float, data: str) -> list[Verdict]:
    """Judge the quick run.

    Args:
        tables: ``trajectories`` and ``arms`` of `factorial.parts`, and ``vgg`` if it was run.
        cases: of `estimates.kl_cases`.
        level: loss at which the sigmoid networks are compared.
        data: the data set's title.

    Raises:
        LedgerError: a number that decides is none, a run is lost, an arm is missing, or seeds are too few.
    """
    return [distributions.divergence(cases), *_runs(tables, level, "quick", data), _not_run("quick", data)]


def full(
    tables: Mapping[str, pd.DataFrame], *, level: float, data: str, vgg_data: str, scale: str = "full"
) -> list[Verdict]:
    """Judge recorded tables; what they do not hold is not run. Arguments as in `quick`; ``vgg_data``: of ``vgg``."""
    return [*_runs(tables, level, scale, data, vgg_data), _not_run(scale, data)]


def _runs(tables: Mapping[str, pd.DataFrame], level: float, scale: str, data: str, vgg_data: str = "") -> list[Verdict]:
    where = {"scale": scale, "data": data}
    sigmoid, arms, vgg = (tables.get(name) for name in ("trajectories", "arms", "vgg"))

    def told(judge_them):
        return lambda table, **kind: judge_them(need(table, "runs"), **kind)

    return [
        *judged(["E-KLBN"], lambda t, **kind: distributions.calmer(need(t, "runs"), level, **kind), sigmoid, **where),
        *judged(["E-ICS1"], told(distributions.drifting), sigmoid, **where),
        *judged(["E-ICS2"], told(distributions.early), sigmoid, **where),
        *judged(["E-ICS3"], told(causes.noise), arms, **where),
        *judged(["E-ICS4"], told(causes.controls), arms, **where),
        *judged(["E-ICS5"], told(partial(causes.comparable, vgg=vgg)), arms, scale=scale, data=vgg_data or data),
        *judged(["B-Mish"], told(causes.good_start), arms, **where),
        *judged(["L-Awais"], told(causes.needed), arms, **where),
    ]


def _not_run(scale: str, data: str) -> Verdict:
    return judge("E-83-80", "not run at full scale", measured=NOT_RUN, scale=scale, data=data)
