"""Write a one-page summary of each chapter out of the built book, for printing: nothing in it is typed by hand.

python tools/make_handouts.py [--output handouts] [CHAPTER ...]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from teaching import handout, pages

from bnlab.claims import book


def main(arguments: list[str] | None = None) -> int:
    """Write each chapter's page and all of them in one file; return the exit status, 2 if a chapter is not built."""
    parser = argparse.ArgumentParser(description="One page a chapter, cut from the built book.")
    parser.add_argument("chapters", nargs="*", help="numbers such as 04; all chapters if there are none")
    parser.add_argument("--output", type=Path, default=Path("handouts"), help="a folder, made if it is not there")
    asked = parser.parse_args(arguments)
    try:
        paths = [book.chapter(number).path for number in asked.chapters] or book.chapter_paths()
        html = book.root() / "_build" / "html"
        sheets = {path.stem: handout.summary(html / "book" / f"{path.stem}.html") for path in paths}
        asked.output.mkdir(parents=True, exist_ok=True)
        for name, sheet in sheets.items():
            (asked.output / f"{name}.html").write_text(handout.document([sheet], html), encoding="utf-8")
        (asked.output / "all.html").write_text(handout.document(list(sheets.values()), html), encoding="utf-8")
    except (book.BookError, pages.PageError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(sheets)} summaries in {asked.output}; {asked.output / 'all.html'} holds them all, a page each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
