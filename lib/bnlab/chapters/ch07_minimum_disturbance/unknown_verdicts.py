"""The verdicts of chapter 07 that three hundred steps can judge, in every setting of `unknowns`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance import arrangement_verdicts as judging
from bnlab.chapters.ch07_minimum_disturbance import arrangements, noise_verdicts
from bnlab.claims import settings_left_open
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS

AT_START, TRAINED = ("C-Fig9", "C-First", "A-NLMS"), ("C-Drift", "C-Fig10a")
JUDGED = {"Before the first step": AT_START, "After 300 steps": TRAINED}
WHERE = {"scale": "full", "data": ""}
LOOKS = (
    lambda looks: judging.spreads(*_start(looks)[:1], **WHERE),
    lambda looks: judging.first_step(*_start(looks), **WHERE),
    lambda looks: judging.common_placement(*_start(looks), **WHERE),
    lambda looks: judging.drift(*_prior(looks), 1, **WHERE),
)
NOISE = (lambda runs: noise_verdicts.under_noise(runs, **WHERE),)


def by_setting(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The verdicts under each setting of ``unknown_looks`` and ``unknown_noise``, as `settings_left_open`; or None."""
    asked = (("unknown_looks", (*AT_START, "C-Drift"), LOOKS), ("unknown_noise", ("C-Fig10a",), NOISE))
    found = [
        settings_left_open.by_setting(tables[name], WITHOUT_THRESHOLDS, claims, questions)
        for name, claims, questions in asked
        if name in tables
    ]
    return pd.concat(found, ignore_index=True) if found else None


def _start(looks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    first = looks[looks["step"] == 0]
    return arrangements.powers(first), arrangements.directions(first)


def _prior(looks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    own = looks[looks["arrangement"] == judging.PRIOR]
    return arrangements.powers(own), arrangements.directions(own)
