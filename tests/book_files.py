"""What the tests of the book share: its notebooks, its built pages, a browser to open them."""

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
PAGES = sorted((HTML / "book").glob("*.html"))
API_PAGES = sorted((HTML / "book" / "api").glob("*.html"))


def cells(path: Path, kind: str) -> list[dict]:
    """Read the cells of one kind ("code" or "markdown")."""
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def source(cell: dict) -> str:
    """Join the source of a cell."""
    return "".join(cell["source"])


def tags(cell: dict) -> set[str]:
    """Collect the tags of a cell."""
    return set(cell["metadata"].get("tags", []))


def module(path: Path):
    """Load a module that lies in no package: one of ``book/_ext`` or ``tools``."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def extension(name: str):
    """Load one of the book's Sphinx extensions."""
    return module(ROOT / "book" / "_ext" / f"{name}.py")


def chromium() -> str | None:
    """Find a browser: BNLAB_CHROMIUM, else one of the usual names on the path."""
    named = os.environ.get("BNLAB_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return named or next((found for name in names if (found := shutil.which(name))), None)


def prose(text: str) -> str:
    """Leave of a Markdown cell what a reader takes for the authors' words: no code, formulas, quotations, or roles."""
    text = re.sub(r"(?ms)^(`{3,}|~{3,})\{?(code|bibliography|math).*?^\1", " ", text)
    text = re.sub(r"(?m)^\s*>.*$", " ", text)
    text = re.sub(r"(?s)\$\$.*?\$\$|\\begin\{.*?\\end\{[^}]*\}", " ", text)
    text = re.sub(r"\$[^$]*\$", " ", text)
    text = re.sub(r"\{[\w:.-]+\}`[^`]*`", " ", text)
    return re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]+>", " ", text)
