"""Figures of chapter 13. Every function takes tidy tables (columns as made by this chapter) and returns a Figure."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bnlab.chapters.ch13_learning_rate import rate_verdicts, sharpness_verdicts, training_verdicts
from bnlab.chapters.ch13_learning_rate.plateau import WARMUP
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
from bnlab.figures.style import GREY, line_styles

WORDS = {"none": "without BN", "batch": "with BN", "layer": "layer norm", "group": "group norm"}
WORDS |= {"instance": "instance norm"}
LOOKS = line_styles(list(WORDS))


def noise(drawn: pd.DataFrame):
    """Plot the mean square of drawn errors over C / B against B, with and without replacement, on their laws."""
    figure, axes = subplots(height=3.8)
    words = {True: "with replacement", False: "different images"}
    named = drawn.assign(way=drawn["replacement"].map(words))
    looks = line_styles(words.values())
    points_on_lines(axes, named, "batch_size", "ratio", "expected", "way", looks=looks)
    axes.set(xlabel="images in the batch, $B$", ylabel="mean square error / $(C/B)$", xscale="log", ylim=(0, None))
    plain_ticks(axes.xaxis, groups(drawn["batch_size"]))
    axes.legend()
    return figure


def largest_rates(table: pd.DataFrame):
    """Plot the largest rate survived against the depth, one colour a norm; marks are seeds, lines medians."""
    figure, axes = subplots(height=4.0)
    found = middles(rate_verdicts.ends(table, "largest_rates"))
    lines_with_quartiles(
        axes, found, "depth", "rate", "norm", spread="points", looks=LOOKS, label=WORDS.get, linewidth=1.4
    )
    axes.set(xlabel="layers", ylabel="largest rate survived", xscale="log", yscale="log")
    plain_ticks(axes.xaxis, groups(table["depth"]))
    axes.legend()
    return figure


def middles(brackets: pd.DataFrame) -> pd.DataFrame:
    """The geometric middle of each bracket as ``rate``."""
    return brackets.assign(rate=np.sqrt(brackets["survived"] * brackets["lost"]))


def warm_up(table: pd.DataFrame):
    """Plot the largest rate survived against the length of the warm-up, a panel a depth; BN beside it, without any."""
    found = middles(rate_verdicts.ends(table, "warm_up"))
    depths = groups(found["depth"])
    figure, panels = subplots(1, len(depths), height=3.8, sharey=True, squeeze=False)
    for axes, depth in zip(panels[0], depths, strict=True):
        rows = found[found["depth"] == depth]
        plain, batch = (rows[rows["norm"] == norm] for norm in ("none", "batch"))
        lengths = groups(plain["warmup"])
        places = plain.assign(place=plain["warmup"].map(lengths.index))
        lines_with_quartiles(axes, places, "place", "rate", "norm", spread="points", looks=LOOKS, label=WORDS.get)
        beside = {"color": LOOKS["batch"]["color"], "alpha": 0.2, "linewidth": 0}
        axes.axhspan(batch["rate"].min(), batch["rate"].max(), label="with BN, no warm-up (all seeds)", **beside)
        axes.axhline(batch["rate"].median(), color=LOOKS["batch"]["color"], lw=1.4)
        axes.set_xticks(range(len(lengths)), [f"{length:g}" for length in lengths])
        axes.set(title=f"{depth} layers", xlabel="steps of warm-up", yscale="log")
        plain_ticks(axes.yaxis)
    panels[0][0].set_ylabel("largest rate survived")
    legend_below(figure, 2)
    return figure


def training(runs: pd.DataFrame, three: Sequence[float]):
    """Plot training (left) and test accuracy (right) against the progress: BN at three rates, without BN at one."""
    arms = {("batch", rate): f"with BN, rate {rate:g}" for rate in three}
    arms[("none", three[0])] = f"without BN, rate {three[0]:g}"
    names = [arms.get(key, "") for key in zip(runs["norm"], runs["rate"], strict=True)]
    shown = runs.assign(arm=names)
    shown = shown[(shown["arm"] != "") & shown["test_accuracy"].notna()]
    looks = line_styles(arms.values())
    figure, panels = subplots(1, 2, height=4.0, sharey=True)
    for axes, split in zip(panels, ("train", "test"), strict=True):
        named = shown.assign(progress=shown["progress"].round(2))
        lines_with_quartiles(axes, named, "progress", f"{split}_accuracy", "arm", looks=looks, marks=5)
        axes.axhline(training_verdicts.CHANCE, color=GREY, lw=0.8)
        axes.set(title={"train": "training images", "test": "test images"}[split], xlabel="progress of the training")
    panels[0].set_ylabel("accuracy")
    legend_below(figure, 2)
    return figure


def rates(runs: pd.DataFrame):
    """Plot training (left) and test accuracy (right) at the end against the rate, with and without BN; marks: seeds."""
    ends = training_verdicts.final(runs)
    ends = aside(ends[ends["norm"].isin(["none", "batch"])], "rate", "norm", 1.1, factor=True)
    figure, panels = subplots(1, 2, height=3.8, sharey=True)
    for axes, split in zip(panels, ("train", "test"), strict=True):
        values = f"{split}_accuracy"
        lines_with_quartiles(axes, ends, "rate", values, "norm", spread="points", looks=LOOKS, label=WORDS.get)
        axes.axhline(training_verdicts.CHANCE, color=GREY, lw=0.8)
        axes.set(title={"train": "training images", "test": "test images"}[split], xlabel="initial rate", xscale="log")
        plain_ticks(axes.xaxis)
    panels[0].set_ylabel("accuracy at the end")
    legend_below(figure, 2)
    return figure


def variants(runs: pd.DataFrame, three: Sequence[float]):
    """Plot test accuracy at the end at the three rates, one line a norm; marks are seeds."""
    ends = training_verdicts.final(runs)
    ends = aside(ends[ends["rate"].isin(three)], "rate", "norm", 1.06, factor=True)
    figure, axes = subplots(height=4.0)
    lines_with_quartiles(
        axes, ends, "rate", "test_accuracy", "norm", spread="points", looks=LOOKS, label=WORDS.get, linewidth=1.4
    )
    axes.axhline(training_verdicts.CHANCE, color=GREY, lw=0.8)
    axes.set(xlabel="initial rate", ylabel="test accuracy at the end", xscale="log")
    plain_ticks(axes.xaxis)
    legend_below(figure, 3)
    return figure


def sharpness(table: pd.DataFrame):
    """Plot the largest eigenvalue against rate over batch size (left), and the test error against it (right)."""
    found = sharpness_verdicts.reached(table, 1)
    figure, (left, right) = subplots(1, 2, height=4.2)
    sizes, ratios = found.sort_values("ratio"), found.sort_values("largest")
    lines_with_quartiles(left, sizes, "ratio", "largest", "batch_size", spread="points", label="$B$ = {}".format)
    left.set(xlabel="$\\alpha/B$", ylabel="$\\lambda_{\\max}$", xscale="log", yscale="log")
    lines(right, ratios, "largest", "test_error", "ratio", label="$\\alpha/B$ = {:g}".format, linestyle="none")
    right.set(xlabel="$\\lambda_{\\max}$", ylabel="test error", xscale="log")
    plain_ticks(left.yaxis)
    for axes in (left, right):
        plain_ticks(axes.xaxis)
        legend_below(axes, 2, fontsize="small")
    return figure


def plateau(table: pd.DataFrame):
    """Plot batch sharpness and largest eigenvalue in units of 2 / rate against the step, a panel a rate.

    Looks during the warm-up are left out: the rate is not yet the one that 2 / rate is of.
    """
    units = table[table["step"] > WARMUP]
    units = units.assign(**{name: units[name] * units["rate"] / 2 for name in ("batch", "largest")})
    words = {"batch": "batch sharpness", "largest": "$\\lambda_{\\max}$ of the full loss"}
    long = units.melt(["rate", "seed", "step"], list(words), var_name="what").replace(np.inf, np.nan).dropna()
    rates = groups(table["rate"])
    figure, panels = subplots(1, len(rates), height=3.8, sharey=True, squeeze=False)
    for axes, rate in zip(panels[0], rates, strict=True):
        rows = long[long["rate"] == rate]
        looks = line_styles(list(words))
        lines_with_quartiles(axes, rows, "step", "value", "what", spread="points", looks=looks, label=words.get)
        axes.axhline(1, color=GREY, lw=1, ls="--")
        axes.set(title=f"rate {rate:g}", xlabel="gradient steps")
    panels[0][0].set(ylabel="curvature / $(2/\\eta)$", ylim=(0, None))  # shared, so once all are drawn
    legend_below(figure, 2)
    return figure
