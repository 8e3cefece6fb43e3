"""A lecture's slides, cut from a chapter's page by rule: what is predicted, shown, derived, and found.

In the order of the page: title and goals; the predictions; of each section its formulas with the sentence that leads to
them, its theorems, its figures; what survives, and the card that answers; the claims; the exercises.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from bs4.element import Tag

from teaching import pages

BEHIND = {"Limits", "Exercises", "Further reading", "At full scale"}  # for reading, not for showing
SURVIVES = "What survives"
FORMULAS, LETTERS = 3, 900  # on a slide


def slides(body: Tag) -> list[str]:
    """Cut a chapter into slides, each the HTML of a ``<section>``."""
    return [f'<section class="slide {kind}">\n{content}\n</section>' for kind, content in _cut(body)]


def deck(path: Path, root: Path) -> str:
    """Write the slides of a built chapter as one HTML document; ``root`` is the built book's folder."""
    body = pages.article(path)
    script = (pages.STYLES / "slides.js").read_text(encoding="utf-8")
    shown = '<p class="place" aria-live="polite"></p>'
    return pages.document(pages.title(body), f"<main>{''.join(slides(body))}</main>{shown}", "slides.css", root, script)


def _cut(body: Tag) -> Iterator[tuple[str, str]]:
    goals = pages.goals(body)
    told = f"<p>After this lecture you can</p>{goals}" if goals else ""
    yield "title", f"<h1>{pages.title(body)}</h1>{told}"
    if box := pages.admonition(body, pages.PREDICTIONS):
        yield "predict", f"<h2>{pages.PREDICTIONS}</h2>{_without_title(box)}"
    behind = False
    for heading, content in pages.sections(body):
        if content and content[0].find_previous(["h2"]) is not None:
            behind = content[0].find_previous("h2").get_text().strip() in {*BEHIND, SURVIVES}
        if not behind:
            yield from _of_section(heading, content)
    yield from _end(body)


def _of_section(heading: str, content: list[Tag]) -> Iterator[tuple[str, str]]:
    head, formulas = f"<h2>{heading}</h2>", []
    for n, child in enumerate(content):
        if child.name == "div" and "math" in child.get("class", []):
            before = content[n - 1] if n and content[n - 1].name == "p" else ""
            formulas.append(f"{before}{child}")
        elif child.name == "div" and "theorem" in child.get("class", []):
            formulas.append(str(child))
        if len(formulas) == FORMULAS or (formulas and child.select_one("figure, .bn-player")):
            yield "formulas", head + "".join(formulas)
            formulas = []
        for figure in child.select("figure, .bn-player"):
            yield "figure", head + str(figure)
    if formulas:
        yield "formulas", head + "".join(formulas)


def _end(body: Tag) -> Iterator[tuple[str, str]]:
    survives = next((content for heading, content in pages.sections(body) if heading == SURVIVES), [])
    for words in _in_portions([child for child in survives if child.name in ("p", "ul", "ol")]):
        yield "survives", f"<h2>{SURVIVES}</h2>{words}"
    if box := pages.admonition(body, pages.CARD):
        yield "short", f"<h2>In short</h2>{_without_title(box)}"
    cards = body.select(".bn-card")
    if cards:
        yield "claims", f"<h2>The claims</h2><ul>{''.join(f'<li>{_line(card)}</li>' for card in cards)}</ul>"
    yield from (("claim", _claim(card)) for card in cards)
    titles = [found.get_text().strip() for found in body.select(".exercise > .admonition-title")]
    if titles:
        yield "exercises", f"<h2>Exercises</h2><ul>{''.join(f'<li>{_bare(words)}</li>' for words in titles)}</ul>"


def _in_portions(children: list[Tag]) -> Iterator[str]:
    """Prose that fits on a slide at a time; a paragraph stays whole."""
    shown, letters = "", 0
    for child in children:
        length = len(child.get_text())
        if shown and letters + length > LETTERS:
            yield shown
            shown, letters = "", 0
        shown, letters = shown + str(child), letters + length
    if shown:
        yield shown


def _without_title(box: Tag) -> str:
    return "".join(str(child) for child in box.find_all(recursive=False) if not _is_title(child))


def _is_title(child: Tag) -> bool:
    return "admonition-title" in child.get("class", [])


def _line(card: Tag) -> str:
    return "".join(map(str, card.select_one(".bn-line").contents))


def _claim(card: Tag) -> str:
    """A claim as a slide: what the document says, what was measured, the criterion."""
    rows = {row.dt.get_text().strip(): row.dd.decode_contents() for row in card.select("dl.bn-card-body > div")}
    shown = [
        (name, text) for name, text in rows.items() if name.startswith(("The document", "We measure", "Criterion"))
    ]
    told = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in shown)
    return f'<h2 class="bn-line">{_line(card)}</h2><dl>{told}</dl>'


def _bare(words: str) -> str:
    """Say an exercise's number and title, of "Exercise 8.1 (Both ways round (10 minutes))"."""
    head, _, name = words.partition("(")
    return f"{head.removeprefix('Exercise').strip()} {name.removesuffix(')')}".strip() if name else words


def index(names: Iterable[tuple[str, str]], what: str) -> str:
    """Write a page that links to files, (name, title) each."""
    items = "".join(f'<li><a href="{name}">{title}</a></li>' for name, title in names)
    style = (pages.STYLES / "common.css").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{what}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f'<style>{style}</style></head><body class="index"><main><h1>{what}</h1><ul>{items}</ul></main></body></html>\n'
    )
