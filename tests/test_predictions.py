"""Predict first: every question is answered in its chapter, and what a reader writes is kept and shown there."""

import re

import pytest
from book_files import CHAPTERS, cells, source
from browsing import browser_only, violations, visit

PAGE = "04_natural_modes"


def in_browser(test):
    """Mark a test that opens Chromium."""
    return pytest.mark.browser(browser_only(test))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_question_has_its_answer_marked(path):
    texts = [source(cell) for cell in cells(path, "markdown")]
    (box,) = re.findall(r"(?s)\{admonition\} Predict first\n(.*?)\n```", "\n".join(texts))
    asked = re.findall(r"(?m)^(\d)\. ", box)
    assert len(asked) >= 3
    marked = re.findall(r'<span class="bn-answer" data-question="(\d)"></span>\S', "\n".join(texts[1:]))
    assert sorted(set(marked)) == asked, 'mark an answer by <span class="bn-answer" data-question="1"></span> before it'
    assert "bn-answer" not in texts[0]


@pytest.fixture
def context(browser):
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    yield opened
    opened.close()


@pytest.fixture
def read(context, pages):
    """Open a chapter, with the predictions that this browser has kept; nothing may go wrong on the way."""
    told = []

    def open_page(name=PAGE):
        view, troubles = visit(context, (pages / f"{name}.html").as_uri())
        told.append(troubles)
        return view

    yield open_page
    assert told == [[]] * len(told)


def shown(view) -> list[str]:
    return [note.inner_text() for note in view.locator(".bn-echo p").all() if note.is_visible()]


@in_browser
@pytest.mark.parametrize("name", [path.stem for path in CHAPTERS])
def test_every_chapter_takes_predictions_and_shows_them_beside_its_answers(read, name):
    view = read(name)
    fields = view.locator(".admonition textarea").all()
    assert len(fields) >= 3
    assert shown(view) == []
    for number, field in enumerate(fields, 1):
        assert view.get_by_label(f"Your prediction {number}").count() == 1
        question = view.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
        assert "prediction" not in question
        assert len(question) > 20
        field.fill(f"guess {number}")
    notes = shown(view)
    assert set(notes) == {f"Your prediction {n}: guess {n}" for n in range(1, len(fields) + 1)}
    assert len(notes) == view.locator("span.bn-answer").count()
    beside = "e => [...e.querySelectorAll('.bn-answer')].map(m => m.closest('p, li, dd').nextElementSibling.className)"
    assert set(view.locator("article").evaluate(beside)) == {"bn-echo"}


@in_browser
def test_predictions_are_kept_until_they_are_cleared(read):
    view = read()
    view.get_by_label("Your prediction 1").focus()
    view.keyboard.type("five of 25")
    while not view.evaluate("document.activeElement.id === 'bn-prediction-2'"):  # formulas may stand between
        view.keyboard.press("Tab")
    view.keyboard.type("the smallest,\nalways")
    view.close()
    again = read()
    assert again.get_by_label("Your prediction 2").input_value() == "the smallest,\nalways"
    assert sorted(shown(again)) == ["Your prediction 1: five of 25", "Your prediction 2: the smallest,\nalways"]
    assert shown(read("05_channel_scaling")) == []  # another chapter's are its own
    again.get_by_role("button", name="Clear my predictions").press("Enter")
    assert shown(again) == []
    assert again.locator(".bn-predict [role=status]").inner_text() == "Cleared."
    assert again.evaluate("localStorage.getItem('bnlab predictions 04_natural_modes.html')") is None
    assert read().get_by_label("Your prediction 1").input_value() == ""


@in_browser
def test_a_prediction_is_shown_as_text(read):
    view = read()
    view.get_by_label("Your prediction 3").fill("<img src=x onerror=alert(1)> no & never")
    assert shown(view) == ["Your prediction 3: <img src=x onerror=alert(1)> no & never"]
    assert view.locator(".bn-echo img").count() == 0


@in_browser
@pytest.mark.parametrize("kept", ["not json", "7", '{"a": 1}', "null"])
def test_what_something_else_has_stored_is_no_prediction(read, context, kept):
    context.add_init_script(f"localStorage.setItem('bnlab predictions {PAGE}.html', {kept!r})")
    view = read()
    assert shown(view) == []
    assert view.get_by_label("Your prediction 1").input_value() == ""


@in_browser
def test_a_browser_that_keeps_nothing_says_so(read, context):
    refuse = """for (const verb of ["getItem", "setItem", "removeItem"]) {
      const plain = Storage.prototype[verb];
      Storage.prototype[verb] = function (key, ...rest) {
        if (key.startsWith("bnlab")) throw new DOMException("refused", "SecurityError");
        return plain.call(this, key, ...rest);
      };
    }"""
    context.add_init_script(refuse)  # only ours: the theme asks for its own, unguarded
    view = read()
    view.get_by_label("Your prediction 1").fill("few")
    assert shown(view) == ["Your prediction 1: few"]
    assert "keeps nothing" in view.locator(".bn-predict [role=status]").inner_text()
    view.get_by_role("button", name="Clear my predictions").click()
    assert shown(view) == []


@in_browser
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_box_and_echoes_are_accessible(read, theme, width):
    view = read()
    view.set_viewport_size({"width": width, "height": 900})
    view.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    for number in (1, 2, 3):
        view.get_by_label(f"Your prediction {number}").fill("a long word: " + "m" * 80)
    assert violations(view, ".admonition") == []
    assert violations(view, ".bn-echo") == []
    assert view.evaluate("document.documentElement.scrollWidth") <= width


@in_browser
def test_on_paper_only_what_was_written_is_left(read):
    view = read()
    view.get_by_label("Your prediction 2").fill("the largest")
    view.emulate_media(media="print")
    seen = [view.get_by_label(f"Your prediction {n}").is_visible() for n in (1, 2, 3)]
    assert seen == [False, True, False]
    assert not view.get_by_role("button", name="Clear").is_visible()


@in_browser
def test_a_page_without_scripts_is_whole(browser, pages):
    context = browser.new_context(offline=True, java_script_enabled=False)
    view, _ = visit(context, (pages / f"{PAGE}.html").as_uri())
    assert "Does a single weight decay" in view.locator(".admonition", has_text="Predict first").inner_text()
    assert view.locator("textarea, .bn-echo").count() == 0
    context.close()
