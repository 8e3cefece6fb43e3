"""Figures of chapter 10. Every function takes tidy tables of its experiments and returns a matplotlib Figure."""

import numpy as np
import pandas as pd

from bnlab.chapters.ch10_gradient_flow.profiles import ACTIVATIONS
from bnlab.chapters.ch10_gradient_flow.spectra import ROUNDING
from bnlab.figures.shapes import (
    cumulative,
    groups,
    legend_below,
    lines,
    lines_with_quartiles,
    plain_ticks,
    subplots,
)
from bnlab.figures.style import COLOURS, GREY, line_styles

TITLES = {"linear": "linear", "tanh": "tanh", "relu": "ReLU"}
FLAT_LINE = {"color": GREY, "lw": 1, "ls": "-"}


def relative(profiles: pd.DataFrame) -> pd.DataFrame:
    """Add ``ratio``: each network's squared gradients over that at its last layer."""
    keys = ["activation", "weights", "arm", "seed"]
    last = profiles.groupby(keys)["layer"].transform("max") == profiles["layer"]
    ends = profiles[last].set_index(keys)["gradient"].rename("end")
    joined = profiles.join(ends, on=keys)
    return joined.assign(ratio=joined["gradient"] / joined["end"])


def by_activation(profiles: pd.DataFrame, group: str, label=str):
    """Plot profiles in one panel an activation, one line a value of ``group``; medians and quartiles of the seeds."""
    shown = relative(profiles)
    figure, panels = subplots(1, 3, height=3.9, sharey=True)
    looks = line_styles(groups(shown[group]))
    for axes, activation in zip(panels, ACTIVATIONS, strict=True):
        part = shown[shown["activation"] == activation]
        lines_with_quartiles(axes, part, "layer", "ratio", group, looks=looks, label=label, marks=6)
        axes.axhline(1, **FLAT_LINE)
        axes.set(title=TITLES[activation], xlabel="layer, from the input", yscale="log")
    panels[0].set_ylabel("squared gradient / last layer's")
    legend_below(figure, 4)
    return figure


def rectifiers(profiles: pd.DataFrame, laws: pd.DataFrame):
    """Plot the profiles of wide ReLU networks on the theory's lines.

    Args:
        profiles: with a column ``network`` that names each kind.
        laws: columns ``network``, ``layer``, ``ratio``.
    """
    shown = relative(profiles)
    figure, axes = subplots(height=4.2)
    looks = line_styles(groups(shown["network"]))
    lines(axes, laws, "layer", "ratio", "network", looks=looks, label=None, marker="", linestyle="-", linewidth=1)
    points = shown.groupby(["network", "layer"], sort=False)["ratio"].median().reset_index()
    lines(axes, points, "layer", "ratio", "network", looks=looks, marks=14, linestyle="none")
    axes.axhline(1, **FLAT_LINE)
    axes.set(xlabel="layer, from the input", ylabel="squared gradient / last layer's", yscale="log")
    legend_below(figure, 3)
    return figure


def power_of_depth(residual: pd.DataFrame, law: pd.DataFrame):
    """Plot residual networks: both arms against the layer, and BN again on a logarithmic axis with its theory.

    Args:
        residual: profiles, arms "skip" and "skip + BN".
        law: columns ``layer``, ``ratio`` of the theory with BN.
    """
    shown = relative(residual)
    figure, (left, right) = subplots(1, 2, height=4.0)
    looks = line_styles(groups(shown["arm"]))
    lines_with_quartiles(left, shown, "layer", "ratio", "arm", looks=looks, marks=8)
    left.set(xlabel="block, from the input", ylabel="squared gradient / last block's", yscale="log")
    normalised = shown[shown["arm"] == "skip + BN"].assign(number=lambda t: t["layer"] + 1)
    lines_with_quartiles(right, normalised, "number", "ratio", "arm", looks=looks, label=None, marks=40)
    right.plot(law["layer"] + 1, law["ratio"], color=GREY, lw=1.2, label="theory")
    right.set(xlabel="block + 1", xscale="log", yscale="log")
    legend_below(figure, 3)
    return figure


def singular_values(spectra: pd.DataFrame):
    """Plot the share of singular values at or below each value, a panel a depth; seeds together; 0s left out."""
    depths = groups(spectra["depth"])
    figure, panels = subplots(1, len(depths), height=3.9, squeeze=False, sharey=True)
    largest = spectra.groupby(["depth", "norm", "seed"])["value"].transform("max")
    alive = spectra[spectra["value"] > ROUNDING * largest]
    names = {"none": "no norm", "batch": "BN"}
    for axes, depth in zip(panels[0], depths, strict=True):
        part = alive[alive["depth"] == depth]
        axes.axvspan(0.5, 2, color=COLOURS[2], alpha=0.25, lw=0)
        cumulative(axes, part, "value", "norm", label=names.get, marks=10)
        title = f"{depth} hidden layer{'s' if depth > 1 else ''}"
        axes.set(title=title, xlabel="singular value", xscale="log", xlim=(1e-3, None))
    panels[0][0].set_ylabel("share of values at or below")
    legend_below(figure, 2)
    return figure


def shattering(correlations: pd.DataFrame, fits_from: int = 2):
    """Plot the correlation of neighbouring input gradients against the depth, on two kinds of axes."""
    figure, (left, right) = subplots(1, 2, height=4.0, sharey=True)
    deep = correlations[correlations["depth"] >= fits_from]
    for axes in (left, right):
        lines_with_quartiles(axes, deep, "depth", "correlation", "arm", marks=8, label=str if axes is left else None)
        axes.set(xlabel="depth (blocks)")
    right.set(xscale="log")
    plain_ticks(right.xaxis)
    left.set_ylabel("correlation of neighbours")
    legend_below(figure, 4)
    return figure


def gradients_on_a_line(examples: pd.DataFrame):
    """Plot one output's input gradient along the line of inputs, a panel an example (columns ``title``)."""
    titles = groups(examples["title"])
    figure, panels = subplots(1, len(titles), height=2.8, sharey=True, squeeze=False)
    for axes, title in zip(panels[0], titles, strict=True):
        part = examples[examples["title"] == title]
        axes.plot(part["x"], part["gradient"], color=COLOURS[0], lw=1)
        axes.set(title=title, xlabel="input")
    panels[0][0].set_ylabel("gradient / its rms")
    return figure


def streams(table: pd.DataFrame):
    """Plot power and squared gradient of the residual stream of the ResNet by block, medians and quartiles."""
    figure, (left, right) = subplots(1, 2, height=4.0)
    looks = line_styles(groups(table["arm"]))
    for axes, value, words in ((left, "power", "power of the stream"), (right, "gradient", "squared gradient")):
        label = str if axes is left else None
        lines_with_quartiles(axes, table, "block", value, "arm", looks=looks, label=label, marks=8)
        axes.set(xlabel="block", ylabel=words, yscale="log")
    legend_below(figure, 4)
    return figure


def branch_shares(table: pd.DataFrame):
    """Plot the branch's share in each of the three stages against the block's place, beside the law 1 / l."""
    shown = table[(table["place"] > 0) & (table["share"] > 0)]
    stages = groups(shown["stage"])
    figure, panels = subplots(1, len(stages), height=3.9, sharey=True, squeeze=False)
    looks = line_styles(groups(shown["arm"]))
    for axes, stage in zip(panels[0], stages, strict=True):
        part = shown[shown["stage"] == stage]
        lines_with_quartiles(axes, part, "place", "share", "arm", looks=looks, marks=6)
        places = np.array(groups(part["place"]), dtype=float)
        axes.plot(places, 1 / places, label="1 / place", **FLAT_LINE)
        axes.set(title=f"stage {stage}", xlabel="block in the stage", xscale="log", yscale="log")
    panels[0][0].set_ylabel("branch's share of the variance")
    legend_below(figure, 4)
    return figure


def parameter_gradients(profiles: pd.DataFrame, group: str):
    """Plot the squared gradients of the blocks' weights beside those at their inputs, one line a group."""
    blocks = profiles[profiles["layer"] > 0]
    figure, (left, right) = subplots(1, 2, height=3.9)
    for axes, column in ((left, "gradient"), (right, "parameters")):
        label = str if axes is left else None
        lines_with_quartiles(axes, blocks, "layer", column, group, marks=8, label=label)
        axes.set(xlabel="layer, from the input", yscale="log")
    left.set_ylabel("squared gradient at the layer")
    right.set_ylabel("squared gradient of its weights")
    legend_below(figure, 3)
    return figure
