"""Scripts that only some pages need: simulators where a page holds one, and the keeper of the reader's predictions.

A simulator stands in a page as ``<div class="bn-simulator" data-simulator="NAME"><p>words for paper</p></div>`` and is
drawn by ``_static/simulators/NAME.js``. Nothing comes from the network; without scripts the words are there.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError

STATIC = Path(__file__).resolve().parents[1] / "_static"


def add_scripts(app, pagename, templatename, context, doctree) -> None:
    """Load what the page uses, after the page and in this order.

    Raises:
        ExtensionError: the page names a simulator that there is not.
    """
    if doctree is None:
        return
    raw = "".join(node.astext() for node in doctree.findall(nodes.raw))
    used = sorted(set(re.findall(r'data-simulator="([^"]*)"', raw)))
    known = {path.stem for path in (STATIC / "simulators").glob("*.js")} - {"plot"}
    if unknown := [name for name in used if name not in known]:
        raise ExtensionError(f"{pagename}: no simulator is called {', '.join(unknown)}; there are {sorted(known)}")
    if used:
        app.add_css_file("simulators/simulators.css")
        for name in ("plot", *used):
            app.add_js_file(f"simulators/{name}.js", loading_method="defer")
    if any(title.astext() == "Predict first" for title in doctree.findall(nodes.title)):
        app.add_js_file("predict.js", loading_method="defer")


def setup(app) -> dict:
    """Connect to Sphinx, ahead of what takes scripts out of a page."""
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
