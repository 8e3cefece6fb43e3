"""A page offers the narrow form of a figure where its executed chapter holds one, and only there."""

import base64
import hashlib
import importlib.util
import re

import nbformat
import pytest
from book_files import ROOT

from bnlab.figures import narrow

pytest.importorskip("sphinx", reason="Sphinx is not installed")
WIDE, ALONE = b"drawn wide", b"drawn once"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def extension():
    spec = importlib.util.spec_from_file_location("narrow_figures", ROOT / "book" / "_ext" / "narrow_figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def drawn(extension):
    beside = {narrow.KEPT_AS: encoded(b"narrow")}
    outputs = [
        nbformat.v4.new_output("display_data", {"image/png": encoded(WIDE)}, metadata=beside),
        nbformat.v4.new_output("display_data", {"image/png": encoded(ALONE)}),
        nbformat.v4.new_output("display_data", {"text/plain": "42"}),
        nbformat.v4.new_output("stream", text="42"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("draw()", outputs=outputs)])
    return extension.both_sizes(notebook)


def test_only_figures_of_two_sizes_are_found(drawn):
    assert drawn == {name(WIDE): b"narrow"}


def test_the_browser_chooses_and_keeps_the_words(extension, drawn):
    image = f'<img alt="it falls" src="../_images/{name(WIDE)}.png"/>'
    found = extension.IMAGE.sub(lambda match: extension.picture(match, drawn), image)
    assert found.endswith(f"{image}</picture>")
    (source,) = re.findall(r'<source media="\(max-width: [\d.]+px\)" srcset="([^"]+)">', found)
    assert source == f"../_images/{name(WIDE)}-narrow.png"


@pytest.mark.parametrize("image", [f'<img alt="x" src="a/{name(ALONE)}.png">', '<img alt="x" src="logo.png">'])
def test_any_other_image_stays_as_it_is(extension, drawn, image):
    assert extension.IMAGE.sub(lambda match: extension.picture(match, drawn), image) == image
