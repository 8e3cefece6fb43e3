"""A reader's run beside the book's: which verdicts and which tables differ, and by how much."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bnlab import book, verdicts


@dataclass(frozen=True)
class Comparison:
    """What differs between two executions of one chapter; empty tables where nothing does.

    ``parameters``: name, mine (what papermill injected); ``changed``: id, book, mine, and both measurements;
    ``tables``: table, column, and the largest relative difference (None where shapes or texts differ).
    """

    chapter: str
    parameters: pd.DataFrame
    changed: pd.DataFrame
    tables: pd.DataFrame

    def as_dict(self) -> dict:
        """Give the comparison as JSON types."""
        frames = {"parameters": self.parameters, "verdicts": self.changed, "tables": self.tables}
        return {"chapter": self.chapter, **{name: frame.to_dict(orient="records") for name, frame in frames.items()}}

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
    chapter = book.chapter(Path(mine).stem[:2], where)
    built = book.executed_folder(where) / chapter.path.name
    if not built.is_file():
        raise book.BookError(f"the book is not built, so there is nothing to compare {mine} with: run make book.")
    theirs = book.read_notebook(built)
    my_verdicts = {(v.id, v.scale): v for v in verdicts.verdicts_in(notebook)}
    if not my_verdicts:
        raise book.BookError(f"{mine} holds no verdicts: name a chapter executed to its end (bnlab run makes one).")
    return Comparison(
        chapter.number,
        pd.DataFrame(notebook["metadata"].get("papermill", {}).get("parameters", {}).items(), columns=["name", "mine"]),
        _verdicts(my_verdicts, {(v.id, v.scale): v for v in verdicts.verdicts_in(theirs)}),
        _tables(_shown(notebook), _shown(theirs)),
    )


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
            rows.append((name, "(shape)", None, f"{b.shape[0]} rows in the book, {a.shape[0]} here"))
        else:
            rows += [(name, column, *found) for column in a.columns if (found := _difference(a[column], b[column]))]
    return pd.DataFrame(rows, columns=["table", "column", "largest_relative_difference", "note"])


def _difference(mine: pd.Series, theirs: pd.Series) -> tuple[float | None, str] | None:
    if not (pd.api.types.is_numeric_dtype(mine) and pd.api.types.is_numeric_dtype(theirs)):
        differing = int((mine.astype(str) != theirs.astype(str)).sum())
        return (None, f"{differing} entries differ") if differing else None
    a, b = mine.astype(float), theirs.astype(float)
    scale = pd.concat([a.abs(), b.abs()], axis=1).max(axis=1)
    relative = ((a - b).abs() / scale.where(scale > 0, 1.0)).max()
    return (float(relative), "") if relative > 0 else None


def _shown(notebook: dict) -> dict[str, pd.DataFrame]:
    entries = [entry for entry in book.outputs_metadata(notebook) if "table" in entry and "rows" in entry]
    return {str(entry["table"]): pd.DataFrame(entry["rows"]) for entry in entries}
