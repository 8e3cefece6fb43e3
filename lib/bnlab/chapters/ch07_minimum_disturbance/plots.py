"""Figures of chapter 07: the smallest step, the scale of the input, constraints that share weights, power and angle.

Every function takes tidy tables and returns a matplotlib Figure; the same function draws the quick and the
recorded run.
"""

import numpy as np
import pandas as pd
from matplotlib.patches import Circle

from bnlab.figures.shapes import groups, legend_below, lines, lines_with_quartiles, plain_ticks, subplots
from bnlab.figures.style import COLOURS, DASHES, GREY, MARKERS, line_styles


def smallest_steps(steps: pd.DataFrame, x: tuple[float, float], response: float):
    """Draw the plane of two weights: all weights with the wanted response, and each step that leads there.

    Args:
        steps: columns ``step`` (its name), ``first``, ``second`` (the new weights); the first row is the present.
        x: the input patch.
        response: the wanted x^T w.
    """
    figure, axes = subplots(height=5.2, width=6.4)
    present, others = steps.iloc[0], steps.iloc[1:]
    points = steps[["first", "second"]].to_numpy()
    centre, reach = points.mean(0), 0.75 * np.ptp(points, axis=0).max()
    ends = np.array([centre[0] - 3 * reach, centre[0] + 3 * reach])
    axes.plot(ends, (response - x[0] * ends) / x[1], color="black", ls="-", lw=1.4, label="all weights that give $d$")
    for number, (_, row) in enumerate(others.iterrows()):
        arrow = {"arrowstyle": "-|>", "color": COLOURS[number], "ls": DASHES[number], "lw": 1.6, "shrinkA": 4}
        axes.annotate("", (row["first"], row["second"]), (present["first"], present["second"]), arrowprops=arrow)
        axes.plot(row["first"], row["second"], MARKERS[number], color=COLOURS[number], ms=8, ls="none",
                  label=row["step"])  # fmt: skip
    axes.plot(present["first"], present["second"], "ko", ms=8, ls="none", label=present["step"])
    radius = np.hypot(*(others.iloc[0][["first", "second"]] - present[["first", "second"]]).astype(float))
    axes.add_patch(Circle((present["first"], present["second"]), radius, fill=False, color="#888888", lw=1))
    axes.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach), aspect="equal",
             xlabel="$w_1$", ylabel="$w_2$")  # fmt: skip
    legend_below(figure, 2)
    return figure


def input_scales(trajectories: pd.DataFrame):
    """Plot the weight error of LMS and NLMS, for inputs of several scales and one mu.

    Args:
        trajectories: columns ``rule`` ("LMS" or "NLMS"), ``scale`` (of the input), ``step``, ``error`` (relative).
    """
    ends = 1e-9, 1e7
    seen = trajectories.assign(error=trajectories["error"].fillna(np.inf).clip(ends[0] / 10, 10 * ends[1]))
    looks = {name: look | {"marker": ""} for name, look in line_styles(groups(trajectories["scale"])).items()}
    nested = {name: look | {"linewidth": 5 - 1.6 * n} for n, (name, look) in enumerate(looks.items())}  # equal lines
    figure, panels = subplots(1, 2, height=3.8, sharey=True)
    for axes, (rule, drawn) in zip(panels, {"LMS": looks, "NLMS": nested}.items(), strict=True):
        lines(axes, seen[seen["rule"] == rule], "step", "error", "scale", looks=drawn, label="{:g}".format)
        axes.set(xlabel="step $n$", title=rule, yscale="log", ylim=ends)
    panels[0].set_ylabel("weight error, over its start")
    legend_below(figure, 3, title="input times")
    return figure


def constraints(overshoot: pd.DataFrame, remaining: pd.DataFrame, rank: int):
    """Plot what a step leaves of the error: of one pixel against the input channels, of many against their number.

    Args:
        overshoot: columns ``form``, ``channels``, ``ratio`` (error after over error before).
        remaining: columns ``form``, ``pixels``, ``share`` (length of all errors after over before).
        rank: of the patches, beyond which not all pixels can be met.
    """
    figure, (left, right) = subplots(1, 2, height=4.6)
    lines(left, overshoot, "channels", "ratio", "form")
    left.axhline(0, color="black", lw=0.8, ls="-")
    left.set(xlabel="input channels $IC$", ylabel="error after / error before", title="one pixel")
    legend_below(left)
    lines(right, remaining.assign(share=remaining["share"].clip(lower=1e-16)), "pixels", "share", "form")
    right.axvline(rank, color="#666666", lw=1, ls=":")
    right.text(rank * 0.85, 1e-8, f"rank {rank}", rotation=90, ha="right", va="center", color=GREY)
    right.set(xlabel="pixels that share the weights", ylabel="all errors, after / before", title="many pixels")
    right.set(xscale="log", yscale="log")
    legend_below(right)
    return figure


def input_powers(powers: pd.DataFrame):
    """Plot the mean power of a pixel of conv2's input in every channel, seed and arrangement: first step, last step.

    Args:
        powers: table ``powers``: ``arrangement``, ``seed``, ``step``, ``channel``, ``power``.
    """
    names = groups(powers["arrangement"])
    figure, axes = subplots(height=0.75 * len(names) + 1.5)
    moments = {
        "before the first step": powers["step"].min(),
        f"after {powers['step'].max()} steps": powers["step"].max(),
    }
    for (label, step), look in zip(moments.items(), line_styles(moments).values(), strict=True):
        rows = powers[powers["step"] == step]
        shift = 0.14 if step else -0.14
        heights = [names.index(name) + shift for name in rows["arrangement"]]
        shown = look | {"linestyle": "none", "markersize": 5}
        axes.semilogx(rows["power"], heights, label=label, alpha=0.75, fillstyle="none" if step else "full", **shown)
    axes.axvspan(0.8, 1.25, color="#dddddd", zorder=0)
    axes.axvline(1, color="black", lw=1, ls="-", zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="power of a pixel of conv2's input, $E\\Vert X_i\\Vert^2/Z$")
    legend_below(figure, 2)
    return figure


def nearness(directions: pd.DataFrame, powers: pd.DataFrame):
    """Plot the cosine of update and NLMS direction along training, and gamma^2 + beta^2 of BN before the convolution.

    Args:
        directions: table ``directions``: ``arrangement``, ``seed``, ``step``, ``span``, ``cosine``.
        powers: table ``powers``: ``arrangement``, ``seed``, ``step``, ``channel``, ``gamma``, ``beta``.
    """
    figure, panels = subplots(1, 3, height=4.4, width=7.4)
    looks = line_styles(groups(directions["arrangement"]))
    titles = {"channel": "power of a channel", "patch": "power of the patch"}
    for axes, (span, title) in zip(panels, titles.items(), strict=False):
        rows = directions[directions["span"] == span]
        lines_with_quartiles(axes, rows, "step", "cosine", "arrangement", looks=looks)
        axes.set(xlabel="step", ylim=(-0.05, 1.05), title=title)
    panels[0].set_ylabel("cosine with NLMS")
    rows = powers[powers["arrangement"].str.startswith("d:")]
    own = next((look["color"] for name, look in looks.items() if name.startswith("d:")), COLOURS[4])
    each = {"label": None, "color": own, "marker": "", "linestyle": "-", "linewidth": 0.9, "alpha": 0.6}
    lines(panels[2], rows.assign(square=rows["gamma"] ** 2 + rows["beta"] ** 2), "step", "square", "arrangement",
          each=["seed", "channel"], **each)  # fmt: skip
    panels[2].axhspan(0.5, 2, color="#dddddd", zorder=0)
    panels[2].set(xlabel="step", title="$\\gamma_i^2+\\beta_i^2$, arrangement d", yscale="log", ylim=(0.2, 5))
    plain_ticks(panels[2].yaxis, [0.5, 1, 2, 4])
    ticks = [step for step in (0, 1, 10, 100, 1000) if step <= directions["step"].max()]
    for axes in panels:
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.set_xlim(left=-0.1)
        plain_ticks(axes.xaxis, ticks)
    legend_below(figure, 2)
    return figure
