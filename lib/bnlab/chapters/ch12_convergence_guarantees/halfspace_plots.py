"""Figures of learning halfspaces and of tangent kernels.

Every function takes tidy tables (those of `halfspaces` and `tangent_kernels`,
unless a docstring says otherwise) and returns a matplotlib Figure.
"""

import numpy as np
import pandas as pd

from bnlab.chapters.ch12_convergence_guarantees.separable import NORMALISED, ZERO
from bnlab.figures.shapes import (
    aside,
    groups,
    legend_below,
    lines,
    lines_with_quartiles,
    plain_ticks,
    points_on_lines,
    subplots,
)
from bnlab.figures.style import COLOURS, GREY, line_styles


def separable_loss(descent: pd.DataFrame):
    """Plot loss and length of descent on separable data against the step, beside two powers of t."""
    figure, (left, right) = subplots(1, 2, height=4.2)
    lines(left, descent, "step", "loss", "data", each="seed", markevery=12)
    lines(right, descent, "step", "length", "data", each="seed", label=None, markevery=12)
    for data in groups(descent["data"]):
        if data == NORMALISED:  # as fast as plain descent: the same reference line
            continue
        run = descent[descent["data"] == data]
        last, end = run["loss"].iloc[-1], run["step"].iloc[-1]
        exponent, words = (-1 / 3, "$t^{-1/3}$") if data == ZERO else (-1, "$t^{-1}$")
        t = np.array([end / 100, end])
        left.plot(t, 2 * last * (t / end) ** exponent, color=GREY, ls=":", lw=1.2)
        place = {"xytext": (0, 5), "textcoords": "offset points", "color": GREY, "ha": "center"}
        left.annotate(words, (t[0], 2 * last * 100**-exponent), **place)
    for axes, words in ((left, "logistic loss (nats)"), (right, "$\\Vert w\\Vert$, or $a$")):
        axes.set(xlabel="step $t$", ylabel=words, xscale="log", yscale="log")
    legend_below(figure, 2)
    return figure


def direction_gaps(gaps: pd.DataFrame):
    """Plot 1 - |cos| of minimiser and S^(-1)u against the number of samples: points are seeds, lines medians."""
    figure, axes = subplots(height=3.8)
    points = {"spread": "points", "label": "{} inputs".format, "marker": ""}
    lines_with_quartiles(axes, gaps, "samples", "gap", "inputs", **points)
    axes.set(xlabel="samples", ylabel="$1 - |\\cos|$ in the $S$ norm", xscale="log", yscale="log")
    legend_below(figure, 2)
    return figure


def gradient_bounds(runs: pd.DataFrame, least: float = 1e-24):
    """Plot squared gradient norms on their bounds, and the norm over the printed right side, which must not pass 1."""
    figure, (left, right) = subplots(1, 2, height=4.8)
    random = runs[runs["case"] == "random classes"]
    few = runs[runs["case"] == "few bisections"]
    few = few[few["bisections"].isin(groups(few["bisections"])[:2])]  # more look alike
    chosen = pd.concat([random[random["seed"] == random["seed"].min()], few])
    looks, words = line_styles(dict.fromkeys(chosen["bisections"])), "{} bisections".format
    chosen = chosen[chosen["step"] <= 60]
    points_on_lines(left, chosen, "step", "squared", "bound", "bisections", looks=looks, label=words, marks=8)
    left.set(xlabel="step $T$", ylabel="$\\Vert\\nabla f\\Vert^2_{S^{-1}}$, and bound (lines)", yscale="log")
    legend_below(left)
    cases = [("random classes", "euclidean"), ("features in units of 1/100", "euclidean"),
             ("slowest direction missing in u", "squared")]  # fmt: skip
    for (case, column), look in zip(cases, line_styles([case for case, _ in cases]).values(), strict=True):
        run = runs[(runs["case"] == case) & (runs["squared"] > least)]
        run = run[run["seed"] == run["seed"].min()]
        norm = run[column] ** (0.5 if column == "squared" else 1)
        label = f"{case},\n{'$S^{-1}$ norm' if column == 'squared' else 'Euclidean'}"
        right.plot(
            run["step"],
            norm / (run["printed"] + run["error"] ** 0.5),
            label=label,
            markevery=max(1, len(run) // 8),
            **look,
        )
    right.axhline(1, color=GREY, lw=1.2, ls="-")
    right.set(xlabel="step $T$", ylabel="norm / printed right side", yscale="log")
    legend_below(right)
    return figure


def landscape(values: pd.DataFrame):
    """Plot a loss with two weights as contours, before and after normalisation.

    Args:
        values: columns ``panel``, ``w1``, ``w2``, ``loss`` (nats), a full grid a panel.
    """
    panels = groups(values["panel"])
    figure, every = subplots(1, len(panels), height=3.6, sharey=True, squeeze=False)
    for axes, panel in zip(every[0], panels, strict=True):
        grid = values[values["panel"] == panel].pivot(index="w2", columns="w1", values="loss")
        levels = np.unique(np.quantile(grid, np.linspace(0, 1, 13)))  # equal areas: a plateau takes no more than others
        shades = axes.contourf(grid.columns, grid.index, grid.to_numpy(), levels=levels)
        axes.contour(grid.columns, grid.index, grid.to_numpy(), levels=levels, colors="white", linewidths=0.6)
        axes.set(title=panel, xlabel="$w_1$", aspect="equal")
        axes.grid(visible=False)
        below = {"orientation": "horizontal", "shrink": 0.85, "label": "loss (nats)", "format": "%.2g"}
        bar = figure.colorbar(shades, ax=axes, **below)
        bar.set_ticks(levels[:: max(1, len(levels) // 4)])
    every[0, 0].set_ylabel("$w_2$")
    return figure


def excess_by_step(exact: pd.DataFrame, stochastic: pd.DataFrame):
    """Plot f - f* by the step of GDNP: exact gradients (table of `gdnp_runs`) and mini-batches, one line a seed."""
    figure, axes = subplots()
    batch = int(stochastic["batch"].iloc[0])
    runs = {"exact gradients": exact[exact["case"] == "random classes"], f"mini-batches of {batch}": stochastic}
    every = pd.concat([run.assign(gradients=name) for name, run in runs.items()])
    every["excess"] = every["excess"].clip(lower=1e-14)
    lines(axes, every, "step", "excess", "gradients", each="seed", marker="", linewidth=1.2)
    axes.axhline(1e-12, color=GREY, lw=0.8, ls=":")
    axes.set(xlabel="step", ylabel="$f - f^*$ (nats)", yscale="log")
    legend_below(figure, 2)
    return figure


def margin_shares(growth: pd.DataFrame):
    """Plot the margin reached, as a share of the largest, against the spread of the features; points are seeds."""
    figure, axes = subplots(height=3.8)
    looks = line_styles(["raw", "scaled"])
    lines(axes, growth, "spread", "share", "features", looks=looks, each="seed", label=None, linewidth=0.6, alpha=0.6)
    medians = {"spread": "none", "looks": looks, "label": "{} features (median)".format, "marker": "", "linewidth": 3}
    lines_with_quartiles(axes, growth, "spread", "share", "features", **medians)
    axes.set_xscale("log")
    plain_ticks(axes.xaxis, groups(growth["spread"]))
    axes.set(xlabel="largest / smallest standard deviation", ylabel="margin / largest margin", ylim=(0, 1.02))
    legend_below(figure, 2)
    return figure


def kernel_widths(runs: pd.DataFrame):
    """Plot the change of the tangent kernel and the error of its forecast against the width, beside two powers."""
    figure, every = subplots(1, 2, height=4.2)
    names = {"kernel_change": "$\\Vert K_T - K_0\\Vert / \\Vert K_0\\Vert$", "forecast_error": "error of the forecast"}
    for axes, (column, label), colour in zip(every, names.items(), COLOURS, strict=False):
        median = runs.groupby("width")[column].median()
        looks = {label: {"color": colour, "linestyle": "-", "marker": "o"}}
        points = {"spread": "points", "looks": looks, "label": None, "marker": ""}
        lines_with_quartiles(axes, runs.assign(shown=label), "width", column, "shown", **points)
        for exponent, dash, words in ((-0.5, ":", "$N^{-1/2}$"), (-1, "--", "$N^{-1}$")):
            law = median.iloc[0] * (median.index / median.index[0]) ** exponent
            axes.plot(median.index, law, color=GREY, ls=dash, lw=1, label=words)
        axes.set(xlabel="width $N$", ylabel=label, xscale="log", yscale="log")
        plain_ticks(axes.xaxis, groups(runs["width"]), rotation=60)
        axes.legend()
    return figure


def kernel_spectra(spectra: pd.DataFrame):
    """Plot the top eigenvalue, its share of the trace, and the correlations of tangent kernels, by depth and norm."""
    figure, every = subplots(1, 3)
    kinds = {"none": "no BN", "passed through": "BN, through the statistics", "held": "BN, statistics held"}
    depths = groups(spectra["depth"])
    placed = spectra.assign(place=spectra["depth"].map(depths.index))
    placed = aside(placed[placed["statistics"].isin(kinds)], "place", "statistics", 0.22)
    points = {"looks": line_styles(kinds), "label": kinds.get, "linestyle": "none", "markerfacecolor": "none"}
    columns = {"largest": "largest eigenvalue", "top_share": "share of the trace", "correlation": "mean correlation"}
    for axes, (column, title) in zip(every, columns.items(), strict=True):
        lines(axes, placed, "place", column, "statistics", **points)
        axes.set_xticks(range(len(depths)), [str(depth) for depth in depths])
        axes.set(xlabel="hidden layers", title=title, xlim=(-0.5, len(depths) - 0.5))
        axes.set(yscale="log") if column == "largest" else axes.set(ylim=(0, None))
    legend_below(figure, 3)
    return figure
