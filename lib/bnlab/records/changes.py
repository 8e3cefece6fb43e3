"""Changes of the library since a result was recorded that cannot have moved its numbers, each with its reason.

``data/recorded/changes.yml`` lists them in the order in which they happened, each by the chapter whose sources it
changed: ``module hash [+ module hash ...] -> module hash [+ module hash ...]``, hashes cut to twelve digits, what was
there and what took its place. A recorded map of sources is explained if these changes lead from it to today's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnlab.literals import plain_yaml
from bnlab.records import experiments, keys
from bnlab.records.packing import RecordedError

FILE = "changes.yml"
DIGITS = 12

Module = tuple[str, str]  # its name, and the beginning of its hash


@dataclass(frozen=True)
class Change:
    """Modules that took the place of others; why no number moved, and how that was checked."""

    was: frozenset[Module]
    now: frozenset[Module]
    why: str
    checked: str


def read_changes(folder: Path, chapter: str) -> list[Change]:
    """Read what the list in ``data/recorded`` says of a chapter; nothing where there is no list.

    Raises:
        RecordedError: the list cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        rows = plain_yaml(path.read_text(encoding="utf-8")) or []
        every = [
            (number, _change(text, row["why"], row["checked"]))
            for row in rows
            for number, text in row["changes"].items()
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordedError(f"{path} cannot be used ({error}): restore it from version control.") from None
    return [change for number, change in every if number == chapter]


def explained(recorded: Mapping[str, str], today: Mapping[str, str], changes: Sequence[Change]) -> list[Change] | None:
    """Give the changes that lead from a recorded map of sources to today's; None if they do not lead there."""
    found, used = short(recorded), []
    for change in changes:
        if change.was <= found:
            found = (found - change.was) | change.now
            used.append(change)
    return used if found == short(today) else None


def since(chapter: str, recorded: Mapping[str, str], folder: Path) -> list[Change] | None:
    """Give the changes of the library that explain a recorded map of sources: [] if none was made, None if they do not.

    Args:
        chapter: a number in `records.experiments`.
        recorded: the ``sources`` of its provenance.
        folder: ``data/recorded``.

    Raises:
        RecordedError: the list cannot be read.
    """
    return explained(recorded, keys.sources(experiments.module_name(chapter)), read_changes(folder, chapter))


def short(hashes: Mapping[str, str]) -> set[Module]:
    """A map of sources as pairs of module and cut hash."""
    return {(name, value[:DIGITS]) for name, value in hashes.items()}


def _change(text: str, why: str, checked: str) -> Change:
    was, arrow, now = text.partition("->")
    if not arrow or not was.strip():
        raise ValueError(f"{text!r} is no change: module hash -> module hash")
    return Change(_modules(was), _modules(now), why, checked)


def _modules(text: str) -> frozenset[Module]:
    pairs = [tuple(part.split()) for part in text.split("+") if part.strip()]
    if not all(len(pair) == 2 and len(pair[1]) == DIGITS for pair in pairs):
        raise ValueError(f"{text.strip()!r} must name modules, each with {DIGITS} digits of its hash")
    return frozenset(pairs)
