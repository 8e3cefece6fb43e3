"""Figures of chapter 08. Every function takes tidy tables and returns a matplotlib Figure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch08_internal_covariate_shift.arms import ARMS, BN, NONE
from bnlab.chapters.ch08_internal_covariate_shift.estimates import ATOM, BACKWARD, FORWARD
from bnlab.chapters.ch08_internal_covariate_shift.factorial import at_best_rate
from bnlab.chapters.ch08_internal_covariate_shift.trajectories import PLACES, divergences, drifts
from bnlab.figures.shapes import groups, legend_below, lines, lines_with_quartiles, plain_ticks, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles

SHORT = {"pins": "pins", "preconditions": "preconditions", "through": "through"}


def estimates(cases: pd.DataFrame):
    """Plot the histogram's estimate against the number of bins for three pairs, beside the closed form.

    Args:
        cases: table of `estimates.kl_cases`.
    """
    figure, panels = subplots(1, 3, height=3.6)
    for axes, case in zip(panels, (FORWARD, BACKWARD, ATOM), strict=True):
        found = cases[cases["case"] == case]
        finite = found[np.isfinite(found["estimate"])]
        lines(axes, finite, "bins", "estimate", "added", looks=line_styles([0, 1]),
              label=lambda added: f"{added} added counts")  # fmt: skip
        exact = found["exact"].iloc[0]
        if np.isfinite(exact):
            axes.axhline(exact, color=GREY, lw=1.2, ls=":", label="closed form")
        if len(finite) < len(found):
            axes.text(0.5, 0.05, "none added: infinite", transform=axes.transAxes, ha="center", color=COLOURS[0])
        axes.set(title=case.replace(", from", ",\nfrom"), xlabel="bins", xscale="log", ylim=(0, None))
        plain_ticks(axes.xaxis, [25, 100, 400])
    panels[0].set_ylabel("$D(p\\Vert q)$ in nats")
    legend_below(figure, 3)
    return figure


def percentiles(runs: pd.DataFrame, seed: int):
    """Plot the 15th, 50th and 85th percentile of one sigmoid's input over training, without and with BN.

    Args:
        runs: table of `trajectories.trajectories`.
        seed: of the run shown.
    """
    last = runs[(runs["layer"] == runs["layer"].max()) & (runs["seed"] == seed)]
    figure, panels = subplots(1, 2, height=3.6, sharey=True)
    for axes, arm, colour in zip(panels, (NONE, BN), COLOURS, strict=False):
        one = last[last["arm"] == arm]
        axes.fill_between(one["step"], one["p15"], one["p85"], color=colour, alpha=0.25, lw=0)
        for column, style in (("p15", "--"), ("p50", "-"), ("p85", "--")):
            axes.plot(one["step"], one[column], color=colour, ls=style)
        axes.set(title=arm, xlabel="step")
    panels[0].set_ylabel("sigmoid's input: median, 15 and 85 %")
    return figure


def divergences_by_place(runs: pd.DataFrame, level: float):
    """Plot D(p_1 || p_k) of the last hidden layer in its three places: at the end, and at equal loss. Marks are seeds.

    Args:
        runs: table of `trajectories.trajectories`.
        level: the loss.
    """
    found = divergences(runs, level)
    figure, panels = subplots(1, 2, height=3.8, sharey=True)
    for axes, column, title in zip(panels, ("end", "level"), ("after equal steps", "at equal loss"), strict=True):
        for number, (arm, look) in enumerate(line_styles([NONE, BN]).items()):
            for position, place in enumerate(PLACES):
                values = found[(found["arm"] == arm) & (found["place"] == place)][column]
                x = np.full(len(values), position + 0.24 * (number - 0.5))
                axes.plot(x, values, label=arm, **look | {"linestyle": "none", "alpha": 0.8})
        words = [place.replace("layer's input", "layer's\ninput").replace("sigmoid's i", "sigmoid's\ni")
                 for place in PLACES]  # fmt: skip
        axes.set_xticks(range(len(PLACES)), words)
        axes.set(title=title, yscale="log", xlim=(-0.5, len(PLACES) - 0.5))
    panels[0].set_ylabel("$D(p_1\\Vert p_k)$ in nats")
    legend_below(figure, 2)
    return figure


def drift_by_depth(runs: pd.DataFrame):
    """Plot the drift without BN over that with BN, layer by layer, in two units; thin lines are seeds.

    Args:
        runs: table of `trajectories.trajectories`.
    """
    found = drifts(runs)
    figure, panels = subplots(1, 2, height=3.6)
    titles = {"moved": "in the units of the input", "moved_own": "in deviations of each unit"}
    for number, (axes, (column, title)) in enumerate(zip(panels, titles.items(), strict=True)):
        table = found.pivot_table(index=["seed", "layer"], columns="arm", values=column)
        ratios = (table[NONE] / table[BN]).unstack("layer")
        axes.plot(ratios.columns, ratios.to_numpy().T, color=GREY, lw=0.8, alpha=0.6)
        axes.plot(ratios.columns, ratios.median(), color=COLOURS[number], marker="o")
        axes.set(title=title, xlabel="hidden layer", ylim=(0, None))
        axes.set_xticks(list(ratios.columns))
    panels[0].set_ylabel("drift, without BN / with BN")
    return figure


def steps_by_arm(runs: pd.DataFrame, most: int):
    """Plot the steps to the loss of every arm, each at its best rate, beside what the arm does. Marks are seeds.

    Args:
        runs: table of `factorial.arm_runs`.
        most: gradient steps of a run; what never gets there stands beyond.
    """
    best = at_best_rate(runs)
    names = groups(best["arm"])
    figure, axes = subplots(height=0.5 * len(names) + 1.6)
    never = 1.5 * most
    for row, arm in enumerate(names):
        steps = best[best["arm"] == arm]["steps_to_loss"].clip(upper=never)
        colour = COLOURS[1] if ARMS[arm].preconditions else COLOURS[0]
        axes.plot(steps, np.full(len(steps), row), "o", color=colour, alpha=0.55, mec="none")
        axes.plot([steps.median()], [row], "|", color=colour, ms=16, mew=2.5)
    axes.axvline(1.2 * most, color=GREY, lw=0.8, ls=":")
    words = [f"{arm}\n({_what(arm)})" for arm in names]
    axes.set_yticks(range(len(names)), words, fontsize=10)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="steps to the loss (right of the line: never)", xlim=(None, 1.25 * never))
    plain_ticks(axes.xaxis)
    return figure


def _what(arm: str) -> str:
    return ", ".join(word for key, word in SHORT.items() if getattr(ARMS[arm], key)) or "none of the three"


def drift_and_speed(runs: pd.DataFrame, most: int):
    """Plot the drift of each arm against its steps to the loss, each at its best rate; marks are seeds.

    Args:
        runs: table of `factorial.arm_runs`.
        most: gradient steps of a run; what never gets there stands beyond.
    """
    best = at_best_rate(runs)
    figure, axes = subplots(height=4.4)
    for arm, look in line_styles(groups(best["arm"])).items():
        one = best[best["arm"] == arm]
        steps = one["steps_to_loss"].clip(upper=1.5 * most)
        axes.plot(one["drift"], steps, label=arm, **look | {"linestyle": "none", "alpha": 0.8})
    axes.axhline(1.2 * most, color=GREY, lw=0.8, ls=":")
    axes.set(xscale="log", yscale="log", xlabel="drift, deviations a step (median of the run)",
             ylabel="steps to the loss")  # fmt: skip
    plain_ticks(axes.yaxis)
    legend_below(figure, 2)
    return figure


def gradient_shift(runs: pd.DataFrame, arms: list[str]):
    """Plot the three measures of the gradient's change at equal loss, each arm at its best rate. Marks are seeds.

    Args:
        runs: table of `factorial.arm_runs`.
        arms: those shown, where they come down to the loss.
    """
    best = at_best_rate(runs)[["arm", "seed", "learning_rate"]]
    there = runs[runs["at"] != "end"].merge(best, on=list(best))
    columns = {"difference": "$\\Vert G - G'\\Vert$", "cosine": "cosine, own step",
               "cosine_matched": "cosine, equal turns"}  # fmt: skip
    figure, panels = subplots(1, 3, height=0.4 * len(arms) + 1.6, sharey=True)
    for axes, (column, title) in zip(panels, columns.items(), strict=True):
        for row, (arm, look) in enumerate(line_styles(arms).items()):
            values = there[there["arm"] == arm].groupby("seed")[column].median()
            axes.plot(values, np.full(len(values), row), **look | {"linestyle": "none", "alpha": 0.8})
        axes.set(title=title)
        if column == "difference":
            axes.set(xscale="log")
        else:
            axes.set(xlim=(-1.05, 1.05))
            axes.axvline(0, color=GREY, lw=0.8, ls=":")
    panels[0].set_yticks(range(len(arms)), arms, fontsize=10)
    panels[0].invert_yaxis()
    return figure


def shift_by_layer(ratios: pd.DataFrame):
    """Plot the shift with Batch Normalization over that without, layer by layer; marks are seeds, lines medians.

    Args:
        ratios: table of `cause_verdicts.shift_ratios_by_layer`.
    """
    names = {"drift": "moments of the input, from step to step", "difference": "gradient, $\\Vert G - G'\\Vert$"}
    long = ratios.reset_index().melt(["seed", "layer"], list(names), "measure", "ratio")
    figure, axes = subplots(height=4.2)
    looks = line_styles(list(names))
    lines_with_quartiles(axes, long, "layer", "ratio", "measure", spread="points", looks=looks, label=names.get)
    axes.axhline(1, color=GREY, lw=1, ls=":")
    axes.set(xlabel="layer", ylabel="shift, with BN / without", yscale="log")
    axes.set_xticks(groups(long["layer"]))
    plain_ticks(axes.yaxis)
    legend_below(figure, 2)
    return figure


def noise_of_a_unit(values: pd.DataFrame):
    """Plot the values that one unit hands on at successive steps, normalised and with noise after it.

    Args:
        values: columns ``layer`` (name), ``step``, ``value``.
    """
    figure, panels = subplots(1, values["layer"].nunique(), height=3.2, sharey=True)
    for axes, (name, rows), colour in zip(panels, values.groupby("layer", sort=False), COLOURS, strict=False):
        axes.plot(rows["step"], rows["value"], ".", color=colour, alpha=0.35)
        axes.set(title=name, xlabel="step")
    panels[0].set_ylabel("what one unit hands on")
    return figure
