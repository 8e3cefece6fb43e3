"""The player: every frame once, described, playable by keyboard, the same at each build, without a network."""

import base64
import io
import json
import re

import numpy as np
import pytest
from browsing import browser_only, violations, visit
from PIL import Image

from bnlab.figures.animation import player
from bnlab.figures.shapes import subplots

WORDS = {"knob": "rate", "alt": 'A "wave" & more', "caption": "Move it <slowly>."}
LABELS = ["0.1 / s", "0.2 </script> / s", "FRAMES / s"]


def film(name: str = "waves", labels=LABELS, **more) -> str:
    figure, axes = subplots(height=1, width=2)
    (line,) = axes.plot([0, 1], [0, 0])
    drawn = []

    def draw(frame: int) -> None:
        drawn.append(frame)
        line.set_ydata([0, frame])
        axes.set_ylim(-1, 3)

    markup = player(figure, draw, labels, name=name, **(WORDS | more)).data
    assert set(drawn) == {0, 1, 2}
    return markup


@pytest.fixture(scope="module")
def markup() -> str:
    return film()


def frames(markup: str) -> list[np.ndarray]:
    """Decode the frames: the one in the page in its place among those in the script."""
    first = int(re.search(r"frames\[(\d+)\] = picture.src", markup)[1])
    found = json.loads(re.search(r"frames = (\[.*\]);", markup)[1])
    assert found[first] == ""
    found[first] = re.search(r'<img [^>]*src="([^"]+)"', markup)[1]
    assert all(uri.startswith("data:image/webp;base64,") for uri in found)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))).astype(int) for uri in found]


def test_two_builds_give_the_same_player(markup):
    assert film() == markup


def test_the_player_needs_no_network(markup):
    assert "http" not in markup
    assert "<link" not in markup


def test_the_players_elements_are_named(markup):
    ids = re.findall(r'id="([^"]+)"', markup)
    assert ids == ["bn-player-waves", "bn-slider-waves"]
    assert markup.count("bn-player-waves") == 2


def test_the_player_is_described(markup):
    assert '<img alt="A &quot;wave&quot; &amp; more"' in markup
    assert '<p class="bn-caption">Move it &lt;slowly&gt;.</p>' in markup
    assert markup.startswith(
        '<div class="bn-player" id="bn-player-waves" role="group" aria-label="Playable figure: rate">'
    )
    buttons = re.findall(r"<button[^>]*>", markup)
    assert len(buttons) == 5
    assert all('aria-label="' in button and 'type="button"' in button for button in buttons)
    assert markup.count("</script>") == 1  # a label does not end the script


def test_the_player_has_every_frame_as_it_was_drawn(markup):
    figure, axes = subplots(height=1, width=2)
    (line,) = axes.plot([0, 1], [0, 0])
    axes.set_ylim(-1, 3)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for number, frame in enumerate(frames(markup)):
        line.set_ydata([0, number])
        figure.savefig(drawn := io.BytesIO(), format="png", dpi="figure")
        off = np.abs(frame - np.asarray(Image.open(drawn).convert("RGB")))
        assert off.mean() < 0.5
        assert (frame[0, 0] == 255).all()  # the ground stays white


def test_the_page_opens_with_the_frame_that_was_chosen(markup):
    opened = film(first=2)
    assert re.search(r'<img [^>]*src="([^"]+)"', opened)[1] != re.search(r'<img [^>]*src="([^"]+)"', markup)[1]
    assert all(map(np.array_equal, frames(opened), frames(markup)))
    assert 'max="2" step="1" value="2"' in opened


@pytest.mark.parametrize(
    ("labels", "more", "line"),
    [
        ([], {}, "frames = 0, first = 0: at least one frame"),
        (LABELS, {"first": 3}, "frames = 3, first = 3"),
        (LABELS, {"first": -1}, "frames = 3, first = -1"),
        (LABELS, {"name": "a b"}, "name = 'a b': letters, digits and underscores"),
        (LABELS, {"alt": " "}, "alt is empty"),
        (LABELS, {"knob": ""}, "knob is empty"),
        (LABELS, {"caption": "\n"}, "caption is empty"),
    ],
)
def test_the_player_refuses(labels, more, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        player(None, None, labels, **({"name": "x"} | WORDS | more))


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page with two players; give the first one's page, with a clock of its own."""
    text = film() + film("other", first=1)
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><html lang="en"><title>x</title><main>{text}</main></html>', encoding="utf-8")
    context = browser.new_context(offline=True)
    context.clock.install()
    view, troubles = visit(context, page.as_uri())
    yield view
    assert troubles == []
    context.close()


@browser_only
@pytest.mark.browser
def test_the_slider_moves_by_keyboard_and_says_value_and_unit(opened):
    place = opened.locator("#bn-player-waves")
    slider, picture = place.get_by_role("slider", name="rate"), place.locator("img")
    assert slider.get_attribute("aria-valuetext") == "0.1 / s"
    seen = {picture.get_attribute("src")}
    for key, label in (("ArrowRight", LABELS[1]), ("End", LABELS[2]), ("Home", LABELS[0])):
        slider.press(key)
        seen.add(picture.get_attribute("src"))
        assert slider.get_attribute("aria-valuetext") == place.locator("output").inner_text() == label
    assert len(seen) == 3
    assert opened.locator("#bn-player-other input").get_attribute("aria-valuetext") == LABELS[1]  # its own
    assert violations(opened) == []


@browser_only
@pytest.mark.browser
def test_the_buttons_step_and_play_to_the_end(opened):
    place = opened.locator("#bn-player-other")
    slider, button = place.locator("input"), lambda name: place.get_by_role("button", name=name, exact=True)
    for name, at in (("Last frame", "2"), ("Next frame", "2"), ("Previous frame", "1"), ("First frame", "0"),
                     ("Previous frame", "0"), ("Next frame", "1")):  # fmt: skip
        button(name).press("Enter")
        assert slider.input_value() == at
    opened.clock.run_for(2000)
    assert slider.input_value() == "1"  # nothing moves by itself
    button("Play").press("Enter")
    opened.clock.run_for(300)
    assert slider.input_value() == "2"
    assert slider.get_attribute("aria-valuetext") == LABELS[2]
    button("Play").press("Enter")  # it has stopped at the end, and begins again
    assert slider.input_value() == "0"
    opened.clock.run_for(300)
    button("Pause").press("Enter")
    opened.clock.run_for(2000)
    assert slider.input_value() == "1"


@browser_only
@pytest.mark.browser
def test_without_scripts_and_on_paper_one_frame_stands_for_all(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(film(first=1), encoding="utf-8")
    context = browser.new_context(offline=True, java_script_enabled=False)
    view, _ = visit(context, page.as_uri())
    assert view.locator("img").is_visible()
    assert not view.locator("input").is_visible()
    context.close()
