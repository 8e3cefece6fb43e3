"""Figures of R of a network's second convolution before and after its channels are normalised (chapter 05).

Every function takes tables of `channel_scaling` and returns a matplotlib Figure; the same
function draws the quick and the recorded run.
"""

import numpy as np
import pandas as pd

from bnlab.figures.shapes import groups, heat_map, legend_below, lines, lines_with_quartiles, subplots
from bnlab.figures.style import GREY, line_styles

AS_DRAWN = "as drawn"  # the weights before any training, in column ``weights``


def block_maps(blocks: pd.DataFrame, channels: int = 6):
    """Plot R as a heat map, plain and with its channels scaled, each over the mean power of a pixel: on one scale.

    Args:
        blocks: table ``blocks``: ``row``, ``column``, ``plain``, ``scaled`` (power).
        channels: how many blocks stand on a side.
    """
    figure, panels = subplots(1, 2, height=3.7, sharey=True)
    views = {view: blocks.pivot(index="row", columns="column", values=view).to_numpy() for view in ("plain", "scaled")}
    relative = {view: R / R.diagonal().mean() for view, R in views.items()}
    ends = {"vmin": min(0, *(R.min() for R in relative.values())), "vmax": max(R.max() for R in relative.values())}
    for axes, (view, R) in zip(panels, relative.items(), strict=True):
        pixels = len(R) // channels
        image = heat_map(axes, R, **ends)
        middles = np.arange(channels) * pixels + pixels / 2 - 0.5
        axes.set_xticks(middles, range(channels))
        axes.set_yticks(middles, range(channels))
        for edge in np.arange(1, channels) * pixels - 0.5:
            axes.axhline(edge, color="white", lw=0.8, ls="-")
            axes.axvline(edge, color="white", lw=0.8, ls="-")
        axes.set(xlabel="channel", title=f"$\\mathbb{{R}}$, {view}")
    panels[0].set_ylabel("channel")
    figure.colorbar(image, ax=panels, shrink=0.75, label="over the mean power of a pixel")
    return figure


def spectra(table: pd.DataFrame, weights: str = AS_DRAWN):
    """Plot eigenvalues of three views of one network, and their ratios to the plain ones beside Ostrowski's bounds.

    Args:
        table: table ``spectra``: ``weights``, ``seed``, ``rank``, ``plain``, ``scaled``, ``normalised``, ``low``,
            ``high`` (power).
        weights: which of them; of the first seed.
    """
    rows = table[(table["weights"] == weights) & (table["seed"] == table["seed"].min())]
    tall = rows.melt(["rank"], ["plain", "scaled", "normalised"], "view", "eigenvalue")
    ratios = tall.assign(ratio=tall["eigenvalue"] / tall["rank"].map(rows.set_index("rank")["plain"]))
    figure, (left, right) = subplots(1, 2, height=4.2)
    lines(left, tall, "rank", "eigenvalue", "view", markevery=0.12)
    looks = line_styles(groups(tall["view"]))
    lines(right, ratios[ratios["view"] != "plain"], "rank", "ratio", "view", looks=looks, markevery=0.12)
    band = {"color": GREY, "alpha": 0.15, "lw": 0, "label": "Ostrowski's bounds on scaled"}
    right.fill_between(rows["rank"], rows["low"] / rows["plain"], rows["high"] / rows["plain"], **band)
    right.axhline(1, color=GREY, lw=1, ls="-")
    left.set(ylabel="eigenvalue (power)")
    right.set(ylabel="eigenvalue / plain eigenvalue")
    for axes in (left, right):
        axes.set(xlabel="rank of the eigenvalue", xscale="log", yscale="log")
    for axis in (right.yaxis.set_major_formatter, right.yaxis.set_minor_formatter):
        axis("{x:g}")
    legend_below(figure, 4)
    return figure


def participations(table: pd.DataFrame, weights: str = AS_DRAWN):
    """Plot each channel's participation in each eigenvector (first seed), and the largest one (quartiles over seeds).

    Args:
        table: table ``participation``: ``weights``, ``seed``, ``rank``, ``channel``, ``participation``.
        weights: which of them.
    """
    rows = table[table["weights"] == weights]
    one = rows[rows["seed"] == rows["seed"].min()]
    grid = one.pivot(index="channel", columns="rank", values="participation").to_numpy()
    channels, modes = grid.shape
    figure, (above, below) = subplots(2, height=4.6, sharex=True, height_ratios=(1, 1.1))
    extent = (0.5, modes + 0.5, channels - 0.5, -0.5)
    image = heat_map(above, grid, aspect="auto", vmin=0, vmax=1, extent=extent, interpolation="none")
    above.set_yticks(range(channels))
    above.set(ylabel="channel")
    figure.colorbar(image, ax=above, label="participation")
    largest = rows.groupby(["seed", "rank"], as_index=False)["participation"].max()
    largest["line"] = "median and quartiles over seeds"
    lines_with_quartiles(below, largest, "rank", "participation", "line", marker="")
    below.axhline(1, color=GREY, lw=1, ls=":", label="decorrelated channels")
    below.axhline(1 / channels, color=GREY, lw=1, ls="--", label="spread evenly")
    below.set(xlabel="rank of the eigenvalue", ylabel="largest participation", ylim=(0, 1.05))
    legend_below(figure, 2)
    return figure


def control(summary: pd.DataFrame):
    """Plot kappa after normalisation over kappa before, and the two conditions under which scaling controls kappa.

    Args:
        summary: table ``summary``: ``weights``, ``seed``, ``view``, ``kappa``, ``floor``, ``leverage``, ``coherence``.
    """
    names = groups(summary["weights"])
    views = summary.set_index(["weights", "seed"])
    plain = views[views["view"] == "plain"]
    figure, (left, right) = subplots(1, 2, height=4.4, sharey=True)
    arms = {"divided by RMS": "scaled", "Batch Normalization": "normalised", "best channel gains": "best"}
    kappas = {label: views[views["view"] == view]["kappa"] / plain["kappa"] for label, view in arms.items()}
    kappas["largest κ inside a channel"] = plain["floor"] / plain["kappa"]
    conditions = {"leverage of the channels": plain["leverage"], "coherence of the channels": plain["coherence"]}
    looks = line_styles([*kappas, *conditions])
    for number, (label, ratios) in enumerate(kappas.items()):
        _dots(left, ratios, names, 0.2 * (number - 1.5), label, looks[label])
    for number, (label, values) in enumerate(conditions.items()):
        _dots(right, values, names, 0.2 * (number - 0.5), label, looks[label])
    left.axvline(1, color=GREY, lw=1, ls="-")
    left.set_xscale("log")
    left.set(xlabel="κ after / κ before")
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    right.set(xlabel="leverage, coherence", xlim=(-0.03, 1.03))
    legend_below(figure, 2)
    return figure


def _dots(axes, values: pd.Series, names: list[str], shift: float, label: str, look: dict) -> None:
    """Draw every seed small, and the median large, one line of the axes for each kind of weights."""
    for place, name in enumerate(names):
        seeds = values.xs(name, level="weights").dropna()
        colour, marker = look["color"], look["marker"]
        axes.plot(seeds, [place + shift] * len(seeds), marker, color=colour, ms=4, alpha=0.4, ls="none")
        axes.plot([seeds.median()], [place + shift], marker, color=colour, ms=8, label=label if not place else None)
