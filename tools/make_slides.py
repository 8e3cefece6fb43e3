"""Cut lectures' slides out of the built book: one HTML file a chapter, which needs no network and no file beside it.

    python tools/make_slides.py [--output slides] [CHAPTER ...]

The slides are cut from the pages, not from the notebooks: on a page every number is glued, every reference resolved and
every figure numbered. nbconvert's slides know none of the directives and roles that the chapters are written in, and
reveal.js, which they need, would have to be fetched from the network.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from teaching import command, deck

from bnlab.claims import book


def main(arguments: list[str] | None = None) -> int:
    """Write the decks and a page that links to them; return the exit status, 2 if a chapter is not built."""
    return command.run("Slides of chapters, cut from the built book.", "slides", _write, arguments)


def _write(chapters: list[book.Chapter], html: Path, output: Path) -> str:
    made = {c.path.stem: deck.deck(html / "book" / f"{c.path.stem}.html", html) for c in chapters}
    output.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (output / f"{name}.html").write_text(text, encoding="utf-8")
    links = deck.index([(f"{c.path.stem}.html", c.title) for c in chapters], "Slides")
    (output / "index.html").write_text(links, encoding="utf-8")
    return f"{len(made)} decks; open {output / 'index.html'} (arrow keys go from slide to slide)"


if __name__ == "__main__":
    sys.exit(main())
