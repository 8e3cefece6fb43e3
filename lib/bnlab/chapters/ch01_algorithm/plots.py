"""Plots of chapter 1: what Batch Normalization does to values and gradients, what it costs, what small batches do."""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, line_styles


def channel_distributions(table: pd.DataFrame):
    """Plot the distribution of every channel before, after normalising, and after scaling and shifting.

    The bar in each reaches one standard deviation to both sides of the mean.

    Args:
        table: columns ``stage`` (name), ``channel`` (index), ``value`` (pure number).
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    stages = list(dict.fromkeys(table["stage"]))
    figure, panels = plt.subplots(len(stages), 1, figsize=(7, 2.3 * len(stages)), sharex=True)
    for axes, stage in zip(panels, stages, strict=True):
        rows = table[table["stage"] == stage]
        sns.violinplot(rows, x="channel", y="value", ax=axes, color=COLOURS[4], inner=None, linewidth=1, cut=0)
        by_channel = rows.groupby("channel")["value"]
        mean, spread = by_channel.mean(), by_channel.std(ddof=0)
        axes.errorbar(range(len(mean)), mean, spread, fmt="o", color=COLOURS[1], linewidth=2.5, markersize=5)
        axes.axhline(0, color="black", linewidth=0.8, linestyle=":")
        axes.set(title=stage, ylabel="value", xlabel="channel" if axes is panels[-1] else "")
    plt.close(figure)
    return figure


def variance_law(curve: pd.DataFrame, points: pd.DataFrame, eps: float):
    """Plot the variance after normalising against the variance before.

    Args:
        curve: the closed form, columns ``before`` and ``after`` (variances).
        points: measured ones, the same columns and ``source`` (name).
        eps: marked on the axis.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.plot(curve["before"], curve["after"], color="black", linestyle="-", marker="", linewidth=1.2,
              label="$\\sigma_B^2/(\\sigma_B^2+\\epsilon)$")  # fmt: skip
    for source, look in line_styles(list(dict.fromkeys(points["source"]))).items():
        rows = points[points["source"] == source]
        axes.plot(rows["before"], rows["after"], label=source, **look | {"linestyle": "", "alpha": 0.6})
    axes.axvline(eps, color="black", linewidth=0.8, linestyle=":")
    axes.annotate("$\\epsilon$", (eps, 0.02), xytext=(5, 0), textcoords="offset points", fontsize=13)
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="variance of the channel before, $\\sigma_B^2$", ylabel="variance of $\\hat x$")
    axes.set_ylim(-0.05, 1.15)
    axes.legend(loc="center right")
    plt.close(figure)
    return figure


def coupling_maps(table: pd.DataFrame, changed: tuple[int, int, int, int]):
    """Plot how far each output moves when one input pixel changes: a row a channel, a column an image.

    Args:
        table: columns ``channel``, ``image``, ``row``, ``column``, ``change`` (magnitude, pure number).
        changed: image, channel, row and column of the pixel, which is circled.
    """
    import matplotlib.pyplot as plt

    channels, images = sorted(table["channel"].unique()), sorted(table["image"].unique())
    seen = np.log10(table["change"][table["change"] > 0])
    figure, panels = plt.subplots(len(channels), len(images), figsize=(7, 0.6 + 1.45 * len(channels)), squeeze=False)
    for axes, (channel, image) in zip(panels.flat, ((c, i) for c in channels for i in images), strict=True):
        part = table[(table["channel"] == channel) & (table["image"] == image)]
        pixels = part.pivot_table(index="row", columns="column", values="change").to_numpy()
        axes.set(xticks=[], yticks=[], title=f"image {image}" if channel == channels[0] else "")
        axes.set_ylabel(f"channel {channel}" if image == images[0] else "")
        if (pixels == 0).all():
            axes.set_facecolor("#f0f0f0")
            axes.text(0.5, 0.5, "exactly 0", ha="center", va="center", transform=axes.transAxes)
            axes.set_box_aspect(1)
            continue
        with np.errstate(divide="ignore"):
            drawn = axes.imshow(np.log10(pixels), vmin=seen.min(), vmax=seen.max())
        if (image, channel) == changed[:2]:
            axes.plot(changed[3], changed[2], "o", ms=13, mfc="none", mec=COLOURS[1], mew=2.5)
        axes.grid(False)
    figure.colorbar(drawn, ax=panels.ravel().tolist(), shrink=0.85).set_label("$\\log_{10}|\\Delta y|$")
    plt.close(figure)
    return figure


def gradient_terms(table: pd.DataFrame):
    """Plot one channel of one image: input, gradient from above, the three terms of the gradient below, and their sum.

    Args:
        table: columns ``panel`` (title), ``row``, ``column``, ``value``; the first panel is the input and has its own
            colours, the others share one scale around zero.
    """
    import matplotlib.pyplot as plt

    titles = list(dict.fromkeys(table["panel"]))
    figure, panels = plt.subplots(2, 3, figsize=(7, 5))
    largest = table[table["panel"].isin(titles[1:])]["value"].abs().quantile(0.995)
    for axes, title in zip(panels.flat, titles, strict=True):
        pixels = table[table["panel"] == title].pivot_table(index="row", columns="column", values="value").to_numpy()
        look = {"cmap": "gray"} if title == titles[0] else {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        drawn = axes.imshow(pixels, **look)
        axes.set(xticks=[], yticks=[], title=title)
        axes.grid(False)
    bar = figure.colorbar(drawn, ax=panels.ravel().tolist(), shrink=0.8, location="bottom", aspect=40)
    bar.set_label("gradient (loss per unit of $x$ or $y$)")
    plt.close(figure)
    return figure


def jacobian(matrix: np.ndarray, singular_values: pd.DataFrame):
    """Plot the Jacobian of one channel, (m, m), and its singular values.

    Args:
        matrix: dy/dx.
        singular_values: columns ``eps`` (label), ``index`` (1 is the largest), ``value`` (in units of gamma / sigma).
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.5), width_ratios=[1, 1.1])
    reach = np.abs(matrix).max()
    left.imshow(matrix, cmap="RdBu_r", vmin=-reach, vmax=reach)
    left.set(title="$\\partial y_i/\\partial x_j$", xlabel="$j$", ylabel="$i$")
    left.grid(False)
    for name, look in line_styles(list(dict.fromkeys(singular_values["eps"]))).items():
        rows = singular_values[singular_values["eps"] == name]
        right.plot(rows["index"], rows["value"], label=name, **look | {"linestyle": ""}, ms=7, mfc="none")
    right.set(title="singular values", xlabel="index", ylabel="in units of $\\gamma/\\sigma_B$", ylim=(-0.08, 1.15))
    right.legend(loc="center left")
    plt.close(figure)
    return figure


def offset_errors(table: pd.DataFrame):
    """Plot the largest error of the output against the mean of the input, in float32.

    Args:
        table: columns ``offset`` and ``error`` (both in standard deviations), ``implementation`` (name).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4))
    for name, look in line_styles(list(dict.fromkeys(table["implementation"]))).items():
        rows = table[table["implementation"] == name]
        axes.plot(rows["offset"], rows["error"], label=name, **look)
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", ylabel="largest error of $\\hat x$")
    axes.set_xlabel("mean of the channel (its standard deviation is 1)")
    axes.legend(fontsize=10)
    plt.close(figure)
    return figure


def cost(table: pd.DataFrame):
    """Plot time against the number of values, once with m and once with d growing.

    Args:
        table: columns ``varied`` (name), ``values`` (m times d), ``milliseconds``.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.8))
    for name, look in line_styles(list(dict.fromkeys(table["varied"]))).items():
        rows = table[table["varied"] == name]
        axes.plot(rows["values"], rows["milliseconds"], label=name, **look)
    ends = np.array([table["values"].min(), table["values"].max()])
    guide = table["milliseconds"].max() * ends / ends[1]
    axes.plot(ends, guide, color="black", linewidth=1, linestyle=":", marker="", label="slope 1")
    axes.set(xscale="log", yscale="log", ylabel="forward and backward (ms)")
    axes.set_xlabel("values in the mini-batch, $m \\cdot d$")
    axes.legend()
    plt.close(figure)
    return figure


def small_batches(table: pd.DataFrame):
    """Plot what each value becomes, against what it was, in batches of several sizes.

    Args:
        table: columns ``m`` (values in a batch), ``x`` and ``x_hat`` (pure numbers).
    """
    import matplotlib.pyplot as plt

    sizes = sorted(table["m"].unique())
    figure, panels = plt.subplots(2, (len(sizes) + 1) // 2, figsize=(7, 5.4), sharex=True, sharey=True)
    for axes, m in zip(panels.flat, sizes, strict=False):
        rows = table[table["m"] == m]
        axes.plot(rows["x"], rows["x_hat"], "o", markersize=3.5, alpha=0.5, color=COLOURS[0])
        axes.set_title(f"batches of $m$ = {m}")
    for axes in panels[-1]:
        axes.set_xlabel("$x$ (in standard deviations)")
    for axes in panels[:, 0]:
        axes.set_ylabel("$\\hat x$")
    plt.close(figure)
    return figure


def error_against_batch_size(runs: pd.DataFrame):
    """Plot test error against m, one line an arm: median over seeds, band from the first to the third quartile.

    Args:
        runs: columns ``arm`` (name), ``m`` (images), ``seed``, ``test_error`` (fraction).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4))
    for arm, look in line_styles(list(dict.fromkeys(runs["arm"]))).items():
        by_size = runs[runs["arm"] == arm].groupby("m")["test_error"]
        low, middle, high = (100 * by_size.quantile(share) for share in (0.25, 0.5, 0.75))
        axes.plot(middle.index, middle, label=arm, **look)
        axes.fill_between(middle.index, low, high, color=look["color"], alpha=0.18)
    sizes = sorted(runs["m"].unique())
    axes.set_xscale("log", base=2)
    axes.set(xticks=sizes, xlabel="$m$ (images)", ylabel="test error (%)", yscale="log")
    axes.set_xticklabels([str(m) for m in sizes])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(fontsize=10)
    plt.close(figure)
    return figure
