"""Slides and one-page summaries: what the rules put on them, and that they open from a file without a network."""

import base64
import re

import make_handouts
import make_slides
import pytest
from book_files import CHAPTERS, HTML, chromium
from bs4 import BeautifulSoup
from teaching import deck, handout, pages

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CARD = """<details class="bn-card" id="claim-{id}">
<summary><span class="bn-line"><code>{id}</code><span class="bn-verdict bn-x"> {verdict}</span></span>
<span class="bn-teaser">It is <span class="math">\\(x\\)</span> {id}.</span></summary>
<dl class="bn-card-body"><div><dt>The document says</dt><dd>says {id}</dd></div>
<div><dt>We measure</dt><dd>42 of {id}</dd></div><div><dt>Criterion <span>(identity)</span></dt><dd>exact</dd></div>
<div><dt>See also</dt><dd>ledger of {id}</dd></div></dl></details>"""
FORMULA = '<div class="math">\\[ x_{n} = {n} \\]</div>'
FIGURE = '<figure><img alt="A dot." src="../_images/dot.png"><figcaption><p>Fig. 7 A dot.</p></figcaption></figure>'
BOX = '<div class="admonition {kind}"><p class="admonition-title">{title}</p>{body}</div>'


def page(*sections):
    short = BOX.format(kind="tip", title="This chapter in short", body="<p><strong>Found</strong>: the answer.</p>")
    first = BOX.format(kind="hint", title="Predict first", body="<ol><li><p>Which way?</p></li></ol>")
    goals = "<p>After this chapter you can</p><ul><li><p>do it.</p></li></ul>"
    head = '<h1>90 · Tiny<a class="headerlink" href="#tiny">#</a></h1>'
    inside = f'<section id="tiny">{head}{short}{goals}{first}{"".join(sections)}</section>'
    return f"<html><body><article>{inside}</article><p>outside</p></body></html>"


def section(title, *content, level=2):
    return f"<section><h{level}>{title}<a class='headerlink' href='#x'>#</a></h{level}>{''.join(content)}</section>"


@pytest.fixture
def built(tmp_path):
    """A folder like a built book's with one page, which the fixture's answer writes."""
    (tmp_path / "book").mkdir()
    (tmp_path / "_images").mkdir()
    (tmp_path / "_static" / "mathjax").mkdir(parents=True)
    (tmp_path / pages.MATHJAX).write_text('window.MathJax = "</script>";')
    (tmp_path / "_images" / "dot.png").write_bytes(base64.b64decode(PNG))

    def write(*sections):
        path = tmp_path / "book" / "90_tiny.html"
        path.write_text(page(*sections), encoding="utf-8")
        return path

    write.root = tmp_path
    return write


def cut(built, *sections):
    made = deck.slides(pages.article(built(*sections)))
    return [(re.search(r'class="slide (\w+)"', slide)[1], slide) for slide in made]


def kinds(found):
    return [kind for kind, _ in found]


def test_the_title_has_the_goals_and_not_the_answer_and_predictions_come_next(built):
    (first, title), (second, predict), (last, short) = cut(built)
    assert (first, second, last) == ("title", "predict", "short")
    assert "90 · Tiny</h1>" in title
    assert "do it." in title
    assert "the answer" not in title + predict
    assert "Which way?" in predict
    assert "the answer" in short


def test_formulas_come_with_the_sentence_that_leads_to_them_three_at_most(built):
    lead = "<p>Hence</p>"
    formulas = [lead + FORMULA.format(n=n) for n in range(4)]
    found = cut(built, section("Theory", "<p>Long talk.</p>", *formulas))
    shown = [slide for kind, slide in found if kind == "formulas"]
    assert [slide.count("x_") for slide in shown] == [3, 1]
    assert all("<h2>Theory</h2>" in slide and "Hence" in slide and "Long talk" not in slide for slide in shown)


def test_figures_have_a_slide_each_with_caption_and_nothing_beside_the_file(built):
    player = '<div class="bn-player"><img alt="moves" src="data:,"><script>go()</script></div>'
    cell = f'<div class="cell"><details class="hide"><pre>secret code</pre></details>{FIGURE}</div>'
    found = cut(built, section("Shown", cell, section("Below", f"<div>{player}</div>", level=3)))
    first, second = [slide for kind, slide in found if kind == "figure"]
    assert "<h2>Shown</h2>" in first
    assert "Fig. 7 A dot." in first
    assert f"data:image/png;base64,{PNG}" in first
    assert "<h2>Below</h2>" in second
    assert "<script>go()</script>" in second
    assert "secret code" not in first + second


def test_theorems_are_shown_and_proofs_are_not(built):
    theorem = BOX.format(kind="proof theorem", title="Theorem 1", body="<p>Let it be.</p>")
    proof = BOX.format(kind="proof", title="Proof", body="<p>Clear.</p>")
    found = cut(built, section("Proved", theorem + proof))
    assert kinds(found) == ["title", "predict", "formulas", "short"]
    assert "Let it be." in found[2][1]
    assert "Clear." not in found[2][1]


def test_what_is_for_reading_is_left_out(built):
    behind = ("At full scale", "Limits", "Exercises", "Further reading")
    found = cut(built, *(section(title, FORMULA.format(n=1), section("Inside", FIGURE, level=3)) for title in behind))
    assert kinds(found) == ["title", "predict", "short"]


def test_what_survives_is_cut_into_portions_that_fit(built):
    found = cut(built, section("What survives", *(f"<p>{'word ' * 100}{n}</p>" for n in range(3))))
    shown = [slide for kind, slide in found if kind == "survives"]
    assert [re.findall(r"word (\d)", slide) for slide in shown] == [["0"], ["1"], ["2"]]


def test_claims_have_an_overview_and_a_slide_each_and_exercises_their_titles(built):
    cards = "".join(CARD.format(id=name, verdict="refuted") for name in ("A-1", "B-2"))
    exercise = BOX.format(kind="exercise", title="<span>Exercise 8.1 </span> (Add (5 minutes, easy))", body="<p>Do</p>")
    found = cut(built, section("The claims", f"<div>{cards}</div>"), section("Exercises", exercise))
    assert kinds(found)[-4:] == ["claims", "claim", "claim", "exercises"]
    *_, overview, one, _, last = (slide for _, slide in found)
    assert "A-1" in overview
    assert "B-2" in overview
    assert all(words in one for words in ("says A-1", "42 of A-1", "exact", "refuted"))
    assert "ledger of" not in one
    assert "<li>8.1 Add (5 minutes, easy)</li>" in last


def test_a_deck_holds_its_script_and_no_address(built):
    lead = '<p>See <a href="other.html">there</a>.</p>'
    text = deck.deck(built(section("Shown", FIGURE, lead, FORMULA.format(n=1))), built.root)
    soup = BeautifulSoup(text, "html.parser")
    assert not soup.select("script[src], link[rel=stylesheet], img:not([src^='data:'])")
    assert not soup.select("a[href]")
    assert soup.title.get_text() == "90 · Tiny"
    assert "See there." in text
    assert text.count("</script>") == 3, "a script that closes itself cuts the page"


def test_a_summary_has_the_answer_the_goals_and_first_what_was_not_simply_reproduced(built):
    verdicts = ["reproduced"] * handout.MOST + ["refuted"]
    cards = "".join(CARD.format(id=f"C-{n}", verdict=word) for n, word in enumerate(verdicts))
    title, text = handout.summary(built(section("The claims", f"<div>{cards}</div>")))
    assert title == "90 · Tiny"
    assert "the answer." in text
    assert "do it." in text
    shown = re.findall(r"<li><code>(C-\d+)</code>", text)
    assert shown == [f"C-{handout.MOST}", *(f"C-{n}" for n in range(handout.MOST - 1))]
    assert f"Also: <code>C-{handout.MOST - 1}</code> reproduced." in text


def test_a_summary_gives_the_corrected_form_and_puts_what_did_not_run_last(built):
    words = ["not run at full scale", "reproduced", "corrected"]
    cards = "".join(CARD.format(id=f"C-{n}", verdict=word) for n, word in enumerate(words))
    cards = cards.replace("<dd>exact</dd>", "<dd>It fails. Corrected form: $x - y$.</dd>")
    _, text = handout.summary(built(section("The claims", f"<div>{cards}</div>")))
    assert re.findall(r"<li><code>(C-\d+)</code>", text) == ["C-2", "C-1", "C-0"]
    assert text.count("<strong>Right:</strong> $x - y$.") == 1


@pytest.mark.parametrize(
    ("text", "words"), [(None, "make book"), ("<article><p>x</p></article>", "no page"), ("", "no page")]
)
def test_what_is_no_chapter_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "90_tiny.html"
    if text is not None:
        path.write_text(text)
    with pytest.raises(pages.PageError, match=words) as refusal:
        pages.article(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("tool", [make_slides, make_handouts])
def test_the_commands_say_what_is_missing(tool, mini, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BNLAB_BOOK", str(mini))
    assert tool.main(["--output", str(tmp_path / "out")]) == 2
    assert "run make book" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert tool.main(["77"]) == 2
    assert "77" in capsys.readouterr().err


BUILT = [path for path in CHAPTERS if (HTML / "book" / f"{path.stem}.html").is_file()]
built_only = pytest.mark.skipif(not BUILT, reason="the book is not built: run make book")
LEFT = "() => [...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container')).length"
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@built_only
@pytest.mark.parametrize("path", BUILT, ids=lambda p: p.stem)
def test_every_chapter_has_slides_of_every_kind(path):
    made = deck.slides(pages.article(HTML / "book" / f"{path.stem}.html"))
    found = [re.search(r'class="slide (\w+)"', slide)[1] for slide in made]
    assert found[:2] == ["title", "predict"]
    assert {"formulas", "figure", "short", "claims", "claim", "exercises"} <= set(found)
    assert 12 <= len(found) <= 70
    assert all("alt=" in image for slide in made for image in re.findall(r"<img[^>]*>", slide))


@built_only
@pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine: install it or name it in BNLAB_CHROMIUM")
@pytest.mark.browser
@pytest.mark.parametrize("path", [p for p in BUILT if p.stem[:2] in ("04", "12")], ids=lambda p: p.stem)
def test_a_deck_and_a_summary_open_offline_on_a_desk_and_a_phone(path, tmp_path):
    from playwright.sync_api import sync_playwright

    source = HTML / "book" / f"{path.stem}.html"
    (tmp_path / "deck.html").write_text(deck.deck(source, HTML), encoding="utf-8")
    (tmp_path / "sheet.html").write_text(handout.document([handout.summary(source)], HTML), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=SWITCHES)
        for width in (1280, 390):
            context = browser.new_context(viewport={"width": width, "height": 720}, offline=True)
            for name in ("deck", "sheet"):
                troubles = []
                view = context.new_page()
                view.on("console", lambda m, into=troubles: into.append(m.text))
                view.on("pageerror", lambda error, into=troubles: into.append(str(error)))
                view.on("requestfailed", lambda request, into=troubles: into.append(request.url[:120]))
                view.goto((tmp_path / f"{name}.html").as_uri())
                view.evaluate("() => MathJax.startup.promise.then(() => true)")
                assert troubles == []
                assert view.evaluate(LEFT) == 0
                assert view.evaluate("() => document.querySelectorAll('[data-mml-node=merror]').length") == 0
                assert view.evaluate("() => document.documentElement.scrollWidth") <= width
                if name == "sheet" and width == 1280:
                    assert re.findall(rb"/Count (\d+)", view.pdf(prefer_css_page_size=True)) == [b"1"], "over one page"
                if name == "deck" and width == 1280:
                    view.keyboard.press("End")
                    count = view.evaluate("() => document.querySelectorAll('.slide').length")
                    view.wait_for_function(
                        "n => document.querySelector('.place').textContent === `${n} / ${n}`", arg=count
                    )
        browser.close()
