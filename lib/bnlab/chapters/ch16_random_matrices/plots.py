"""Figures of products of random matrices: the law, samples on it, its edge, growth with depth, gradient descent.

Every function takes tidy tables of `matrix_products` and returns a closed matplotlib Figure; the
same function draws the quick and the recorded run.
"""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, line_styles


def law(curves: pd.DataFrame):
    """Plot the limit densities for several M (Figure 8): of the squared values, and of the plain ones.

    Args:
        curves: table ``law``: ``M``, ``quantity`` ("squared" or "plain"), ``value``, ``density``.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(7, 3.9))
    looks = line_styles([f"{M}" for M in sorted(curves["M"].unique())])
    for ax, (quantity, symbol) in zip(axes, (("squared", "x = s^2"), ("plain", "s")), strict=True):
        for M, rows in curves[curves["quantity"] == quantity].groupby("M"):
            look = {key: value for key, value in looks[f"{M}"].items() if key != "marker"}
            ax.plot(rows["value"], rows["density"], label=f"M = {M}", **look)
        ax.set(xlabel=f"{quantity} singular value ${symbol}$", ylabel="density (1 / value)")
    axes[0].set(xscale="log", yscale="log", xlim=(1e-6, 40), ylim=(1e-4, 1e5))
    axes[1].set(ylim=(0, 1.5), xlim=(0, None))
    axes[1].legend(fontsize=10)
    plt.close(figure)
    return figure


def histogram(counts: pd.DataFrame):
    """Plot sampled spectra of standard Gaussian products beside the law (Figure 9), one panel a number of factors.

    Args:
        counts: table ``histogram``: ``M``, ``quantity``, ``left_standard_gaussian``, ``right_standard_gaussian``,
            ``count``, ``expected`` (singular values in all runs).
    """
    import matplotlib.pyplot as plt

    plain = counts[counts["quantity"] == "plain"]
    factors = sorted(plain["M"].unique())
    figure, axes = plt.subplots(1, len(factors), figsize=(7, 3.6), squeeze=False)
    for ax, M in zip(axes[0], factors, strict=True):
        rows = plain[plain["M"] == M]
        edges = np.append(rows["left_standard_gaussian"], rows["right_standard_gaussian"].iloc[-1])
        ax.stairs(rows["count"], edges, fill=True, color=COLOURS[4], alpha=0.6, label="samples")
        centres = (edges[:-1] + edges[1:]) / 2
        ax.plot(centres, rows["expected"], color=COLOURS[1], ls="--", label="law, $s = \\sqrt{x}$")
        ax.set(yscale="log", ylim=(0.5, None), xlabel="singular value", title=f"M = {M}")
        ax.ticklabel_format(axis="x", style="sci", scilimits=(0, 3))
    axes[0][0].set_ylabel("singular values in a bin")
    axes[0][-1].legend(fontsize=10)
    plt.close(figure)
    return figure


def distances(table: pd.DataFrame):
    """Plot the Kolmogorov–Smirnov distance of every run to the law: of squared values and of plain ones.

    Args:
        table: ``distances``: ``entries``, ``M``, ``quantity``, ``ks_distance``.
    """
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 3.8))
    looks = line_styles(list(table["entries"].unique()))
    kinds = [(M, quantity) for M in sorted(table["M"].unique()) for quantity in ("squared", "plain")]
    for shift, (entries, look) in enumerate(looks.items()):
        rows = table[table["entries"] == entries]
        places = [kinds.index(pair) + (shift - 1) * 0.2 for pair in zip(rows["M"], rows["quantity"], strict=True)]
        ax.plot(places, rows["ks_distance"], label=entries, **look | {"linestyle": "none"})
    ax.axhline(0.01, color="black", lw=1, ls="--")
    ax.axhline(0.1, color="black", lw=1, ls=":")
    ax.set(yscale="log", ylabel="KS distance to the law (1)", ylim=(1e-3, 1))
    ax.set_xticks(range(len(kinds)), [f"M = {M}\n{quantity}" for M, quantity in kinds])
    ax.legend(fontsize=10, title="entries", loc="center right")
    plt.close(figure)
    return figure


def edges(rate: pd.DataFrame, largest: pd.DataFrame):
    """Plot how the largest value nears the edge as N grows, and how the largest value grows with M.

    Args:
        rate: table ``edge_rate``: ``M``, ``N``, ``mean``, ``standard_error`` of 1 - s_max^2 / edge.
        largest: table ``largest``: ``M``, ``largest``, ``root_of_edge``.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.8))
    for M, look in line_styles([f"{M}" for M in sorted(rate["M"].unique())]).items():
        rows = rate[rate["M"] == int(M)]
        left.errorbar(rows["N"], rows["mean"], rows["standard_error"], label=f"M = {M}", capsize=3, **look)
        guide = rows["mean"].iloc[0] * (rows["N"] / rows["N"].iloc[0]) ** (-2 / 3)
        left.plot(rows["N"], guide, color="#666666", lw=0.8, ls="-", zorder=0)
    left.set(xscale="log", yscale="log", xlabel="matrix side $N$", ylabel="$1 - s_{\\max}^2$ / edge (1)")
    left.legend(fontsize=10)
    by_factors = largest.groupby("M")
    quartiles = by_factors["largest"].quantile([0.25, 0.5, 0.75]).unstack()
    spread = [quartiles[0.5] - quartiles[0.25], quartiles[0.75] - quartiles[0.5]]
    right.errorbar(quartiles.index, quartiles[0.5], spread, color=COLOURS[0], marker="o", ls="none", capsize=3,
                   label="measured (median, quartiles)")  # fmt: skip
    theory = by_factors["root_of_edge"].first()
    right.plot(theory.index, theory, color=COLOURS[1], ls="--", label="square root of the edge")
    right.plot(theory.index, theory.iloc[0] * theory.index / theory.index[0], color="#666666", lw=1, ls=":",
               label="as printed: proportional to M")  # fmt: skip
    right.set(xscale="log", yscale="log", xlabel="factors $M$", ylabel="largest singular value")
    right.legend(fontsize=10)
    plt.close(figure)
    return figure


def condition_numbers(depth: pd.DataFrame):
    """Plot ln kappa against the number of factors: at any depth, and as float64 sees it through the product itself.

    Args:
        depth: table ``depth``: ``N``, ``M``, ``log_kappa``, ``log_kappa_product``, ``gap`` (limit's growth per factor).
    """
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4.2))
    for N, look in line_styles([f"{N}" for N in sorted(depth["N"].unique())]).items():
        rows = depth[depth["N"] == int(N)]
        quartiles = rows.groupby("M")["log_kappa"].quantile([0.25, 0.5, 0.75]).unstack()
        ax.plot(quartiles.index, quartiles[0.5], label=f"N = {N}: stable at any depth", **look)
        ax.fill_between(quartiles.index, quartiles[0.25], quartiles[0.75], color=look["color"], alpha=0.2, lw=0)
        naive = rows.groupby("M")["log_kappa_product"].median()
        ax.plot(naive.index, naive, color=look["color"], ls="none", marker="x", label=f"N = {N}: from the product")
        deepest = quartiles.index[-1]
        line = quartiles[0.5].iloc[-1] - rows["gap"].iloc[0] * (deepest - quartiles.index.to_numpy())
        ax.plot(quartiles.index, np.where(line > 0, line, np.nan), color="#666666", lw=0.9, ls="-", zorder=0)
    ax.axhline(-np.log(np.finfo(float).eps), color="black", lw=1, ls=":")
    ax.set(xlabel="factors $M$ (depth)", ylabel="ln(condition number), median and quartiles")
    ax.legend(fontsize=10)
    plt.close(figure)
    return figure


def gradient_descent(descent: pd.DataFrame, rates: pd.DataFrame):
    """Plot iterations against kappa, and the largest stable rate against kappa at both normalisations.

    Args:
        descent: table ``gradient_descent``: ``kappa``, ``learning_rate`` (rule), ``iterations``.
        rates: table ``rates``: ``kappa``, ``normalisation``, ``largest_rate``, ``bound``.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.0))
    for rule, look in line_styles(list(descent["learning_rate"].unique())).items():
        rows = descent[descent["learning_rate"] == rule]
        words = rule.replace("s_max^2", "$s_{\\max}^2$").replace("s_min^2", "$s_{\\min}^2$")
        left.loglog(rows["kappa"], rows["iterations"], label=f"rate {words}", **look)
    left.set(xlabel="condition number of $A$ (1)", ylabel="steps to converge")
    for fixed, look in line_styles(list(rates["normalisation"].unique())).items():
        rows = rates[rates["normalisation"] == fixed]
        words = fixed.replace("s_min", "$s_{\\min}$").replace("s_max", "$s_{\\max}$")
        right.loglog(rows["kappa"], rows["largest_rate"], label=f"{words} fixed", **look)
    right.set(xlabel="condition number of $A$ (1)", ylabel="largest stable learning rate")
    for ax in (left, right):
        ax.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    plt.close(figure)
    return figure


def deep_linear(rates: pd.DataFrame):
    """Plot the largest stable learning rate of deep linear networks against depth, every run.

    Args:
        rates: table of `deep_linear.largest_stable_rates`: ``depth``, ``run``, ``largest_rate``.
    """
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 3.6))
    for run, look in line_styles([f"{run}" for run in sorted(rates["run"].unique())]).items():
        rows = rates[rates["run"] == int(run)]
        ax.loglog(rows["depth"], rows["largest_rate"], label=f"draw {run}", **look)
    ax.set(xlabel="depth (layers)", ylabel="largest stable learning rate")
    ax.set_xticks(sorted(rates["depth"].unique()), [f"{d}" for d in sorted(rates["depth"].unique())])
    ax.legend(fontsize=10)
    plt.close(figure)
    return figure
