"""Figures of chapter 07: the smallest step, the scale of the input, constraints that share weights, power and angle.

Every function takes tidy tables and returns a closed matplotlib Figure; the same function draws the quick and the
recorded run.
"""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, DASHES, MARKERS, line_styles


def smallest_steps(steps: pd.DataFrame, x: tuple[float, float], response: float):
    """Draw the plane of two weights: all weights with the wanted response, and each step that leads there.

    Args:
        steps: columns ``step`` (its name), ``first``, ``second`` (the new weights); the first row is the present.
        x: the input patch.
        response: the wanted x^T w.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 5.2))
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
    axes.add_patch(plt.Circle((present["first"], present["second"]), radius, fill=False, color="#888888", lw=1))
    axes.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach), aspect="equal",
             xlabel="$w_1$", ylabel="$w_2$")  # fmt: skip
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
    plt.close(figure)
    return figure


def input_scales(trajectories: pd.DataFrame):
    """Plot the weight error of LMS and NLMS, for inputs of several scales and one mu.

    Args:
        trajectories: columns ``rule`` ("LMS" or "NLMS"), ``scale`` (of the input), ``step``, ``error`` (relative).
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 3.8), sharey=True)
    for axes, rule in zip(panels, ("LMS", "NLMS"), strict=True):
        rows = trajectories[trajectories["rule"] == rule]
        for scale, look in line_styles(sorted(rows["scale"].unique())).items():
            part = rows[(rows["scale"] == scale) & (rows["error"] < 1e6) & (rows["error"] > 1e-9)]
            wide = {"lw": 5 - 1.6 * sorted(rows["scale"].unique()).index(scale)} if rule == "NLMS" else {}
            axes.semilogy(part["step"], part["error"], label=f"{scale:g}", **look | {"marker": ""} | wide)
        axes.set(xlabel="step $n$", title=rule, ylim=(1e-9, 1e6))
    panels[0].set_ylabel("weight error, over its start")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, title="input times", loc="outside lower center", ncols=3)
    plt.close(figure)
    return figure


def constraints(overshoot: pd.DataFrame, remaining: pd.DataFrame, rank: int):
    """Plot what a step leaves of the error: of one pixel against the input channels, of many against their number.

    Args:
        overshoot: columns ``form``, ``channels``, ``ratio`` (error after over error before).
        remaining: columns ``form``, ``pixels``, ``share`` (length of all errors after over before).
        rank: of the patches, beyond which not all pixels can be met.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.6))
    below = {"fontsize": 10, "loc": "upper center", "bbox_to_anchor": (0.5, -0.17)}
    for form, look in line_styles(list(dict.fromkeys(overshoot["form"]))).items():
        rows = overshoot[overshoot["form"] == form]
        left.plot(rows["channels"], rows["ratio"], label=form, **look)
    left.axhline(0, color="black", lw=0.8, ls="-")
    left.set(xlabel="input channels $IC$", ylabel="error after / error before", title="one pixel")
    left.legend(**below)
    for form, look in line_styles(list(dict.fromkeys(remaining["form"]))).items():
        rows = remaining[remaining["form"] == form]
        right.loglog(rows["pixels"], rows["share"].clip(lower=1e-16), label=form, **look)
    right.axvline(rank, color="#666666", lw=1, ls=":")
    right.text(rank * 0.85, 1e-8, f"rank {rank}", rotation=90, ha="right", va="center", color="#444444")
    right.set(xlabel="pixels that share the weights", ylabel="all errors, after / before", title="many pixels")
    right.legend(**below)
    plt.close(figure)
    return figure


def input_powers(powers: pd.DataFrame):
    """Plot the mean power of a pixel of conv2's input in every channel, seed and arrangement: first step, last step.

    Args:
        powers: table ``powers``: ``arrangement``, ``seed``, ``step``, ``channel``, ``power``.
    """
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(powers["arrangement"]))
    figure, axes = plt.subplots(figsize=(7, 0.75 * len(names) + 1.5))
    moments = {
        "before the first step": powers["step"].min(),
        f"after {powers['step'].max()} steps": powers["step"].max(),
    }
    for (label, step), look in zip(moments.items(), line_styles(list(moments)).values(), strict=True):
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
    figure.legend(loc="outside lower center", ncols=2)
    plt.close(figure)
    return figure


def nearness(directions: pd.DataFrame, powers: pd.DataFrame):
    """Plot the cosine of update and NLMS direction along training, and gamma^2 + beta^2 of BN before the convolution.

    Args:
        directions: table ``directions``: ``arrangement``, ``seed``, ``step``, ``span``, ``cosine``.
        powers: table ``powers``: ``arrangement``, ``seed``, ``step``, ``channel``, ``gamma``, ``beta``.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(7.4, 4.4))
    looks = line_styles(list(dict.fromkeys(directions["arrangement"])))
    titles = {"channel": "power of a channel", "patch": "power of the patch"}
    for axes, (span, title) in zip(panels, titles.items(), strict=False):
        rows = directions[directions["span"] == span]
        for name, look in looks.items():
            quartiles = rows[rows["arrangement"] == name].groupby("step")["cosine"].quantile([0.25, 0.5, 0.75])
            quartiles = quartiles.unstack()
            axes.plot(quartiles.index, quartiles[0.5], label=name, **look)
            axes.fill_between(quartiles.index, quartiles[0.25], quartiles[0.75], color=look["color"], alpha=0.15, lw=0)
        axes.set(xlabel="step", ylim=(-0.05, 1.05), title=title)
    panels[0].set_ylabel("cosine with NLMS")
    rows = powers[powers["arrangement"].str.startswith("d:")]
    for _, line in rows.groupby(["seed", "channel"]):
        panels[2].plot(
            line["step"], line["gamma"] ** 2 + line["beta"] ** 2, color=COLOURS[3], ls="-", lw=0.9, alpha=0.6
        )
    panels[2].axhspan(0.5, 2, color="#dddddd", zorder=0)
    panels[2].set(xlabel="step", title="$\\gamma_i^2+\\beta_i^2$, arrangement d", yscale="log", ylim=(0.2, 5))
    panels[2].set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    panels[2].minorticks_off()
    ticks = [step for step in (0, 1, 10, 100, 1000) if step <= directions["step"].max()]
    for axes in panels:
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.set_xlim(left=-0.1)
        axes.set_xticks(ticks, [str(step) for step in ticks])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=10)
    plt.close(figure)
    return figure
