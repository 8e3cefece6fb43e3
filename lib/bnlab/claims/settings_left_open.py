"""In how many settings that a document leaves open does a verdict come out again, and which flip it?

Every setting is judged by the very functions and criteria that judge the book's own; none is tuned. (How a verdict
fares under other draws of the seeds is another question: `reach`.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bnlab.claims.coverage import NotRunError
from bnlab.claims.ledger import LedgerError, Verdict
from bnlab.claims.markup import listed
from bnlab.tables import table

UNJUDGED = "not judged"
HOLDS = ("reproduced", "corrected")
UNDECIDED = (UNJUDGED, "reported")
BOOK, MANY = "nothing", "many"  # what is changed in the book's own setting, and where it is more than one thing

Question = Callable[[pd.DataFrame], Sequence[Verdict]]


def by_setting(
    runs: pd.DataFrame, choices: Mapping[str, tuple], claims: Sequence[str], questions: Sequence[Question]
) -> pd.DataFrame:
    """The verdict on each claim under each setting.

    One row a setting and claim: the setting's values, ``changed`` (what differs from the book's choice, "nothing", or
    "many"), ``claim`` and ``verdict``; where a setting cannot decide (a run without numbers, a rate that loses nobody,
    a margin taken from a network that only guesses) "not judged".

    Args:
        runs: a table with a column each name of ``choices``.
        choices: what is left open, by name; the first of each is the book's choice.
        claims: their ids.
        questions: each takes the runs of one setting and gives verdicts.

    Raises:
        LedgerError: the table lacks the book's own setting.
    """
    names = list(choices)
    rows = []
    for values, own in runs.groupby(names, sort=False):
        setting = dict(zip(names, values, strict=True))
        found = _judged(own, questions)
        rows += [(*values, changed(setting, choices), claim, found.get(claim, UNJUDGED)) for claim in claims]
    made = table(rows, {**dict.fromkeys(names, "name or count"), "changed": "name", "claim": "name", "verdict": "name"})
    if BOOK not in set(made["changed"]):
        raise LedgerError("settings left open: the book's own is not among them.")
    return made


def changed(setting: Mapping[str, object], choices: Mapping[str, tuple]) -> str:
    """Name what differs from the book's choice: "nothing", one thing with its value, or "many".

    >>> changed({"gain": 3.0, "other_rate": 0.1}, {"gain": (1.0, 3.0), "other_rate": (0.1, 0.01)})
    'gain 3.0'
    """
    others = [name for name, values in choices.items() if setting[name] != values[0]]
    if len(others) > 1:
        return MANY
    return f"{others[0]} {setting[others[0]]}".replace("_", " ") if others else BOOK


def _judged(runs: pd.DataFrame, questions: Sequence[Question]) -> dict[str, str]:
    found: list[Verdict] = []
    for question in questions:
        try:
            found += question(runs)
        except (NotRunError, LedgerError):  # under this setting nothing decides
            continue
    return {verdict.id: verdict.verdict for verdict in found}


def counts(reach: pd.DataFrame) -> pd.DataFrame:
    """In how many settings each claim has the verdict of the book's own: claim, verdict, agree, settings.

    Args:
        reach: what `by_setting` gives. The book's own setting is not counted; settings that cannot decide are.
    """
    rows = []
    for claim, own in reach.groupby("claim", sort=False):
        verdict = own.loc[own["changed"] == BOOK, "verdict"].iloc[0]
        others = own[own["changed"] != BOOK]
        rows.append((claim, verdict, int((others["verdict"] == verdict).sum()), len(others)))
    return table(rows, {"claim": "name", "verdict": "name", "agree": "settings", "settings": "settings"})


def sentence(reach: pd.DataFrame | None) -> str:
    """Say in how many settings each verdict comes out again or is open, and which single change does that to it.

    Args:
        reach: what `by_setting` gives; None is not recorded.
    """
    if reach is None:
        return "Settings that the document leaves open are not recorded yet."
    words = []
    for row in counts(reach).itertuples():
        others = reach[(reach["claim"] == row.claim) & (reach["changed"] != BOOK) & (reach["verdict"] != row.verdict)]
        undecided = others["verdict"].isin(UNDECIDED)
        alone = others["changed"] != MANY
        kinds = (("turned by", others[alone & ~undecided]), ("left open by", others[alone & undecided]))
        told = "; ".join(f"{how} {listed(own['changed'].tolist())}" for how, own in kinds if len(own))
        told = f" ({told}, changed alone)" if told else ""
        count = f", undecided in {undecided.sum()}" if undecided.any() else ""
        words.append(f"{row.claim} ({row.verdict}) in {row.agree} of {row.settings}{count}{told}")
    return (
        "In settings that the document leaves open, the verdict of the same runs in the book's own setting comes out "
        f"again for {'; '.join(words)}."
    )


def shares(reach: pd.DataFrame, choices: Mapping[str, tuple]) -> pd.DataFrame:
    """How often a verdict is the book's own among the settings in which many things differ, by what one of them is.

    One row a choice and claim: ``choice`` (name and value), ``claim``, ``agree``, ``settings``.

    Args:
        reach: what `by_setting` gives.
        choices: what is left open, by name.
    """
    many, rows = reach[reach["changed"] == MANY], []
    own = reach[reach["changed"] == BOOK].set_index("claim")["verdict"]
    for name, values in choices.items():
        for value in values:
            for claim, chosen in many[many[name] == value].groupby("claim", sort=False):
                agree = int((chosen["verdict"] == own[claim]).sum())
                rows.append((f"{name} {value}".replace("_", " "), claim, agree, len(chosen)))
    return table(rows, {"choice": "name", "claim": "name", "agree": "settings", "settings": "settings"})


def with_reach(
    verdicts: Sequence[Verdict], reach: pd.DataFrame | None, judged: Mapping[str, Sequence[str]]
) -> list[Verdict]:
    """Add to each verdict in how many other settings the claim holds; None adds nothing.

    Args:
        verdicts: those of a recording.
        reach: what `by_setting` gives.
        judged: claims, by when their settings' runs are judged: "After 300 steps".
    """
    if reach is None:
        return list(verdicts)
    when = {claim: after for after, claims in judged.items() for claim in claims}
    return [_told(verdict, reach[reach["claim"] == verdict.id], when.get(verdict.id, "")) for verdict in verdicts]


def _told(verdict: Verdict, own: pd.DataFrame, after: str) -> Verdict:
    if own.empty:
        return verdict
    others = Counter(own.loc[own["changed"] != BOOK, "verdict"])
    holds = sum(others.pop(word, 0) for word in HOLDS)
    rest = "".join(f", {word} in {count}" for word, count in others.most_common())
    here = own.loc[own["changed"] == BOOK, "verdict"].iloc[0]
    told = f"holds in {holds} of {holds + others.total()} settings that the document leaves open{rest}"
    return replace(verdict, measured=f"{verdict.measured}. {after} it {told}; in the book's own it is {here}")
