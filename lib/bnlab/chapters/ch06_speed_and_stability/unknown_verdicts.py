"""Verdicts of chapter 06 that runs of moderate length judge, in every setting that the document leaves open."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import cause_verdicts as causes
from bnlab.chapters.ch06_speed_and_stability import comparisons
from bnlab.chapters.ch06_speed_and_stability import eigenvalue_verdicts as eigenvalues
from bnlab.chapters.ch06_speed_and_stability import survival_verdicts as survivals
from bnlab.chapters.ch06_speed_and_stability import training_verdicts as trainings
from bnlab.chapters.ch06_speed_and_stability.unknown_order import EPOCHS, RATE
from bnlab.chapters.ch06_speed_and_stability.unknowns import FIFTH, FIRST_ONLY, STEPS, UNKNOWNS
from bnlab.claims import settings_left_open
from bnlab.claims.coverage import NotRunError
from bnlab.claims.ledger import Verdict
from bnlab.sweeps.points import DEFAULTS
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS

EARLY, LATE = ("C-Fig5", "C-Fig6", "C-Fig8b"), ("C-Fig7", "C-Fig8a", "C-Def")
OF_RATES, OF_ARMS, OF_CAPS, OF_ORDER, OF_WARM_UPS = ("C-BN-LR",), ("C-Sep",), ("C-Sup",), ("C-Order",), ("L-Warm6",)
JUDGED = {
    f"After {FIFTH} steps": EARLY,
    f"After {STEPS} steps": LATE + OF_RATES + OF_ARMS + OF_CAPS,
    f"After {' and '.join(map(str, EPOCHS))} epochs": OF_ORDER,
    f"After {STEPS} steps at the full rate": OF_WARM_UPS,
}
WHERE = {"scale": "full", "data": ""}
QUESTIONS = (
    lambda runs: eigenvalues.powers(_first(runs), **WHERE),
    lambda runs: eigenvalues.smallest_eigenvalues(_first(runs), **WHERE),
    lambda runs: eigenvalues.largest_eigenvalues(_first(runs), _long(runs), None, **WHERE),
    lambda runs: trainings.speed(_long(runs), **WHERE),
    lambda runs: trainings.stability(_long(runs), **WHERE),
)


def by_setting(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The verdicts under each setting of the tables named ``unknown...``, as `settings_left_open`; or None."""
    asked = (
        ("unknowns", UNKNOWNS, EARLY + LATE, QUESTIONS),
        ("unknown_order", UNKNOWNS, OF_ORDER, (_late,)),
        ("unknown_rates", WITHOUT_THRESHOLDS, OF_RATES, (lambda runs: causes.higher_rates(runs, **WHERE),)),
        ("unknown_arms", WITHOUT_THRESHOLDS, OF_ARMS, (lambda runs: causes.shares_of_the_gap(runs, **WHERE),)),
        ("unknown_caps", WITHOUT_THRESHOLDS, OF_CAPS, (lambda runs: causes.capped(runs, **WHERE),)),
        ("unknown_warm_up", WITHOUT_THRESHOLDS, OF_WARM_UPS, (_after_warm_ups,)),
    )
    found = [settings_left_open.by_setting(tables[name], *how) for name, *how in asked if name in tables]
    return pd.concat(found, ignore_index=True) if found else None


def _after_warm_ups(runs: pd.DataFrame) -> list[Verdict]:
    return survivals.warmed_up(runs.assign(gain=DEFAULTS["gain"]), **WHERE)  # another gain would mean He's weights


def _late(runs: pd.DataFrame) -> list[Verdict]:
    """C-Order, where BN learns in every seed: half of the error of a network that only guesses is no margin."""
    of_an_epoch = comparisons.last_step(runs) // EPOCHS[-1]
    for epoch in EPOCHS:
        _, lost = comparisons.errors_after(runs, epoch * of_an_epoch, RATE, comparisons.CALM)
        if lost["batch"].any():
            raise NotRunError(f"BN is lost in a seed after {epoch} epochs")
    return trainings.order(runs, EPOCHS[-1], **WHERE)


def _first(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["step"] <= FIFTH]


def _long(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["learning_rate"] != FIRST_ONLY]
