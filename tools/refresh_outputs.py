"""Re-execute chapters and keep what is committed of them: checked outputs, and the recorded time on the card.

    python tools/refresh_outputs.py            every notebook of the book
    python tools/refresh_outputs.py 04 16      these chapters

Run it after an intended change of a checked output, on an idle machine with two CPU cores; review the diff.
"""

import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from bnlab.records.files import write_atomically

BOOK = Path(__file__).resolve().parents[1] / "book"
KEPT = {"keep_output", "nbval-check-output"}
CARD = re.compile(r"(\*\*Time\*\*: )[^\n]*?( on 2 CPU cores)")


def main(wanted: list[str]) -> int:
    """Refresh the notebooks whose names begin with one of ``wanted`` (all of them if empty); return the exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    notebooks = sorted(BOOK.glob("*.ipynb"))
    for word in wanted:
        if not any(path.name.startswith(word) for path in notebooks):
            print(f"no notebook in {BOOK} begins with {word!r}.", file=sys.stderr)
            return 2
    for path in notebooks:
        if not wanted or any(path.name.startswith(word) for word in wanted):
            print(f"{path.name}: {refresh(path):.1f} s")
    return 0


def refresh(path: Path) -> float:
    """Execute one notebook in its own folder, strip what nothing checks, record the time; return it in seconds.

    A failing cell raises, and leaves the file as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    seconds = time.perf_counter() - started
    shown = max(1, round(seconds))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            if not KEPT & set(cell.metadata.get("tags", [])):
                cell.outputs, cell.execution_count = [], None
        else:
            cell.source = CARD.sub(rf"\g<1>{shown} s\g<2>", cell.source)
    kept = {"bnlab": {"seconds": shown}} if path.name[:2].isdigit() else {}
    extra = {key: value for key, value in notebook.metadata.items() if key in ("mystnb",)}
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            **extra,
            **kept,
        }
    )
    nbformat.validate(notebook)
    # nbformat's own form, one line of source a line of the file: a diff of it can be read.
    write_atomically(path, (nbformat.writes(notebook) + "\n").encode())
    return seconds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
