"""Figures of noise in the local error: the ratio in one update, clean against noisy error, matched, and long runs.

Every function takes tidy tables (those of `noise_sensitivity` and `noise_matching`) and returns a
closed matplotlib Figure; the same function draws the quick and the recorded run.
"""

import math

import numpy as np
import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance.noise_matching import CHANCE
from bnlab.chapters.ch07_minimum_disturbance.noise_prose import NAMES
from bnlab.figures.shapes import groups, legend_below, lines_with_quartiles, plain_ticks, quartiles, subplots
from bnlab.figures.style import line_styles

LOOKS = line_styles(NAMES)  # one look a method, in every figure


def noise_in_an_update(ratios: pd.DataFrame):
    """Plot the noise-to-signal ratio of an update for every method: against the noise scale, against the batch.

    Args:
        ratios: table ``noise_ratio``: ``weights``, ``norm``, ``seed``, ``batch_size``, ``noise``, ``ratio``.
    """
    figure, panels = subplots(1, 2, height=4.8, sharey=True)
    middle = ratios[ratios["batch_size"] == ratios["batch_size"].max()]
    titles = {"initial": "weights as drawn", "trained": "weights trained a little"}
    for axes, (weights, title) in zip(panels, titles.items(), strict=True):
        rows = middle[middle["weights"] == weights]
        lines_with_quartiles(axes, rows, "noise", "ratio", "norm", looks=LOOKS, label=NAMES.get)
        axes.axhline(1, color="black", lw=1, ls="-", zorder=0)
        axes.set(xscale="log", yscale="log")
        plain_ticks(axes.xaxis, groups(rows["noise"]))
        axes.set(xlabel="noise, in std of $\\delta$", title=title)
    panels[0].set_ylabel("noise / signal in the outputs")
    legend_below(figure, 2)
    return figure


def frontier(finals: pd.DataFrame, noise: float, level: float):
    """Plot noisy against clean test error of every method, one point a rate (median of the seeds, quartile bars).

    Args:
        finals: `noise_matching.finals` of the runs.
        noise: which scale to draw.
        level: the clean error at which methods are compared.
    """
    figure, axes = subplots(height=5.2, width=6.4)
    runs = finals[(finals["role"] == "reported") & (finals["fc"] == "frozen")]
    keys = ["norm", "rate", "seed"]
    runs = runs.assign(test_error=100 * runs["test_error"])
    pairs = runs[runs["noise"] == 0].merge(runs[runs["noise"] == noise], on=keys, suffixes=("_clean", "_noisy"))
    end = 1.05 * np.nanmax([100 * level, *pairs[["test_error_clean", "test_error_noisy"]].max()])
    for name in (name for name in NAMES if name in set(pairs["norm"])):
        rows = pairs[pairs["norm"] == name]
        clean, noisy = rows.groupby("rate")["test_error_clean"].median(), quartiles(rows, "test_error_noisy", "rate")
        reach = [noisy["middle"] - noisy["low"], noisy["high"] - noisy["middle"]]
        axes.errorbar(clean, noisy["middle"], reach, capsize=3, label=NAMES[name], **LOOKS[name])
    axes.plot([0, end], [0, end], color="black", lw=1, ls="-", zorder=0)
    axes.axvline(100 * level, color="#888888", lw=1, ls=":", zorder=0)
    names = {"xlabel": "test error without noise (%)", "ylabel": f"test error, noise {noise:g} (%)"}
    axes.set(xlim=(0, end), ylim=(0, end), **names)
    legend_below(figure, 2)
    return figure


def increases(matched: pd.DataFrame):
    """Plot the increase of the error by noise at one clean error: every seed, and the median with its quartiles.

    A seed in which the method does not stand at that error is hollow.

    Args:
        matched: `noise_matching.matched` of the runs: ``norm``, ``noise``, ``seed``, ``increase``, ``reached``.
    """
    names = [name for name in NAMES if name in set(matched["norm"])]
    noises = groups(matched["noise"])
    figure, panels = subplots(1, len(noises), height=0.5 * len(names) + 1.6, sharey=True, squeeze=False)
    for axes, noise in zip(panels[0], noises, strict=True):
        rows = matched[matched["noise"] == noise].assign(increase=lambda table: 100 * table["increase"])
        for name, (low, middle, high) in quartiles(rows, "increase", "norm").iterrows():
            own, height = rows[rows["norm"] == name], names.index(name)
            values, reached = own["increase"], own["reached"]
            look = LOOKS[name]
            axes.plot([low, high], [height, height], color=look["color"], lw=7, alpha=0.25, ls="-")
            axes.plot(middle, height, "|", color=look["color"], ms=18, mew=2.5, ls="none")
            for fill, there in (("full", reached), ("none", ~reached)):
                points = values[there]
                marker = {"marker": look["marker"], "fillstyle": fill, "color": look["color"], "ms": 5, "ls": "none"}
                axes.plot(points, [height] * len(points), **marker)
        axes.axvline(0, color="black", lw=1, ls="-")
        axes.set(xlabel="increase (points)", title=f"noise {noise:g}")  # no longer: panels stand side by side
    panels[0][0].set_yticks(range(len(names)), [NAMES[name] for name in names])
    panels[0][0].invert_yaxis()
    return figure


def long_runs(runs: pd.DataFrame, rates: dict[str, float], epochs: int):
    """Plot test errors over the epochs, a panel a noise, each method at its own rate; a run that is lost, at chance.

    Args:
        runs: table ``long_runs``: ``norm``, ``noise``, ``rate``, ``seed``, ``fc``, ``role``, ``step``, ``test_error``,
            ``diverged``.
        rates: which rate to draw, by norm.
        epochs: length of a run that is not lost.
    """
    own = runs[(runs["role"] == "reported") & (runs["fc"] == "frozen") & (runs["rate"] == runs["norm"].map(rates))]
    own = _to_the_end(own).assign(epoch=lambda table: epochs * table["step"] / table["step"].max())
    noises = groups(own["noise"])
    rows = math.ceil(len(noises) / 2)
    figure, panels = subplots(rows, 2, height=2.4 * rows + 1.4, sharey=True, squeeze=False)
    for axes, noise in zip(panels.flat, noises, strict=False):
        drawn = own[own["noise"] == noise].assign(test_error=lambda table: 100 * table["test_error"])
        lines_with_quartiles(axes, drawn, "epoch", "test_error", "norm", looks=LOOKS, label=NAMES.get, marker="")
        axes.set(yscale="log", xlim=(0, epochs), title=f"noise {noise:g}")
    for axes in panels.flat[len(noises) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    for axes in panels[:, 0]:
        axes.set_ylabel("test error (%)")
    plain_ticks(panels[0][0].yaxis)  # all share it
    legend_below(figure, 2)
    return figure


def _to_the_end(runs: pd.DataFrame) -> pd.DataFrame:
    """Give every run all steps at which whole runs are looked at: where a lost one was not, it errs by chance."""
    looks = sorted(runs.loc[~runs["diverged"], "step"].unique())
    wide = runs.pivot(index=["norm", "noise", "seed"], columns="step", values="test_error")
    filled = wide.reindex(columns=looks).fillna(CHANCE)
    return filled.melt(value_name="test_error", ignore_index=False).reset_index()
