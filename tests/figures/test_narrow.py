"""The narrow form of a figure: panels one below the other, each with what it shared; the wide one stays as it was."""

import base64
import io
from itertools import pairwise

import nbclient
import nbformat
import pytest
from matplotlib.figure import Figure

from bnlab.figures import narrow, shapes

pytestmark = pytest.mark.usefixtures("book_style")


def two_panels(names=("a", "b"), columns=2, **grid) -> Figure:
    figure, panels = shapes.subplots(1, 2, height=4.0, **grid)
    for axes in panels:
        for height, name in enumerate(names):
            axes.plot([1, 2, 3], [height, 2, 1], label=name)
        axes.set(xlabel="rate")
    panels[0].set_ylabel("loss")
    shapes.legend_below(figure, columns)
    return figure


def drawn(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def test_panels_stand_one_below_the_other_and_each_says_what_it_shared():
    figure = narrow.narrow(two_panels(sharey=True))
    above, below = figure.axes
    assert above.get_position().y0 > below.get_position().y1
    assert above.get_position().x0 == pytest.approx(below.get_position().x0, abs=0.01)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "loss"]
    assert all(any(label.get_visible() for label in axes.get_yticklabels()) for axes in figure.axes)
    assert all(axes.yaxis.get_tick_params()["labelleft"] for axes in figure.axes)
    assert figure.get_figwidth() == narrow.WIDTH


def test_the_wide_figure_is_left_as_it_is():
    figure = two_panels(sharey=True)
    before = drawn(figure)
    narrow.narrow(figure)
    assert drawn(figure) == before


def test_one_panel_keeps_its_height():
    figure, axes = shapes.subplots(height=3.0)
    axes.plot([1, 2])
    assert tuple(narrow.narrow(figure).get_size_inches()) == (narrow.WIDTH, 3.0)


def test_panels_of_their_own_keep_their_labels():
    figure, panels = shapes.subplots(1, 2)
    panels[0].set_ylabel("loss")
    assert [axes.get_ylabel() for axes in narrow.narrow(figure).axes] == ["loss", ""]


def row_with_a_bar() -> Figure:
    figure, panels = shapes.subplots(1, 2)
    figure.colorbar(shapes.heat_map(panels[0], [[1, 2], [3, 4]]), ax=list(panels))
    return figure


def drawing() -> Figure:
    figure, axes = shapes.subplots()
    axes.set_axis_off()
    return figure


def grid() -> Figure:
    return shapes.subplots(2, 2)[0]


def notes() -> Figure:
    figure, axes = shapes.subplots()
    for place, word in enumerate(["for it", "mixed", "against it", "open"]):
        axes.text(place / 4, 0.5, word, transform=axes.transAxes, fontsize=20)
    return figure


@pytest.mark.parametrize("make", [row_with_a_bar, drawing, grid, notes])
def test_what_looks_best_as_it_is_has_no_narrow_form(make):
    assert narrow.narrow(make()) is None
    assert narrow.beside(make()) == ({}, {})


def test_one_panel_above_another_with_its_own_colour_bar():
    figure, (above, below) = shapes.subplots(2)
    figure.colorbar(shapes.heat_map(above, [[1, 2], [3, 4]]), ax=above)
    below.plot([1, 2])
    assert narrow.narrow(figure).get_figwidth() == narrow.WIDTH


@pytest.mark.parametrize("below", [False, True], ids=["figure", "panel"])
def test_a_legend_has_as_many_columns_as_fit(below):
    names = [f"a name that is rather long {n}" for n in range(4)]
    figure = two_panels(names)
    if below:
        figure, axes = shapes.subplots()
        for height, name in enumerate(names):
            axes.plot([1, height], label=name)
        shapes.legend_below(axes, 2)
    found = narrow.narrow(figure)
    (legend,) = [axes.get_legend() for axes in found.axes if axes.get_legend()] or found.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    assert legend.get_window_extent().width <= narrow.WIDTH * found.dpi
    short = narrow.narrow(two_panels(("a", "b")))
    assert short.legends[0]._ncols == 2


def test_a_legend_in_fewer_columns_keeps_its_title():
    figure, axes = shapes.subplots()
    for n in range(4):
        axes.plot([1, n], label=f"a name that is rather long {n}")
    shapes.legend_below(figure, 4, title="part of the update made")
    (legend,) = narrow.narrow(figure).legends
    assert legend._ncols < 4
    assert legend.get_title().get_text() == "part of the update made"


def test_labels_that_would_touch_are_thinned_out():
    figure, axes = shapes.subplots(height=3.0)
    axes.plot(range(20))
    axes.set_xticks(range(20), [f"{1000 + n}" for n in range(20)])
    found = narrow.narrow(figure)
    shown = [label for label in found.axes[0].get_xticklabels() if label.get_visible()]
    assert 3 <= len(shown) < 20
    boxes = [label.get_window_extent() for label in shown]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


def test_words_that_would_touch_are_turned_and_all_stay():
    figure, axes = shapes.subplots(height=3.0)
    names = ["Baseline", "BN", "BN_Amplify", "BN_Suppress", "weights normalised"]
    axes.plot(range(5))
    axes.set_xticks(range(5), names)
    labels = narrow.narrow(figure).axes[0].get_xticklabels()
    assert [label.get_text() for label in labels if label.get_visible()] == names
    assert {label.get_rotation() for label in labels} == {30}


def test_a_long_label_has_several_lines_and_a_formula_stays_whole():
    figure, axes = shapes.subplots(height=3.0)
    words = "test loss minus training loss (nats) at $a = b + c$ and at a training loss of one twentieth"
    axes.set_xlabel(words)
    found = narrow.narrow(figure).axes[0].xaxis.label
    lines = found.get_text().split("\n")
    assert len(lines) >= 2
    assert " ".join(lines) == words
    assert any("$a = b + c$" in line for line in lines)
    assert found.get_window_extent().width < narrow.WIDTH * 200


def test_a_legend_of_many_rows_takes_nothing_from_the_panel():
    one = narrow.narrow(two_panels(("a", "b"))).axes[0].get_window_extent().height
    names = [f"a name that is rather long {n}" for n in range(8)]
    assert narrow.narrow(two_panels(names, columns=4)).axes[0].get_window_extent().height > 0.9 * one


SHOWN = """import os
os.environ.update({asked})
from bnlab.figures import shapes, style
style.use_book_style()
figure, axes = shapes.subplots(1, 2, height=2.0)
figure"""


@pytest.mark.parametrize("asked", [{}, {narrow.ASKED: "1"}], ids=["not asked", "asked"])
def test_a_notebook_keeps_it_beside_the_image_where_it_was_asked_for(monkeypatch, asked):
    monkeypatch.delenv(narrow.ASKED, raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHOWN.format(asked=asked))])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert set(output.data) == {"image/png", "text/plain"}
    assert (narrow.KEPT_AS in output.metadata) == bool(asked)
    assert output.metadata.get(narrow.STACKED, False) == bool(asked)
    if asked:
        assert base64.b64decode(output.metadata[narrow.KEPT_AS]).startswith(b"\x89PNG")
