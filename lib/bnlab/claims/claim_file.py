"""The claims as ``book/claims.yml`` holds them: what a document says, by which criterion it is judged, and since when.

The fields are described at the top of that file. The criterion is older than the run it judges; where it is not, the
row says so itself (``amended``, ``settled_after_a_look``), and the ledger lists all such rows in one place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from bnlab.claims import book
from bnlab.literals import plain_yaml

KINDS = {
    "I": "identity or closed form",
    "T": "theorem or inequality",
    "X": "experiment with a trend",
    "H": "headline number at the document's own scale",
}
ID = re.compile(r"[A-Za-z][A-Za-z0-9.+'-]*")  # what can be an address on a page
SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")  # what a heading's address on a page is
OPTIONAL_TEXTS = ("would_change_our_mind", "shown_at")
LISTS = {
    "errata": "a list such as [ERR-4]",
    "amended": "a list of entries with date, earlier, why, says",
    "settled_after_a_look": "a list of texts",
}


class LedgerError(ValueError):
    """A claim that is not in the ledger, or a verdict that the rules do not allow. Its text is one clear line."""


@dataclass(frozen=True)
class Amendment:
    """A criterion that was replaced after a result had been seen; the criterion now in force is the claim's."""

    date: str  # "2026-11-28"
    earlier: str  # the criterion that was replaced, word for word
    why: str
    says: str  # what the earlier criterion says of the result


@dataclass(frozen=True)
class Claim:
    """One row of ``claims.yml``."""

    id: str
    document: str
    place: str
    kind: str  # I, T, X or H
    statement: str  # as printed, with $formulas$
    criterion: str  # the one in force
    chapter: str  # "04"
    errata: tuple[str, ...] = ()  # "ERR-4"
    amended: tuple[Amendment, ...] = ()  # oldest first
    settled_after_a_look: tuple[str, ...] = ()  # sizes, seeds, tolerances chosen when a result had been seen
    would_change_our_mind: str = ""
    shown_at: str = ""  # address of the heading on the chapter's page under which it is shown


def claims(where: Path | None = None) -> dict[str, Claim]:
    """Read ``book/claims.yml``: every claim by its id.

    Raises:
        LedgerError: a row lacks a field, has a foreign one, an unknown kind, or an id twice.
    """
    path = (where or book.root()) / "book" / "claims.yml"
    try:
        return dict(_parse(path, path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} cannot be read ({error}).") from None


@lru_cache(maxsize=4)  # every judgement looks here, and YAML is slow
def _parse(path: Path, text: str) -> dict[str, Claim]:
    try:
        rows = plain_yaml(text) or []
    except ValueError as error:
        raise LedgerError(f"{path} cannot be read ({error}).") from None
    if not isinstance(rows, list):
        raise LedgerError(f"{path} must be a list of claims.")
    found: dict[str, Claim] = {}
    for row in rows:
        try:
            claim = _claim(row)
        except (TypeError, ValueError) as error:
            name = row["id"] if isinstance(row, Mapping) and "id" in row else row
            raise LedgerError(f"{path}: {str(name)[:80]!r} is not a claim ({error}).") from None
        if claim.id in found:
            raise LedgerError(f"{path}: claim {claim.id} stands there twice.")
        found[claim.id] = claim
    return found


def _claim(row: Mapping) -> Claim:
    claim = Claim(**row)
    _refuse_malformed(claim)
    return replace(
        claim,
        errata=tuple(claim.errata),
        amended=tuple(_amendment(entry, claim.criterion) for entry in claim.amended),
        settled_after_a_look=tuple(claim.settled_after_a_look),
    )


def _refuse_malformed(claim: Claim) -> None:
    for name in (field.name for field in fields(Claim)):
        value = getattr(claim, name)
        if name in LISTS:
            if not isinstance(value, list | tuple):
                raise ValueError(f"{name} = {value!r} must be {LISTS[name]}")
        elif value != "" or name not in OPTIONAL_TEXTS:
            _refuse_no_text(name, value)
    if not ID.fullmatch(claim.id):
        raise ValueError(f"id {claim.id!r} must be letters, digits, '.', '+', '-'")
    if claim.kind not in KINDS:
        raise ValueError(f"kind {claim.kind!r} is not one of {', '.join(KINDS)}")
    if not re.fullmatch(r"\d\d", claim.chapter):
        raise ValueError(f"chapter {claim.chapter!r} must be two digits")
    if not all(re.fullmatch(r"ERR-\d+", str(n)) for n in claim.errata):
        raise ValueError(f"errata {claim.errata!r} must be {LISTS['errata']}")
    for text in claim.settled_after_a_look:
        _refuse_no_text("settled_after_a_look", text)
    if claim.shown_at and not SLUG.fullmatch(claim.shown_at):
        raise ValueError(f"shown_at {claim.shown_at!r} must be a heading's address such as five-steps")


def _amendment(entry: Mapping, criterion: str) -> Amendment:
    if not isinstance(entry, Mapping) or set(entry) != {field.name for field in fields(Amendment)}:
        raise ValueError(f"amended: {str(entry)[:60]!r} in place of an entry; it must be {LISTS['amended']}")
    for name, value in entry.items():
        _refuse_no_text(f"amended: {name}", value)
    try:
        date.fromisoformat(entry["date"])
    except ValueError:
        raise ValueError(f"amended: date {entry['date']!r} must be such as 2026-11-28") from None
    if entry["earlier"].split() == criterion.split():
        raise ValueError("amended: earlier is the criterion itself; what else was changed is settled_after_a_look")
    return Amendment(**entry)


def _refuse_no_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} = {value!r} must be a text")
