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

PHONE = "(max-width: 599.98px)"
IMAGE = re.compile(r'<img\b[^>]*\bsrc="[^"]*?([0-9a-f]{64})\.png"[^>]*>')


def ask(app) -> None:
    """Have the kernels that execute chapters draw both sizes."""
    os.environ[narrow.ASKED] = "1"


def offer(app, pagename, templatename, context, doctree) -> None:
    """Put the narrow files beside the wide ones, and name them in the page."""
    executed = book.executed_folder(Path(app.srcdir)) / f"{Path(pagename).name}.ipynb"
    if doctree is None or not executed.is_file():
        return
    drawn = both_sizes(nbformat.read(executed, as_version=4))
    folder = Path(app.outdir) / "_images"
    folder.mkdir(exist_ok=True)
    for checksum in set(IMAGE.findall(context["body"])) & set(drawn):
        (folder / f"{checksum}-narrow.png").write_bytes(drawn[checksum])
    context["body"] = IMAGE.sub(lambda found: picture(found, drawn), context["body"])


def both_sizes(notebook) -> dict[str, bytes]:
    """Map the checksum of each figure that has two sizes to the content of its narrow one."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    drawn = [(output.data, output.metadata) for output in outputs if "image/png" in output.get("data", ())]
    return {
        hashlib.sha256(base64.b64decode(data["image/png"])).hexdigest(): base64.b64decode(metadata[narrow.KEPT_AS])
        for data, metadata in drawn
        if narrow.KEPT_AS in metadata
    }


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
