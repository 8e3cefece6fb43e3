"""The parts of a recording: a table is kept as soon as it is made, and made again only where it is not kept whole."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bnlab.commands.presets import RecordingError
from bnlab.records.files import write_atomically
from bnlab.records.keys import Sources
from bnlab.records.packing import pack
from bnlab.sweeps.failures import SweepError, refuse_failures


@dataclass(frozen=True)
class Part:
    """A finished table: as `packing.pack` makes it, the unit of every column, and the seconds it took."""

    content: bytes
    units: dict[str, str]
    seconds: float


def finish(
    parts: Mapping[str, Callable[[], pd.DataFrame]],
    partial: Path,
    sources: Sources | None = None,
    stay: Mapping[str, Part] | None = None,
) -> dict[str, Part]:
    """Make every part that ``partial`` does not hold yet, keeping each at once; earlier attempts' seconds count.

    Args:
        parts: tables by name, each with what makes it.
        partial: the folder where finished parts are kept.
        sources: what decides them.
        stay: those that an earlier recording has and that are not made again.

    Raises:
        RecordingError: ``partial`` cannot be written; runs of a part failed or cannot be kept; or a source changed
            while a part was made, which is then not kept.
        Exception: whatever a part raises, with a note that names it.
    """
    _write(partial)
    done = {}
    for number, (name, make) in enumerate(parts.items(), 1):
        part, note = (stay or {}).get(name), "as recorded before"
        if part is None:
            part, note = _kept(partial, name), "kept from before"
        if part is None:
            part = _made(name, make)
            if sources is not None and (changed := sources.changed()):
                what = ", ".join(changed)
                raise RecordingError(f"{what} changed while part {name} was made, which is not kept: run it again.")
            facts = {"checksum": _checksum(part.content), "units": part.units, "seconds": part.seconds}
            _write(partial, **{f"{name}.csv.gz": part.content, f"{name}.json": json.dumps(facts).encode()})
            note = f"{part.seconds:.1f} s"
        say(f"  {number}/{len(parts)} {name}: {note}")
        done[name] = part
    return done


def _made(name: str, make: Callable[[], pd.DataFrame]) -> Part:
    started = time.perf_counter()
    try:
        table = make()
        if "status" in table:
            refuse_failures(table)
        content = pack(name, table)
    except SweepError as error:  # runs failed, or cannot be kept: it says so in one line
        raise RecordingError(f"part {name}: {error}") from None
    except Exception as error:
        error.add_note(f"This was part {name}; the parts before it are kept.")
        raise
    return Part(content, dict(table.attrs.get("units", {})), time.perf_counter() - started)


def say(line: str) -> None:
    """Tell how far a recording is; hours of work do not end because nobody can read it any more."""
    with suppress(OSError):
        print(line, flush=True)


def _kept(partial: Path, name: str) -> Part | None:
    try:
        facts = json.loads((partial / f"{name}.json").read_text(encoding="utf-8"))
        content = (partial / f"{name}.csv.gz").read_bytes()
        if facts["checksum"] == _checksum(content):
            return Part(content, dict(facts["units"]), float(facts["seconds"]))
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return None  # missing or damaged: made again


def _write(partial: Path, **files: bytes) -> None:
    try:
        partial.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(partial / name, content)
    except OSError as error:
        raise RecordingError(f"{partial} cannot be written ({error.strerror}): name a folder that can be.") from None


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
