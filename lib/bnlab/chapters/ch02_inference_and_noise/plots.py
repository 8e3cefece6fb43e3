"""Figures of inference with Batch Normalization: estimates, moving averages, folding, noise, regularisation, speed.

Every function takes tidy tables and returns a matplotlib Figure; the same function draws the quick and the
recorded run.
"""

import numpy as np
import pandas as pd

from bnlab.figures.shapes import (
    aside,
    groups,
    heat_map,
    legend_below,
    lines,
    lines_with_quartiles,
    plain_ticks,
    points_on_lines,
    subplots,
)
from bnlab.figures.style import GREY, line_styles


def estimates(ratios: pd.DataFrame):
    """Plot estimates of the variance over the true one against the mini-batch size, one panel a kind of data.

    Args:
        ratios: columns ``data`` (the panel's title), ``m`` (images), ``estimate`` (its name), ``ratio``.
    """
    panels = groups(ratios["data"])
    figure, every = subplots(1, len(panels), height=4.2, sharey=True, squeeze=False)
    looks = line_styles(groups(ratios["estimate"]))
    for axes, panel in zip(every[0], panels, strict=True):
        axes.axhline(1, color=GREY, lw=1)
        rows = ratios[ratios["data"] == panel]
        lines_with_quartiles(axes, rows, "m", "ratio", "estimate", spread="none", looks=looks)
        axes.set_xscale("log", base=2)
        plain_ticks(axes.xaxis, groups(rows["m"]))
        axes.set(xlabel="images $m$", title=panel)
    every[0, 0].set(ylabel="estimate / true variance", ylim=(0, None))
    legend_below(figure)
    return figure


def moving_averages(weights: pd.DataFrame, tracks: pd.DataFrame, boundaries: list[int]):
    """Plot what a moving average consists of, and one channel's mean as moving averages follow it in training.

    Args:
        weights: columns ``reading`` (its name), ``age`` (batches), ``weight``.
        tracks: table ``tracks`` of `inference`.
        boundaries: steps after which the learning rate fell.
    """
    figure, (top, bottom) = subplots(2, height=6.6)
    lines(top, weights, "age", "weight", "reading", markevery=5)
    top.set(xlabel="age of the mini-batch (steps)", ylabel="its weight", yscale="log", ylim=(1e-4, 2))
    top.legend()
    looks = line_styles(groups(tracks["series"]))
    cloud = {"linestyle": "none", "marker": ".", "color": "#999999", "markersize": 4}
    exact = {"linestyle": "none", "marker": "D", "color": "black", "ms": 8, "mfc": "white", "zorder": 5}
    for name, look in (("mini-batch", cloud), *((name, exact) for name in looks if name.startswith("exact"))):
        rows = tracks[tracks["series"] == name]
        bottom.plot(rows["step"], rows["value"], label=name, **look)
        del looks[name]
    lines(bottom, tracks, "step", "value", "series", looks=looks, marks=12)
    for boundary in boundaries:
        bottom.axvline(boundary, color=GREY, lw=1, ls=":")
    bottom.set(xlabel="gradient step (dotted: the rate falls)", ylabel="channel mean\n(standard deviations)")
    legend_below(bottom, 2)
    return figure


def filters(weights: pd.DataFrame, biases: pd.DataFrame):
    """Draw filters before and after folding on one scale, each with its bias below.

    Args:
        weights: columns ``version``, ``filter``, ``row``, ``column``, ``weight``.
        biases: columns ``version``, ``filter``, ``bias``.
    """
    versions, count = groups(weights["version"]), weights["filter"].nunique()
    figure, every = subplots(len(versions), count, height=1.4 * len(versions), squeeze=False)
    limit = weights["weight"].abs().max()
    for version, line in zip(versions, every, strict=True):
        for number, axes in enumerate(line):
            rows = weights[(weights["version"] == version) & (weights["filter"] == number)]
            shown = heat_map(axes, rows.pivot(index="row", columns="column", values="weight"), reach=limit)
            bias = biases[(biases["version"] == version) & (biases["filter"] == number)]["bias"].iloc[0]
            axes.set_xlabel(f"{bias:+.2f}", fontsize=10)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(version)
    figure.colorbar(shown, ax=every, label="weight", shrink=0.8)
    return figure


def mismatch(runs: pd.DataFrame, decay: float):
    """Plot the distance of logits by moving averages from those by exact statistics, stage by stage of the rate.

    Args:
        runs: tables ``mismatch_decayed`` and ``mismatch_constant`` of `inference`, together.
        decay: which moving average.
    """
    rows = runs[runs["decay"] == decay]
    cases = "mini-batches of " + rows["m"].astype(str) + ", rate " + rows["schedule"]
    figure, axes = subplots(height=4.6)
    lines_with_quartiles(axes, aside(rows.assign(case=cases), "stage", "case", 0.04), "stage", "mismatch", "case",
                         spread="bars")  # fmt: skip
    axes.axhline(0.01, color=GREY, lw=1, ls=":")
    decayed = rows[rows["schedule"] != "constant"].drop_duplicates("stage")
    axes.set_xticks(decayed["stage"], [f"stage {stage + 1}" for stage in decayed["stage"]])
    rates = ", ".join(f"{rate:g}" for rate in decayed["rate"])
    axes.set(yscale="log", ylabel="mismatch\n(standard deviations of the logits)")
    axes.set_xlabel(f"stage (a decayed learning rate is {rates})")
    legend_below(figure)
    return figure


def noise(deviations: pd.DataFrame):
    """Plot the standard deviation of a fixed input's normalised value against the mini-batch size.

    Args:
        deviations: columns ``x``, ``m`` and ``drawn``, ``exact``, ``closed_form`` (standard deviations).
    """
    figure, axes = subplots(height=4.4)
    lines(axes, deviations, "m", "closed_form", "x", label=None, linestyle="--", marker="", linewidth=1.2)
    points_on_lines(axes, deviations, "m", "drawn", "exact", "x", label="$x$ = {:g}, drawn".format)
    axes.plot([], [], "k-", label="exact")
    axes.plot([], [], "k--", lw=1.2, label="closed form $\\sqrt{(1+x^2/2)/m}$")
    axes.set(xlabel="mini-batch size $m$", ylabel="standard deviation of $\\hat{x}$", xscale="log", yscale="log")
    plain_ticks(axes.xaxis, groups(deviations["m"]))
    axes.legend()
    return figure


def spread(logits: pd.DataFrame):
    """Plot how far one image's logits lie from those of eval mode, among many sets of batch-mates, class by class.

    Args:
        logits: columns ``mode`` ("train" or "eval"), ``class``, ``logit``.
    """
    figure, axes = subplots(height=3.8)
    train, fixed = (logits[logits["mode"] == mode] for mode in ("train", "eval"))
    order = groups(logits["class"])
    values = fixed.drop_duplicates("class").set_index("class")["logit"]
    axes.axhline(0, color=GREY, lw=1)
    axes.boxplot([train.loc[train["class"] == name, "logit"] - values[name] for name in order],
                 positions=range(len(order)), widths=0.6, patch_artist=True, boxprops={"facecolor": "#A9CBE3"},
                 medianprops={"color": "black"}, flierprops={"markersize": 2})  # fmt: skip
    axes.set_xticks(range(len(order)), [f"{name}\n{values[name]:.1f}" for name in order],
                    rotation=30 if max(map(len, order)) > 3 else 0)  # fmt: skip
    axes.set(xlabel="class, and its logit in eval mode", ylabel="logit in train mode\nminus that in eval mode")
    return figure


def regularisation(levels: pd.DataFrame, target: float):
    """Plot test loss at equal training loss (medians over seeds), and the gap of every run at one training loss.

    Args:
        levels: `at_equal_loss` of `regularisation` at several levels, with the column ``train_loss``;
            a level that not every run of an arm reached is left out of its curve.
        target: the level of the lower panel.
    """
    figure, (top, bottom) = subplots(2, height=8, height_ratios=(1.1, 1))
    looks = line_styles(groups(levels["arm"]))
    everyone = levels.pivot_table(index=["arm", "train_loss"], columns="seed", values="test_loss").dropna()
    medians = everyone.median(axis=1).rename("test_loss").reset_index()
    lines(top, medians, "train_loss", "test_loss", "arm", looks=looks, marks=6)
    top.axvline(target, color=GREY, lw=1, ls=":")
    top.invert_xaxis()
    top.set(xlabel="training loss (nats; training goes to the right)", ylabel="test loss (nats)")
    top.set(xscale="log", yscale="log")
    legend_below(top, 2)
    table = levels[levels["train_loss"] == target].pivot_table(index="seed", columns="arm", values="gap", dropna=False)
    places = [arm for arm in looks if arm in table]
    for _, row in table.iterrows():
        bottom.plot(row[places].to_numpy(), np.arange(len(places)), "-", color="#BBBBBB", lw=1)
    for place, arm in enumerate(places):
        if table[arm].isna().all():
            bottom.annotate("not reached", (0.5, place), xycoords=("axes fraction", "data"), va="center", color=GREY)
        bottom.plot(table[arm], np.full(len(table), place), looks[arm]["marker"], color=looks[arm]["color"])
        bottom.plot(table[arm].median(), place, "|", color="black", markersize=22)
    bottom.set_yticks(range(len(places)), places)
    bottom.invert_yaxis()
    bottom.set(xlabel=f"test loss minus training loss (nats) at a training loss of {target:g}")
    return figure


def races(results: pd.DataFrame, most: int):
    """Plot steps to an accuracy against the learning rate; runs that never get there stand on the upper edge.

    Args:
        results: tables ``race_none`` and ``race_batch`` of `regularisation`, together.
        most: steps after which a run was stopped.
    """
    figure, axes = subplots()
    shown = aside(results.assign(steps=results["steps"].clip(upper=1.3 * most)), "rate", "arm", 1.04, factor=True)
    lines_with_quartiles(axes, shown, "rate", "steps", "arm", spread="points")
    axes.axhline(most, color=GREY, lw=1, ls=":")
    axes.set(xlabel="learning rate", ylabel="gradient steps (above the dotted line: never)", xscale="log", yscale="log")
    plain_ticks(axes.xaxis, groups(results["rate"]))
    axes.legend()
    return figure
