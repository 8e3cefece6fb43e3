"""Where the book is: its root folder, its chapters, and the notebooks that a build has executed."""

import ast
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path


class BookError(RuntimeError):
    """The book, a chapter of it or an executed notebook is not where it should be. Its text is one clear line."""


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's parameters cell: ``epochs: int = 2  # passes over the data``."""

    name: str
    type: str
    default: object
    meaning: str


@dataclass(frozen=True)
class Chapter:
    """A chapter of the book as its notebook declares it; ``seconds`` is the recorded time on 2 CPU cores."""

    number: str
    title: str
    path: Path
    parameters: tuple[Parameter, ...]
    check_source: str
    metadata: dict = field(repr=False)

    @property
    def seconds(self) -> float | None:
        """The recorded execution time in seconds, None before the first recording."""
        return self.metadata.get("bnlab", {}).get("seconds")


def root() -> Path:
    """Find the folder with ``_toc.yml`` and ``book/``: ``BNLAB_BOOK``, the working directory's parents, a checkout.

    Raises:
        BookError: no book found; the line says where to get it.
    """
    named = os.environ.get("BNLAB_BOOK")
    starts = [Path(named)] if named else [Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[2]]
    for folder in starts:
        if (folder / "_toc.yml").is_file() and (folder / "book" / "claims.yml").is_file():
            return folder.resolve()
    where = f"BNLAB_BOOK = {named!r} holds no book" if named else "the library is here, the book is not"
    raise BookError(
        f"{where}: get the project's source (its folder has _toc.yml and book/) and run from there, "
        "or set BNLAB_BOOK to that folder."
    )


def chapters(where: Path | None = None) -> list[Chapter]:
    """Read every numbered chapter, in order."""
    folder = (where or root()) / "book"
    return [read_chapter(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]


def chapter(number: str, where: Path | None = None) -> Chapter:
    """Find one chapter by its number ("6", "06") or the name of its notebook.

    Raises:
        BookError: there is no such chapter; the line lists those there are.
    """
    every = chapters(where)
    wanted = Path(str(number)).stem
    for candidate in every:
        if wanted in (candidate.number, candidate.path.stem) or wanted.zfill(2) == candidate.number:
            return candidate
    raise BookError(f"chapter {number!r} is not in the book: it has {', '.join(c.number for c in every)}.")


def read_chapter(path: Path) -> Chapter:
    """Read a chapter's declarations from its notebook without executing it.

    Raises:
        BookError: not a notebook, or without a parameters cell followed by a check cell.
    """
    notebook = read_notebook(path)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    tagged = [n for n, cell in enumerate(code) if "parameters" in cell["metadata"].get("tags", [])]
    if not tagged or len(code) < tagged[0] + 2:
        raise BookError(f"{path}: no cell tagged 'parameters' followed by a check cell.")
    headings = (re.search(r"^# (.+)$", _source(cell), re.M) for cell in notebook["cells"])
    return Chapter(
        number=path.stem[:2],
        title=next((match[1].strip() for match in headings if match), path.stem),
        path=path,
        parameters=read_parameters(_source(code[tagged[0]])),
        check_source=_source(code[tagged[0] + 1]),
        metadata=notebook["metadata"],
    )


def read_parameters(source: str) -> tuple[Parameter, ...]:
    """Read annotated literals with their comments from the source of a parameters cell.

    >>> read_parameters("epochs: int = 2  # passes over the data")
    (Parameter(name='epochs', type='int', default=2, meaning='passes over the data'),)
    """
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            comment = re.search(r"#\s*(.*)$", lines[node.end_lineno - 1][node.end_col_offset :])
            found.append(
                Parameter(
                    node.target.id,
                    ast.unparse(node.annotation),
                    ast.literal_eval(node.value),
                    comment[1].strip() if comment else "",
                )
            )
    return tuple(found)


def executed_folder(where: Path | None = None) -> Path:
    """Name the folder in which a build leaves the executed notebooks, outputs and all."""
    return (where or root()) / "_build" / "executed"


def read_notebook(path: Path) -> dict:
    """Read a notebook as plain JSON (nbformat 4), so that looking at results needs no Jupyter.

    Raises:
        BookError: missing, unreadable or not a notebook.
    """
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BookError(f"{path} does not exist: name an executed notebook (.ipynb).") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        kind = error.__class__.__name__
        raise BookError(f"{path} is not a readable notebook ({kind}): name an .ipynb file.") from None
    well_formed = (
        isinstance(notebook, dict)
        and isinstance(notebook.get("cells"), list)
        and all(
            isinstance(cell, dict) and "cell_type" in cell and isinstance(cell.get("metadata"), dict)
            for cell in notebook["cells"]
        )
    )
    if not well_formed:
        raise BookError(f"{path} is JSON but not a notebook of format 4: name an .ipynb file.")
    return notebook


def outputs_metadata(notebook: dict) -> list[dict]:
    """Collect the ``bnlab`` entries that a chapter attached to its displayed outputs, in order."""
    entries = [
        output.get("metadata", {}).get("bnlab")
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if isinstance(output.get("metadata"), dict)
    ]
    return [entry for entry in entries if isinstance(entry, dict)]


def _source(cell: dict) -> str:
    return "".join(cell["source"])
