"""Note that changes of the library moved no recorded number, with the reason and how that was checked.

    python tools/explain_changes.py --why "modules were renamed" --checked "bnlab record 04 --verify: bits agree"

Appends to data/recorded/changes.yml what leads from each recorded map of sources, and the changes already listed, to
today's library. Review it before committing: a change that can move a number calls for another recording.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from bnlab.records import changes, experiments, keys, recorded
from bnlab.records.files import write_atomically

FOLDER = Path(__file__).resolve().parents[1] / "data" / "recorded"


def main(words: list[str]) -> int:
    """Append a row to the list, if there is anything to explain; return the exit status."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--why", required=True, help="why no number can have moved")
    asked.add_argument("--checked", required=True, help="how that was checked")
    given = asked.parse_args(words)
    found = missing(FOLDER)
    if not found:
        print("every recorded map of sources is today's, or explained.")
        return 0
    path = FOLDER / changes.FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    row = yaml.safe_dump([{"why": given.why, "checked": given.checked, "changes": found}], sort_keys=False, width=120)
    write_atomically(path, (before + row).encode())
    return 0


def missing(folder: Path) -> dict[str, str]:
    """Write the changes that the list lacks, by chapter."""
    found = {}
    for chapter in experiments.EXPERIMENTS:
        known = recorded.load(folder, chapter)
        if known is None or known.provenance["sources"] is None:
            continue
        today = changes.short(keys.sources(experiments.module_name(chapter)))
        there = changes.short(known.provenance["sources"])
        for change in changes.read_changes(folder, chapter):
            if change.was <= there:
                there = (there - change.was) | change.now
        if there != today:
            found[chapter] = f"{_written(there - today)} -> {_written(today - there)}"
    return found


def _written(modules: Iterable[changes.Module]) -> str:
    return " + ".join(" ".join(module) for module in sorted(modules))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
