"""Re-execute chapters and keep what is committed of them: checked outputs, and the recorded time on the card.

    python tools/refresh_outputs.py            every notebook of the book
    python tools/refresh_outputs.py 04 16      these chapters

Run it after an intended change of a checked output, on an idle machine with two CPU cores; review the diff.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KEPT = {"keep_output", "nbval-check-output"}
CARD = re.compile(r"(\*\*Time\*\*: )[^\n]*?( on 2 CPU cores)")


def main(wanted: list[str]) -> None:
    """Refresh the notebooks whose names begin with one of ``wanted`` (all of them if empty)."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for path in sorted(Path("book").glob("*.ipynb")):
        if not wanted or any(path.name.startswith(word) for word in wanted):
            refresh(path)


def refresh(path: Path) -> None:
    """Execute one notebook in its own folder, strip what nothing checks, record the time."""
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": "book"}}).execute()
    seconds = time.perf_counter() - started
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            if not KEPT & set(cell.metadata.get("tags", [])):
                cell.outputs, cell.execution_count = [], None
        else:
            cell.source = CARD.sub(rf"\g<1>{round(seconds)} s\g<2>", cell.source)
    kept = {"bnlab": {"seconds": round(seconds)}} if path.name[:2].isdigit() else {}
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
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {seconds:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
