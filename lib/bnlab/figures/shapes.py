"""Shapes that the figures of all chapters share: lines by group with their spread, histograms, heat maps, legends.

Every shape draws a tidy table on axes that it is given. Figures are made without pyplot: none is registered, so none
has to be closed, and a notebook shows the one that a cell returns. Groups come in the order of `groups`, each with its
own look of `style.line_styles`; ``look`` overrides it for all of them (``marker=""``, ``linestyle="none"``, …, in long
names).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bnlab.figures.narrow import BELOW_FIGURE, BELOW_PANEL
from bnlab.figures.style import line_styles

SPREADS = ("band", "bars", "points", "none")
Name = Callable[[object], str]  # what the legend calls a group


def subplots(rows: int = 1, columns: int = 1, *, height: float = 4.0, width: float = 7.0, dpi=None, **grid):
    """Make a Figure (inches) and its axes: ``grid`` and the axes' shape as in ``Figure.subplots``."""
    figure = Figure(figsize=(width, height), dpi=dpi)
    return figure, figure.subplots(rows, columns, **grid)


def groups(column: pd.Series) -> list:
    """List the different values of a column: numbers by size, words as they appear."""
    values = list(column.unique())
    return sorted(values) if pd.api.types.is_numeric_dtype(column) else values


def quartiles(table: pd.DataFrame, value: str, by: str | list[str]) -> pd.DataFrame:
    """Compute a column's quartiles, one row each value of ``by``: columns ``low``, ``middle`` (median), ``high``."""
    found = table.groupby(by)[value].quantile([0.25, 0.5, 0.75])
    return found.unstack().set_axis(["low", "middle", "high"], axis="columns")


def aside(table: pd.DataFrame, x: str, group: str, step: float, *, factor: bool = False) -> pd.DataFrame:
    """Move x by ``step`` from group to group, around where it was, so that equal values of several groups stay visible.

    On a logarithmic axis ``factor`` makes ``step`` the ratio of two neighbours.
    """
    names = groups(table[group])
    number = table[group].map({name: n - (len(names) - 1) / 2 for n, name in enumerate(names)})
    return table.assign(**{x: table[x] * step**number if factor else table[x] + step * number})


def lines(
    axes, table, x: str, y: str, group: str, *, looks=None, label: Name | None = str, marks=None, each=None, **look
):
    """Draw y against x, one line a group.

    Args:
        axes: where.
        table: with the columns ``x``, ``y`` and ``group``; rows of a group are joined in their order.
        x: column of the horizontal axis.
        y: column of the vertical axis.
        group: column of the groups' names.
        looks: name -> look, where other groups than the table's share the figure; a name without rows is left out.
        label: what the legend calls a group; None: the legend is silent.
        marks: about how many markers stand on a line; by default one a row.
        each: column, or several, whose values are lines of their own in a group (one a seed, say), named once.
        look: of all lines.
    """
    for name, rows, own in _groups(table, group, looks):
        parts = [rows] if each is None else [part for _, part in rows.groupby(each)]
        for number, part in enumerate(parts):
            _line(axes, part[x], part[y], None if number else label, name, marks, own | look)


def points_on_lines(
    axes, table, x: str, points: str, line: str, group: str, *, looks=None, label: Name = str, marks=None
):
    """Draw what was measured (column ``points``, markers) on its law (column ``line``), one colour a group."""
    lines(axes, table, x, line, group, looks=looks, label=None, marker="", linestyle="-", linewidth=1.2)
    lines(axes, table, x, points, group, looks=looks, label=label, marks=marks, linestyle="none")


def lines_with_quartiles(
    axes, table, x: str, y: str, group: str, *, spread="band", looks=None, label: Name | None = str, marks=None,
    decades: float | None = None, **look,
):  # fmt: skip
    """Draw the median of y at each x, one line a group, and how the table's rows (seeds) spread around it.

    Args:
        axes: where.
        table: with the columns ``x``, ``y`` and ``group``, several rows for each x of a group.
        x: column of the horizontal axis.
        y: column of the vertical axis.
        group: column of the groups' names.
        spread: "band" or "bars" from the first to the third quartile, "points" for every row, "none".
        looks: as in `lines`.
        label: what the legend calls a group.
        marks: about how many markers stand on a line; by default one an x.
        decades: neighbours that lie more powers of ten apart than so many are not joined: nothing is known between.
        look: of all lines.

    Raises:
        ValueError: another ``spread``.
    """
    if spread not in SPREADS:
        raise ValueError(f"spread = {spread!r}: one of {', '.join(SPREADS)}.")
    for name, rows, own in _groups(table, group, looks):
        found = quartiles(rows, y, x)
        if decades is not None:
            found = _broken(found, decades)
        low, middle, high = (found[column] for column in found)
        if spread == "bars":
            bars = {"yerr": [middle - low, high - middle], "capsize": 3, "elinewidth": 1}
            axes.errorbar(found.index, middle, label=label and label(name), **bars | own | look)
            continue
        _line(axes, found.index, middle, label, name, marks, own | look)
        if spread == "band":
            axes.fill_between(found.index, low, high, color=(own | look)["color"], alpha=0.2, linewidth=0)
        elif spread == "points":
            axes.plot(rows[x], rows[y], **own | {"linestyle": "none", "alpha": 0.6})


def histogram(axes, table, value: str, group: str, edges: Sequence[float], *, looks=None, label: Name = str):
    """Draw the density of a column in the bins between ``edges``, one outline a group."""
    for name, rows, own in _groups(table, group, looks):
        heights, _ = np.histogram(rows[value].dropna(), edges, density=True)
        axes.plot(edges, [*heights, heights[-1]], drawstyle="steps-post", label=label(name), **own | {"marker": ""})


def cumulative(axes, table, value: str, group: str, *, above=False, looks=None, label: Name = str, marks=None, **look):
    """Draw the share of a group's rows at or below (``above``: at or above) each of their values."""
    for name, rows, own in _groups(table, group, looks):
        values = np.sort(rows[value])
        shares = np.arange(1, len(values) + 1) / len(values)
        _line(axes, values, shares[::-1] if above else shares, label, name, marks, own | look)


def heat_map(axes, matrix, *, reach: float | None = None, numbers: str | None = None, **look):
    """Draw a matrix as colours, and give the image (a colour bar asks for it).

    Args:
        axes: where.
        matrix: (rows, columns), an array or a table.
        reach: colours from -reach to reach, white at zero.
        numbers: format of the numbers in the cells, ``.3g`` say; by default there are none.
        look: as in ``Axes.imshow``.
    """
    around_zero = {} if reach is None else {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
    image = axes.imshow(matrix, **around_zero | look)
    axes.grid(visible=False)
    if numbers is not None:
        for (row, column), value in np.ndenumerate(np.asarray(matrix)):
            dark = np.dot(image.to_rgba(value)[:3], (0.299, 0.587, 0.114)) < 0.5
            ink = {"color": "white" if dark else "black", "ha": "center", "va": "center"}
            axes.text(column, row, format(value, numbers), **ink)
    return image


def plain_ticks(axis, values: Iterable[float] | None = None, words: Name = "{:g}".format, **look) -> None:
    """Put ticks at ``values`` alone, in plain numbers.

    Without values, on a logarithmic axis: at the powers of ten in view, and at 2 and 5 times them where fewer than
    three decades are in view.
    """
    if values is None:
        low, high = sorted(axis.get_view_interval())
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        ticks = np.outer(decades, (1, 2, 5) if high < 1000 * low else (1,)).ravel()
        values = ticks[(low <= ticks) & (ticks <= high)]
    values = list(values)
    axis.set_ticks(values, [words(value) for value in values], **look)
    axis.set_minor_locator(NullLocator())


def legend_below(place, columns: int = 1, **more):
    """Put a legend below a Figure, one entry for each name in any of its panels, or below one panel's own labels."""
    if not isinstance(place, Figure):
        return place.legend(**BELOW_PANEL, ncols=columns, **more)
    entries = {}
    for axes in place.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    return place.legend(list(entries.values()), list(entries), **BELOW_FIGURE, ncols=columns, **more)


def name_lines(axes, apart: float = 0.055) -> None:
    """Write each line's name, in its colour, right of its last point: no legend to match colours with.

    Where lines end less than ``apart`` (of the height of the axes) from each other, the upper names move up. Call it
    last, once scale and limits of the axes stand.
    """
    named = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    height = axes.transData + axes.transAxes.inverted()
    ends = [(height.transform(line.get_xydata()[-1])[1], line.get_label(), line) for line in named]
    ends.sort(key=lambda end: end[0])
    steps = apart * np.arange(len(ends))
    clear = np.maximum.accumulate([end for end, *_ in ends] - steps) + steps
    for place, (_, name, line) in zip(clear, ends, strict=True):
        axes.text(1.015, place, name, transform=axes.transAxes, color=line.get_color(), va="center")


def _groups(table: pd.DataFrame, group: str, looks: dict | None) -> Iterator[tuple[object, pd.DataFrame, dict]]:
    """Give name, rows and look of every group that has rows."""
    for name, look in (line_styles(groups(table[group])) if looks is None else looks).items():
        rows = table[table[group] == name]
        if len(rows):
            yield name, rows, look


def _broken(found: pd.DataFrame, decades: float) -> pd.DataFrame:
    """Put a row without numbers between neighbours that lie far apart, where a line then breaks."""
    x = found.index.to_numpy(float)
    gaps = np.sqrt(x[1:] * x[:-1])[np.log10(x[1:] / x[:-1]) > decades]
    return found.reindex(np.sort(np.concatenate([x, gaps])))


def _line(axes, x, y, label: Name | None, name, marks: int | None, look: dict) -> None:
    every = None if marks is None else max(1, len(x) // marks)
    axes.plot(x, y, label=label and label(name), **{"markevery": every} | look)
