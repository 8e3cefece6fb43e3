"""A reader's run beside the book's: which verdicts and which tables differ, and by how much."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bnlab.claims import book, ledger, verdicts
from bnlab.commands.parameters import PAPERMILLS_OWN


@dataclass(frozen=True)
class Comparison:
    """What differs between two executions of one chapter; empty tables where nothing does.

    ``parameters``: name, book, mine (what papermill injected); ``changed``: id, book, mine, and both measurements;
    ``tables``: table, column, and the largest relative difference (None where shapes or texts differ).
    """

    chapter: str
    parameters: pd.DataFrame
    changed: pd.DataFrame
    tables: pd.DataFrame

    def as_dict(self) -> dict:
        """Give the comparison as JSON types."""
        frames = {"parameters": self.parameters, "verdicts": self.changed, "tables": self.tables}
        rows = {
            name: frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
            for name, frame in frames.items()
        }
        return {"chapter": self.chapter, **rows}

    def as_text(self) -> str:
        """Give the comparison as lines for a terminal."""
        parts = [f"Chapter {self.chapter}: this run beside the book's."]
        for title, frame, none in (
            ("Parameters of this run", self.parameters, "the book's own"),
            ("Verdicts that differ", self.changed, "none"),
            ("Tables that differ", self.tables, "none"),
        ):
            parts.append(f"{title}: {none}." if frame.empty else f"{title}:\n{frame.to_string(index=False)}")
        return "\n".join(parts)


def compare(mine: Path, where: Path | None = None) -> Comparison:
    """Set an executed chapter beside the one that the last build executed.

    Raises:
        BookError: not an executed chapter of the book, or the book is not built yet.
    """
    notebook = book.read_notebook(mine)
    my_verdicts = {(v.id, v.scale): v for v in verdicts.verdicts_in(notebook)}
    if not my_verdicts:
        raise book.BookError(f"{mine} holds no verdicts: name a chapter executed to its end (bnlab run makes one).")
    # By what it says, not by its file name, which papermill lets the reader choose.
    known = ledger.claims(where)
    numbers = Counter(known[claim].chapter for claim, _ in my_verdicts if claim in known)
    if not numbers:
        raise book.BookError(f"{mine} is no chapter of this book: it has none of its claims.")
    chapter = book.chapter(numbers.most_common(1)[0][0], where)
    built = book.executed_folder(where) / chapter.path.name
    if not built.is_file():
        raise book.BookError(f"the book is not built, so there is nothing to compare {mine} with: run make book.")
    theirs = book.read_notebook(built)
    return Comparison(
        chapter.number,
        _parameters(notebook["metadata"].get("papermill"), chapter),
        _verdicts(my_verdicts, {(v.id, v.scale): v for v in verdicts.verdicts_in(theirs)}),
        _tables(_shown(notebook, mine), _shown(theirs, built)),
    )


def _parameters(papermill: object, chapter: book.Chapter) -> pd.DataFrame:
    given = papermill.get("parameters") if isinstance(papermill, dict) else None
    defaults = {parameter.name: parameter.default for parameter in chapter.parameters}
    rows = [
        (name, defaults.get(name), mine)
        for name, mine in (given if isinstance(given, dict) else {}).items()
        if name not in PAPERMILLS_OWN
    ]
    return pd.DataFrame(rows, columns=["name", "book", "mine"], dtype=object)


def _verdicts(mine: dict, theirs: dict) -> pd.DataFrame:
    rows = []
    for key in {**theirs, **mine}:
        ours, book_ours = mine.get(key), theirs.get(key)
        words = [v.verdict if v else "absent" for v in (book_ours, ours)]
        if words[0] != words[1]:
            measured = [v.measured if v else "" for v in (book_ours, ours)]
            rows.append((*key, *words, *measured))
    return pd.DataFrame(rows, columns=["id", "scale", "book", "mine", "book_measured", "mine_measured"])


def _tables(mine: dict[str, pd.DataFrame], theirs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for name in {**theirs, **mine}:
        a, b = mine.get(name), theirs.get(name)
        if a is None or b is None:
            rows.append((name, "(whole table)", None, "only in the book" if a is None else "only in this run"))
        elif a.shape != b.shape or list(a.columns) != list(b.columns):
            sizes = [f"{len(frame)} rows of {', '.join(frame.columns)}" for frame in (b, a)]
            rows.append((name, "(shape)", None, f"{sizes[0]} in the book, {sizes[1]} here"))
        else:
            rows += [(name, column, *found) for column in a.columns if (found := _difference(a[column], b[column]))]
    return pd.DataFrame(rows, columns=["table", "column", "largest_relative_difference", "note"])


def _difference(mine: pd.Series, theirs: pd.Series) -> tuple[float | None, str] | None:
    try:
        a, b = mine.astype(float), theirs.astype(float)  # an infinity travels as a word
    except (ValueError, TypeError):
        pairs = zip(mine.where(mine.notna(), None), theirs.where(theirs.notna(), None), strict=True)
        differing = sum(str(a) != str(b) for a, b in pairs)
        return (None, f"{differing} entries differ") if differing else None
    both = np.isfinite(a) & np.isfinite(b)
    # Beside finite numbers only the same infinity, or missing in both, is no difference.
    if odd := int((~(both | (a == b) | (a.isna() & b.isna()))).sum()):
        return None, f"{odd} entries differ, missing or infinite in one"
    scale = pd.concat([a.abs(), b.abs()], axis=1).max(axis=1)
    relative = ((a - b).abs() / scale.where(scale > 0, 1.0))[both].max()
    return (float(relative), "") if relative > 0 else None


def _shown(notebook: dict, path: Path) -> dict[str, pd.DataFrame]:
    entries = [entry for entry in book.outputs_metadata(notebook) if "table" in entry and "rows" in entry]
    try:
        return {str(entry["table"]): pd.DataFrame(entry["rows"]) for entry in entries}
    except (ValueError, TypeError, AttributeError) as error:
        raise book.BookError(f"{path}: a table in it cannot be read ({error}).") from None
