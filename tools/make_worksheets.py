"""Write the chapters as worksheets for students, and the same with the solutions in them for the teacher.

    python tools/make_worksheets.py [--output worksheets] [CHAPTER ...]

Both run from top to bottom in the book's environment. A worksheet has the text, the physics and the exercises; it has
no solution, card, verdict, or number that the text would tell, but an empty cell an exercise and, where there is one,
a check of the answer. Those with solutions go into a folder of their own beside, since they are not for handing out. A
worksheet that somebody has worked in is never overwritten.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from teaching import myst, worksheets
from teaching.solutions import ExerciseError

from bnlab.claims import book


def main(arguments: list[str] | None = None) -> int:
    """Write both notebooks of each chapter; return the exit status, 2 if a chapter cannot be read."""
    parser = argparse.ArgumentParser(description="Chapters as worksheets, and with their solutions.")
    parser.add_argument("chapters", nargs="*", help="numbers such as 04; all chapters if there are none")
    parser.add_argument("--output", type=Path, default=Path("worksheets"), help="a folder, made if it is not there")
    asked = parser.parse_args(arguments)
    solutions = asked.output.with_name(f"{asked.output.name}-solutions")
    try:
        paths = [book.chapter(number).path for number in asked.chapters] or book.chapter_paths()
        where = references()
        for path in paths:
            notebook = book.read_notebook(path)
            write(worksheets.worksheet(notebook, where), asked.output / path.name)
            write(worksheets.worksheet(notebook, where, solved=True), solutions / path.name)
    except (book.BookError, ExerciseError, SyntaxError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(paths)} worksheets in {asked.output}, with their solutions in {solutions}")
    return 0


def references() -> worksheets.Book:
    """Collect what the chapters' texts refer to."""
    text = (book.root() / "book" / "references.bib").read_text(encoding="utf-8")
    return worksheets.Book(myst.bibliography(text), frozenset(path.name for path in book.chapter_paths()))


def write(notebook: dict, path: Path) -> None:
    """Write a notebook as nbformat does; one that was changed since it was written stays, under another name."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    made = path.with_name(f".{path.name}.made")  # what was written last, to tell work from leftovers
    if path.is_file() and not (made.is_file() and made.read_bytes() == path.read_bytes()):
        if path.read_text(encoding="utf-8", errors="replace") == text:
            return
        number = next(n for n in range(1, 1000) if not path.with_name(f"{path.stem}.mine-{n}.ipynb").exists())
        kept = path.with_name(f"{path.stem}.mine-{number}.ipynb")
        path.rename(kept)
        print(f"{path} had been worked in: it is now {kept.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    for place in (path, made):
        place.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
