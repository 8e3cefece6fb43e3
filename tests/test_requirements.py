"""What is installed: every direct dependency pinned, everything that comes along resolved, both in agreement."""

import re
import tomllib

from book_files import ROOT

PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$")


def pins(name: str) -> dict[str, str]:
    """Pinned versions of a file, by normalised name."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith(("#", "-e"))]
    found = [PIN.match(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in found}


def test_the_resolved_list_agrees_with_the_pins():
    direct, resolved = pins("requirements.txt"), pins("constraints.txt")
    assert len(resolved) > 2 * len(direct)
    assert {name: resolved.get(name) for name in direct} == direct


def test_no_pin_names_one_machine():
    assert not [v for v in pins("constraints.txt").values() if "+" in v]


def test_every_declared_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.match(r"[A-Za-z0-9._-]+", entry)[0] for entries in lists for entry in entries}
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in names} - {"bnlab"}
    assert names <= pins("requirements.txt").keys()
