"""Figures of the natural modes of a layer: what they are, how they decay, when they do not (Chai et al. 2020).

Every function takes tidy tables and returns a matplotlib Figure. Eigenvalues come in units of the largest one,
rates mu in units of 1 / lambda_max, unless a docstring says otherwise. The playable figure is in `player`, figures of
trained layers are in `layer_plots`.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bnlab.figures.shapes import groups, heat_map, legend_below, lines, points_on_lines, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles


def modes_as_patches(spectrum: pd.DataFrame, patterns: pd.DataFrame):
    """Plot the spectrum of R, and some of its eigenvectors as the patches they are.

    Args:
        spectrum: columns ``mode`` (1 = largest), ``eigenvalue`` (in units of the largest).
        patterns: columns ``mode``, ``row``, ``column`` (pixels), ``weight``; the modes to draw, one input channel.
    """
    chosen = sorted(patterns["mode"].unique())
    rows = [["spectrum"] * len(chosen), [f"patch {mode}" for mode in chosen]]
    figure = Figure(figsize=(7, 5.2))
    panels = figure.subplot_mosaic(rows, height_ratios=(1.7, 1))
    axes = panels["spectrum"]
    positive = spectrum[spectrum["eigenvalue"] > 0]
    axes.semilogy(positive["mode"], positive["eigenvalue"], marker="o", ls="-", color=COLOURS[0])
    drawn = positive[positive["mode"].isin(chosen)]
    axes.semilogy(drawn["mode"], drawn["eigenvalue"], marker="o", ms=11, mfc="none", mec=COLOURS[1], mew=2, ls="none")
    axes.set(xlabel="mode $k$, by eigenvalue", ylabel="$\\lambda_k / \\lambda_{\\max}$", title="eigenvalues of $R$")
    for mode in chosen:
        pattern = patterns[patterns["mode"] == mode]
        grid = pattern.pivot(index="row", columns="column", values="weight").to_numpy()
        heat_map(panels[f"patch {mode}"], grid, reach=np.abs(grid).max())
        panels[f"patch {mode}"].set(title=f"mode {mode}", xticks=[], yticks=[])
    return figure


def two_signs(decays: pd.DataFrame):
    """Plot |v_k(n)| under the printed and the corrected equation 4, one panel each; points run, lines are laws.

    Args:
        decays: columns ``form``, ``eigenvalue`` (in units of the largest), ``n`` (steps), ``measured`` and ``law``
            (|v_k(n)| / |v_k(0)|).
    """
    forms = groups(decays["form"])
    figure, panels = subplots(1, len(forms), height=4.2, squeeze=False)
    for axes, form in zip(panels[0], forms, strict=True):
        rows = decays[decays["form"] == form]
        largest_first = line_styles(groups(rows["eigenvalue"])[::-1])
        names = {"looks": largest_first, "label": "{:.2g}".format, "marks": 12}
        points_on_lines(axes, rows, "n", "measured", "law", "eigenvalue", **names)
        axes.set(title=form, xlabel="step $n$", yscale="log")
    panels[0, 0].set_ylabel("$|v_k(n)| / |v_k(0)|$")
    legend_below(figure, 3, title="$\\lambda_k / \\lambda_{\\max}$")
    return figure


def pure_and_mixed(curves: pd.DataFrame):
    """Plot entries of C and of V = Q^T C with the best single exponential of each, one panel a kind.

    Args:
        curves: columns ``kind``, ``name``, ``n`` (steps, from 1), ``value`` and ``fit`` (units of a weight).
    """
    kinds = groups(curves["kind"])
    figure, panels = subplots(1, len(kinds), height=4.4, sharey=True, squeeze=False)
    for axes, kind in zip(panels[0], kinds, strict=True):
        points_on_lines(axes, curves[curves["kind"] == kind], "n", "value", "fit", "name")
        axes.set(title=kind, xlabel="step $n$", xscale="log")
        legend_below(axes, 2)
    panels[0, 0].set_ylabel("weight error")
    return figure


def conventions(growth: pd.DataFrame, bounds: pd.DataFrame):
    """Plot the growth of the largest mode a step against the rate, under several conventions for loss and mean.

    Args:
        growth: columns ``convention``, ``mu`` (times lambda_max, pure number), ``factor`` (|v(n+1) / v(n)|, measured).
        bounds: columns ``convention``, ``bound`` (same unit as mu).
    """
    figure, axes = subplots(height=4.2)
    looks = line_styles(bounds["convention"])
    lines(axes, growth, "mu", "factor", "convention", looks=looks, marker="")
    for convention, bound in bounds.set_index("convention")["bound"].items():
        axes.plot(bound, 1, **looks[convention] | {"markersize": 9, "markeredgecolor": "black", "zorder": 5})
    axes.axhline(1, color=GREY, lw=1, ls="-")
    axes.set(xlabel="rate $\\mu\\,\\lambda_{\\max}$", ylabel="growth of the top mode a step", ylim=(0, 2.3))
    axes.set_xscale("log")
    legend_below(figure)
    return figure


def time_constants(single: pd.DataFrame, spectrum: pd.DataFrame, crossover: float):
    """Plot tau against mu lambda for one mode (two formulas, and measured), and tau of every mode against mu.

    Args:
        single: columns ``source``, ``mu_lambda`` (pure number), ``tau`` (steps; nan where undefined).
        spectrum: columns ``eigenvalue`` (in units of the largest), ``mu`` (of 1 / lambda_max), ``tau`` (steps).
        crossover: mu at which the slowest mode changes, same unit.
    """
    figure, (left, right) = subplots(1, 2, height=4.8, sharey=True)
    looks = {name: look | {"marker": ""} for name, look in line_styles(groups(single["source"])).items()}
    looks[[*looks][-1]] |= {"marker": "o", "linestyle": "none"}  # the measured ones stand last
    lines(left, single, "mu_lambda", "tau", "source", looks=looks)
    left.axvline(1, color=GREY, lw=0.8, ls=":")
    left.set(xlabel="$\\mu\\lambda_k$", ylabel="time constant $\\tau_k$ (steps)", ylim=(0.2, 60), xlim=(0, 2.05))
    left.set_yscale("log")
    legend_below(left, 2)
    lines(right, spectrum, "mu", "tau", "eigenvalue", label="{:.2g}".format, marker="")
    slowest = spectrum.groupby("mu")["tau"].max()
    right.plot(slowest.index, slowest, color=GREY, lw=7, alpha=0.2, ls="-", label="slowest")
    right.axvline(crossover, color=GREY, lw=0.8, ls=":")
    right.set(xlabel="$\\mu\\,\\lambda_{\\max}$", xlim=(0, 2.05))
    legend_below(right, 3, title="$\\lambda_k / \\lambda_{\\max}$")
    return figure
