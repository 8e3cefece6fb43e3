"""The built book, opened as a reader opens it: from file://, network off, on a desk and on a phone."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from book_files import API_PAGES, HTML, PAGES
from browsing import browser_only, visit

pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built: run make book")
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
with_api = pytest.mark.parametrize("page", [*PAGES, *API_PAGES], ids=lambda p: p.stem)


VERBATIM = ("script", "style", "pre", "code", "textarea")


class Page(HTMLParser):
    """Collects what a page says, links to, loads, and can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.said, self.verbatim = [], 0  # text but for code, and how deep in code the parser is
        self.feed(path.read_text(encoding="utf-8"))

    def handle_data(self, data):
        if not self.verbatim:
            self.said.append(data)

    def handle_endtag(self, tag):
        self.verbatim -= tag in VERBATIM

    def handle_starttag(self, tag, attributes):
        self.verbatim += tag in VERBATIM
        found = dict(attributes)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("script", "img", "iframe", "source", "audio", "video") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon"):
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def parsed():
    return {path.resolve(): Page(path) for path in HTML.rglob("*.html")}


@with_api
def test_no_link_is_broken(page, parsed):
    broken = []
    for link in parsed[page.resolve()].links:
        parts = urlsplit(link)
        if parts.scheme or link.startswith("//") or link in ("", "#"):
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
        anchors = parsed[target].ids if target in parsed else None
        if not target.exists() or (parts.fragment and anchors is not None and unquote(parts.fragment) not in anchors):
            broken.append(link)
    assert broken == []


@by_page
def test_no_formula_stands_unset_in_the_text(page, parsed):
    """Text that is glued is no Markdown: a formula in it would stand there with its dollar signs."""
    assert [words.strip()[:200] for words in parsed[page.resolve()].said if "$" in words] == []


@with_api
def test_nothing_is_loaded_from_elsewhere(page, parsed):
    outside = [load for load in parsed[page.resolve()].loads if re.match(r"(https?:)?//", load)]
    assert outside == []
    for load in parsed[page.resolve()].loads:
        if not load.startswith("data:"):
            assert (page.parent / unquote(urlsplit(load).path)).exists(), load


def test_mathjax_is_as_much_of_it_as_the_pages_use():
    folder = HTML / "_static" / "mathjax"
    assert (folder / "tex-chtml.js").is_file()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 6e6


@with_api
def test_no_page_is_too_heavy_for_a_phone(page):
    assert page.stat().st_size < 8_000_000


def test_every_claim_has_its_address(parsed):
    from bnlab.claims import ledger

    ids = parsed[(HTML / "book" / "ledger.html").resolve()].ids
    assert [name for name in ledger.claims() if name not in ids] == []


@pytest.fixture(params=[1280, 390], ids=["desk", "phone"])
def context(browser, request):
    opened = browser.new_context(viewport={"width": request.param, "height": 900}, offline=True)
    opened.width = request.param
    yield opened
    opened.close()


VISITS = [(width, page) for page in [*PAGES, *API_PAGES] for width in (1280, 390)]


@pytest.fixture(scope="module", params=VISITS, ids=lambda v: f"{v[1].stem}-{'phone' if v[0] == 390 else 'desk'}")
def opened(browser, request):
    """Give a page's view, what went wrong, its width and file: opened once for several tests, it takes seconds."""
    width, page = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    yield *visit(context, page.as_uri()), width, page
    context.close()


# The API's pages share their colours: one of them is enough.
PLAIN = set(API_PAGES) - {min(API_PAGES, key=lambda page: page.stat().st_size, default=None)}
COLOURS = ("color-contrast", "link-in-text-block")  # the rules that look at every word: four fifths of a scan
# Code has thousands of words in a dozen colours: three of a kind are looked at.
FEWER_WORDS = """() => {
  const seen = {};
  for (const word of document.querySelectorAll('.highlight pre span[class]')) {
    seen[word.className] = (seen[word.className] ?? 0) + 1;
    if (seen[word.className] > 3) word.replaceWith(...word.childNodes);
  }
}"""


def faults(view, **rules) -> list[str]:
    """Scan a page by axe's rules; ``rules`` chooses among them."""
    from axe_playwright_python.sync_playwright import Axe

    view.evaluate(FEWER_WORDS)
    # preload would read style sheets, which file:// forbids
    found = Axe().run(view, options={"preload": False, "resultTypes": ["violations"], **rules}).response["violations"]
    return [f"{v['id']}: {len(v['nodes'])}, {v['nodes'][0]['html'][:150]}" for v in found]


@browser_only
@pytest.mark.browser
def test_page_is_accessible(opened):
    """By every rule on a desk; on a phone by those that do not look at colours, which are the same."""
    view, _, width, page = opened
    assert view.evaluate("() => document.documentElement.dataset.theme") == "light"
    chosen = {} if width == 1280 and page not in PLAIN else {"rules": {name: {"enabled": False} for name in COLOURS}}
    assert faults(view, **chosen) == []


@browser_only
@pytest.mark.browser
@by_page
def test_page_is_accessible_in_the_dark(page, browser):
    """By the rules about colours: nothing else changes."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.add_init_script("localStorage.setItem('mode', 'dark'); localStorage.setItem('theme', 'dark')")
    view, _ = visit(context, page.as_uri())
    assert view.evaluate("() => document.documentElement.dataset.theme") == "dark"
    found = faults(view, runOnly={"type": "rule", "values": list(COLOURS)})
    context.close()
    assert found == []


@browser_only
@pytest.mark.browser
def test_page_opens_offline_without_trouble(opened):
    """The last to look at it: it takes the code away."""
    view, troubles, width, _ = opened
    assert troubles == []
    assert view.title().strip()
    view.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
    assert view.evaluate("() => document.documentElement.scrollWidth") <= width
    missing = view.evaluate(
        "() => [...document.images].filter(i => i.loading !== 'lazy' && i.src && i.offsetParent && !i.naturalWidth)"
        ".map(i => i.src.slice(0, 99))"
    )
    assert missing == []
    without_words = view.evaluate("() => [...document.querySelectorAll('article img')].filter(i => !i.alt).length")
    assert without_words == 0
    formulas, drawn, bad = view.evaluate(
        "() => [document.querySelectorAll('.math').length, document.querySelectorAll('mjx-container').length,"
        " document.querySelectorAll('mjx-merror, .MathJax_Error').length]"
    )
    assert drawn >= formulas
    assert bad == 0
    view.evaluate("() => document.querySelectorAll('article pre, article code').forEach(e => e.remove())")
    assert not re.search(r"\\\(|\\frac|\{glue:|\{numref\}|\{cite", view.inner_text("article"))


@browser_only
@pytest.mark.browser
@pytest.mark.parametrize("context", [1280], indirect=True)
def test_search_finds_a_word_offline(context):
    view, troubles = visit(context, (HTML / "search.html").as_uri() + "?q=eigenvalue")
    view.wait_for_selector("ul.search li", timeout=60_000)
    assert troubles == []


@browser_only
@pytest.mark.browser
@pytest.mark.parametrize("context", [1280], indirect=True)
def test_playable_figures_play(context):
    played = 0
    for page in PAGES:
        if "bn-player" not in page.read_text(encoding="utf-8"):
            continue
        view, troubles = visit(context, page.as_uri())
        slider = view.locator(".bn-player input[type=range]").first
        picture = view.locator(".bn-player img").first
        slider.wait_for(state="visible")
        before = picture.get_attribute("src")
        slider.focus()
        view.keyboard.press("End")
        assert picture.get_attribute("src") != before
        assert troubles == []
        played += 1
    assert played >= 1


@browser_only
@pytest.mark.browser
@pytest.mark.parametrize("context", [390], indirect=True)
def test_a_figure_opens_larger_than_a_phone_shows_it(context):
    view, _ = visit(context, next(page for page in PAGES if page.stem.startswith("04")).as_uri())
    links = view.locator("a.bn-enlarge")
    assert links.count() >= 5
    assert (
        view.locator("article figure img:not(.bn-player img)").count()
        == view.locator("article figure a.bn-enlarge img").count()
    )
    shown = links.first.locator("img").bounding_box()["width"]
    view.goto(links.first.evaluate("link => link.href"))
    assert view.evaluate("() => document.images[0].naturalWidth") > 3 * shown


@browser_only
@pytest.mark.browser
def test_a_phone_is_given_the_figures_drawn_narrow(context):
    view, troubles = visit(context, next(page for page in PAGES if page.stem.startswith("13")).as_uri())
    taken = view.evaluate("() => [...document.querySelectorAll('picture img')].map(i => i.currentSrc)")
    assert len(taken) >= 5
    assert {source.endswith("-narrow.png") for source in taken} == {context.width == 390}
    assert troubles == []
