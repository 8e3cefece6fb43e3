"""Plots of chapter 1: what Batch Normalization does to values and gradients, what it costs, what small batches do."""

import math
from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns

from bnlab.figures.shapes import groups, heat_map, lines, lines_with_quartiles, plain_ticks, subplots
from bnlab.figures.style import COLOURS


def channel_distributions(table: pd.DataFrame):
    """Plot the distribution of every channel before, after normalising, and after scaling and shifting.

    The bar in each reaches one standard deviation to both sides of the mean.

    Args:
        table: columns ``stage`` (name), ``channel`` (index), ``value`` (pure number).
    """
    stages = groups(table["stage"])
    figure, panels = subplots(len(stages), height=2.3 * len(stages), sharex=True)
    for axes, stage in zip(panels, stages, strict=True):
        rows = table[table["stage"] == stage]
        sns.violinplot(rows, x="channel", y="value", ax=axes, color=COLOURS[4], inner=None, linewidth=1, cut=0)
        by_channel = rows.groupby("channel")["value"]
        mean, spread = by_channel.mean(), by_channel.std(ddof=0)
        axes.errorbar(range(len(mean)), mean, spread, fmt="o", color=COLOURS[1], linewidth=2.5, markersize=5)
        axes.axhline(0, color="black", linewidth=0.8, linestyle=":")
        axes.set(title=stage, ylabel="value", xlabel="channel" if axes is panels[-1] else "")
    return figure


def variance_law(curve: pd.DataFrame, points: pd.DataFrame, eps: float):
    """Plot the variance after normalising against the variance before.

    Args:
        curve: the closed form, columns ``before`` and ``after`` (variances).
        points: measured ones, the same columns and ``source`` (name).
        eps: marked on the axis.
    """
    figure, axes = subplots()
    axes.plot(curve["before"], curve["after"], color="black", linestyle="-", marker="", linewidth=1.2,
              label="$\\sigma_B^2/(\\sigma_B^2+\\epsilon)$")  # fmt: skip
    lines(axes, points, "before", "after", "source", linestyle="none", alpha=0.6)
    axes.axvline(eps, color="black", linewidth=0.8, linestyle=":")
    axes.annotate("$\\epsilon$", (eps, 0.02), xytext=(5, 0), textcoords="offset points", fontsize=13)
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="variance of the channel before, $\\sigma_B^2$", ylabel="variance of $\\hat x$")
    axes.set_ylim(-0.05, 1.15)
    axes.legend(loc="center right")
    return figure


def coupling_maps(table: pd.DataFrame, changed: tuple[int, int, int, int]):
    """Plot how far each output moves when one input pixel changes: a row a channel, a column an image.

    Args:
        table: columns ``channel``, ``image``, ``row``, ``column``, ``change`` (magnitude, pure number).
        changed: image, channel, row and column of the pixel, which is circled.
    """
    channels, images = groups(table["channel"]), groups(table["image"])
    seen = np.log10(table["change"][table["change"] > 0])
    figure, panels = subplots(len(channels), len(images), height=0.6 + 1.45 * len(channels), squeeze=False)
    for axes, (channel, image) in zip(panels.flat, product(channels, images), strict=True):
        part = table[(table["channel"] == channel) & (table["image"] == image)]
        pixels = part.pivot(index="row", columns="column", values="change").to_numpy()
        axes.set(xticks=[], yticks=[], title=f"image {image}" if channel == channels[0] else "")
        axes.set_ylabel(f"channel {channel}" if image == images[0] else "")
        if (pixels == 0).all():
            axes.set_facecolor("#f0f0f0")
            axes.text(0.5, 0.5, "exactly 0", ha="center", va="center", transform=axes.transAxes)
            axes.set_box_aspect(1)
            continue
        with np.errstate(divide="ignore"):
            drawn = heat_map(axes, np.log10(pixels), vmin=seen.min(), vmax=seen.max())
        if (image, channel) == changed[:2]:
            axes.plot(changed[3], changed[2], "o", ms=13, mfc="none", mec=COLOURS[1], mew=2.5)
    figure.colorbar(drawn, ax=panels, shrink=0.85, label="$\\log_{10}|\\Delta y|$")
    return figure


def gradient_terms(table: pd.DataFrame):
    """Plot one channel of one image: input, gradient from above, the three terms of the gradient below, and their sum.

    Args:
        table: columns ``panel`` (title), ``row``, ``column``, ``value``; the first panel is the input and has its own
            colours, the others share one scale around zero. What would be blank on it is magnified by a power of ten,
            and its title says so.
    """
    titles = groups(table["panel"])
    figure, panels = subplots(2, 3, height=5)
    largest = table[table["panel"].isin(titles[1:])]["value"].abs().quantile(0.995)
    for axes, title in zip(panels.flat, titles, strict=True):
        pixels = table[table["panel"] == title].pivot(index="row", columns="column", values="value")
        times = 1 if title == titles[0] else _magnification(pixels, largest)
        drawn = heat_map(axes, times * pixels, **({"cmap": "gray"} if title == titles[0] else {"reach": largest}))
        axes.set(xticks=[], yticks=[], title=title if times == 1 else f"{title}, times {times:,}")
    bar = {"shrink": 0.8, "location": "bottom", "aspect": 40, "label": "gradient (loss per unit of $x$ or $y$)"}
    figure.colorbar(drawn, ax=panels, **bar)
    return figure


def _magnification(pixels: pd.DataFrame, largest: float) -> int:
    """The power of ten that brings the pixels to the scale, no further."""
    peak = pixels.abs().max().max()
    return 10 ** math.floor(math.log10(largest / peak)) if 0 < peak < largest else 1


def jacobian(matrix: np.ndarray, singular_values: pd.DataFrame):
    """Plot the Jacobian of one channel, (m, m), and its singular values.

    Args:
        matrix: dy/dx.
        singular_values: columns ``eps`` (label), ``index`` (1 is the largest), ``value`` (in units of gamma / sigma).
    """
    figure, (left, right) = subplots(1, 2, height=3.5, width_ratios=[1, 1.1])
    heat_map(left, matrix, reach=np.abs(matrix).max())
    left.set(title="$\\partial y_i/\\partial x_j$", xlabel="$j$", ylabel="$i$")
    lines(right, singular_values, "index", "value", "eps", linestyle="none", markersize=7, markerfacecolor="none")
    right.set(title="singular values", xlabel="index", ylabel="in units of $\\gamma/\\sigma_B$", ylim=(-0.08, 1.15))
    right.legend(loc="center left")
    return figure


def offset_errors(table: pd.DataFrame):
    """Plot the largest error of the output against the mean of the input, in float32.

    Args:
        table: columns ``offset`` and ``error`` (both in standard deviations), ``implementation`` (name).
    """
    figure, axes = subplots(height=4.4)
    lines(axes, table, "offset", "error", "implementation")
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", ylabel="largest error of $\\hat x$")
    axes.set_xlabel("mean of the channel (its standard deviation is 1)")
    axes.legend()
    return figure


def cost(table: pd.DataFrame):
    """Plot time against the number of values, once with m and once with d growing.

    Args:
        table: columns ``varied`` (name), ``values`` (m times d), ``milliseconds``.
    """
    figure, axes = subplots(height=3.8)
    lines(axes, table, "values", "milliseconds", "varied")
    ends = np.array([table["values"].min(), table["values"].max()])
    guide = table["milliseconds"].max() * ends / ends[1]
    axes.plot(ends, guide, color="black", linewidth=1, linestyle=":", marker="", label="slope 1")
    axes.set(xscale="log", yscale="log", ylabel="forward and backward (ms)")
    axes.set_xlabel("values in the mini-batch, $m \\cdot d$")
    axes.legend()
    return figure


def small_batches(table: pd.DataFrame):
    """Plot what each value becomes, against what it was, in batches of several sizes.

    Args:
        table: columns ``m`` (values in a batch), ``x`` and ``x_hat`` (pure numbers).
    """
    sizes = groups(table["m"])
    figure, panels = subplots(2, (len(sizes) + 1) // 2, height=5.4, sharex=True, sharey=True)
    for axes, m in zip(panels.flat, sizes, strict=False):
        rows = table[table["m"] == m]
        axes.plot(rows["x"], rows["x_hat"], "o", markersize=3.5, alpha=0.5, color=COLOURS[0])
        axes.set_title(f"batches of $m$ = {m}")
    for axes in panels[-1]:
        axes.set_xlabel("$x$ (in standard deviations)")
    for axes in panels[:, 0]:
        axes.set_ylabel("$\\hat x$")
    return figure


def error_against_batch_size(runs: pd.DataFrame):
    """Plot test error against m, one line an arm: median over seeds, band from the first to the third quartile.

    Args:
        runs: columns ``arm`` (name), ``m`` (images), ``seed``, ``test_error`` (fraction).
    """
    figure, axes = subplots(height=4.4)
    lines_with_quartiles(axes, runs.assign(test_error=100 * runs["test_error"]), "m", "test_error", "arm")
    axes.set_xscale("log", base=2)
    plain_ticks(axes.xaxis, groups(runs["m"]))
    axes.set(xlabel="$m$ (images)", ylabel="test error (%)", yscale="log")
    plain_ticks(axes.yaxis)
    axes.legend()
    return figure
