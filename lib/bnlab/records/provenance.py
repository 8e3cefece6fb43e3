"""Where a recorded result comes from: the facts beside its tables, on which machine, from which commit."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bnlab

# Of a provenance, with their JSON types. ``sources``: None where the code that ran was never committed.
FIELDS = {
    "key": str,
    "chapter": str,
    "scale": str,
    "parameters": dict,
    "data": dict | None,
    "sources": dict | None,
    "arithmetic": dict,
    "versions": dict,
    "device": str,
    "cpu": str,
    "seconds": int | float,
    "part_seconds": dict,
    "finished": str,
    "commit": str,
    "tables": dict,
    "units": dict,
}
# Where tables stayed when others were recorded: from which commit those are. Absent where all are of one.
PART_COMMITS = "part_commits"
MAIN = "dataset"  # the argument that every experiment with data has
OTHERS = "others"  # of ``data``: the entry of all further data sets, by argument
SCALES = ("full", "own")  # the document's, as the preset declares it; anything else
PACKAGES = ("numpy", "scipy", "pandas", "torch")


def check_facts(facts: object) -> None:
    """Check a provenance down to the fields that a page shows; raise ValueError with the reason."""
    if not isinstance(facts, dict):
        raise ValueError("not a mapping")
    for name, kind in FIELDS.items():
        if name not in facts or not isinstance(facts[name], kind) or isinstance(facts[name], bool):
            raise ValueError(f"{name} is missing or of a wrong type")
    texts = [*facts["tables"].values(), *(facts["versions"].get(name) for name in ("bnlab", "torch"))]
    texts += (facts["sources"] or {}).values()
    earlier = facts.get(PART_COMMITS, {})
    if not isinstance(earlier, dict) or not set(earlier) <= set(facts["tables"]):
        raise ValueError(f"{PART_COMMITS} is no mapping from tables to commits")
    if not all(type(seconds) in (int, float) for seconds in facts["part_seconds"].values()):
        raise ValueError("part_seconds is no mapping from tables to numbers")
    if not all(isinstance(units, dict) for units in facts["units"].values()):
        raise ValueError("units is no mapping from tables to units of columns")
    texts += [*earlier.values(), *(unit for units in facts["units"].values() for unit in units.values())]
    for named in _each(facts["data"]).values():
        texts += [named.get(key) for key in ("title", "checksum")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a checksum, version, commit, unit or title is missing")
    if facts["scale"] not in SCALES:
        raise ValueError(f"scale is {facts['scale']!r}, not one of {', '.join(SCALES)}")


def data_facts(loaded: Mapping[str, object]) -> dict[str, object] | None:
    """Say which data sets an experiment takes: title and checksum of ``dataset``, and in ``others`` those of the rest.

    Args:
        loaded: data sets by the name of the experiment's argument; empty: it takes none.
    """
    facts = {name: {"title": data.title, "checksum": data.checksum} for name, data in loaded.items()}
    if not facts:
        return None
    main = facts.pop(MAIN)
    return main | ({OTHERS: facts} if facts else {})


def checksums(data: Mapping[str, object] | None) -> str | None:
    """Name the content of all data sets of a provenance in one text: that of the only one is its checksum."""
    if data is None:
        return None
    return " ".join(f"{name}={each['checksum']}".removeprefix(f"{MAIN}=") for name, each in _each(data).items())


def titles(data: Mapping[str, object] | None, argument: str = "") -> str:
    """Name the data sets of a provenance in words: all of them, or the one that an argument took.

    An argument that took none of its own took ``dataset``.
    """
    each = _each(data)
    if argument:
        return each.get(argument, each[MAIN])["title"]
    return ", ".join(facts["title"] for facts in each.values())


def described(data: Mapping[str, object] | None) -> str:
    """Say title and checksum of every data set of a provenance, in one line; "none" where it took none."""
    told = {name: f"{facts['title']}, checksum {facts['checksum'][:12]}" for name, facts in _each(data).items()}
    return "; ".join(text if name == MAIN else f"{name}: {text}" for name, text in told.items()) or "none"


def _each(data: Mapping[str, object] | None) -> dict[str, Mapping[str, str]]:
    """The facts of every data set by argument; ValueError where the others are no mapping of mappings."""
    if data is None:
        return {}
    others = data.get(OTHERS, {})
    if not isinstance(others, Mapping) or not all(isinstance(facts, Mapping) for facts in others.values()):
        raise ValueError("others of the data is no mapping from argument to title and checksum")
    return {MAIN: data} | dict(others)


def machine(device: str) -> dict[str, object]:
    """Say where numbers are made: versions, the device in words, the CPU's model, the commit of the library."""
    return {
        "versions": {"bnlab": bnlab.__version__, "python": platform.python_version(), **_installed()},
        "device": device_name(device),
        "cpu": cpu_model(),
        "commit": commit(),
    }


def _installed() -> Mapping[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # built by hand
            found[name] = "unknown"
    return found


def device_name(device: str) -> str:
    """Say what a device is, in words, with the number of threads where it is a CPU."""
    import torch  # late: reading a result or the ledger needs no torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(torch.device(device))
    return f"{platform.machine()} CPU, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s)"


def cpu_model() -> str:
    """Name the processor as its maker does; its architecture where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or platform.machine()])[0]


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


def _git(where: Path, *words: str) -> str:
    command = ["git", "-C", str(where), *words]  # a fixed command; no shell
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
