"""Where the book is: its root folder, its chapters, and the notebooks that a build has executed."""

import ast
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

PLAIN_TYPES = ("int", "float", "str", "bool", "list")  # what papermill can inject and a command line can say


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
        entry = self.metadata.get("bnlab")
        seconds = entry.get("seconds") if isinstance(entry, dict) else None
        return seconds if isinstance(seconds, int | float) else None


def root() -> Path:
    """Find the folder with ``_toc.yml`` and ``book/``: ``BNLAB_BOOK``, the working directory's parents, a checkout.

    Raises:
        BookError: no book found; the line says where to get it.
    """
    named = os.environ.get("BNLAB_BOOK")
    checkout = Path(__file__).resolve().parents[3]
    try:
        here = Path.cwd()
    except OSError:  # a working directory that was removed
        here = checkout
    for folder in [Path(named)] if named else [here, *here.parents, checkout]:
        # os.path, not Path: it answers False where a folder on the way may not be looked into.
        if all(os.path.isfile(folder / name) for name in ("_toc.yml", "book/claims.yml")):
            return folder.resolve()
    where = f"BNLAB_BOOK = {named!r} holds no book" if named else "the library is here, the book is not"
    raise BookError(
        f"{where}: get the project's source (its folder has _toc.yml and book/) and run from there, "
        "or set BNLAB_BOOK to that folder."
    )


def chapter_paths(where: Path | None = None) -> list[Path]:
    """List the notebooks of the numbered chapters, in order."""
    return sorted(((where or root()) / "book").glob("[0-9][0-9]_*.ipynb"))


def chapters(where: Path | None = None) -> list[Chapter]:
    """Read every numbered chapter, in order."""
    return [read_chapter(path) for path in chapter_paths(where)]


def chapter(number: str, where: Path | None = None) -> Chapter:
    """Find one chapter by its number ("6", "06") or the name of its notebook.

    Raises:
        BookError: there is no such chapter; the line lists those there are.
    """
    paths = chapter_paths(where)
    wanted = Path(str(number)).name.removesuffix(".ipynb")
    for path in paths:
        if path.stem == wanted or path.stem[:2] == wanted.zfill(2):
            return read_chapter(path)
    there = ", ".join(path.stem[:2] for path in paths) or "none"
    raise BookError(f"chapter {str(number)!r} is not in the book: its chapters are {there}.")


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
    try:
        parameters = read_parameters(_source(code[tagged[0]]))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise BookError(f"{path}: its parameters cell cannot be read ({error}).") from None
    headings = (re.search(r"^# (.+)$", _source(cell), re.M) for cell in notebook["cells"])
    return Chapter(
        number=path.stem[:2],
        title=next((match[1].strip() for match in headings if match), path.stem),
        path=path,
        parameters=parameters,
        check_source=_source(code[tagged[0] + 1]),
        metadata=notebook["metadata"],
    )


def read_parameters(source: str) -> tuple[Parameter, ...]:
    """Read annotated literals with their comments from the source of a parameters cell.

    Raises:
        SyntaxError: not Python.
        ValueError: a type that a command line cannot say, or a default that is no literal of such a type.

    >>> read_parameters("epochs: int = 2  # passes over the data")
    (Parameter(name='epochs', type='int', default=2, meaning='passes over the data'),)
    """
    lines = source.split("\n")
    found = []
    for node in ast.parse(source).body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
            continue
        kind, default = ast.unparse(node.annotation), ast.literal_eval(node.value)
        for name in (kind.partition("[")[0], type(default).__name__):
            if name not in PLAIN_TYPES:
                raise ValueError(f"{node.target.id} is {name}, not one of {', '.join(PLAIN_TYPES)}")
        rest = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()  # ast counts bytes
        comment = re.search(r"#\s*(.*)$", rest)
        found.append(Parameter(node.target.id, kind, default, comment[1].strip() if comment else ""))
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
    except (OSError, ValueError, RecursionError) as error:
        kind = error.__class__.__name__
        raise BookError(f"{path} is not a readable notebook ({kind}): name an .ipynb file.") from None
    well_formed = (
        isinstance(notebook, dict)
        and isinstance(notebook.get("metadata"), dict)
        and isinstance(notebook.get("cells"), list)
        and all(_is_cell(cell) for cell in notebook["cells"])
    )
    if not well_formed:
        raise BookError(f"{path} is JSON but not a notebook of format 4: name an .ipynb file.")
    return notebook


def outputs_metadata(notebook: dict) -> list[dict]:
    """Collect the ``bnlab`` entries that a chapter attached to its displayed outputs, in order."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    metadata = [output.get("metadata") for output in outputs if isinstance(output, dict)]
    entries = [entry.get("bnlab") for entry in metadata if isinstance(entry, dict)]
    return [entry for entry in entries if isinstance(entry, dict)]


def _is_cell(cell: object) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("metadata"), dict):
        return False
    lines, tags = cell.get("source"), cell["metadata"].get("tags", [])
    texts = isinstance(lines, str) or (isinstance(lines, list) and all(isinstance(line, str) for line in lines))
    return (
        texts
        and isinstance(cell.get("cell_type"), str)
        and all(isinstance(x, list) for x in (tags, cell.get("outputs", [])))
    )


def _source(cell: dict) -> str:
    return "".join(cell["source"])
