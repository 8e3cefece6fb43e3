"""Write the chapters as worksheets: every folded solution replaced by an empty cell, everything else as it is.

    python tools/make_worksheets.py --output worksheets/

A solution stands between a Markdown cell with ``{solution-start}`` and one with ``{solution-end}``.
"""

import argparse
import json
from pathlib import Path

EMPTY = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": ["# Your answer here."]}


def main() -> None:
    """Write one worksheet a chapter."""
    parser = argparse.ArgumentParser(description="Chapters without their solutions.")
    parser.add_argument("--output", type=Path, default=Path("worksheets"))
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path("book").glob("[0-9][0-9]_*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"] = without_solutions(notebook["cells"])
        (folder / path.name).write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(folder / path.name)


def without_solutions(cells: list[dict]) -> list[dict]:
    """Drop the cells of every solution, leaving one empty code cell in its place."""
    kept, inside = [], False
    for number, cell in enumerate(cells):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and "{solution-start}" in text:
            inside = True
            kept.append({**EMPTY, "id": f"answer-{number}"})
        if not inside:
            kept.append(cell)
        if cell["cell_type"] == "markdown" and "{solution-end}" in text:
            inside = False
    return kept


if __name__ == "__main__":
    main()
