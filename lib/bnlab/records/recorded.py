"""Recorded results: what a full-scale run found, kept with the facts that say where it comes from.

A result is a folder ``data/recorded/<chapter>/``: one ``<table>.<checksum>.csv.gz`` a tidy table and a
``provenance.json`` that lists them. Tables are named by their content and the provenance is replaced last, so a
recording killed at any moment leaves the earlier result whole.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from bnlab.records.files import PART, write_atomically
from bnlab.records.packing import BIGGEST_FILE, RecordedError, unpack
from bnlab.records.provenance import MAIN, check_facts, titles
from bnlab.tables import Units

__all__ = ["Recorded", "RecordedError", "UnreadableError", "load", "read", "save", "table_path"]

PROVENANCE = "provenance.json"


class UnreadableError(RecordedError):
    """A result that is there and cannot be looked at: nothing says that it is damaged. Its text is one clear line."""


@dataclass(frozen=True)
class Recorded:
    """A full-scale result: tidy tables by name (units in ``attrs["units"]``) and the provenance saved with them."""

    tables: dict[str, pd.DataFrame]
    provenance: dict

    def data(self, argument: str = MAIN) -> str:
        """Give the title of the data set that an argument of the experiment took; without its own, the main one's."""
        return titles(self.provenance["data"], argument)


def save(target: Path, packed: Mapping[str, bytes], facts: Mapping[str, object]) -> Path:
    """Write tables and provenance into a folder; all of it, or (killed at any moment) nothing that counts.

    Args:
        target: the folder, as ``data/recorded/<chapter>``.
        packed: tables by name, each as `packing.pack` makes it.
        facts: the provenance but for ``finished`` and ``tables``.

    Raises:
        RecordedError: the folder cannot be written.
    """
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in packed.items()}
    whole = {**facts, "finished": datetime.now(UTC).isoformat(timespec="seconds"), "tables": checksums}
    check_facts(whole)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in packed.items():
            write_atomically(table_path(target, name, checksums[name]), content)
        write_atomically(target / PROVENANCE, (json.dumps(whole, indent=1) + "\n").encode())
        current = {table_path(target, name, checksum) for name, checksum in checksums.items()}
        for stale in {*target.glob("*.csv.gz"), *target.glob(f".*{PART}")} - current:
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise RecordedError(f"{target} cannot be written ({error.strerror}): name a folder that can be.") from None
    return target


def load(folder: Path, chapter: str) -> Recorded | None:
    """Read a chapter's recorded result in ``data/recorded``; None where there is none yet.

    Raises:
        RecordedError: a file is missing, altered or unreadable; the line names it and the remedy.
    """
    return read(Path(folder) / chapter, f"restore it from version control or record again: bnlab record {chapter}")


def read(source: Path, remedy: str = "record it again") -> Recorded | None:
    """Read the result in a folder; None where there is none.

    Raises:
        UnreadableError: a file is there and cannot be looked at.
        RecordedError: a file is missing or altered.
    """
    try:
        text = _bytes(source / PROVENANCE).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise RecordedError(f"{source / PROVENANCE} cannot be used ({error}): {remedy}.") from None
    try:
        facts = json.loads(text)
        check_facts(facts)
    except (ValueError, RecursionError) as error:
        raise RecordedError(f"{source / PROVENANCE} cannot be used ({error}): {remedy}.") from None
    tables = {}
    for name, checksum in facts["tables"].items():
        path = table_path(source, name, checksum)
        try:
            content = _bytes(path)
            if hashlib.sha256(content).hexdigest() != checksum:
                raise ValueError("its checksum differs")
            tables[name] = unpack(content).copy()  # a copy has one block a dtype, and is cut up in less time
        except FileNotFoundError:
            raise RecordedError(f"{path} is missing: {remedy}.") from None
        except ValueError as error:
            raise RecordedError(f"{path} is not what was recorded ({error}): {remedy}.") from None
        tables[name].attrs["units"] = Units(facts["units"].get(name, {}))
    return Recorded(tables, facts)


def _bytes(path: Path) -> bytes:
    """Read a file that may have been put there by anybody: at most 1 MB of it is looked at."""
    try:
        with path.open("rb") as file:
            content = file.read(BIGGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read ({error.strerror}): make it readable, or move it away.") from None
    if len(content) > BIGGEST_FILE:
        raise ValueError(f"it has more than {BIGGEST_FILE} bytes")
    return content


def table_path(folder: Path, name: str, checksum: str) -> Path:
    """Name the file of a table; base names only, so that a hostile provenance reaches no other folder."""
    return folder / f"{Path(name).name}.{Path(checksum).name[:12]}.csv.gz"
