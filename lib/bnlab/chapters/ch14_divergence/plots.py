"""Figures of chapter 14. Every function takes tidy tables of its experiments and returns a matplotlib Figure."""

import math

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from bnlab.chapters.ch14_divergence.catapults import KINDS
from bnlab.chapters.ch14_divergence.looks import FIGURE_4
from bnlab.chapters.ch14_divergence.networks import BN, NONE
from bnlab.figures.shapes import groups, legend_below, lines, lines_with_quartiles, plain_ticks, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles

NAMES = {NONE: "no norm", BN: "BN"}
LOOKS = line_styles((NONE, BN))
LOST = 1e6  # times the loss before: what is above is drawn there


def arm_name(arm: str) -> str:
    """What a legend calls an arm."""
    return NAMES[arm]


def gradient_histogram(histogram: pd.DataFrame):
    """Plot the density of a layer's gradients in their own standard deviations, seeds together, beside the Gaussian."""
    figure, axes = subplots(height=4.0)
    width = float(np.diff(sorted(histogram["left"].unique())[:2])[0])
    for arm, look in LOOKS.items():
        share = histogram[histogram["arm"] == arm].groupby("left")["share"].mean()
        middles = share.index.to_numpy() + width / 2
        seen = share.to_numpy() > 0
        axes.plot(middles[seen], share.to_numpy()[seen] / width, label=arm_name(arm), **look | {"markevery": 4})
    x = np.linspace(-5, 5, 201)
    axes.plot(x, np.exp(-x * x / 2) / math.sqrt(2 * math.pi), color=GREY, lw=1.2, label="Gaussian")
    axes.set(xlabel="gradient (its own standard deviations)", ylabel="density", yscale="log", ylim=(1e-5, 2))
    legend_below(figure, 3)
    return figure


def gradients_by_layer(gradients: pd.DataFrame, column: str, words: str):
    """Plot one number of every layer's gradient, medians and quartiles of the seeds, a line an arm."""
    figure, axes = subplots(height=3.8)
    lines_with_quartiles(axes, gradients, "layer", column, "arm", looks=LOOKS, label=arm_name, marks=10)
    axes.set(xlabel="layer, from the input", ylabel=words, yscale="log")
    legend_below(figure, 2)
    return figure


def walks(table: pd.DataFrame):
    """Plot the loss after a step along the gradient, over the loss before, against its size; a line a mini-batch."""
    figure, axes = subplots(height=4.2)
    shown = table.assign(ratio=table["ratio"].clip(upper=LOST), look=_looks(table)).sort_values("step_size")
    lines(axes, shown, "step_size", "ratio", "arm", looks=LOOKS, label=arm_name, each="look", linewidth=1.2)
    lost = shown[shown["ratio"] >= LOST]
    axes.plot(lost["step_size"], lost["ratio"], ls="none", marker="^", color=GREY, ms=7, label="beyond the axis")
    axes.axhline(1, color=GREY, lw=1)
    axes.set(xlabel="step size", ylabel="loss after / loss before", xscale="log", yscale="log")
    axes.set_ylim(None, 2 * LOST)
    legend_below(figure, 3)
    return figure


def _looks(table: pd.DataFrame) -> pd.Series:
    return table["seed"].astype(str) + "," + table["batch"].astype(str)


def heat_maps(channels: pd.DataFrame, column: str, words: str):
    """Plot one moment of the channels of three layers along the update, a panel a layer, each its own colours.

    The moduli are shown on a logarithmic scale; rows are the parts of the update that were looked at.
    """
    figure, panels = subplots(1, len(FIGURE_4), height=4.4)
    for axes, layer in zip(panels, FIGURE_4, strict=True):
        part = channels[channels["layer"] == layer]
        grid = part.pivot(index="fraction", columns="channel", values=column).abs()
        finite = grid.where(np.isfinite(grid) & (grid > 0))
        norm = LogNorm(finite.min(axis=None), finite.max(axis=None))
        image = axes.imshow(finite, aspect="auto", origin="lower", norm=norm, interpolation="nearest")
        axes.grid(visible=False)
        plain_ticks(axes.yaxis, range(len(grid)), lambda row, grid=grid: percent(grid.index[row]))
        axes.set(title=f"layer {layer}", xlabel="channel")
        figure.colorbar(image, ax=axes, location="top", shrink=0.9)
    panels[0].set_ylabel("part of the update made")
    for axes in panels[1:]:
        axes.set_yticklabels([])
    figure.suptitle(words, fontsize="medium")
    return figure


def percent(fraction: float) -> str:
    """A part of the update in words.

    >>> percent(0.3), percent(1.0)
    ('30 %', '100 %')
    """
    return f"{100 * fraction:.3g} %"


def variances(updates: pd.DataFrame, early: float = 0.1):
    """Plot the variance of the layers against depth, the first part of the update on the left, all of it on the right.

    A line a part of the update: medians and quartiles of the seeds.
    """
    figure, panels = subplots(1, 2, height=4.2)
    parts = _spread(groups(updates["fraction"]), 6)
    looks = line_styles(parts)
    for axes, most in zip(panels, (early, 1.0), strict=True):
        shown = updates[updates["fraction"].isin([part for part in parts if part <= most])]
        lines_with_quartiles(axes, shown, "layer", "variance", "fraction", looks=looks, label=percent, marks=6)
        axes.set(title=f"up to {percent(most)}", xlabel="layer, from the input", yscale="log")
    panels[0].set_ylabel("variance (median channel)")
    legend_below(figure, 6, title="part of the update made")
    return figure


def shares(updates: pd.DataFrame):
    """Plot the share of channels that carry most of a layer's power against depth, a line a part of the update."""
    figure, axes = subplots(height=4.0)
    parts = _spread(groups(updates["fraction"]))
    shown = updates[updates["fraction"].isin(parts)]
    lines_with_quartiles(axes, shown, "layer", "share", "fraction", looks=line_styles(parts), label=percent, marks=10)
    axes.set(xlabel="layer, from the input", ylabel="share of the channels")
    legend_below(figure, 5, title="part of the update made")
    return figure


def _spread(fractions: list[float], most: int = 5) -> list[float]:
    """First, last and evenly chosen others of a list."""
    if len(fractions) <= most:
        return fractions
    return [fractions[round(k * (len(fractions) - 1) / (most - 1))] for k in range(most)]


def runs(table: pd.DataFrame):
    """Plot loss and accuracy of every run by step, a colour a rate; an arrow's head marks where a run was lost."""
    figure, (above, below) = subplots(2, 1, height=5.4, sharex=True)
    looks = line_styles(groups(table["rate"]))
    finite = table[np.isfinite(table["loss"])]
    thin = {"each": "seed", "marker": "", "linewidth": 1.2}
    lines(above, finite, "step", "loss", "rate", looks=looks, label="rate {:g}".format, **thin)
    last = finite.groupby(["rate", "seed"])["step"].transform("max") == finite["step"]
    gone = table[~np.isfinite(table["loss"])][["rate", "seed"]].drop_duplicates()
    ends = finite[last].merge(gone, on=["rate", "seed"])
    above.plot(ends["step"], ends["loss"], ls="none", marker="^", color=GREY, ms=7, label="infinite after this")
    above.axhline(1e3, color=GREY, lw=1)
    above.set(ylabel="loss (nats)", yscale="log")
    lines(below, table, "step", "accuracy", "rate", looks=looks, label=None, **thin)
    below.axhline(float(table["guessing"].iloc[0]), color=GREY, lw=1)
    below.set(xlabel="gradient step", ylabel="accuracy", ylim=(0, 1), xscale="symlog")
    plain_ticks(below.xaxis, [step for step in (0, 1, 2, 5, 10, 20, 50, 100, 200) if step <= table["step"].max()])
    legend_below(figure, 3)
    return figure


def rates_by_depth(depths: pd.DataFrame):
    """Plot the bracket of the largest surviving rate against depth, a bar a seed; of an open one its end."""
    figure, axes = subplots(height=3.8)
    for arm, look in LOOKS.items():
        part = depths[depths["arm"] == arm]
        if part.empty:
            continue
        low = part["survived"].where(part["survived"] > 0, part["lost"])
        high = part["lost"].where(np.isfinite(part["lost"]), part["survived"])
        typical = part.assign(middle=np.sqrt(low * high)).groupby("depth")["middle"].median()
        axes.plot(typical.index, typical, label=arm_name(arm), **look)
        axes.vlines(part["depth"], low, high, color=look["color"], alpha=0.5, lw=3)
    axes.set(xlabel="layers", ylabel="largest surviving rate", xscale="log", yscale="log")
    plain_ticks(axes.xaxis, groups(depths["depth"]))
    legend_below(figure, 2)
    return figure


def two_layers(paths: pd.DataFrame):
    """Plot loss and rate times curvature of two linear layers by step, a line a c (columns c, step, loss, product)."""
    figure, (left, right) = subplots(1, 2, height=4.0)
    looks = line_styles(groups(paths["c"]))
    finite = paths[np.isfinite(paths["loss"]) & (paths["loss"] > 0)]
    for axes, column in ((left, "loss"), (right, "product")):
        label = "c = {:g}".format if axes is left else None
        lines(axes, finite, "step", column, "c", looks=looks, label=label, marks=8)
        axes.set(xlabel="step")
    left.set(ylabel="loss", yscale="log", ylim=(1e-4, 1e4))
    right.axhline(2, color=GREY, lw=1)
    right.set(ylabel="rate × curvature", ylim=(0, 6))
    legend_below(figure, 4)
    return figure


def phases(counts: pd.DataFrame):
    """Plot in how many seeds each kind of run occurs at each c, a panel a network and loss."""
    settings = counts[["network", "loss"]].drop_duplicates().itertuples(index=False, name=None)
    settings = list(settings)
    rows = math.ceil(len(settings) / 2)
    figure, panels = subplots(rows, 2, height=1.2 + 2.4 * rows, squeeze=False, sharey=True)
    colours = dict(zip(KINDS, (COLOURS[4], COLOURS[5], GREY), strict=True))
    for axes, (network, loss) in zip(panels.flat, settings, strict=False):
        part = counts[(counts["network"] == network) & (counts["loss"] == loss)].sort_values("c")
        bottom = np.zeros(len(part))
        for kind in KINDS:
            hatch = {"catapult": "//", "lost": "xx"}.get(kind)
            axes.bar(range(len(part)), part[kind], bottom=bottom, color=colours[kind], label=kind, hatch=hatch,
                     edgecolor="white")  # fmt: skip
            bottom += part[kind].to_numpy()
        axes.grid(visible=False)
        plain_ticks(axes.xaxis, range(len(part)), lambda place, part=part: f"{part['c'].iloc[place]:g}")
        axes.set(title=f"{network}, {loss}", xlabel="c = rate × curvature at the start")
    for axes in panels[:, 0]:
        axes.set_ylabel("seeds")
    for axes in list(panels.flat)[len(settings) :]:
        axes.set_visible(False)
    legend_below(figure, 3)
    return figure
