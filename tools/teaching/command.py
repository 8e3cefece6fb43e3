"""What the commands share that cut something out of the built book: their arguments, and how they refuse."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bnlab.claims import book
from teaching import pages


def run(
    what: str,
    folder: str,
    make: Callable[[list[book.Chapter], Path, Path], str],
    arguments: list[str] | None = None,
) -> int:
    """Read chapters and a folder, make the files, say what was made; return the exit status, 2 with one line.

    Args:
        what: the command in a sentence, for its help.
        folder: where files go unless --output says otherwise.
        make: takes chapters, the built pages, and the folder, which it makes; gives the line to print.
        arguments: of the command line, which is read if there are none.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("chapters", nargs="*", help="numbers such as 04; all chapters if there are none")
    parser.add_argument("--output", type=Path, default=Path(folder), help="a folder, made if it is not there")
    asked = parser.parse_args(arguments)
    try:
        chapters = [book.chapter(number) for number in asked.chapters] or book.chapters()
        print(make(chapters, book.root() / "_build" / "html", asked.output))
    except (book.BookError, pages.PageError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0
