"""Figures of products of random matrices: the law, samples on it, its edge, growth with depth, gradient descent.

Every function takes tidy tables of `matrix_products` and returns a matplotlib Figure; the
same function draws the quick and the recorded run.
"""

import re

import numpy as np
import pandas as pd

from bnlab.figures.shapes import aside, groups, legend_below, lines, lines_with_quartiles, plain_ticks, subplots
from bnlab.figures.style import COLOURS, line_styles

#: How the distributions of entries are called on the page.
ENTRIES = {"gaussian": "Gaussian", "uniform": "uniform", "rademacher": "coin flips ±1"}


def law(curves: pd.DataFrame):
    """Plot the limit densities for several M (Figure 8): of the squared values, and of the plain ones.

    Args:
        curves: table ``law``: ``M``, ``quantity`` ("squared" or "plain"), ``value``, ``density``.
    """
    figure, axes = subplots(1, 2, height=3.9)
    for ax, (quantity, symbol) in zip(axes, (("squared", "x = s^2"), ("plain", "s")), strict=True):
        lines(ax, curves[curves["quantity"] == quantity], "value", "density", "M", label="M = {}".format, marker="")
        ax.set(xlabel=f"{quantity} singular value ${symbol}$", ylabel="density (1 / value)")
    axes[0].set(xscale="log", yscale="log", xlim=(1e-6, 40), ylim=(1e-4, 1e5))
    axes[1].set(ylim=(0, 1.5), xlim=(0, None))
    axes[1].legend()
    return figure


def histogram(counts: pd.DataFrame):
    """Plot sampled spectra of standard Gaussian products beside the law (Figure 9), one panel a number of factors.

    Args:
        counts: table ``histogram``: ``M``, ``quantity``, ``left_standard_gaussian``, ``right_standard_gaussian``,
            ``count``, ``expected`` (singular values in all runs).
    """
    plain = counts[counts["quantity"] == "plain"]
    factors = groups(plain["M"])
    figure, axes = subplots(1, len(factors), height=3.6, squeeze=False)
    for ax, M in zip(axes[0], factors, strict=True):
        rows = plain[plain["M"] == M]
        edges = np.append(rows["left_standard_gaussian"], rows["right_standard_gaussian"].iloc[-1])
        ax.stairs(rows["count"], edges, fill=True, color=COLOURS[4], alpha=0.6, label="samples")
        centres = (edges[:-1] + edges[1:]) / 2
        ax.plot(centres, rows["expected"], color=COLOURS[1], ls="--", label="law, $s = \\sqrt{x}$")
        ax.set(yscale="log", ylim=(0.5, None), xlabel="singular value", title=f"M = {M}")
        ax.locator_params(axis="x", nbins=2)  # six digits need their room
        ax.xaxis.set_major_formatter("{x:,.0f}")
    axes[0][0].set_ylabel("singular values in a bin")
    axes[0][-1].legend()
    return figure


def distances(table: pd.DataFrame):
    """Plot the Kolmogorov–Smirnov distance of every run to the law: of squared values and of plain ones.

    Args:
        table: ``distances``: ``entries``, ``M``, ``quantity``, ``ks_distance``.
    """
    figure, ax = subplots(height=3.8)
    kinds = [(M, quantity) for M in groups(table["M"]) for quantity in ("squared", "plain")]
    placed = table.assign(place=[kinds.index(pair) for pair in zip(table["M"], table["quantity"], strict=True)])
    looks = {"label": lambda entries: ENTRIES.get(entries, entries), "linestyle": "none"}
    lines(ax, aside(placed, "place", "entries", 0.2), "place", "ks_distance", "entries", **looks)
    ax.axhline(0.01, color="black", lw=1, ls="--")
    ax.axhline(0.1, color="black", lw=1, ls=":")
    ax.set(yscale="log", ylabel="KS distance to the law", ylim=(1e-3, 1))
    ax.set_xticks(range(len(kinds)), [f"M = {M}\n{quantity}" for M, quantity in kinds])
    ax.legend(title="entries", loc="center right")
    return figure


def edges(rate: pd.DataFrame, largest: pd.DataFrame):
    """Plot how the largest value nears the edge as N grows, and how the largest value grows with M.

    Args:
        rate: table ``edge_rate``: ``M``, ``N``, ``mean``, ``standard_error`` of 1 - s_max^2 / edge.
        largest: table ``largest``: ``M``, ``largest``, ``root_of_edge``.
    """
    figure, (left, right) = subplots(1, 2, height=3.8)
    for M, look in line_styles(groups(rate["M"])).items():
        rows = rate[rate["M"] == M]
        left.errorbar(rows["N"], rows["mean"], rows["standard_error"], label=f"M = {M}", capsize=3, **look)
        guide = rows["mean"].iloc[0] * (rows["N"] / rows["N"].iloc[0]) ** (-2 / 3)
        left.plot(rows["N"], guide, color="#666666", lw=0.8, ls="-", zorder=0)
    left.set(xscale="log", yscale="log", xlabel="matrix side $N$", ylabel="$1 - s_{\\max}^2$ / edge")
    plain_ticks(left.xaxis, groups(rate["N"]))
    measured = largest.assign(line="measured (median, quartiles)")
    lines_with_quartiles(right, measured, "M", "largest", "line", spread="bars", linestyle="none")
    theory = largest.groupby("M")["root_of_edge"].first()
    right.plot(theory.index, theory, color=COLOURS[1], ls="--", label="square root of the edge")
    right.plot(theory.index, theory.iloc[0] * theory.index / theory.index[0], color="#666666", lw=1, ls=":",
               label="as printed: proportional to M")  # fmt: skip
    right.set(xscale="log", yscale="log", xlabel="factors $M$", ylabel="largest singular value")
    plain_ticks(right.xaxis, groups(largest["M"]))
    for ax in (left, right):
        plain_ticks(ax.yaxis)
        legend_below(ax)
    return figure


def condition_numbers(depth: pd.DataFrame):
    """Plot ln kappa against the number of factors: at any depth, and as float64 sees it through the product itself.

    Args:
        depth: table ``depth``: ``N``, ``M``, ``log_kappa``, ``log_kappa_product``, ``gap`` (limit's growth per factor).
    """
    figure, ax = subplots(height=4.2)
    lines_with_quartiles(ax, depth, "M", "log_kappa", "N", label="N = {}: stable at any depth".format)
    crosses = {"spread": "none", "label": "N = {}: from the product".format, "linestyle": "none", "marker": "x"}
    lines_with_quartiles(ax, depth, "M", "log_kappa_product", "N", **crosses)
    for _, rows in depth.groupby("N"):
        medians = rows.groupby("M")["log_kappa"].median()
        line = medians.iloc[-1] - rows["gap"].iloc[0] * (medians.index[-1] - medians.index.to_numpy())
        ax.plot(medians.index, np.where(line > 0, line, np.nan), color="#666666", lw=0.9, ls="-", zorder=0)
    ax.axhline(-np.log(np.finfo(float).eps), color="black", lw=1, ls=":")
    ax.set(xlabel="factors $M$ (depth)", ylabel="ln(condition number), median and quartiles")
    ax.legend()
    return figure


def gradient_descent(descent: pd.DataFrame, rates: pd.DataFrame):
    """Plot iterations against kappa, and the largest stable rate against kappa at both normalisations.

    Args:
        descent: table ``gradient_descent``: ``kappa``, ``learning_rate`` (rule), ``iterations``.
        rates: table ``rates``: ``kappa``, ``normalisation``, ``largest_rate``, ``bound``.
    """
    figure, (left, right) = subplots(1, 2)
    lines(left, descent, "kappa", "iterations", "learning_rate", label=lambda rule: f"rate {_formula(rule)}")
    left.set(ylabel="steps to converge")
    lines(right, rates, "kappa", "largest_rate", "normalisation", label=lambda fixed: f"{_formula(fixed)} fixed")
    right.set(ylabel="largest stable learning rate")
    for ax in (left, right):
        ax.set(xlabel="condition number of $A$", xscale="log", yscale="log")
        plain_ticks(ax.xaxis, groups(descent["kappa"]))
        legend_below(ax)
    return figure


def deep_linear(rates: pd.DataFrame):
    """Plot the largest stable learning rate of deep linear networks against depth, every run.

    Args:
        rates: table of `deep_linear.largest_stable_rates`: ``depth``, ``run``, ``largest_rate``.
    """
    figure, ax = subplots(height=3.6)
    lines(ax, rates, "depth", "largest_rate", "run", label=None, color=COLOURS[0], linestyle="-", marker="o")
    ax.set(xlabel="depth (layers)", ylabel="largest stable learning rate", xscale="log", yscale="log")
    plain_ticks(ax.xaxis, groups(rates["depth"]))
    return figure


def _formula(words: str) -> str:
    return re.sub(r"s_(max|min)(\^2)?", r"$s_{\\\1}\2$", words)
