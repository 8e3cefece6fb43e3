"""Ledger, card, experiment and erratum lead to each other: in the sources, in the extension, in the built book."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from book_files import CHAPTERS, HTML, ROOT, cells, module, source
from docutils import nodes

from bnlab.claims import ledger

FILE = ROOT / "book" / "_ext" / "claim_links.py"
ADDRESSES = {"C-Eq1": "#claim-C-Eq1", "C-Eq11": "05_x.html#claim-C-Eq11", "C-2.1d": "x", "C-2.1def": "y"}


@pytest.fixture(scope="module")
def extension():
    return module(FILE)


def links(tree) -> list[tuple[str, str]]:
    return [(node.astext(), node["refuri"]) for node in tree.findall(nodes.reference) if "refuri" in node]


def test_ids_in_the_text_become_links_and_nothing_else_changes(extension):
    words = "See C-Eq1, C-Eq11 (not XC-Eq1, C-Eq1-b, C-Eq111 or C-Eq1's) and C-2.1def; C-2.1d."
    tree = nodes.paragraph("", words)
    extension.link_ids(tree, ADDRESSES)
    assert tree.astext() == words
    assert links(tree) == [
        ("C-Eq1", "#claim-C-Eq1"),
        ("C-Eq11", "05_x.html#claim-C-Eq11"),
        ("C-2.1def", "y"),
        ("C-2.1d", "x"),
    ]


@pytest.mark.parametrize("kind", [nodes.title, nodes.literal, nodes.literal_block, nodes.reference, nodes.math])
def test_ids_in_headings_code_formulas_and_links_stay(extension, kind):
    inner = kind("", "C-Eq1")
    tree = nodes.section("", inner, ids=["x"])
    extension.link_ids(tree, ADDRESSES)
    assert tree.children == [inner]
    assert inner.astext() == "C-Eq1"
    assert links(tree) == []


def test_without_claims_nothing_is_linked(extension):
    tree = nodes.paragraph("", "C-Eq1")
    extension.link_ids(tree, {})
    assert links(tree) == []


def claim(name: str, shown_at: str = "", chapter: str = "04") -> SimpleNamespace:
    return SimpleNamespace(id=name, shown_at=shown_at, chapter=chapter)


def test_a_heading_lists_the_claims_that_it_shows(extension):
    inner = nodes.section("", nodes.title("", "Five steps"), nodes.paragraph("", "Text."), ids=["five-steps"])
    tree = nodes.section("", nodes.title("", "Page"), inner, ids=["page"])
    wanted = [claim("C-A", "five-steps"), claim("C-B", "five-steps"), claim("C-C"), claim("C-D", "seven-steps")]
    assert extension.list_shown(tree, wanted) == ["seven-steps"]
    assert inner[1].astext() == "Judged here: C-A, C-B"
    assert links(inner) == [("C-A", "#claim-C-A"), ("C-B", "#claim-C-B")]
    assert inner[2].astext() == "Text."


def test_an_address_is_seen_from_the_page(extension):
    pages = {"04": "04_natural_modes"}
    assert extension.address(claim("C-A"), pages, "04_natural_modes") == "#claim-C-A"
    assert extension.address(claim("C-A"), pages, "errata") == "04_natural_modes.html#claim-C-A"
    assert extension.address(claim("C-A"), pages, "api/claims") == "../04_natural_modes.html#claim-C-A"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_claim_names_is_a_heading_of_its_chapter(chapter):
    text = "\n".join(source(cell) for cell in cells(chapter, "markdown"))
    headings = {nodes.make_id(found) for found in re.findall(r"(?m)^#+ (.+)$", text)}
    headings |= set(re.findall(r"(?m)^\(([\w-]+)\)=\n#+ ", text))  # a heading's label
    named = {c.shown_at for c in ledger.claims(ROOT).values() if c.chapter == chapter.stem[:2] and c.shown_at}
    assert named - headings == set()


def test_every_claim_says_where_it_is_shown_and_what_would_change_our_mind():
    rows = list(ledger.claims(ROOT).values())
    assert [c.id for c in rows if not c.shown_at] == ["C-ICS"]  # told under Limits, run nowhere
    assert [c.id for c in rows if not c.would_change_our_mind] == []


def errata() -> dict[str, set[str]]:
    """Read which claims each erratum names in its text."""
    parts = re.split(r"(?m)^\((err-\d+)\)=\n", (ROOT / "book" / "errata.md").read_text(encoding="utf-8"))
    ids = sorted(ledger.claims(ROOT), key=len, reverse=True)
    known = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, ids))})(?![\w'-])")
    return {name.upper(): set(known.findall(text)) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def claims_of_errata() -> dict[str, set[str]]:
    named: dict[str, set[str]] = {}
    for found in ledger.claims(ROOT).values():
        for erratum in found.errata:
            named.setdefault(erratum, set()).add(found.id)
    return named


def test_each_erratum_and_one_of_its_claims_name_each_other():
    texts, rows = errata(), claims_of_errata()
    assert sorted(rows) == sorted(texts)
    assert [name for name in texts if not texts[name] & rows[name]] == []


def test_every_erratum_names_all_claims_that_name_it_and_no_other():
    texts, rows = errata(), claims_of_errata()
    assert {name: sorted(rows[name] ^ texts[name]) for name in texts if rows[name] ^ texts[name]} == {}


class Anchors(HTMLParser):
    """Collect a page's ids in order, and under which id each link stands."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.here = [], {}, ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.ids.append(found["id"])
            self.here = self.here if re.fullmatch(r"id\d+", found["id"]) else found["id"]  # a citation
        if tag == "a" and "href" in found:
            self.links.setdefault(self.here, set()).add(found["href"])


@pytest.fixture(scope="module")
def built():
    pages = {path.stem: Anchors(path) for path in (HTML / "book").glob("*.html")}
    if not pages:
        pytest.skip("the book is not built: run make book")
    return pages


def uses_cards(path) -> bool:
    return any("claim_cards(" in source(cell) for cell in cells(path, "code"))


by_chapter = pytest.mark.parametrize("chapter", [c for c in CHAPTERS if uses_cards(c)], ids=lambda c: c.stem)


@by_chapter
def test_each_claim_of_a_chapter_has_one_card(built, chapter):
    wanted = {f"claim-{c.id}" for c in ledger.claims(ROOT).values() if c.chapter == chapter.stem[:2]}
    there = [name for name in built[chapter.stem].ids if name.startswith("claim-")]
    assert sorted(there) == sorted(wanted)


@by_chapter
def test_card_ledger_place_and_erratum_lead_to_each_other(built, chapter):
    page, row_links, card_links = chapter.stem, built["ledger"].links, built[chapter.stem].links
    for name, found in ledger.claims(ROOT).items():
        if found.chapter != page[:2]:
            continue
        assert f"{page}.html#claim-{name}" in row_links[name]
        assert f"ledger.html#{name}" in card_links[f"claim-{name}"]
        for erratum in found.errata:
            assert f"errata.html#{erratum.lower()}" in card_links[f"claim-{name}"]
        if found.shown_at:
            assert found.shown_at in built[page].ids
            assert f"#{found.shown_at}" in card_links[f"claim-{name}"]
            assert f"#claim-{name}" in card_links[found.shown_at]
    for erratum, names in errata().items():
        text = built["errata"].links.get(erratum.lower(), set())
        for name in names:
            if ledger.claims(ROOT)[name].chapter == page[:2]:
                assert f"{page}.html#claim-{name}" in text
