"""Figures of channel scaling on paper: blocks, mixtures, two sides of a condition, centring, pooling, equilibration.

Every function takes tidy tables and returns a matplotlib Figure. The measured layer is in `layer_plots`.
"""

import numpy as np
import pandas as pd

from bnlab.figures.shapes import cumulative, groups, heat_map, histogram, legend_below, lines, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles


def block_structure(labels: pd.DataFrame, factors: pd.DataFrame):
    """Draw the patch matrix X by the channel that each entry comes from, and the factor of each block of R.

    Args:
        labels: columns ``row``, ``column`` (of X), ``channel`` (from 1).
        factors: columns ``i``, ``j`` (channels from 1), ``factor``.
    """
    figure, (left, right) = subplots(1, 2, height=3.6)
    grid = labels.pivot(index="row", columns="column", values="channel").to_numpy()
    channels = int(grid.max())
    heat_map(left, grid, aspect="auto", vmin=0, vmax=channels + 1)
    for channel in range(1, channels + 1):
        rows = np.flatnonzero((grid == channel).all(1))
        ink = "white" if channel < (channels + 1) / 2 else "black"
        left.text(grid.shape[1] / 2 - 0.5, rows.mean(), f"channel {channel}", ha="center", va="center", color=ink)
    left.set(xlabel="position $m$", ylabel="row of $\\mathbf{X}$", title="$\\mathbf{X}$")
    square = factors.pivot(index="i", columns="j", values="factor")
    heat_map(right, square, norm="log", numbers=".3g")
    right.set_xticks(range(channels), square.columns)
    right.set_yticks(range(channels), square.index)
    right.set(xlabel="channel $j$", ylabel="channel $i$", title="factor on block $\\mathbb{R}_{ij}$")
    return figure


def mixtures(scaled: pd.DataFrame, decorrelated: pd.DataFrame):
    """Plot where eigenvalue ratios lie between Ostrowski's bounds, and how pure eigenvectors become.

    Args:
        scaled: columns ``gains`` (kind), ``position`` (0 at the lower bound, 1 at the upper).
        decorrelated: columns ``share`` (left of the off-diagonal blocks), ``q1``, ``median``, ``q3`` (of the largest
            participation).
    """
    figure, (left, right) = subplots(1, 2)
    histogram(left, scaled, "position", "gains", np.linspace(-0.1, 1.1, 61))
    for bound in (0, 1):
        left.axvline(bound, color=GREY, lw=1, ls="-")
    left.set(xlabel="$\\ln(\\lambda_k$ after / before$)$ between its bounds", ylabel="density", ylim=(0, None))
    left.set_xticks([0, 0.5, 1], ["$\\min d^2$", "", "$\\max d^2$"])
    legend_below(left, 3, title="gains")
    right.fill_between(
        decorrelated["share"], decorrelated["q1"], decorrelated["q3"], color=COLOURS[0], alpha=0.25, lw=0
    )
    right.semilogx(decorrelated["share"], decorrelated["median"], "o-", color=COLOURS[0])
    right.invert_xaxis()
    right.set(xlabel="off-diagonal blocks times", ylabel="largest share of a channel", ylim=(0.3, 1.02))
    return figure


def two_sides(cases: pd.DataFrame):
    """Plot the eigenvalues of toy layers before and after their channels get unit power.

    Args:
        cases: columns ``case``, ``when`` ("before" or "after"), ``eigenvalue`` (power).
    """
    names = groups(cases["case"])
    figure, panels = subplots(1, len(names), height=3.6, sharey=True, squeeze=False)
    for axes, case in zip(panels[0], names, strict=True):
        rows = cases[cases["case"] == case]
        for place, (when, marker) in enumerate((("before", "o"), ("after", "s"))):
            values = rows.loc[rows["when"] == when, "eigenvalue"].to_numpy()
            axes.semilogy([place] * len(values), values, marker, color=COLOURS[place], ms=7)
            axes.plot([place, place], [values.min(), values.max()], color=COLOURS[place], lw=1, ls="-")
            axes.text(place, values.max() * 1.5, f"κ = {values.max() / values.min():.3g}", ha="center", fontsize=10)
        axes.set_xticks([0, 1], ["before", "after"])
        axes.set(xlim=(-0.6, 1.6), title=case, ylim=(cases["eigenvalue"].min() / 2, cases["eigenvalue"].max() * 3))
    panels[0, 0].set_ylabel("eigenvalue (power)")
    return figure


def centred_top(curve: pd.DataFrame):
    """Plot what normalisation does to the largest eigenvalue as more of a channel's power is its mean.

    Args:
        curve: columns ``share`` (of the power in the mean), ``treatment``, ``ratio`` (largest eigenvalue after over
            before), ``source`` ("closed form" is drawn as a line, anything else as marks).
    """
    figure, axes = subplots()
    looks, exact = line_styles(groups(curve["treatment"])), curve["source"] == "closed form"
    lines(axes, curve[exact], "share", "ratio", "treatment", looks=looks, marker="")
    lines(axes, curve[~exact], "share", "ratio", "treatment", looks=looks, linestyle="none")
    axes.axhline(1, color=GREY, lw=1, ls="-")
    axes.set(xlabel="share of the mean in the power of the channel", ylabel="$\\lambda_{\\max}$ after / before")
    axes.set_yscale("log")
    legend_below(figure, 2)
    return figure


def power_after_pooling(curve: pd.DataFrame, simulated: pd.DataFrame):
    """Plot the power of a normalised Gaussian channel behind ReLU and pooling against the correlation of pixels.

    Args:
        curve: columns ``correlation``, ``power`` (closed form).
        simulated: columns ``correlation``, ``power``, ``standard_error``.
    """
    figure, axes = subplots(height=3.6)
    axes.plot(curve["correlation"], curve["power"], color=COLOURS[0], ls="-", label="closed form")
    axes.errorbar(simulated["correlation"], simulated["power"], 4 * simulated["standard_error"], color=COLOURS[1],
                  fmt="s", capsize=3, label="simulated, four standard errors")  # fmt: skip
    axes.axhline(1, color=GREY, lw=1, ls=":", label="unit power")
    axes.set(xlabel="correlation of the four pixels that are pooled", ylabel="power", ylim=(0, 1.08))
    legend_below(figure, 3)
    return figure


def equilibrated(kappas: pd.DataFrame):
    """Plot the share of matrices whose kappa after scaling is more than x times that before, one line a dimension.

    Args:
        kappas: columns ``dimension``, ``before``, ``after``.
    """
    figure, axes = subplots(height=3.8)
    ratios = kappas.assign(ratio=kappas["after"] / kappas["before"])
    cumulative(axes, ratios, "ratio", "dimension", above=True, label="d = {}".format, marks=12)
    axes.axvline(1, color=GREY, lw=1, ls="-")
    axes.set(xlabel="κ after / κ before", ylabel="share of matrices above", xlim=(0, None), yscale="log")
    legend_below(figure, 4)
    return figure
