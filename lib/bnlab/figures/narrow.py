"""A figure drawn again for a phone: less wide, and panels that stood side by side one below the other.

A page of 390 px shows seven inches at 50 px an inch, where letters of 11 points are 8 px high. So the book holds its
figures twice and the browser takes the one that fits. Whoever wants both sets `ASKED` in a kernel's environment, as the
build of the pages does (`style.use_book_style` reads it); the second form then travels with the output of the first.
"""

import base64
import io
import math
import pickle
import re
from collections.abc import Callable
from itertools import combinations, pairwise

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.text import Text

ASKED = "BNLAB_NARROW_FIGURES"  # environment variable; any value but an empty one asks
KEPT_AS = "bnlab-narrow-png"  # key of the second form among the metadata of an output
STACKED = "bnlab-narrow-stacked"  # key that says whether panels which stood side by side are stacked there
WIDTH = 4.4  # inches: letters of 11 points are 12 px high on a phone
BELOW_FIGURE = {"loc": "outside lower center"}  # where a legend below all panels stands
BELOW_PANEL = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4.2}  # and one below its own panel
FLATTER = 0.85  # a panel below others is so high, relative to what it was beside them


def beside(figure: Figure) -> tuple[dict, dict[str, str | bool]]:
    """Give what a notebook keeps of a figure besides its image: the narrow form, among the output's metadata."""
    drawn = narrow(figure)
    if drawn is None:
        return {}, {}
    content = io.BytesIO()
    drawn.savefig(content, format="png", bbox_inches="tight")
    encoded = base64.b64encode(content.getvalue()).decode("ascii")
    return {}, {KEPT_AS: encoded, STACKED: bool(_side_by_side(figure))}


def offer(figure: Figure, draw: Callable[[], Figure]) -> Figure:
    """Let a figure have another one as its narrow form, where drawing it again would not do; returns the figure."""
    figure.bnlab_narrow = draw
    return figure


def narrow(figure: Figure) -> Figure | None:
    """Draw a figure again, `WIDTH` inches wide; the figure itself stays as it is.

    A figure that was offered another form (`offer`) gets that one.

    Panels of one row come to stand in one column, those that share the vertical axis each with its label and numbers.
    Legends get as many columns as fit, long labels several lines; numbers below an axis that would touch are thinned
    out, words turned. None: drawings without axes, grids, rows with a colour bar, and figures whose notes would come to
    lie on each other look best as they are.
    """
    if hasattr(figure, "bnlab_narrow"):
        return figure.bnlab_narrow()
    copy = pickle.loads(pickle.dumps(figure))  # noqa: S301 (our own bytes, a moment old)
    panels = _side_by_side(copy)
    if not panels and not _one_column(copy):
        return None
    copy.draw_without_rendering()
    touching = _touching(copy)
    rows = len(panels) or 1
    copy.set_size_inches(WIDTH, copy.get_figheight() * (1 if rows == 1 else FLATTER * rows))
    for place, axes in zip(GridSpec(rows, 1, figure=copy), panels, strict=False):
        axes.set_subplotspec(place)
        if axes.get_shared_y_axes().joined(axes, panels[0]):
            axes.tick_params(labelleft=True)
            axes.set_ylabel(axes.get_ylabel() or panels[0].get_ylabel())
    _fit_legends(copy)
    copy.draw_without_rendering()
    for axes in copy.axes:
        room = max(axes.get_window_extent().width, 0.6 * WIDTH * copy.dpi)
        for text in (axes.xaxis.label, axes.title):
            _break_lines(text, room)
        _part_labels(axes.xaxis)
    copy.draw_without_rendering()
    return copy if _touching(copy) <= touching else None


def _touching(figure: Figure) -> int:
    """Count the pairs of notes inside the axes that lie on each other."""
    notes = [text for axes in figure.axes for text in axes.texts if text.get_text() and text.get_visible()]
    boxes = [note.get_window_extent() for note in notes]
    return sum(one.overlaps(other) for one, other in combinations(boxes, 2))


def _one_column(figure: Figure) -> bool:
    """Tell whether every panel has the whole width; a panel's own colour bar does not count."""
    panels = [axes for axes in figure.axes if not hasattr(axes, "_colorbar")]
    places = [axes.get_subplotspec() for axes in panels]
    return not figure.subfigs and all(
        axes.axison and place is not None and place.get_topmost_subplotspec().get_gridspec().ncols == 1
        for axes, place in zip(panels, places, strict=True)
    )


def _side_by_side(figure: Figure) -> list[Axes]:
    """List the panels of a figure that is one row of them and nothing else; otherwise none."""
    places = [axes.get_subplotspec() for axes in figure.axes]
    if len(places) < 2 or figure.subfigs or None in places or len({place.get_gridspec() for place in places}) > 1:
        return []
    rows, columns = places[0].get_gridspec().get_geometry()
    whole = rows == 1 and columns == len(places) and all(axes.axison for axes in figure.axes)
    return list(figure.axes) if whole else []


def _fit_legends(figure: Figure) -> None:
    """Give every legend as many columns as the figure is wide enough for, and the figure the height of its new rows."""
    below = {figure: (figure.legends, BELOW_FIGURE)}
    below |= {axes: ([axes.get_legend()], BELOW_PANEL) for axes in figure.axes if axes.get_legend()}
    for place, (legends, where) in below.items():
        for legend in list(legends):
            texts = legend.get_texts()
            look = {"handles": legend.legend_handles, "labels": [text.get_text() for text in texts]}
            look |= {"fontsize": texts[0].get_fontsize(), "title": legend.get_title().get_text() or None, **where}
            figure.draw_without_rendering()
            first = legend.get_window_extent().height
            for columns in range(legend._ncols - 1, 0, -1):
                if legend.get_window_extent().width <= WIDTH * figure.dpi:
                    break
                legend.remove()
                legend = place.legend(**look, ncols=columns)
                figure.draw_without_rendering()
            grown = (legend.get_window_extent().height - first) / figure.dpi
            figure.set_figheight(figure.get_figheight() + grown)


def _break_lines(text: Text, room: float) -> None:
    """Break a text at its blanks, but those of formulas, into as many lines as its width (pixels) asks for."""
    count = max(1, math.ceil(text.get_window_extent().width / room))
    words = re.findall(r"(?:\$[^$]*\$|[^\s$])+", text.get_text())
    length, lines = len(text.get_text()) / count, [""]
    for word in words:
        if lines[-1] and len(lines) < count and len(f"{lines[-1]} {word}") > 1.1 * length:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    if count > 1:
        text.set_text("\n".join(lines))


def _part_labels(axis: Axis) -> None:
    """Part labels that touch: of numbers every other one goes until none does; words are turned."""
    shown = [label for label in axis.get_ticklabels() if label.get_text() and label.get_visible()]

    def touch() -> bool:
        return any(left.get_window_extent().overlaps(right.get_window_extent()) for left, right in pairwise(shown))

    if touch() and any(re.search(r"[A-Za-z]{2}", re.sub(r"\\\w+", "", label.get_text())) for label in shown):
        axis.set_tick_params(rotation=30)
        for label in shown:
            label.set_horizontalalignment("right")
        return
    while touch():
        for label in shown[1::2]:
            label.set_visible(False)
        shown = shown[::2]
