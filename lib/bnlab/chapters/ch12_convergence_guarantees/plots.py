"""Figures of descent on least squares: contraction, feature scaling, H*, learning rates, the Rayleigh quotient.

Every function takes tidy tables (those of `least_squares`, unless a docstring says otherwise) and
returns a matplotlib Figure.
"""

import numpy as np
import pandas as pd

from bnlab.figures.shapes import (
    cumulative,
    groups,
    legend_below,
    lines,
    lines_with_quartiles,
    name_lines,
    points_on_lines,
    quartiles,
    subplots,
)
from bnlab.figures.style import COLOURS, GREY, line_styles


def distances(runs: pd.DataFrame):
    """Plot the distance to the solution against the step, points measured, lines from the formula.

    Args:
        runs: columns ``rule`` (the rate), ``step``, ``distance`` (of the first), ``law`` (contraction^step).
    """
    figure, axes = subplots(height=4.2)
    points_on_lines(axes, runs, "step", "distance", "law", "rule", marks=14)
    axes.set(xlabel="step", ylabel="distance to the solution / first", yscale="log")
    name_lines(axes)
    return figure


def scaled_features(scaling: pd.DataFrame):
    """Plot epochs with raw and with standardised features, and their ratio, against the base of the scales."""
    bases = groups(scaling["base"])
    placed = scaling.assign(place=scaling["base"].map(bases.index))  # evenly, as bases near 1 would crowd any scale
    medians = placed.groupby(["place", "features"])["epochs"].median().unstack()
    figure, (left, right) = subplots(1, 2)
    looks = line_styles(["raw", "standardised"])
    lines_with_quartiles(left, placed, "place", "epochs", "features", spread="none", looks=looks)
    left.set(ylabel="epochs (median of seeds)")
    left.legend()
    right.axhspan(2, 5, color=COLOURS[2], alpha=0.25, lw=0)
    right.text(len(bases) - 1, 3.2, "2 to 5, as printed", ha="right", va="center")
    right.plot(medians.index, medians["raw"] / medians["standardised"], marker="D", ls="-", color=GREY)
    right.set(ylabel="epochs, raw / standardised")
    for axes in (left, right):
        axes.set_xticks(range(len(bases)), [f"{base:g}" for base in bases])
        axes.set(xlabel="base of the scales", yscale="log")
    return figure


def effective_spectrum(spectra: pd.DataFrame, ratios: pd.DataFrame):
    """Plot the eigenvalues of H and H* of one problem, and the distribution of kappa(H*) / kappa(H) over many.

    Args:
        spectra: columns ``matrix``, ``rank`` (1 = largest), ``eigenvalue``.
        ratios: table of `effective_conditioning`.
    """
    figure, (left, right) = subplots(1, 2, height=4.2)
    lines(left, spectra, "rank", "eigenvalue", "matrix")
    left.set(xlabel="rank of the eigenvalue", ylabel="eigenvalue (power)", ylim=(0, None))
    left.legend()
    changes = ratios.assign(change=ratios["kappa_star"] / ratios["kappa"])
    cumulative(right, changes, "change", "H", marker="")
    right.axvline(1, color=GREY, lw=1, ls="-")
    right.set(xlabel="$\\kappa(H^*)/\\kappa(H)$", ylabel="share of problems below", xscale="log")
    right.legend(title="$H$")
    return figure


def learning_rates(sweep: pd.DataFrame):
    """Plot iterations against the learning rate for each method: median and quartiles over seeds; never: on top."""
    figure, axes = subplots(height=4.4)
    finite = sweep.loc[np.isfinite(sweep["iterations"]), "iterations"]
    ceiling = 3 * finite.max() if len(finite) else 1.0
    for number, (method, look) in enumerate(line_styles(groups(sweep["method"])).items()):
        runs = sweep[sweep["method"] == method].assign(iterations=lambda t: t["iterations"].clip(upper=1e300))
        low, middle, high = quartiles(runs, "iterations", "rate").to_numpy().T
        rates, reached = np.array(groups(runs["rate"])), middle < 1e299
        axes.plot(rates[reached], middle[reached], label=method, **look)
        band = {"color": look["color"], "alpha": 0.2, "lw": 0}
        axes.fill_between(rates, low, np.minimum(high, ceiling), where=reached, **band)
        never = rates[~reached]
        axes.plot(never, np.full(len(never), ceiling * 1.7**number), color=look["color"], marker=look["marker"],
                  mfc="none", ls="none")  # fmt: skip
    axes.axhline(ceiling / 1.5, color=GREY, lw=0.8, ls=":")
    axes.set(xlabel="learning rate", ylabel="iterations (above the line: not reached)", xscale="log", yscale="log")
    legend_below(figure, 3)
    return figure


def lengths_and_rates(traces: pd.DataFrame):
    """Plot how the weight's length grows and the effective rate falls, for a few learning rates."""
    figure, (left, right) = subplots(1, 2, height=4.2)
    for axes, column in ((left, "length"), (right, "times_bound")):
        lines(axes, traces, "step", column, "rate", label="{:g}".format, marks=8)
        axes.set(xlabel="step", xscale="log", yscale="log")
    right.axhline(1, color=GREY, lw=1.2, ls="-")
    left.set(ylabel="$\\Vert w\\Vert$")
    right.set(ylabel="effective rate $\\cdot\\,\\lambda_{\\max}(H^*)/2$")
    legend_below(figure, 4, title="learning rate")
    return figure


def rayleigh_bound(curves: pd.DataFrame, worst: pd.DataFrame):
    """Plot one problem's gaps beside the bound, two starts, and the worst gap / bound over random problems."""
    figure, panels = subplots(1, 3, height=4.4)
    for axes, start in zip(panels[:2], ("random", "hardest"), strict=True):
        rows = curves[curves["start"] == start]
        lines(axes, rows, "step", "gap", "series", marks=6)
        axes.set(title=f"{start} start", xlabel="step", yscale="log", ylim=(1e-8, 2))
    panels[0].set_ylabel("gap / first gap")
    panels[1].set_yticklabels([])
    for number, length in enumerate(groups(worst["step_length"])):
        run = worst[worst["step_length"] == length]
        words = "gap / bound, the paper's step" if length == 1 else f"gap / bound, {length:g} times that step"
        panels[2].plot(run["step"], run["worst_ratio"], color=COLOURS[3 + number], ls=("-", "--")[number], label=words)
    panels[2].axhline(1, color=GREY, lw=1, ls=":")
    panels[2].set(title="worst of all", xlabel="step", yscale="log")
    legend_below(figure, 2)
    return figure
