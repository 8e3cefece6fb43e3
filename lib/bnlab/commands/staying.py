"""What of a recording that is there can stay: tables that no change of the library since can have moved."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bnlab.commands.parts import Part
from bnlab.commands.plan import Plan
from bnlab.records import recorded
from bnlab.records.changes import explained, read_changes
from bnlab.records.provenance import PART_COMMITS

MACHINE = ("versions", "device", "cpu")  # of a provenance, which says them of all its tables


@dataclass(frozen=True)
class Staying:
    """Tables that stay, as parts, and from which commit each is."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)


def stands(known: recorded.Recorded, plan: Plan, folder: Path) -> bool:
    """Whether a recording is of the plan's parameters, data and arithmetic, and all changes since are explained.

    Args:
        known: the recording that is there.
        plan: what is asked for now.
        folder: ``data/recorded``, with the list of explained changes.
    """
    facts = known.provenance
    if not facts["sources"] or facts["key"] != plan.key(facts["sources"]):
        return False
    return explained(facts["sources"], plan.sources.hashes, read_changes(folder, plan.number)) is not None


def staying(
    known: recorded.Recorded,
    target: Path,
    facts: Mapping[str, object],
    parts: Collection[str],
    again: Collection[str] | None,
) -> Staying:
    """Tables of a recording that stands and need not be made again; none where another machine made them.

    Args:
        known: a recording that `stands`.
        target: its folder.
        facts: the provenance of the one to be made.
        parts: names of what that will have.
        again: those to make again; empty: all; None: none.
    """
    old = known.provenance
    everything = again is not None and not again
    if everything or any(old[name] != facts[name] for name in MACHINE):
        return Staying()
    names = [name for name in parts if name in known.tables and name not in (again or ())]
    kept = {
        name: Part(
            recorded.table_path(target, name, old["tables"][name]).read_bytes(),
            old["units"].get(name, {}),
            old["part_seconds"].get(name, 0.0),
        )
        for name in names
    }
    earlier = old.get(PART_COMMITS, {})
    return Staying(kept, {name: earlier.get(name, old["commit"]) for name in names})
