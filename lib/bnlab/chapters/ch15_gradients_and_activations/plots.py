"""Figures of chapter 15. Every function takes tidy tables of its experiments and returns a matplotlib Figure."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from bnlab.chapters.ch15_gradients_and_activations.arms import ARMS, layer_at
from bnlab.chapters.ch15_gradients_and_activations.gradient_verdicts import depth_of, ratios
from bnlab.chapters.ch15_gradients_and_activations.printed_table import consistency
from bnlab.figures.shapes import heat_map, legend_below, lines_with_quartiles, plain_ticks, quartiles, subplots
from bnlab.figures.style import GREY, line_styles

NAMES = {
    "none": "no norm",
    "last BN": "one BN at the end",
    "last centring": "centring at the end",
    "last LayerNorm": "LayerNorm at the end",
    "all but last": "BN, but not last",
    "all": "BN everywhere",
}
LOOKS = {NAMES[arm]: look for arm, look in line_styles(ARMS).items()}
PLACES = {"convolution": "first convolutions", "norm": "BN's outputs", "stream": "residual stream"}


def moments(table: pd.DataFrame):
    """Plot mean modulus of the channels' means, and their variance, against the layer; medians and quartiles.

    Of the convolutions the first of each block, which the stream feeds. Means of BN's outputs are 0 and not drawn.
    """
    inside = (table["place"] == "convolution") & (table["layer"] % 2 == 0)
    chosen = table[table["arm"].isin(["none", "all"]) & ~inside]
    names = [f"{NAMES[arm]}: {PLACES[place]}" for arm, place in zip(chosen["arm"], chosen["place"], strict=True)]
    shown = chosen.assign(line=names)
    figure, panels = subplots(1, 2, height=4.4)
    looks = line_styles(dict.fromkeys(names))
    for axes, value, words in zip(panels, ("variance", "mean"), ("channel variance", "|channel mean|"), strict=True):
        part = shown if value == "variance" else shown[shown["place"] != "norm"]
        label = str if value == "variance" else None
        lines_with_quartiles(axes, part, "layer", value, "line", looks=looks, label=label, marks=6)
        axes.set(xlabel="layer, from the input", ylabel=f"{words}, layer's average", yscale="log")
    legend_below(figure, 2)
    return figure


def output_gradients(table: pd.DataFrame, arms: tuple[str, ...] = ("none", "last BN", "all")):
    """Draw Figure 6 of the first seed: images by classes, a panel an arm, images in the order of their labels."""
    first = table[table["seed"] == table["seed"].min()]
    figure, panels = subplots(1, len(arms), height=4.6, sharey=True)
    for axes, arm in zip(panels, arms, strict=True):
        part = first[first["arm"] == arm]
        matrix = part.pivot(index=["label", "image"], columns="output", values="gradient")
        image = heat_map(axes, matrix.to_numpy(), reach=1, aspect="auto", interpolation="nearest")
        axes.set(title=NAMES[arm], xlabel="class")
    panels[0].set_ylabel("image, by its label")
    figure.colorbar(image, ax=list(panels), label="derivative by the output", shrink=0.8)
    return figure


def cancellation(gradients: pd.DataFrame):
    """Plot sum |d| / |sum d| against the layer, what independent signs would give, and the printed ratios."""
    shown = ratios(gradients)
    shown = shown.assign(line=shown["arm"].map(NAMES))
    figure, axes = subplots(height=4.4)
    lines_with_quartiles(axes, shown, "layer", "ratio", "line", looks=LOOKS, marks=8)
    null = shown.groupby("layer")["summands"].first()
    axes.plot(null.index, np.sqrt(null), color=GREY, lw=1.4, ls=":", drawstyle="steps-mid", label="independent signs")
    printed, depth = consistency(), depth_of(gradients)
    for arm in ("none", "all"):
        part = printed[printed["arm"] == arm]
        at = [layer_at(layer, depth) for layer in part["layer"]]
        look = {"color": LOOKS[NAMES[arm]]["color"], "mfc": "white", "marker": "*", "ms": 13, "ls": "none"}
        axes.plot(at, part["ratio"], label=f"{NAMES[arm]}, printed", **look)
    axes.set(xlabel="layer, from the input", ylabel=r"$\sum|d|\,/\,|\sum d|$", yscale="log")
    plain_ticks(axes.yaxis)
    legend_below(figure, 3)
    return figure


def between_channels(pairs: pd.DataFrame, arms: tuple[str, ...] = ("none", "all")):
    """Draw M, each arm's over its own mean, with channels in the order of their sums."""
    figure, panels = subplots(1, len(arms), height=3.9)
    norm = LogNorm(0.03, 30)
    for axes, arm in zip(panels, arms, strict=True):
        matrix = pairs[pairs["arm"] == arm].pivot(index="in", columns="out", values="size").to_numpy()
        ordered = matrix[np.argsort(-matrix.sum(1))][:, np.argsort(-matrix.sum(0))]
        shown = np.maximum(ordered / matrix.mean(), norm.vmin / 2)  # the logarithm of 0 would leave a hole
        image = heat_map(axes, shown, norm=norm, interpolation="nearest")
        axes.set(title=NAMES[arm], xlabel="output channel, ordered")
    panels[0].set_ylabel("input channel, ordered")
    figure.colorbar(image, ax=list(panels), label="gradient / mean", shrink=0.8, extend="both")
    return figure


def means_and_gradients(pairs: pd.DataFrame, arms: tuple[str, ...] = ("none", "all")):
    """Plot each input channel's gradient against its mean, both over their largest, a panel an arm."""
    figure, panels = subplots(1, len(arms), height=3.6, sharey=True)
    for axes, arm in zip(panels, arms, strict=True):
        part = pairs[pairs["arm"] == arm].groupby("in").agg(size=("size", "sum"), mean=("mean", "first"))
        size, mean = part["size"], part["mean"].abs()
        axes.plot(mean / mean.max(), size / size.max(), **LOOKS[NAMES[arm]] | {"linestyle": "none"})
        axes.set(title=NAMES[arm], xlabel="|mean| / largest", xlim=(-0.05, 1.05))
    panels[0].set_ylabel(r"$\sum_o M_{io}$ / largest")
    return figure


def ends(table: pd.DataFrame, value: str, words: str):
    """Plot one number of every arm, a row an arm, a mark a depth; medians and quartiles."""
    depths = sorted(table["depth"].unique())
    figure, axes = subplots(height=4.0)
    step = 0.6 / len(depths)
    for number, (depth, look) in enumerate(line_styles(depths).items()):
        found = quartiles(table[table["depth"] == depth], value, "arm").reindex(list(ARMS))
        heights = np.arange(len(found)) + step * (number - (len(depths) - 1) / 2)
        spread = [found["middle"] - found["low"], found["high"] - found["middle"]]
        bars = look | {"linestyle": "none", "capsize": 3, "elinewidth": 1}
        axes.errorbar(found["middle"], heights, xerr=spread, label=f"depth {depth}", **bars)
    axes.set_yticks(range(len(ARMS)), [NAMES[arm] for arm in ARMS])
    axes.set(xlabel=words, xscale="log")
    axes.invert_yaxis()
    if len(depths) > 1:
        legend_below(figure, 4)
    else:
        axes.set_title(f"depth {depths[0]}")
    return figure


def predicted_rates(spectra: pd.DataFrame, rates: pd.DataFrame):
    """Plot the largest surviving rates against 2 over three largest eigenvalues, and the line where they are equal.

    Left out: rates of 0, and eigenvalues that are 0 to rounding (of a softmax that is certain of every image).
    """
    both = spectra.merge(rates, on=["arm", "depth", "seed"])
    both = both[both["survived"] > 0]
    titles = {"features": "R of the last layer", "gaussian": "Fisher matrix", "softmax": "Fisher, softmax"}
    figure, panels = subplots(1, len(titles), height=4.2, sharey=True)
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        shown = both[both[measure] > 1e-12 * both["gaussian"]]
        for arm in ARMS:
            part = shown[shown["arm"] == arm]
            label = NAMES[arm] if measure == "features" else None
            axes.plot(2 / part[measure], part["survived"], label=label, **LOOKS[NAMES[arm]] | {"linestyle": "none"})
        axes.axline((1, 1), (10, 10), color=GREY, lw=1)
        ends = 2 / shown[measure].max(), 2 / shown[measure].min()
        axes.set(title=title, xlabel=r"$2/\lambda_{\max}$", xscale="log", yscale="log")
        if len(shown):
            axes.set_xlim(ends[0] / 3, ends[1] * 3)
    panels[0].set_ylabel("largest surviving rate")
    panels[0].set_ylim(both["survived"].min() / 3, both["survived"].max() * 3)
    legend_below(figure, 3)
    return figure


def conditions(table: pd.DataFrame):
    """Plot the pseudo-condition number of R of the last layer against the depth, without and with one BN before it."""
    shown = table.assign(line=table["arm"].map(NAMES))
    figure, panels = subplots(1, 2, height=3.9, sharey=True)
    for axes, arm in zip(panels, ("all", "none"), strict=True):
        part = shown[shown["arm"] == arm]
        looks = line_styles(["without", "with"])
        label = {"without": "features as they are", "with": "behind one BN"}.get if arm == "all" else None
        lines_with_quartiles(axes, part, "depth", "condition", "norm", looks=looks, label=label)
        axes.set(title=NAMES[arm], xlabel="depth", xscale="log", yscale="log")
        plain_ticks(axes.xaxis, sorted(table["depth"].unique()))
    panels[0].set_ylabel("pseudo-condition number")
    legend_below(figure, 2)
    return figure
