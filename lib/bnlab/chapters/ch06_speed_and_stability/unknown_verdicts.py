"""The verdicts of chapter 06 that three hundred steps can judge, in every setting of `unknowns`."""

from __future__ import annotations

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import eigenvalue_verdicts as eigenvalues
from bnlab.chapters.ch06_speed_and_stability import training_verdicts as trainings
from bnlab.chapters.ch06_speed_and_stability.unknowns import FIFTH, FIRST_ONLY, UNKNOWNS
from bnlab.claims import settings_left_open

CLAIMS = ("C-Fig5", "C-Fig6", "C-Fig8b", "C-Fig7", "C-Fig8a", "C-Def")
WHERE = {"scale": "full", "data": ""}
QUESTIONS = (
    lambda runs: eigenvalues.powers(_first(runs), **WHERE),
    lambda runs: eigenvalues.smallest_eigenvalues(_first(runs), **WHERE),
    lambda runs: eigenvalues.largest_eigenvalues(_first(runs), _long(runs), None, **WHERE),
    lambda runs: trainings.speed(_long(runs), **WHERE),
    lambda runs: trainings.stability(_long(runs), **WHERE),
)


def by_setting(runs: pd.DataFrame) -> pd.DataFrame:
    """The verdict on each of `CLAIMS` under each setting of a table of `unknowns.unknowns`, as `settings_left_open`."""
    return settings_left_open.by_setting(runs, UNKNOWNS, CLAIMS, QUESTIONS)


def _first(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["step"] <= FIFTH]


def _long(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["learning_rate"] != FIRST_ONLY]
