"""A figure drawn again for a phone: less wide, and panels that stood side by side one below the other.

A page of 390 px shows seven inches at 50 px an inch, where letters of 11 points are 8 px high. So the book holds its
figures twice and the browser takes the one that fits. Whoever wants both sets `ASKED` in a kernel's environment, as the
build of the pages does; the second size then travels in the notebook's outputs beside the first.
"""

import base64
import io
import os
import pickle
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from bnlab.figures.style import BELOW_FIGURE, BELOW_PANEL

ASKED = "BNLAB_NARROW_FIGURES"  # environment variable; any value but an empty one asks
MIME = "application/vnd.bnlab.narrow+png"  # what the second size is called among a cell's outputs
WIDTH = 4.4  # inches: letters of 11 points are 12 px high on a phone
FLATTER = 0.85  # a panel below others is so high, relative to what it was beside them


class BookFigure(Figure):
    """A Figure that gives a notebook its narrow form as well, where that was asked for."""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        if not os.environ.get(ASKED):
            return {}
        content = io.BytesIO()
        narrow(self).savefig(content, format="png", bbox_inches="tight")
        return {MIME: base64.b64encode(content.getvalue()).decode("ascii")}


def narrow(figure: Figure) -> Figure:
    """Draw a figure again, `WIDTH` inches wide; the figure itself stays as it is.

    Panels of one row come to stand in one column, each with the label and the numbers of its vertical axis. Legends
    get as many columns as fit, and of tick labels that would touch each other every other one stays.
    """
    copy = pickle.loads(pickle.dumps(figure))  # noqa: S301 (our own bytes, a moment old)
    panels = _side_by_side(copy)
    rows = len(panels) or 1
    copy.set_size_inches(WIDTH, copy.get_figheight() * (1 if rows == 1 else FLATTER * rows))
    for place, axes in zip(GridSpec(rows, 1, figure=copy), panels, strict=False):
        axes.set_subplotspec(place)
        axes.tick_params(labelleft=True)
        axes.set_ylabel(axes.get_ylabel() or panels[0].get_ylabel())
    _fit_legends(copy)
    copy.draw_without_rendering()
    for axes in copy.axes:
        _thin_out(axes.xaxis)
    return copy


def _fit_legends(figure: Figure) -> None:
    """Give every legend as many columns as the figure is wide enough for."""
    below = {figure: (figure.legends, BELOW_FIGURE)}
    below |= {axes: ([axes.get_legend()], BELOW_PANEL) for axes in figure.axes if axes.get_legend()}
    for place, (legends, where) in below.items():
        for legend in list(legends):
            texts = legend.get_texts()
            look = {"handles": legend.legend_handles, "labels": [text.get_text() for text in texts]}
            look |= {"fontsize": texts[0].get_fontsize(), **where}
            for columns in range(legend._ncols - 1, 0, -1):
                figure.draw_without_rendering()
                if legend.get_window_extent().width <= WIDTH * figure.dpi:
                    break
                legend.remove()
                legend = place.legend(**look, ncols=columns)


def _side_by_side(figure: Figure) -> list[Axes]:
    """List the panels of a figure that is one row of them and nothing else; otherwise none."""
    places = [axes.get_subplotspec() for axes in figure.axes]
    if len(places) < 2 or figure.subfigs or None in places or len({place.get_gridspec() for place in places}) > 1:
        return []
    rows, columns = places[0].get_gridspec().get_geometry()
    return list(figure.axes) if rows == 1 and columns == len(places) else []


def _thin_out(axis: Axis) -> None:
    """Empty every other label until none touches its neighbour."""
    shown = [label for label in axis.get_ticklabels() if label.get_text() and label.get_visible()]
    while any(left.get_window_extent().overlaps(right.get_window_extent()) for left, right in pairwise(shown)):
        for label in shown[1::2]:
            label.set_visible(False)
        shown = shown[::2]
