"""The shared shapes draw what a table says, by group, and a notebook shows a figure that pyplot has not made."""

import ast
import base64
import struct
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
from drawn import labelled, legend, readable

import bnlab
from bnlab.figures import shapes
from bnlab.figures.style import STYLE, line_styles

pytestmark = pytest.mark.usefixtures("book_style")
LIBRARY = sorted(Path(bnlab.__file__).parent.rglob("*.py"))

SEEDS = pd.DataFrame(
    [(arm, x, n, scale * x * (1 + n)) for arm, scale in (("b", 1), ("a", 10)) for x in (1, 2) for n in range(5)],
    columns=["arm", "x", "seed", "y"],
)


def names_of_pyplot(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if "pyplot" in name or "pylab" in name}


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: "/".join(path.parts[-2:]))
def test_no_figure_is_made_by_pyplot(path):
    """A figure of pyplot is registered for good: a notebook shows it twice, and a sweep of them fills the memory."""
    assert names_of_pyplot(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("source", ["def f():\n    import matplotlib.pyplot as plt", "from matplotlib import pyplot"])
def test_pyplot_is_seen(source):
    assert names_of_pyplot(source)


def test_a_notebook_shows_the_figure_once_in_the_size_of_the_book():
    style = "from bnlab.figures import shapes, style\nstyle.use_book_style()"
    draw = "figure, axes = shapes.subplots(height=2.0)\naxes.plot([0, 1])\nfigure"
    cells = [nbformat.v4.new_code_cell(source) for source in (style, draw)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    first, second = (cell["outputs"] for cell in notebook["cells"])
    assert first == []
    (output,) = second
    width, height = struct.unpack(">II", base64.b64decode(output["data"]["image/png"])[16:24])
    dpi = STYLE["figure.dpi"]
    assert (width, height) == pytest.approx((7 * dpi, 2 * dpi), abs=0.12 * dpi)  # and a frame of a tenth of an inch


def test_a_figure_has_the_size_and_grid_asked_for():
    figure, axes = shapes.subplots(2, 3, height=5, width=6, dpi=84, sharex=True)
    assert axes.shape == (2, 3)
    assert (*figure.get_size_inches(), figure.dpi) == (6, 5, 84)
    assert shapes.subplots()[0].dpi == STYLE["figure.dpi"]


def test_groups_are_numbers_by_size_and_words_as_they_appear():
    assert shapes.groups(pd.Series([3, 1, 2, 1])) == [1, 2, 3]
    assert shapes.groups(pd.Series(["b", "a", "b"])) == ["b", "a"]


def test_quartiles():
    found = shapes.quartiles(SEEDS, "y", ["arm", "x"])
    assert found.loc[("a", 2)].to_dict() == {"low": 40, "middle": 60, "high": 80}


def test_a_line_a_group_in_its_look():
    _, axes = shapes.subplots()
    shapes.lines(axes, SEEDS[SEEDS["seed"] == 0], "x", "y", "arm", label="arm {}".format, linewidth=3)
    drawn, looks = labelled(axes), line_styles(["b", "a"])
    assert list(drawn) == ["arm b", "arm a"]
    assert drawn["arm a"].get_ydata().tolist() == [10, 20]
    for name, look in looks.items():
        line = drawn[f"arm {name}"]
        assert (line.get_color(), line.get_marker(), line.get_linewidth()) == (look["color"], look["marker"], 3)


def test_looks_of_absent_groups_stay_theirs():
    _, axes = shapes.subplots()
    shapes.lines(axes, SEEDS, "x", "y", "arm", looks=line_styles(["absent", "a", "b"]), label=None)
    assert [line.get_color() for line in axes.lines] == [line_styles("xab")[name]["color"] for name in "ab"]
    assert labelled(axes) == {}


def test_one_line_a_seed_is_named_once():
    _, axes = shapes.subplots()
    shapes.lines(axes, SEEDS, "x", "y", "arm", each="seed")
    assert [len(line.get_xdata()) for line in axes.lines] == [2] * 10
    assert list(labelled(axes)) == ["b", "a"]


@pytest.mark.parametrize(("marks", "every"), [(None, None), (4, 2), (100, 1)])
def test_marks_are_thinned(marks, every):
    _, axes = shapes.subplots()
    shapes.lines(axes, SEEDS, "x", "y", "arm", marks=marks)
    assert {line.get_markevery() for line in axes.lines} == {every}


def test_points_stand_on_their_law():
    _, axes = shapes.subplots()
    shapes.points_on_lines(axes, SEEDS.assign(law=7), "x", "y", "law", "arm")
    *laws, points, _ = axes.lines
    assert list(labelled(axes)) == ["b", "a"]
    assert all(line.get_ydata().tolist() == [7] * 10 and line.get_linestyle() == "-" for line in laws[:2])
    assert (points.get_linestyle(), points.get_label(), points.get_color()) == ("None", "b", laws[0].get_color())


def test_bands_reach_from_quartile_to_quartile():
    _, axes = shapes.subplots()
    shapes.lines_with_quartiles(axes, SEEDS, "x", "y", "arm")
    assert labelled(axes)["a"].get_ydata().tolist() == [30, 60]
    heights = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert set(heights.tolist()) == {20, 40, 80}


def test_bars_reach_from_quartile_to_quartile():
    _, axes = shapes.subplots()
    shapes.lines_with_quartiles(axes, SEEDS, "x", "y", "arm", spread="bars", marker="x")
    bars = labelled(axes)["a"]
    assert bars.lines[0].get_marker() == "x"
    assert [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()] == [[20, 40], [40, 80]]


def test_points_show_every_seed_and_none_shows_none():
    _, (left, right) = shapes.subplots(1, 2)
    for axes, spread in ((left, "points"), (right, "none")):
        shapes.lines_with_quartiles(axes, SEEDS, "x", "y", "arm", spread=spread, marker="")
    assert [len(line.get_xdata()) for line in left.lines] == [2, 10, 2, 10]
    assert [line.get_marker() for line in left.lines[:2]] == ["", "o"]
    assert [len(line.get_xdata()) for line in right.lines] == [2, 2]
    assert not right.collections


def test_a_spread_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="spread = 'quartile': one of band, bars, points, none"):
        shapes.lines_with_quartiles(shapes.subplots()[1], SEEDS, "x", "y", "arm", spread="quartile")


@pytest.mark.parametrize(("factor", "places"), [(False, [[0.9, 1.9], [1.1, 2.1]]), (True, [[0.5, 1], [2, 4]])])
def test_groups_step_aside_around_their_place(factor, places):
    moved = shapes.aside(SEEDS[SEEDS["seed"] == 0], "x", "arm", 4.0 if factor else 0.2, factor=factor)
    assert [moved.loc[moved["arm"] == arm, "x"].tolist() for arm in "ba"] == [pytest.approx(p) for p in places]


def test_a_histogram_is_a_density():
    _, axes = shapes.subplots()
    table = pd.DataFrame({"kind": "a", "value": [0.5, 0.6, 2.5, np.nan]})
    shapes.histogram(axes, table, "value", "kind", [0, 1, 3])
    line = labelled(axes)["a"]
    assert line.get_drawstyle() == "steps-post"
    assert line.get_ydata().tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@pytest.mark.parametrize(("above", "shares"), [(False, [1 / 4, 2 / 4, 3 / 4, 1]), (True, [1, 3 / 4, 2 / 4, 1 / 4])])
def test_shares_below_and_above(above, shares):
    _, axes = shapes.subplots()
    shapes.cumulative(axes, pd.DataFrame({"kind": "a", "value": [3, 1, 4, 2]}), "value", "kind", above=above)
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata().tolist() == shares


def test_a_heat_map_writes_in_an_ink_that_can_be_read():
    _, axes = shapes.subplots()
    image = shapes.heat_map(axes, pd.DataFrame([[0.001, 1.0], [0.5, 0.25]]), numbers=".2g")
    assert [text.get_text() for text in axes.texts] == ["0.001", "1", "0.5", "0.25"]
    assert [text.get_color() for text in axes.texts[:2]] == ["white", "black"]
    assert axes.texts[1].get_position() == (1, 0)
    assert image.get_cmap().name == "cividis"
    around_zero = shapes.heat_map(axes, np.eye(2), reach=3.0)
    assert (around_zero.get_clim(), around_zero.get_cmap().name) == ((-3, 3), "RdBu_r")


@pytest.mark.parametrize(
    ("limits", "ticks"),
    [((0.9, 30), ["1", "2", "5", "10", "20"]), ((1e-3, 1e1), ["0.001", "0.01", "0.1", "1", "10"])],
)
def test_plain_ticks_of_a_logarithmic_axis(limits, ticks):
    figure, axes = shapes.subplots()
    axes.set(xscale="log", xlim=limits)
    shapes.plain_ticks(axes.xaxis)
    readable(figure)
    assert [label.get_text() for label in axes.get_xticklabels()] == ticks
    assert not axes.get_xticks(minor=True).size
    assert axes.get_xlim() == limits


def test_plain_ticks_stand_where_they_are_asked_for():
    _, axes = shapes.subplots()
    axes.set(xscale="log")
    shapes.plain_ticks(axes.xaxis, [8, 16, 31], "{:d} px".format, rotation=60)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8 px", "16 px", "31 px"]
    assert axes.get_xticklabels()[0].get_rotation() == 60


def test_the_legend_below_names_each_line_once_and_covers_nothing():
    figure, (left, right) = shapes.subplots(1, 2)
    for axes, arms in ((left, "b"), (right, "ba")):
        shapes.lines(axes, SEEDS[SEEDS["arm"].isin(list(arms))], "x", "y", "arm", looks=line_styles(["b", "a"]))
        axes.set(xlabel="x", ylabel="y")
    below = shapes.legend_below(left, title="arm")
    shapes.legend_below(figure, 2)
    readable(figure)
    assert legend(figure) == ["b", "a"]
    assert below.get_window_extent().y1 < left.xaxis.get_tightbbox().y0
    assert figure.legends[0].get_window_extent().y1 <= below.get_window_extent().y0


def test_lines_are_named_where_they_end_and_no_name_covers_another():
    figure, axes = shapes.subplots()
    ends = {"low": 1.0, "high": 100.0, "near high": 101.0}
    for name, end in ends.items():
        axes.plot([0, 1], [10.0, end], label=name)
    axes.axhline(5)  # a guide has no name
    axes.set(xlabel="x", ylabel="y", yscale="log", ylim=(0.5, 200))
    shapes.name_lines(axes)
    readable(figure)
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert set(boxes) == set(ends)
    middle = {name: (box.y0 + box.y1) / 2 for name, box in boxes.items()}
    for name in ("low", "high"):
        assert middle[name] == pytest.approx(axes.transData.transform((1, ends[name]))[1], abs=3)
    assert boxes["near high"].y0 >= boxes["high"].y1 - 2
    assert all(box.x0 > axes.get_window_extent().x1 for box in boxes.values())
    assert [text.get_color() for text in axes.texts] == [axes.lines[n].get_color() for n in (0, 1, 2)]


def test_a_line_breaks_where_nothing_is_known_for_decades():
    table = pd.DataFrame({"x": [0.001, 0.01, 3.0], "y": [1.0, 2.0, 3.0], "g": "a"})
    for decades, known in ((2, [True, True, False, True]), (None, [True] * 3)):
        _, axes = shapes.subplots()
        shapes.lines_with_quartiles(axes, table, "x", "y", "g", decades=decades)
        assert np.isfinite(axes.lines[0].get_ydata()).tolist() == known
