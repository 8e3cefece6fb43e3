"""Verdicts of chapter 06 that five or three hundred steps judge, in every setting of `unknowns` and `unknown_rates`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import cause_verdicts as causes
from bnlab.chapters.ch06_speed_and_stability import eigenvalue_verdicts as eigenvalues
from bnlab.chapters.ch06_speed_and_stability import training_verdicts as trainings
from bnlab.chapters.ch06_speed_and_stability.unknown_rates import NAMES
from bnlab.chapters.ch06_speed_and_stability.unknowns import FIFTH, FIRST_ONLY, STEPS, UNKNOWNS
from bnlab.claims import settings_left_open

EARLY, LATE = ("C-Fig5", "C-Fig6", "C-Fig8b"), ("C-Fig7", "C-Fig8a", "C-Def")
OF_RATES = ("C-BN-LR",)
JUDGED = {f"After {FIFTH} steps": EARLY, f"After {STEPS} steps": LATE + OF_RATES}
WHERE = {"scale": "full", "data": ""}
QUESTIONS = (
    lambda runs: eigenvalues.powers(_first(runs), **WHERE),
    lambda runs: eigenvalues.smallest_eigenvalues(_first(runs), **WHERE),
    lambda runs: eigenvalues.largest_eigenvalues(_first(runs), _long(runs), None, **WHERE),
    lambda runs: trainings.speed(_long(runs), **WHERE),
    lambda runs: trainings.stability(_long(runs), **WHERE),
)


def by_setting(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The verdicts under each setting of ``unknowns`` and ``unknown_rates``, as `settings_left_open`; or None."""
    rates = {name: UNKNOWNS[name] for name in NAMES}
    asked = (
        ("unknowns", UNKNOWNS, EARLY + LATE, QUESTIONS),
        ("unknown_rates", rates, OF_RATES, (lambda runs: causes.higher_rates(runs, **WHERE),)),
    )
    found = [settings_left_open.by_setting(tables[name], *how) for name, *how in asked if name in tables]
    return pd.concat(found, ignore_index=True) if found else None


def _first(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["step"] <= FIFTH]


def _long(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["learning_rate"] != FIRST_ONLY]
