"""Recorded results: what a full-scale run found, kept with the facts that say where it comes from.

A result is a folder ``data/recorded/<chapter>/``: one ``<table>.<checksum>.csv.gz`` a tidy table and a
``provenance.json`` that lists them. Tables are named by their content and the provenance is replaced last, so a
recording killed at any moment leaves the earlier result whole.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

import bnlab

PROVENANCE = "provenance.json"
PART = ".part"  # ends the name of a file that is being written
BIGGEST_FILE = 1_000_000  # bytes: the files are committed
FIELDS = {  # of a provenance, with their JSON types
    "key": str,
    "chapter": str,
    "parameters": dict,
    "data": dict | None,
    "versions": dict,
    "device": str,
    "seconds": int | float,
    "finished": str,
    "commit": str,
    "tables": dict,
    "units": dict,
}


class RecordedError(RuntimeError):
    """A recorded result that is missing, damaged, or too large to commit. Its text is one clear line."""


@dataclass(frozen=True)
class Recorded:
    """A full-scale result: tidy tables by name (units in ``attrs["units"]``) and the provenance saved with them."""

    tables: dict[str, pd.DataFrame]
    provenance: dict


def save(
    folder: Path,
    chapter: str,
    packed: Mapping[str, bytes],
    *,
    parameters: Mapping[str, object],
    data: Mapping[str, str] | None,
    device: str,
    seconds: float,
    units: Mapping[str, Mapping[str, str]] | None = None,
) -> Path:
    """Write tables and provenance into ``folder/<chapter>``; all of it, or (killed at any moment) nothing that counts.

    Args:
        folder: the project's ``data/recorded``.
        chapter: two digits.
        packed: tables by name, each as `pack` makes it.
        parameters: what the run was given.
        data: title and checksum of the data set; None where there is none.
        device: "cpu" or "cuda"; the machine's own name is added.
        seconds: wall-clock time of the run.
        units: the unit of every column, by table and column.

    Raises:
        RecordedError: the folder cannot be written.
    """
    import torch  # late: reading a result or the ledger needs no torch

    provenance = {
        "key": run_key(chapter, parameters, data),
        "chapter": chapter,
        "parameters": dict(parameters),
        "data": dict(data) if data else None,
        "versions": {"bnlab": bnlab.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "device": device_name(device),
        "seconds": round(float(seconds), 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "tables": {name: hashlib.sha256(content).hexdigest() for name, content in packed.items()},
        "units": {name: dict(columns) for name, columns in (units or {}).items()},
    }
    target = Path(folder) / chapter
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in packed.items():
            write_atomically(table_path(target, name, provenance["tables"][name]), content)
        write_atomically(target / PROVENANCE, (json.dumps(provenance, indent=1) + "\n").encode())
        current = {table_path(target, name, checksum) for name, checksum in provenance["tables"].items()}
        for stale in {*target.glob("*.csv.gz"), *target.glob(f".*{PART}")} - current:
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise RecordedError(f"{target} cannot be written ({error.strerror}): name a folder that can be.") from None
    return target


def pack(name: str, table: pd.DataFrame) -> bytes:
    """Compress a tidy table as it is stored: CSV, gzip; the same numbers give the same bytes.

    Raises:
        RecordedError: the table's name is no identifier, it is empty, larger than 1 MB compressed, or CSV alters it.
    """
    if not name.isidentifier():
        raise RecordedError(f"table {name!r} needs a name of letters, digits and underscores: it becomes a file name.")
    if table.empty:
        raise RecordedError(f"table {name} is empty: a recorded table has at least one row.")
    text = table.to_csv(index=False, lineterminator="\n")
    if _read_csv(text.encode()).to_csv(index=False, lineterminator="\n") != text:
        raise RecordedError(f"table {name} would be read back altered: no text that is a number, no column name twice.")
    # mtime=0: a repeated recording is then no change to commit.
    content = gzip.compress(text.encode(), mtime=0)
    if len(content) > BIGGEST_FILE:
        raise RecordedError(f"table {name} takes {len(content)} bytes: thin it to at most {BIGGEST_FILE}.")
    return content


def unpack(content: bytes) -> pd.DataFrame:
    """Read back what `pack` wrote, every float64 to the bit."""
    return _read_csv(gzip.decompress(content))


def load(folder: Path, chapter: str) -> Recorded | None:
    """Read a chapter's recorded result; None where there is none yet.

    Raises:
        RecordedError: a file is missing, altered or unreadable; the line names it and the remedy.
    """
    source = Path(folder) / chapter
    if not (source / PROVENANCE).is_file():
        return None
    remedy = f"restore it from version control or record again: bnlab record {chapter}"
    try:
        provenance = json.loads((source / PROVENANCE).read_text(encoding="utf-8"))
        _refuse_foreign(provenance)
    except (OSError, ValueError, RecursionError) as error:
        raise RecordedError(f"{source / PROVENANCE} cannot be used ({error}): {remedy}.") from None
    tables = {}
    for name, checksum in provenance["tables"].items():
        path = table_path(source, name, checksum)
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != checksum:
                raise ValueError("its checksum differs")
            tables[name] = _read_csv(gzip.decompress(content))
        except FileNotFoundError:
            raise RecordedError(f"{path} is missing: {remedy}.") from None
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise RecordedError(f"{path} is not what was recorded ({error}): {remedy}.") from None
        tables[name].attrs["units"] = provenance["units"].get(name, {})
    return Recorded(tables, provenance)


def _read_csv(text: bytes) -> pd.DataFrame:
    # Before pandas 3.1 the default parser rounds; since then it does not, and asking for exactness is deprecated.
    exact = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
    # Only an empty field is missing: "None" and "NA" are names that a table may hold.
    return pd.read_csv(io.BytesIO(text), keep_default_na=False, na_values=[""], **exact)


def _refuse_foreign(provenance: object) -> None:
    """Check a provenance down to the fields that a page shows; raise ValueError with the reason."""
    if not isinstance(provenance, dict):
        raise ValueError("not a mapping")
    for name, kind in FIELDS.items():
        if name not in provenance or not isinstance(provenance[name], kind):
            raise ValueError(f"{name} is missing or of a wrong type")
    texts = [*provenance["tables"].values(), *(provenance["versions"].get(name) for name in ("bnlab", "torch"))]
    if provenance["data"] is not None:
        texts += [provenance["data"].get(name) for name in ("title", "checksum")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a checksum, version or title is missing")


def table_path(folder: Path, name: str, checksum: str) -> Path:
    """Name the file of a table; base names only, so that a hostile provenance reaches no other folder."""
    return folder / f"{Path(name).name}.{Path(checksum).name[:12]}.csv.gz"


def run_key(chapter: str, parameters: Mapping[str, object], data: Mapping[str, str] | None) -> str:
    """Name a run by what decides its numbers: chapter, parameters, the library's source, the data's checksum."""
    facts = {
        "chapter": chapter,
        "parameters": {key: parameters[key] for key in sorted(parameters)},
        "library": library_hash(),
        "data": data["checksum"] if data else None,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def library_hash() -> str:
    """Hash the source of the installed library, file names and contents."""
    folder = Path(bnlab.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def device_name(device: str) -> str:
    """Say what a device is, in words, with the number of threads where it is a CPU."""
    import torch  # late, as above

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    return f"{platform.machine()} CPU, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s)"


def commit() -> str:
    """Name the git commit of the library's checkout, with ``+`` if it was changed since; "unknown" without git."""
    where = Path(bnlab.__file__).parent
    try:
        # An installed copy may lie inside somebody's own repository, whose commit says nothing about it.
        _git(where, "ls-files", "--error-unmatch", "__init__.py")
        head = _git(where, "rev-parse", "HEAD")
        return head + ("+" if _git(where, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part: temporary file, fsync, rename."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=PART, delete=False) as part:
        try:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
            os.chmod(part.name, 0o644)
            os.replace(part.name, path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def _git(where: Path, *words: str) -> str:
    command = ["git", "-C", str(where), *words]  # a fixed command; no shell
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
