"""Figures in two sizes: a phone's browser takes the one that was drawn narrow, every other and paper the wide one.

Executed chapters hold both (`bnlab.figures.narrow`); myst-nb shows the wide one and names its file by its checksum.
"""

import base64
import hashlib
import os
import re
from pathlib import Path

import nbformat

from bnlab.claims import book
from bnlab.figures import narrow

CAPTION = re.compile(
    r'(/([0-9a-f]{64})\.png"[^>]*></picture>\s*<figcaption>\s*<p>)((?:(?!</figure>).)*?)(?=<a class="headerlink")',
    re.DOTALL,
)
BESIDE = re.compile(r"\b(left|right|middle)\b", re.IGNORECASE)
NOTE = '<span class="bn-narrow-note"> (On a narrow screen: left is above, right is below.)</span>'
PHONE = "(max-width: 599.98px)"
IMAGE = re.compile(r'<img\b[^>]*\bsrc="[^"]*?([0-9a-f]{64})\.png"[^>]*>')


def ask(app) -> None:
    """Have the kernels that execute chapters draw both sizes."""
    os.environ[narrow.ASKED] = "1"


def offer(app, pagename, templatename, context, doctree) -> None:
    """Put the narrow files beside the wide ones, and name them in the page."""
    found = executed(app, pagename)
    if doctree is None or found is None:
        return
    drawn, stacked = both_sizes(nbformat.read(found, as_version=4))
    folder = Path(app.outdir) / "_images"
    folder.mkdir(exist_ok=True)
    for checksum in set(IMAGE.findall(context["body"])) & set(drawn):
        (folder / f"{checksum}-narrow.png").write_bytes(drawn[checksum])
    offered = IMAGE.sub(lambda found: picture(found, drawn), context["body"])
    context["body"] = CAPTION.sub(lambda found: caption(found, stacked), offered)


def executed(app, pagename: str) -> Path | None:
    """Find the executed notebook of a page: a chapter's, else that of a page which myst-nb itself has executed."""
    chapter = book.executed_folder(Path(app.srcdir)) / f"{Path(pagename).name}.ipynb"
    computed = Path(app.outdir).parent / "jupyter_execute" / f"{pagename}.ipynb"
    return next((place for place in (chapter, computed) if place.is_file()), None)


def both_sizes(notebook) -> tuple[dict[str, bytes], set[str]]:
    """Map the checksum of each figure of two sizes to its narrow one; list those whose panels are stacked there."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    drawn, stacked = {}, set()
    for data, metadata in ((output.get("data", {}), output.get("metadata", {})) for output in outputs):
        if "image/png" in data and narrow.KEPT_AS in metadata:
            name = hashlib.sha256(base64.b64decode(data["image/png"])).hexdigest()
            drawn[name] = base64.b64decode(metadata[narrow.KEPT_AS])
            if metadata[narrow.STACKED]:
                stacked.add(name)
    return drawn, stacked


def caption(found: re.Match, stacked: set[str]) -> str:
    """Say where left and right went, where a caption speaks of them."""
    moved = found[2] in stacked and BESIDE.search(found[3])
    return f"{found[1]}{found[3]}{NOTE if moved else ''}"


def picture(found: re.Match, drawn: dict[str, bytes]) -> str:
    """Wrap an image that has a narrow form, for the browser to choose; leave any other as it is."""
    image, checksum = found[0], found[1]
    if checksum not in drawn:
        return image
    place = re.search(r'src="([^"]*)\.png"', image)[1]
    return f'<picture><source media="{PHONE}" srcset="{place}-narrow.png">{image}</picture>'


def setup(app) -> dict:
    """Connect to Sphinx: before the chapters are executed."""
    app.connect("builder-inited", ask)
    app.connect("html-page-context", offer)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
