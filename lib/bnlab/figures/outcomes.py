"""Explanations and their tests in one picture: a row each, a mark a test, whose place and shape say what it says."""

from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from bnlab.figures import narrow
from bnlab.figures.shapes import groups, subplots
from bnlab.figures.style import COLOURS, GREY

# In the order of the columns: what a test says -> marker and colour.
LOOKS = {
    "for it": ("o", COLOURS[2]),
    "mixed": ("D", COLOURS[5]),
    "against it": ("X", COLOURS[1]),
    "open": ("s", GREY),
}


IN_A_LINE = 3  # marks with their names, of the narrow form
LINE, NAME = 0.21, 1.1  # height of a line and width of a mark with its name in it (inches)


def outcomes(tests: pd.DataFrame) -> Figure:
    """Plot, for every explanation, the tests that speak for it, in part, and against it.

    On a phone an explanation is a block of lines, three tests a line.

    Args:
        tests: ``explanation``, ``claim``, ``says`` (one of `LOOKS`), ``cause`` (filled marks, the others open);
            explanations in their order.
    """
    names = groups(tests["explanation"])
    columns = [word for word in LOOKS if (tests["says"] == word).any()]
    widest = {word: max(1, tests[tests["says"] == word].groupby("explanation").size().max()) for word in columns}
    starts, here = {}, 0.0
    for word in columns:
        starts[word], here = here, here + widest[word] + 0.8
    figure, axes = subplots(height=0.9 + 0.55 * len(names), width=8.0)
    for height, name in enumerate(names):
        for word in columns:
            marker, colour = LOOKS[word]
            found = tests[(tests["explanation"] == name) & (tests["says"] == word)]
            for place, (claim, cause) in enumerate(zip(found["claim"], found["cause"], strict=True)):
                x = starts[word] + place
                axes.plot(x, height, marker=marker, color=colour, ms=9, ls="none", **_fill(cause))
                below = (0, -9 - 8 * (place % 2))  # neighbours' names are wider than their marks' distance
                axes.annotate(claim, (x, height), below, textcoords="offset points", ha="center", va="top", size=7)
    for word in columns:
        axes.annotate(word, (starts[word] + (widest[word] - 1) / 2, -0.7), ha="center", va="bottom", weight="bold")
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.3, -1.1), xlim=(-0.7, here - 0.8), xticks=[])
    axes.grid(visible=False, axis="x")
    return narrow.offer(figure, partial(blocks, tests))


def blocks(tests: pd.DataFrame) -> Figure:
    """Plot what `outcomes` does, `narrow.WIDTH` wide: below each explanation what its tests say, and their names."""
    figure, axes = subplots(width=narrow.WIDTH)
    y = 0.0
    for name in groups(tests["explanation"]):
        axes.annotate(name, (0, y), va="center", weight="bold")
        for word, (marker, colour) in LOOKS.items():
            found = tests[(tests["explanation"] == name) & (tests["says"] == word)]
            for place, (claim, cause) in enumerate(zip(found["claim"], found["cause"], strict=True)):
                y += LINE * (place % IN_A_LINE == 0)
                x = narrow.WIDTH - NAME * (IN_A_LINE - place % IN_A_LINE)
                axes.plot(x, y, marker=marker, color=colour, ms=7, ls="none", **_fill(cause))
                axes.annotate(claim, (x + 0.1, y), va="center", size=9)
                if not place:
                    axes.annotate(word, (0, y), va="center")
        y += 1.6 * LINE
    axes.set(ylim=(y - LINE, -LINE), xlim=(0, narrow.WIDTH))
    axes.set_axis_off()
    figure.set_figheight(y)
    return figure


def _fill(cause: bool) -> dict[str, object]:
    return {} if cause else {"mfc": "white", "mew": 1.8}
