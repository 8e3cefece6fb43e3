"""A built chapter, read back from its page: numbers are glued there, references resolved, figures numbered."""

import base64
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup
from bs4.element import Tag

CARD, PREDICTIONS, GOALS = "This chapter in short", "Predict first", "After this chapter you can"
MATHJAX = "_static/mathjax/tex-svg-full.js"  # draws formulas as SVG and needs no fonts: one script, no file beside it
STYLES = Path(__file__).parent


class PageError(RuntimeError):
    """A page that is not there or is no chapter's. Its text is one clear line."""


def article(path: Path) -> Tag:
    """Read the body of a chapter's page: images inside it and wide, links to other pages as words, no code.

    Raises:
        PageError: not built, or without a chapter's parts.
    """
    if not path.is_file():
        raise PageError(f"{path} is not there: run make book first.")
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    body = soup.find("article")
    if body is None or body.h1 is None:
        raise PageError(f"{path} is no page of a chapter.")
    for litter in body.select(
        "a.headerlink, .cell_input, details.hide, .bn-judged, .bn-print-only, picture > source, .bn-narrow-note"
    ):
        litter.decompose()
    for link in body.select("a[href]"):
        if not link["href"].startswith(("http://", "https://")):
            link.unwrap()
    for image in body.select("img[src]"):
        image["src"] = _inside(image["src"], path.parent)
        image.attrs.pop("loading", None)
    return body


def _inside(address: str, folder: Path) -> str:
    if address.startswith("data:"):
        return address
    file = folder / unquote(address.partition("?")[0])
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def title(body: Tag) -> str:
    """Say a chapter's title, with its number."""
    return body.h1.get_text().strip()


def admonition(body: Tag, name: str) -> Tag | None:
    """Find a box by its title."""
    titles = body.select(".admonition > .admonition-title")
    return next((found.parent for found in titles if found.get_text().strip() == name), None)


def goals(body: Tag) -> Tag | None:
    """Find the list of learning goals."""
    lead = next((p for p in body.find_all("p") if p.get_text().strip().startswith(GOALS)), None)
    return lead.find_next("ul") if lead else None


def sections(body: Tag) -> Iterator[tuple[str, list[Tag]]]:
    """The chapter's sections in order, each with its own heading as HTML and what stands in it, subsections apart."""
    for section in body.select("section:has(> h2, > h3)"):
        heading = section.find(["h2", "h3"], recursive=False)
        inside = [child for child in section.find_all(recursive=False) if child is not heading]
        yield heading.decode_contents(), [child for child in inside if not _has_heading(child)]


def _has_heading(child: Tag) -> bool:
    return child.name == "section" and child.find(["h2", "h3"], recursive=False) is not None


def document(name: str, body: str, style: str, root: Path, script: str = "") -> str:
    """Put a page together that needs no file beside it and no network.

    Raises:
        PageError: the built book has no MathJax.
    """
    mathjax = root / MATHJAX
    if not mathjax.is_file():
        raise PageError(f"{mathjax} is not there: run make book first.")
    book = (STYLES / "common.css").read_text(encoding="utf-8")
    own = (STYLES / style).read_text(encoding="utf-8")
    settings = (
        'window.MathJax = {options: {enableMenu: false, ignoreHtmlClass: "page", processHtmlClass: "math"}, '
        'loader: {load: []}, svg: {fontCache: "global"}};'
    )
    code = mathjax.read_text(encoding="utf-8").replace("</script", "<\\/script")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{name}</title>\n<link rel="icon" href="data:,">\n<style>\n{book}{own}</style>\n</head>\n'
        f'<body class="page">\n{body}\n<script>{settings}</script>\n<script>{code}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
