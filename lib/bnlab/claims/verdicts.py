"""Verdicts on their way: from a chapter's displayed output, where they are metadata, to the ledger of the whole book.

They travel as metadata of a displayed output because side-effect files vanish on a cache hit and a MIME type of our
own is a fatal warning to Sphinx.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from bnlab.claims import book, reach
from bnlab.claims.ledger import SCALES, VERDICTS, Claim, LedgerError, Verdict, claims


def as_metadata(verdicts: Iterable[Verdict]) -> dict:
    """Pack verdicts as the metadata of a displayed output (JSON types only, which know no infinity)."""
    rows = [asdict(verdict) for verdict in verdicts]
    for row in rows:
        for name in ("statistic", "interval"):
            if row[name] is not None and not all(math.isfinite(x) for x in _listed(row[name])):
                row[name] = None
    return {"bnlab": {"verdicts": rows}}


def verdicts_in(notebook: dict) -> list[Verdict]:
    """Unpack the verdicts of an executed notebook.

    Raises:
        LedgerError: what is there is not a verdict of this ledger.
    """
    found = []
    for entry in book.outputs_metadata(notebook):
        rows = entry.get("verdicts", [])
        for row in rows if isinstance(rows, list) else [rows]:
            try:
                pairs = {name: tuple(row[name]) if row.get(name) else None for name in ("interval", "settings")}
                verdict = Verdict(**{**row, **pairs})
                _refuse_malformed(verdict)
            except (TypeError, ValueError, AttributeError) as error:
                raise LedgerError(f"{str(row)[:80]!r} is not a verdict ({error}).") from None
            found.append(verdict)
    return found


def _refuse_malformed(verdict: Verdict) -> None:
    if not all(isinstance(text, str) for text in (verdict.id, verdict.measured, verdict.data)):
        raise ValueError("id, measured and data must be texts")
    if verdict.verdict not in VERDICTS or verdict.scale not in SCALES:
        raise ValueError(f"{verdict.verdict!r} at scale {verdict.scale!r} is none")
    pairs = [pair for pair in (verdict.interval, verdict.settings) if pair is not None]
    numbers = [x for x in (verdict.statistic, verdict.seeds, *sum(pairs, ())) if x is not None]
    if not all(_is_number(x) for x in numbers) or not all(len(pair) == 2 for pair in pairs):
        raise ValueError("statistic and seeds must be numbers, interval and settings two of them")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _listed(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def deciding(claim: Claim, quick: Verdict | None, full: Verdict | None) -> Verdict | None:
    """Choose the verdict that counts: of kinds I and T the quick run's, else full scale's; never one of scale "own"."""
    full = full if full and full.scale == "full" else None
    if claim.kind in "IT":
        return quick or full
    return full if claim.kind == "H" else full or quick


def undecided(claim: Claim, quick: Verdict | None) -> str:
    """Say what stands where no verdict counts."""
    return "not run at full scale" if claim.kind == "H" and quick else "not built"


def collect(where: Path | None = None) -> list[dict]:
    """Gather every claim with its verdict out of the notebooks that the last build executed.

    Returns:
        One dict a claim: id, chapter, kind, verdict, scale, quick, full, measured, interval, seeds, data, reach,
        amended, settled_after_a_look. ``quick`` says "not built" before a build. ``full`` says "no full-scale run"
        where none is recorded, and "not needed" of an identity. ``verdict`` is the one that counts (`deciding`),
        ``scale`` whose it is, or None. ``reach`` is the quick verdict's: in how many of the other draws it came out
        again, or None.
    """
    where = where or book.root()
    by_scale: dict[tuple[str, str], Verdict] = {}
    draws = {}
    for path in book.chapter_paths(where):  # by the book's names: a build leaves what earlier names produced
        executed = book.executed_folder(where) / path.name
        for verdict in verdicts_in(book.read_notebook(executed)) if executed.is_file() else ():
            by_scale[verdict.id, verdict.scale] = verdict
        draws[path.stem[:2]] = reach.of_book(path.stem[:2], where)
    return [
        _row(claim, by_scale.get((claim.id, "quick")), by_scale.get((claim.id, "full")), draws.get(claim.chapter))
        for claim in claims(where).values()
    ]


def _row(claim: Claim, quick: Verdict | None, full: Verdict | None, draws: dict | None) -> dict:
    decides = deciding(claim, quick, full)
    again = reach.reach(draws, claim.id, quick.verdict) if quick else None
    return {
        "id": claim.id,
        "chapter": claim.chapter,
        "kind": claim.kind,
        "verdict": decides.verdict if decides else undecided(claim, quick),
        "scale": decides.scale if decides else None,
        "quick": quick.verdict if quick else "not built",
        "full": full.verdict if full else _no_full_scale(claim),
        "measured": decides.measured if decides else "",
        "interval": decides.interval if decides else None,
        "seeds": decides.seeds if decides else None,
        "data": decides.data if decides else "",
        "reach": again.as_dict() if again else None,
        "amended": [asdict(entry) for entry in claim.amended],
        "settled_after_a_look": list(claim.settled_after_a_look),
    }


def _no_full_scale(claim: Claim) -> str:
    """Say why there is no verdict at full scale: an identity is the same at every scale."""
    return "not needed" if claim.kind in "IT" else "no full-scale run"


def missing(where: Path | None = None) -> list[str]:
    """List the claims of existing chapters that no executed notebook pronounces on."""
    where = where or book.root()
    numbers = {path.stem[:2] for path in book.chapter_paths(where)}
    known = claims(where)
    return [
        row["id"]
        for row in collect(where)
        if known[row["id"]].chapter in numbers and row["quick"] == "not built" and row["full"] not in VERDICTS
    ]
