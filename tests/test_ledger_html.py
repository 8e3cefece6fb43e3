"""The built ledger: searched, filtered, sorted and linked in a browser, whole without scripts, and its other forms."""

import json

import pytest
from book_files import HTML, PAGES
from browsing import browser_only

from bnlab.claims import ledger

pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built: run make book")
ADDRESS = (HTML / "book" / "ledger.html").as_uri()


@pytest.fixture
def ledger_of_the_book(browser):
    page = browser.new_page()
    page.goto(ADDRESS)
    yield page
    page.close()


def visible(page) -> list[str]:
    return page.eval_on_selector_all("table.bn-ledger tbody tr:not([hidden])", "rows => rows.map(row => row.id)")


@browser_only
def test_the_ledger_is_searched_filtered_and_sorted(ledger_of_the_book):
    page, claims = ledger_of_the_book, sorted(ledger.claims().values(), key=lambda claim: claim.chapter)
    every = [claim.id for claim in claims]
    assert visible(page) == every
    page.get_by_label("Search id or words").fill("c-fig6")
    assert "C-Fig6" in visible(page)
    assert len(visible(page)) < len(every) / 4
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Kind").select_option("T")
    assert visible(page) == [claim.id for claim in claims if claim.kind == "T"]
    assert "kind=T" in page.url
    page.get_by_role("button", name="Show all").click()
    page.locator("table.bn-ledger thead th:first-child button").press("Enter")
    assert page.locator("th[aria-sort=ascending]").count() == 1
    assert (visible(page)[0], set(visible(page))) == ("A-NLMS", set(every))
    page.locator("table.bn-ledger thead th:first-child button").press("Enter")
    page.locator("table.bn-ledger thead th:first-child button").press("Enter")
    assert visible(page) == every


@browser_only
def test_a_link_to_a_claim_unfolds_it_even_where_a_filter_hides_it(ledger_of_the_book):
    page = ledger_of_the_book
    page.goto(ADDRESS + "?kind=T#C-Fig6")
    assert page.locator("#C-Fig6 details").get_attribute("open") is not None
    assert page.locator("#C-Fig6").is_visible()


@browser_only
def test_the_ledger_is_short_before_anything_is_opened(ledger_of_the_book):
    page = ledger_of_the_book
    page.set_viewport_size({"width": 1280, "height": 900})
    assert page.locator("table.bn-ledger").bounding_box()["height"] < 6 * 900


def test_the_ledger_has_its_other_forms_beside_it():
    stored = json.loads((HTML / "book" / "ledger.json").read_text(encoding="utf-8"))["claims"]
    assert [row["id"] for row in stored] == list(ledger.claims())
    assert not [row["id"] for row in stored if row["verdict"] == "not built"]
    crate = json.loads((HTML / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    for part in next(entity for entity in crate["@graph"] if entity["@id"] == "./")["hasPart"]:
        assert (HTML / part["@id"]).is_file(), part


@browser_only
def test_the_ledger_is_whole_without_scripts(browser):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(ADDRESS)
    assert page.locator("table.bn-ledger tbody tr").count() == len(ledger.claims())
    assert page.locator(".bn-filters").count() == 0
