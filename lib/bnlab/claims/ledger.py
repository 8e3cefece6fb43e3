"""Verdicts: what a run decided about a claim of ``book/claims.yml``, in the vocabulary and under the rules of the book.

A chapter's ``verdicts.py`` calls `judge` once a claim and scale.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bnlab.claims.claim_file import KINDS, Claim, LedgerError, claims

__all__ = [
    "KINDS",
    "SCALES",
    "VERDICTS",
    "Claim",
    "LedgerError",
    "Verdict",
    "claims",
    "correction",
    "identity",
    "judge",
    "machine_independent",
    "refutation",
    "trend",
]

VERDICTS = (
    "reproduced",
    "partly",
    "not reproduced",
    "refuted",
    "corrected",
    "reported",
    "not run at full scale",
)
SCALES = ("quick", "full")


@dataclass(frozen=True)
class Verdict:
    """What one run decided about one claim.

    ``measured`` is the sentence for people; ``statistic`` and ``interval`` (low, high) the number behind it; ``seeds``
    how many independent draws stand behind it (None: nothing random); ``data`` names the data set, if any.
    """

    id: str
    verdict: str
    measured: str
    statistic: float | None = None
    interval: tuple[float, float] | None = None
    seeds: int | None = None
    scale: str = "quick"
    data: str = ""


def judge(
    claim_id: str,
    verdict: str,
    *,
    measured: str,
    statistic: float | None = None,
    interval: Sequence[float] | None = None,
    seeds: int | None = None,
    scale: str = "quick",
    data: str = "",
) -> Verdict:
    """Pronounce a verdict on a claim, in the ledger's vocabulary.

    Args:
        claim_id: the claim, as in ``claims.yml``.
        verdict: one of `VERDICTS`, computed by `identity`, `correction`, `trend`, or the chapter's own criterion.
        measured: one sentence with the measured numbers.
        statistic: the number that the criterion looks at.
        interval: its (low, high).
        seeds: how many independent draws.
        scale: "quick" or "full".
        data: the data set's title.

    Raises:
        LedgerError: an unknown claim or verdict, an interval that is none, or a headline claim (kind H) decided by a
            quick run: a miniature never passes a full-scale claim.
    """
    known = claims()
    if claim_id not in known:
        raise LedgerError(f"claim {claim_id!r} is not in book/claims.yml: add its row there first.")
    if verdict not in VERDICTS:
        raise LedgerError(f"claim {claim_id}: verdict {verdict!r} is not one of {', '.join(VERDICTS)}.")
    if scale not in SCALES:
        raise LedgerError(f"claim {claim_id}: scale {scale!r} is not one of {', '.join(SCALES)}.")
    if known[claim_id].kind == "H" and scale == "quick" and verdict not in ("not run at full scale", "reported"):
        raise LedgerError(f"claim {claim_id}: a quick run cannot find a full-scale claim {verdict!r}.")
    if interval is not None:
        interval = tuple(float(end) for end in interval)
        if len(interval) != 2 or not interval[0] <= interval[1]:
            raise LedgerError(f"claim {claim_id}: interval {interval} must be two numbers, from low to high.")
    statistic = None if statistic is None else float(statistic)
    if statistic is not None and math.isnan(statistic):
        raise LedgerError(f"claim {claim_id}: statistic is not a number; say None if there is none.")
    seeds = None if seeds is None else int(seeds)  # numpy's integers are no JSON
    return Verdict(claim_id, verdict, str(measured), statistic, interval, seeds, scale, str(data))


def identity(holds: bool) -> str:
    """Say the verdict on an identity or theorem: reproduced if it holds within the tolerance, else not reproduced.

    >>> identity(True)
    'reproduced'
    """
    return "reproduced" if holds else "not reproduced"


def correction(printed_holds: bool, corrected_holds: bool) -> str:
    """Say the verdict where an erratum is known: corrected if only the corrected form holds.

    >>> correction(printed_holds=False, corrected_holds=True)
    'corrected'
    """
    if printed_holds:
        return "reproduced"
    return "corrected" if corrected_holds else "not reproduced"


def refutation(counterexample: bool) -> str:
    """Say the verdict on a general statement for which a counterexample was looked for.

    >>> refutation(True)
    'refuted'
    """
    return "refuted" if counterexample else "reproduced"


def trend(agree: Iterable[bool]) -> str:
    """Say the verdict on a trend over paired seeds: all of at least five agree: reproduced; all but one: partly.

    >>> trend([True, True, True, True, False])
    'partly'
    """
    signs = list(agree)
    if len(signs) < 5:
        raise LedgerError(f"a trend needs at least five paired seeds, not {len(signs)}.")
    misses = len(signs) - sum(bool(sign) for sign in signs)
    return "reproduced" if misses == 0 else "partly" if misses == 1 else "not reproduced"


def machine_independent(verdicts: Iterable[Verdict]) -> list[str]:
    """List ``id verdict`` for the claims whose verdict holds on any machine (kinds I and T), for nbval to compare."""
    known = claims()
    return [f"{v.id:<12} {v.verdict}" for v in verdicts if known[v.id].kind in "IT"]
