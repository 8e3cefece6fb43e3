import subprocess
import sys

import matplotlib as mpl
import pytest

from bnlab.figures import style as figures
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
