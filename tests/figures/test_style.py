import re
import subprocess
import sys

import matplotlib as mpl
import pytest

from bnlab.figures import style as figures
from bnlab.figures.animation import player
from bnlab.figures.shapes import subplots


@pytest.fixture(autouse=True)
def _restore():
    with mpl.rc_context():
        yield


def test_every_line_has_a_look_of_its_own():
    names = [f"line {n}" for n in range(49)]
    styles = figures.line_styles(names)
    assert list(styles) == names
    assert len({tuple(style.items()) for style in styles.values()}) == 49


def test_seven_lines_differ_in_each_of_colour_dash_and_marker():
    styles = figures.line_styles([f"line {n}" for n in range(7)])
    for key in ("color", "linestyle", "marker"):
        assert len({style[key] for style in styles.values()}) == 7


def test_the_same_list_gives_the_same_looks():
    assert figures.line_styles(["a", "b"]) == figures.line_styles(["a", "b"])
    assert figures.line_styles([]) == {}


def luminance(colour: str) -> float:
    parts = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in mpl.colors.to_rgb(colour)
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_every_colour_can_be_told_from_white():
    assert min(1.05 / (luminance(colour) + 0.05) for colour in figures.COLOURS) > 2


def test_the_style_is_switched_on_by_its_call_only():
    program = "import sys, bnlab.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    mpl.rcdefaults()
    figures.use_book_style()
    assert mpl.rcParams["figure.figsize"] == [7.0, 4.0]
    assert mpl.rcParams["font.size"] >= 10
    assert mpl.rcParams["figure.facecolor"] == "white"
    cycle = list(mpl.rcParams["axes.prop_cycle"])
    assert cycle[1] == {"color": "#D55E00", "linestyle": "--"}
    assert len(cycle) == 7
    figure, axes = subplots()
    axes.plot([0, 1])
    figure.draw_without_rendering()


def film(name: str = "waves", alt: str = 'A "wave" & more', **more) -> str:
    figure, axes = subplots(height=1, width=2)
    (line,) = axes.plot([0, 1], [0, 0])
    drawn = []

    def draw(frame: int) -> None:
        drawn.append(frame)
        line.set_ydata([0, frame])
        axes.set_ylim(-1, 3)

    markup = player(figure, draw, 3, name=name, alt=alt, **more).data
    assert set(drawn) == {0, 1, 2}
    return markup


@pytest.fixture(scope="module")
def markup() -> str:
    return film()


def test_two_builds_give_the_same_player(markup):
    assert film() == markup


def test_the_player_needs_no_network(markup):
    assert not re.search(r"https?://(?!www\.w3\.org/)", markup)
    assert "<link" not in markup
    assert "fa-" not in markup
    assert "font-awesome" not in markup


def test_the_players_elements_are_named(markup):
    assert '<img id="_anim_imgwaves" alt="A &quot;wave&quot; &amp; more">' in markup
    assert not re.search(r"_anim_\w*[0-9a-f]{32}", markup)
    assert len(set(re.findall(r'id="([^"]+)"', markup))) == len(re.findall(r'id="([^"]+)"', markup))
    scripted = set(re.findall(r"_anim_\w+|_anim_slider\w+", markup))
    assert all("waves" in name for name in scripted if re.match(r"_anim_(img|slider|loop)", name))


def test_the_player_speaks_to_a_screen_reader(markup):
    buttons = re.findall(r"<button[^>]*>", markup)
    assert len(buttons) >= 8
    assert all("aria-label=" in button for button in buttons)
    assert markup.count('aria-label="frame"') == 1
    assert markup.startswith('<div class="bn-player" role="group" aria-label="A &quot;wave&quot; &amp; more">')
    assert all("alt=" in image for image in re.findall(r"<img[^>]*>", markup))


def test_the_player_has_every_frame_and_a_still(markup):
    frames = re.findall(r'frames\[(\d)\] = "data:image/png;base64', markup)
    assert frames == ["0", "1", "2"]
    still = re.findall(r'<img class="bn-still"[^>]* src="data:image/png;base64,[^"]+">', markup)
    assert len(still) == 2
    assert f"<noscript>{still[0]}</noscript>" in markup
    assert f'<div class="bn-print-only">{still[0]}</div>' in markup


def test_the_still_is_the_frame_that_was_chosen(markup):
    still = re.search(r'bn-still"[^>]*base64,([^"]+)"', markup)[1]
    assert re.search(r'bn-still"[^>]*base64,([^"]+)"', film(first=2))[1] != still


@pytest.mark.parametrize(
    ("frames", "more", "line"),
    [
        (0, {}, "frames = 0, first = 0: at least one frame"),
        (3, {"first": 3}, "frames = 3, first = 3"),
        (3, {"first": -1}, "frames = 3, first = -1"),
        (3, {"name": "a b"}, "name = 'a b': letters, digits and underscores"),
        (3, {"alt": " "}, "alt is empty"),
    ],
)
def test_the_player_refuses(frames, more, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        player(None, None, frames, **({"name": "x", "alt": "y"} | more))


def test_a_player_of_another_matplotlib_is_refused():
    from bnlab.figures.animation import _offline

    with pytest.raises(RuntimeError, match="player has changed"):
        _offline("<div>something new</div>", "x")
