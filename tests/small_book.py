"""A book in small: the cells that simulators and predictions need, in the book's theme; nothing is executed."""

import contextlib
import io
import sys
from pathlib import Path

from book_files import CHAPTERS, ROOT, cells, source
from sphinx.application import Sphinx

EXTENSIONS = str(ROOT / "book" / "_ext")
MARKS = ("Predict first", "bn-answer", "bn-simulator")
SETTINGS = {
    "extensions": ["myst_parser", "page_scripts", "sphinx-mathjax-offline"],
    "myst_enable_extensions": ["dollarmath", "colon_fence", "html_image"],
    "html_theme": "sphinx_book_theme",
    "html_static_path": [str(ROOT / "book" / "_static")],
    "html_css_files": ["bnlab.css"],
    "html_js_files": ["bnlab.js"],
    "html_context": {"default_mode": "light"},
    "html_show_search_summary": False,
    "language": "en",
    "mathjax3_config": {"options": {"enableMenu": False}, "loader": {"load": []}},
}


def write(folder: Path, pages: dict[str, str]) -> Path:
    """Build pages of Markdown, name -> text; give the folder of the HTML. Roles that cells ask for may be missing."""
    if EXTENSIONS not in sys.path:
        sys.path.append(EXTENSIONS)
    text, html = folder / "text", folder / "html"
    text.mkdir(parents=True)
    toctree = "\n".join(["# All pages", "```{toctree}", *pages, "```"])
    for name, page in {**pages, "index": toctree}.items():
        (text / f"{name}.md").write_text(page, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        Sphinx(text, None, html, folder / "doctrees", "html", SETTINGS, status=None, warning=None).build()
    return html


def chapters() -> dict[str, str]:
    """Gather of each chapter the cells with a simulator, with predictions, or with their answers."""
    kept = {}
    for path in CHAPTERS:
        texts = [source(cell) for cell in cells(path, "markdown")]
        kept[path.stem] = "\n\n".join(text for text in texts if any(mark in text for mark in MARKS))
    return kept
