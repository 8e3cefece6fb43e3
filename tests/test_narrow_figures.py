"""A page offers the narrow form of a figure where its executed chapter holds one, and only there."""

import base64
import hashlib
import re
from types import SimpleNamespace

import book_files
import nbformat
import pytest

from bnlab.figures import narrow

pytest.importorskip("sphinx", reason="Sphinx is not installed")


WIDE, SLIM, ALONE = b"drawn wide", b"drawn narrow", b"drawn once"
BROAD, STACK = b"two panels", b"two panels, stacked"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def extension():
    return book_files.extension("narrow_figures")


@pytest.fixture
def drawn(extension):
    def output(wide, slim, stacked):
        beside = {narrow.KEPT_AS: encoded(slim), narrow.STACKED: stacked}
        return nbformat.v4.new_output("display_data", {"image/png": encoded(wide)}, metadata=beside)

    outputs = [
        output(WIDE, SLIM, False),
        output(BROAD, STACK, True),
        nbformat.v4.new_output("display_data", {"image/png": encoded(ALONE)}),
        nbformat.v4.new_output("display_data", {"text/plain": "42"}),
        nbformat.v4.new_output("stream", text="42"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("draw()", outputs=outputs)])
    found, stacked = extension.both_sizes(notebook)
    assert stacked == {name(BROAD)}
    return found


def test_only_figures_of_two_sizes_are_found(drawn):
    assert drawn == {name(WIDE): SLIM, name(BROAD): STACK}


@pytest.mark.parametrize(
    ("image", "words", "told"),
    [(BROAD, "Left: one. Right: two.", True), (BROAD, "Both rise.", False), (WIDE, "It rises to the right.", False)],
)
def test_a_caption_says_where_left_and_right_went(extension, image, words, told):
    made = (
        f'<figure><picture><source><img src="a/{name(image)}.png"/></picture><figcaption>\n<p>{words}'
        '<a class="headerlink">#</a></p></figcaption></figure>'
    )
    found = extension.CAPTION.sub(lambda match: extension.caption(match, {name(BROAD)}), made)
    assert found.replace(extension.NOTE, "") == made
    assert found.count(extension.NOTE) == told
    assert not told or found.index(words) < found.index(extension.NOTE) < found.index("<a ")


def test_the_browser_chooses_and_keeps_the_words(extension, drawn):
    image = f'<img alt="it falls" src="../_images/{name(WIDE)}.png"/>'
    found = extension.IMAGE.sub(lambda match: extension.picture(match, drawn), image)
    assert found.endswith(f"{image}</picture>")
    (source,) = re.findall(r'<source media="\(max-width: [\d.]+px\)" srcset="([^"]+)">', found)
    assert source == f"../_images/{name(WIDE)}-narrow.png"


@pytest.mark.parametrize("image", [f'<img alt="x" src="a/{name(ALONE)}.png">', '<img alt="x" src="logo.png">'])
def test_any_other_image_stays_as_it_is(extension, drawn, image):
    assert extension.IMAGE.sub(lambda match: extension.picture(match, drawn), image) == image


def test_pages_that_are_no_chapters_have_their_narrow_figures_too(extension, tmp_path, monkeypatch):
    chapters, computed = tmp_path / "executed", tmp_path / "jupyter_execute" / "book"
    monkeypatch.setattr(extension.book, "executed_folder", lambda _: chapters)
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "html")
    assert extension.executed(app, "book/index") is None
    for folder in (chapters, computed):
        folder.mkdir(parents=True)
        (folder / "04_a.ipynb").touch()
    (computed / "index.ipynb").touch()
    assert extension.executed(app, "book/index") == computed / "index.ipynb"
    assert extension.executed(app, "book/04_a") == chapters / "04_a.ipynb"
