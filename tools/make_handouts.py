"""Write a one-page summary of each chapter out of the built book, for printing: nothing in it is typed by hand.

python tools/make_handouts.py [--output handouts] [CHAPTER ...]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from teaching import command, handout

from bnlab.claims import book


def main(arguments: list[str] | None = None) -> int:
    """Write each chapter's page and all of them in one file; return the exit status, 2 if a chapter is not built."""
    return command.run("One page a chapter, cut from the built book.", "handouts", _write, arguments)


def _write(chapters: list[book.Chapter], html: Path, output: Path) -> str:
    sheets = {c.path.stem: handout.summary(html / "book" / f"{c.path.stem}.html") for c in chapters}
    output.mkdir(parents=True, exist_ok=True)
    for name, sheet in sheets.items():
        (output / f"{name}.html").write_text(handout.document([sheet], html), encoding="utf-8")
    (output / "all.html").write_text(handout.document(list(sheets.values()), html), encoding="utf-8")
    return f"{len(sheets)} summaries in {output}; {output / 'all.html'} holds them all, a page each"


if __name__ == "__main__":
    sys.exit(main())
