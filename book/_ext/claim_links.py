"""Links between the claims and the prose, written by nobody: each id of claims.yml that a page names leads to its card.

In the other direction, a heading that a claim names in ``shown_at`` gets a line that lists those claims. So a reader
comes from an erratum to the card and back, and from an experiment to the verdicts that it decided.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

from bnlab.claims import book, claim_file

LOG = logging.getLogger(__name__)
# Not in a heading, which the contents list repeats, nor in what is shown letter by letter, nor in another link.
CLOSED = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw,
          nodes.comment, nodes.caption, nodes.image)  # fmt: skip


def link_claims(app, doctree: nodes.document) -> None:
    """Link the ids on a page that is being read, and list under its headings the claims that they show."""
    root = Path(app.srcdir)
    app.env.note_dependency(str(root / "book" / "claims.yml"))
    here = app.env.docname.removeprefix("book/")
    pages = {path.stem[:2]: path.stem for path in book.chapter_paths(root)}
    claims = {name: claim for name, claim in claim_file.claims(root).items() if claim.chapter in pages}
    link_ids(doctree, {name: address(claim, pages, here) for name, claim in claims.items()})
    for slug in list_shown(doctree, [claim for claim in claims.values() if pages[claim.chapter] == here]):
        LOG.warning(f"claims.yml: shown_at {slug} is no heading of {here}", location=app.env.docname)


def address(claim: claim_file.Claim, pages: Mapping[str, str], here: str) -> str:
    """Say where the card of a claim is, seen from the page ``here``: "errata", or "api/claims" in a folder below."""
    page = pages[claim.chapter]
    return ("" if page == here else f"{'../' * here.count('/')}{page}.html") + f"#claim-{claim.id}"


def link_ids(tree: nodes.Node, addresses: Mapping[str, str]) -> None:
    """Replace each claim's id in the text of a page by a link to its address."""
    if not addresses:
        return
    longest_first = sorted(addresses, key=len, reverse=True)
    known = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, longest_first))})(?![\w'-])")
    for text in list(tree.findall(nodes.Text)):
        if not known.search(text) or any(isinstance(node, CLOSED) for node in _ancestors(text)):
            continue
        pieces = known.split(text)  # text, id, text, id, ..., text
        links = [nodes.Text(piece) if n % 2 == 0 else _link(piece, addresses[piece]) for n, piece in enumerate(pieces)]
        text.parent.replace(text, [node for node in links if node.astext()])


def list_shown(tree: nodes.Node, claims: list[claim_file.Claim]) -> list[str]:
    """Put under each heading the claims that it shows; return the addresses that no heading has."""
    sections = {name: section for section in tree.findall(nodes.section) for name in section["ids"]}
    by_heading: dict[str, list[str]] = {}
    for claim in claims:
        if claim.shown_at:
            by_heading.setdefault(claim.shown_at, []).append(claim.id)
    for slug, names in by_heading.items():
        if slug in sections:
            line = nodes.paragraph("", "Judged here: ", classes=["bn-judged"])
            for n, name in enumerate(names):
                line += [nodes.Text(", ")] * (n > 0) + [_link(name, f"#claim-{name}")]
            sections[slug].insert(1, line)  # after the title
    return [slug for slug in by_heading if slug not in sections]


def _ancestors(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while (node := node.parent) is not None:
        found.append(node)
    return found


def _link(name: str, where: str) -> nodes.reference:
    return nodes.reference("", name, refuri=where, internal=True)


def setup(app) -> dict:
    """Connect to Sphinx."""
    app.connect("doctree-read", link_claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
