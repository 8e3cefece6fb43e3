"""Verdicts: what a run decided about a claim of ``book/claims.yml``, in the vocabulary and under the rules of the book.

A chapter's ``verdicts.py`` calls `judge` once a claim and scale. What is not a number decides nothing: every function
here refuses it (`LedgerError`), because a comparison with NaN is False, and False would look like a finding.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

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
UNDECIDED = ("reported", "not run at full scale")  # what may be said where a number is missing
SCALES = ("quick", "full", "own")  # own: recorded with parameters other than the document's; compared, not judged by


@dataclass(frozen=True)
class Verdict:
    """What one run decided about one claim.

    ``measured`` is the sentence for people; ``statistic`` and ``interval`` (low, high) the number behind it; ``seeds``
    how many independent draws stand behind it (None: nothing random); ``data`` names the data set, if any;
    ``settings`` in how many of how many declared settings the statement held (None: there is one setting).
    """

    id: str
    verdict: str
    measured: str
    statistic: float | None = None
    interval: tuple[float, float] | None = None
    seeds: int | None = None
    scale: str = "quick"
    data: str = ""
    settings: tuple[int, int] | None = None


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
    settings: Sequence[int] | None = None,
) -> Verdict:
    """Pronounce a verdict on a claim, in the ledger's vocabulary.

    Args:
        claim_id: the claim, as in ``claims.yml``.
        verdict: one of `VERDICTS`, computed by `identity`, `correction`, `trend`, or the chapter's own criterion.
        measured: one sentence for a reader, with the measured numbers.
        statistic: the number that the criterion looks at; infinite only where the statement failed.
        interval: its (low, high).
        seeds: how many independent draws, at least 1.
        scale: "quick", "full", or "own" (a recording with other parameters than the document's scale needs).
        data: the data set's title.
        settings: (in how many it holds, how many were declared), where the criterion is asked at several settings.

    Raises:
        LedgerError: an unknown claim or verdict; a statistic, an interval or a sentence with what is not a number; no
            seeds; or a headline claim (kind H) decided below full scale: a miniature never passes a full-scale claim.
    """
    known = claims()
    if claim_id not in known:
        raise LedgerError(f"claim {claim_id!r} is not in book/claims.yml: add its row there first.")
    if verdict not in VERDICTS:
        raise LedgerError(f"claim {claim_id}: verdict {verdict!r} is not one of {', '.join(VERDICTS)}.")
    if scale not in SCALES:
        raise LedgerError(f"claim {claim_id}: scale {scale!r} is not one of {', '.join(SCALES)}.")
    if known[claim_id].kind == "H" and scale != "full" and verdict not in UNDECIDED:
        raise LedgerError(f"claim {claim_id}: a {scale} run cannot find a full-scale claim {verdict!r}.")
    if verdict not in UNDECIDED and re.search(r"\bnan\b", str(measured)):
        raise LedgerError(f"claim {claim_id}: {str(measured)!r} holds nan, so it cannot be {verdict!r}.")
    if statistic is not None:
        statistic = _number(claim_id, "statistic", statistic)
        if math.isinf(statistic) and verdict in ("reproduced", "partly"):
            raise LedgerError(f"claim {claim_id}: statistic = {statistic} is infinite, so it cannot be {verdict!r}.")
    if interval is not None:
        interval = tuple(_number(claim_id, "interval", end) for end in _listed(claim_id, "interval", interval))
        if not interval[0] <= interval[1]:
            raise LedgerError(f"claim {claim_id}: interval {interval} must go from low to high.")
    if seeds is not None:
        (seeds,) = _counts(claim_id, "seeds", [seeds], least=1)
    if settings is not None:
        settings = _counts(claim_id, "settings", _listed(claim_id, "settings", settings), least=0)
        if not settings[0] <= settings[1] or settings[1] == 0:
            raise LedgerError(f"claim {claim_id}: settings {settings} must be (in how many it holds, how many).")
    return Verdict(claim_id, verdict, str(measured), statistic, interval, seeds, scale, str(data), settings)


def identity(holds: bool) -> str:
    """Say the verdict on an identity or theorem: reproduced if it holds within the tolerance, else not reproduced.

    >>> identity(True)
    'reproduced'

    Raises:
        LedgerError: not a truth value.
    """
    return "reproduced" if _truth(holds) else "not reproduced"


def correction(printed_holds: bool, corrected_holds: bool) -> str:
    """Say the verdict where an erratum is known: corrected if only the corrected form holds.

    >>> correction(printed_holds=False, corrected_holds=True)
    'corrected'

    Raises:
        LedgerError: one of the two is not a truth value.
    """
    printed_holds, corrected_holds = _truth(printed_holds), _truth(corrected_holds)
    if printed_holds:
        return "reproduced"
    return "corrected" if corrected_holds else "not reproduced"


def refutation(counterexample: bool) -> str:
    """Say the verdict on a general statement for which a counterexample was looked for.

    >>> refutation(True)
    'refuted'

    Raises:
        LedgerError: not a truth value.
    """
    return "refuted" if _truth(counterexample) else "reproduced"


def trend(agree: Iterable[bool]) -> str:
    """Say the verdict on a trend over paired seeds: all of at least five agree: reproduced; all but one: partly.

    >>> trend([True, True, True, True, False])
    'partly'

    Raises:
        LedgerError: fewer than five seeds, or one that is not a truth value. A comparison with NaN is one, and False:
            refuse NaN before comparing.
    """
    signs = [_truth(sign) for sign in agree]
    if len(signs) < 5:
        raise LedgerError(f"a trend needs at least five paired seeds, not {len(signs)}.")
    misses = signs.count(False)
    return "reproduced" if misses == 0 else "partly" if misses == 1 else "not reproduced"


def machine_independent(verdicts: Iterable[Verdict]) -> list[str]:
    """List ``id verdict`` for the claims whose verdict holds on any machine (kinds I and T), for nbval to compare."""
    known = claims()
    return [f"{v.id:<12} {v.verdict}" for v in verdicts if known[v.id].kind in "IT"]


def _plain(value: object) -> object:
    """Take a number or truth value out of NumPy's or torch's scalar."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _truth(value: object) -> bool:
    plain = _plain(value)
    if not isinstance(plain, bool):
        shown = " ".join(repr(value).split())[:60]
        raise LedgerError(f"{shown} is not True or False: what is not a truth value decides nothing.")
    return plain


def _number(whose: str, name: str, value: object) -> float:
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, Real) or math.isnan(plain):
        shown = " ".join(repr(value).split())[:60]
        raise LedgerError(f"{whose}: {name} = {shown} is not a number, so it decides nothing.")
    return float(plain)


def _listed(claim_id: str, name: str, pair: Sequence) -> Sequence:
    if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
        raise LedgerError(f"claim {claim_id}: {name} {pair!r} must be two numbers, from low to high.")
    return pair


def _counts(claim_id: str, name: str, values: Sequence, least: int) -> tuple[int, ...]:
    found = [_number(claim_id, name, value) for value in values]
    if not all(math.isfinite(value) and value == int(value) and value >= least for value in found):
        raise LedgerError(f"claim {claim_id}: {name} = {values} must be whole and at least {least}.")
    return tuple(int(value) for value in found)
