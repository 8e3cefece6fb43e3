"""Sentences that the page says of the document's figures: which come out again, at which rates, in which draws."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import comparisons, effects, eigenvalue_verdicts
from bnlab.claims.coverage import NotRunError
from bnlab.claims.ledger import Verdict
from bnlab.claims.markup import listed
from bnlab.claims.reach import Reach

FIGURES = {"C-Fig5": "5", "C-Fig6": "6", "C-Fig7": "7", "C-Fig8a": "8a", "C-Fig8b": "8b"}


def figures(verdicts: Sequence[Verdict]) -> str:
    """Say which figures come out again, which in part, which do not.

    >>> figures([Verdict("C-Fig6", "reproduced", ""), Verdict("C-Fig5", "partly", "")])
    'Figure 6 comes out again, Figure 5 in part'
    """
    words = {"reproduced": "again", "partly": "in part", "not reproduced": "not", "not run at full scale": "not tested"}
    parts = []
    for verdict, how in words.items():
        names = [FIGURES[found.id] for found in verdicts if found.id in FIGURES and found.verdict == verdict]
        if names:
            come = "" if parts else " come out" if len(names) > 1 else " comes out"
            parts.append(f"Figure{'s' if len(names) > 1 else ''} {listed(sorted(names))}{come} {how}")
    return ", ".join(parts)


def sides(verdicts: Sequence[Verdict]) -> str:
    """Say at how many rates Figure 5's picture is seen; nothing where it was not looked for."""
    found = [verdict.settings for verdict in verdicts if verdict.id == "C-Fig5" and verdict.settings]
    if not found:
        return ""
    at, rates = found[0]
    picture = "Figure 5's picture, powers on both sides of 1 in every seed,"
    return f"{picture} is seen after five steps at {at} of {rates} rates."


def ten_times(first_steps: pd.DataFrame) -> str:
    """Say in how many seeds the largest eigenvalues of those that are lost are ten times the others' after five steps.

    Args:
        first_steps: table of that name.
    """
    try:
        pair = comparisons.largest(first_steps, comparisons.HIGH)
    except NotRunError:
        return "in runs that were not made"
    held = eigenvalue_verdicts.reaches(pair, eigenvalue_verdicts.FACTOR)
    return f"in {held.sum()} of {len(held)} seeds"


def before_it_runs_away(first_steps: pd.DataFrame, data: str) -> str:
    """Say to what the largest eigenvalue has moved before any loss runs away, and whether that tells who survives.

    Args:
        first_steps: the recorded table; nothing is said of one without the rate at which two networks are lost.
        data: its data set's title.
    """
    if comparisons.HIGH not in set(first_steps["learning_rate"]):
        return ""
    last = effects.before_running_away(first_steps, comparisons.HIGH).groupby("norm")["last"].median()
    told = listed([f"{last[norm]:.0f} in {name}" for norm, name in comparisons.NAMES.items()])
    lost, kept = min(last[comparisons.WILD]), max(last[comparisons.CALM])
    tells = "tell survivors from lost" if lost > 2 * kept else "hardly tell survivors from lost"
    return f"On {data} the medians are {told}: there the first four steps {tells}."


def draws(found: Reach | None) -> str:
    """Say how often the quick run's verdict on Figure 7 came out again under other seeds, to be gone on with."""
    if found is None:
        return "The quick run's verdict on Figure 7 was not drawn again"
    return f"The quick run's verdict on Figure 7 came out again in {found.short}"
