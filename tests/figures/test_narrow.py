"""The narrow form of a figure: panels one below the other, each with what it shared; the wide one stays as it was."""

import base64
import io
from itertools import pairwise

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


def test_a_grid_and_a_row_with_a_colour_bar_keep_their_arrangement():
    figure, panels = shapes.subplots(1, 2)
    image = shapes.heat_map(panels[0], [[1, 2], [3, 4]])
    figure.colorbar(image, ax=list(panels))
    found = narrow.narrow(figure)
    assert found.axes[0].get_position().x1 < found.axes[1].get_position().x0
    grid, _ = shapes.subplots(2, 2)
    assert narrow.narrow(grid).axes[0].get_position().x1 < narrow.narrow(grid).axes[1].get_position().x0


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


def test_labels_that_would_touch_are_thinned_out():
    figure, axes = shapes.subplots(height=3.0)
    axes.plot(range(20))
    axes.set_xticks(range(20), [f"{1000 + n}" for n in range(20)])
    found = narrow.narrow(figure)
    shown = [label for label in found.axes[0].get_xticklabels() if label.get_visible()]
    assert 3 <= len(shown) < 20
    boxes = [label.get_window_extent() for label in shown]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


def test_a_notebook_gets_it_only_where_it_was_asked_for(monkeypatch):
    figure = two_panels()
    monkeypatch.delenv(narrow.ASKED, raising=False)
    assert figure._repr_mimebundle_() == {}
    monkeypatch.setenv(narrow.ASKED, "1")
    (content,) = figure._repr_mimebundle_().values()
    assert base64.b64decode(content).startswith(b"\x89PNG")
