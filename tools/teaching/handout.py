"""A chapter on one page of paper: what was found, what one should be able to do, the verdicts that matter most."""

from pathlib import Path

from bs4.element import Tag

from teaching import pages

MOST = 8  # claims told in words; the others are named with their verdicts


def summary(path: Path) -> tuple[str, str]:
    """Make one built chapter's page: (title, HTML)."""
    body = pages.article(path)
    parts = [f"<h1>{pages.title(body)}</h1>"]
    if box := pages.admonition(body, pages.CARD):
        told = [child for child in box.find_all(recursive=False) if "admonition-title" not in child.get("class", [])]
        parts.append(f"<h2>In short</h2>{''.join(map(str, told))}")
    if goals := pages.goals(body):
        parts.append(f"<h2>You can</h2>{goals}")
    parts.append(_verdicts(body.select(".bn-card")))
    return pages.title(body), f'<section class="handout">{"".join(parts)}</section>'


def document(sheets: list[tuple[str, str]], root: Path) -> str:
    """Put the pages of some chapters into one HTML document; ``root`` is the built book's folder."""
    name = sheets[0][0] if len(sheets) == 1 else "The chapters, one page each"
    return pages.document(name, f"<main>{''.join(text for _, text in sheets)}</main>", "handout.css", root)


def _verdicts(cards: list[Tag]) -> str:
    """List first what did not simply come out as printed, which a reader should take home; last what did not run."""
    last = ("reproduced", "reported", "not run at full scale")
    cards = sorted(cards, key=lambda card: last.index(_word(card)) + 1 if _word(card) in last else 0)
    told = "".join(f"<li>{_line(card)} {_said(card)}</li>" for card in cards[:MOST])
    rest = ", ".join(f"<code>{card.code.get_text()}</code> {_word(card)}" for card in cards[MOST:])
    more = f'<p class="rest">Also: {rest}.</p>' if rest else ""
    return f"<h2>The claims</h2><ul>{told}</ul>{more}" if cards else ""


def _said(card: Tag) -> str:
    """What the document says; where that is corrected, the corrected form that the criterion names after it."""
    said = card.select_one(".bn-teaser").decode_contents()
    names = [name for name in card.select(".bn-card-body dt") if name.get_text().startswith("Criterion")]
    if _word(card) != "corrected" or not names:
        return said
    _, found, form = names[0].find_next_sibling("dd").decode_contents().partition("Corrected form: ")
    return f"{said} <strong>Right:</strong> {form.partition('<div')[0]}" if found else said


def _word(card: Tag) -> str:
    return card.select_one(".bn-verdict").get_text().strip()


def _line(card: Tag) -> str:
    return f"{card.code} {card.select_one('.bn-verdict')}"
