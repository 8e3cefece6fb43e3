"""In how many settings that the document leaves open does a verdict of chapter 06 come out again, and which flip it?

Every setting of `unknowns` is judged by the very functions and criteria that judge the book's own; none is tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import eigenvalue_verdicts as eigenvalues
from bnlab.chapters.ch06_speed_and_stability import training_verdicts as trainings
from bnlab.chapters.ch06_speed_and_stability.unknowns import FIFTH, FIRST_ONLY, UNKNOWNS
from bnlab.claims import coverage
from bnlab.claims.ledger import LedgerError, Verdict
from bnlab.tables import table

CLAIMS = ("C-Fig5", "C-Fig6", "C-Fig8b", "C-Fig7", "C-Fig8a", "C-Def")  # those that three hundred steps can judge
UNJUDGED = "not judged"


def by_setting(runs: pd.DataFrame) -> pd.DataFrame:
    """The verdict on each of `CLAIMS` under each setting of a table of `unknowns.unknowns`.

    One row a setting and claim: the setting's values, ``changed`` (what differs from the book's choice, "nothing", or
    "many"), ``claim`` and ``verdict``; where a setting cannot decide (a run without numbers, a rate that loses nobody)
    "not judged".

    Raises:
        LedgerError: the table lacks the book's own setting.
    """
    names = list(UNKNOWNS)
    rows = []
    for values, own in runs.groupby(names, sort=False):
        setting = dict(zip(names, values, strict=True))
        found = _judged(own)
        rows += [(*values, changed(setting), claim, found.get(claim, UNJUDGED)) for claim in CLAIMS]
    made = table(rows, {**dict.fromkeys(names, "name or count"), "changed": "name", "claim": "name", "verdict": "name"})
    if "nothing" not in set(made["changed"]):
        raise LedgerError("settings left open: the book's own is not among them.")
    return made


def changed(setting: dict[str, object]) -> str:
    """Name what differs from the book's choice: "nothing", one thing with its value, or "many".

    >>> changed({name: values[0] for name, values in UNKNOWNS.items()} | {"gain": 3.0})
    'gain 3.0'
    """
    others = [name for name, values in UNKNOWNS.items() if setting[name] != values[0]]
    if len(others) > 1:
        return "many"
    return f"{others[0].replace('_', ' ')} {setting[others[0]]}".replace("_", " ") if others else "nothing"


def _judged(runs: pd.DataFrame) -> dict[str, str]:
    first = runs[runs["step"] <= FIFTH]
    long = runs[runs["learning_rate"] != FIRST_ONLY]
    where = {"scale": "full", "data": ""}
    questions = (
        lambda: eigenvalues.powers(first, **where),
        lambda: eigenvalues.smallest_eigenvalues(first, **where),
        lambda: eigenvalues.largest_eigenvalues(first, long, None, **where),
        lambda: trainings.speed(long, **where),
        lambda: trainings.stability(long, **where),
    )
    found: list[Verdict] = []
    for question in questions:
        try:
            found += question()
        except (coverage.NotRunError, LedgerError):  # under this setting nothing decides
            continue
    return {verdict.id: verdict.verdict for verdict in found}


def counts(reach: pd.DataFrame) -> pd.DataFrame:
    """In how many settings each claim has the verdict of the book's own: claim, verdict, agree, settings.

    Args:
        reach: what `by_setting` gives. The book's own setting is not counted; settings that cannot decide are.
    """
    rows = []
    for claim, own in reach.groupby("claim", sort=False):
        verdict = own.loc[own["changed"] == "nothing", "verdict"].iloc[0]
        others = own[own["changed"] != "nothing"]
        rows.append((claim, verdict, int((others["verdict"] == verdict).sum()), len(others)))
    return table(rows, {"claim": "name", "verdict": "name", "agree": "settings", "settings": "settings"})


def with_reach(verdicts: Sequence[Verdict], reach: pd.DataFrame | None) -> list[Verdict]:
    """Add to each verdict in how many other settings it comes out again after 300 steps; None adds nothing."""
    if reach is None:
        return list(verdicts)
    of = counts(reach).set_index("claim")
    return [_told(verdict, of.loc[verdict.id]) if verdict.id in of.index else verdict for verdict in verdicts]


def _told(verdict: Verdict, row: pd.Series) -> Verdict:
    again = f"After 300 steps, in settings that the document leaves open: {row['verdict']} in the book's own"
    words = f"{verdict.measured}. {again}, and in {row['agree']} of {row['settings']} others"
    settings = verdict.settings or (int(row["agree"]), int(row["settings"]))
    return replace(verdict, measured=words, settings=settings)
