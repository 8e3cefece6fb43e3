"""Figures 5 to 8 of Chai et al. 2020, from the tables of `channel_norms`, quick or recorded."""

import numpy as np
import pandas as pd

from bnlab.figures.shapes import aside, legend_below, lines, lines_with_quartiles, plain_ticks, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles

NAMES = {"none": "Baseline", "batch": "BN", "amplify": "BN_Amplify", "suppress": "BN_Suppress"}
LOOKS = line_styles(NAMES)


def channel_powers(first_steps: pd.DataFrame, rates: list[float], step: int = 5, norm: str = "none"):
    """Plot every channel's power on both sides of the threshold: at initialisation, and after some steps (Figure 5).

    Args:
        first_steps: ``norm``, ``learning_rate``, ``seed``, ``step``, ``power1_0`` ... ``power2_15``.
        rates: after ``step`` steps at which of the table's learning rates.
        step: how many.
        norm: of which network.
    """
    runs = first_steps[first_steps["norm"] == norm]
    cases = [("at initialisation", runs[(runs["step"] == 0) & (runs["learning_rate"] == rates[0])])]
    cases += [(f"{step} steps at rate {rate:g}", runs[(runs["step"] == step) & (runs["learning_rate"] == rate)])
              for rate in rates]  # fmt: skip
    figure, axes = subplots(height=1.4 + 0.55 * len(cases))
    for height, (_, part) in enumerate(cases):
        powers = part.filter(regex=r"^power[12]_\d+$").to_numpy()  # (seeds, 22)
        powers = powers[np.isfinite(powers).all(1)]
        spread = np.linspace(-0.3, 0.3, len(powers))[:, None] + np.zeros_like(powers)
        for side, colour, marker, name in (
            (powers > 1, COLOURS[3], "^", "above"),
            (powers <= 1, COLOURS[0], "o", "below"),
        ):
            axes.plot(powers[side], (height + spread)[side], marker, color=colour, ms=3.5, alpha=0.7, ls="none",
                      label=f"{name} the threshold" if not height else None)  # fmt: skip
        share = (powers > 1).mean() if powers.size else np.nan
        axes.text(1.01, height, f"{100 * share:.0f} %", transform=axes.get_yaxis_transform(), va="center")
    axes.text(1.01, -0.75, "above", transform=axes.get_yaxis_transform(), va="center")
    axes.axvline(1, color="black", ls="--", lw=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [name for name, _ in cases])
    axes.set_ylim(len(cases) - 0.5, -1)
    axes.set(xlabel="power of a channel, mean square")
    legend_below(figure, 2)
    return figure


def masks(found: pd.DataFrame):
    """Plot the share of channels that the variants normalise, and where batch and moving average disagree, by rate.

    Args:
        found: ``norm``, ``learning_rate``, ``seed``, ``occupancy``, ``disagreement`` (fractions).
    """
    percent = found.assign(occupancy=100 * found["occupancy"], disagreement=100 * found["disagreement"])
    variants = percent[percent["norm"].isin(("amplify", "suppress"))]
    figure, panels = subplots(1, 2, height=3.4, sharex=True)
    for axes, column in zip(panels, ("occupancy", "disagreement"), strict=True):
        _bars_by_rate(axes, variants, column, 1.12)
        axes.set(xlabel="learning rate of the convolutions", xscale="log", ylim=(-5, 105))
    panels[0].set(ylabel="share of the channels (%)", title="normalised")
    panels[1].set(title="batch and average disagree")
    legend_below(figure, 2)
    return figure


def eigenvalues(first_steps: pd.DataFrame, step: int = 5):
    """Plot smallest and largest eigenvalue of R(conv2) after some steps against the learning rate (Figures 6 and 8b).

    Args:
        first_steps: ``norm``, ``learning_rate``, ``seed``, ``step``, ``lambda_min``, ``lambda_max`` (power).
        step: how many. A network that has no numbers any more by then is shown as it last was.
    """
    figure, panels = subplots(1, 2, height=3.8)
    reached = first_steps[(first_steps["step"] <= step) & np.isfinite(first_steps["lambda_max"])]
    ends = reached.loc[reached.groupby(["norm", "learning_rate", "seed"])["step"].idxmax()]
    for axes, column, name in zip(panels, ("lambda_min", "lambda_max"), ("min", "max"), strict=True):
        _bars_by_rate(axes, ends, column, 1.15)
        axes.set(xlabel="learning rate of the convolutions", ylabel=f"$\\lambda_{{\\{name}}}$ of $R$ (power)")
        axes.set(xscale="log", yscale="log")
    plain_ticks(panels[0].yaxis)
    panels[0].set_title("smallest eigenvalue (Figure 6)")
    panels[1].set_title("largest eigenvalue (Figure 8b)")
    legend_below(figure, 4)
    return figure


def training_curves(long_runs: pd.DataFrame, rates: list[float], steps_of_an_epoch: float):
    """Plot the test error against the epoch, one panel a rate: median and quartiles over the seeds (Figure 7).

    Args:
        long_runs: ``norm``, ``learning_rate``, ``seed``, ``step``, ``test_error`` (fraction).
        rates: one panel each.
        steps_of_an_epoch: gradient steps of one pass.
    """
    runs = long_runs.assign(epoch=long_runs["step"] / steps_of_an_epoch, test_error=100 * long_runs["test_error"])
    seeds = runs.groupby(["norm", "learning_rate"])["seed"].transform("nunique")
    there = runs.groupby(["norm", "learning_rate", "step"])["test_error"].transform("count")
    # Steps that a diverged run never reached are not told.
    runs = runs.assign(test_error=runs["test_error"].where(there == seeds))[runs["step"] > 0]
    columns = min(len(rates), 2)
    rows = -(-len(rates) // columns)
    figure, panels = subplots(rows, columns, height=1 + 2.3 * rows, sharex=True, squeeze=False)
    for axes, rate in zip(panels.flat, rates, strict=False):
        part = runs[runs["learning_rate"] == rate]
        ends = part[part["step"] == part.groupby("norm")["step"].transform("max")]
        medians = ends.groupby("norm")["test_error"].median()
        drawn = part[~part["norm"].isin(medians.index[medians > 80])]  # who only guesses has no curve
        lines_with_quartiles(axes, drawn, "epoch", "test_error", "norm", looks=LOOKS, label=NAMES.get)
        if lost := [name for norm, name in NAMES.items() if norm not in medians[medians <= 80]]:
            axes.annotate(f"lost: {', '.join(lost)}", (0.98, 0.88), xycoords="axes fraction", ha="right", va="top")
        axes.set(yscale="log", title=f"rate {rate:g}")
        plain_ticks(axes.yaxis)
    for axes in panels.flat[len(rates) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    for axes in panels[:, 0]:
        axes.set_ylabel("test error (%)")
    legend_below(figure, 4)
    return figure


def final_errors(ends: pd.DataFrame):
    """Plot the final test error against the learning rate, every seed and the median (Figure 8a).

    Args:
        ends: ``norm``, ``learning_rate``, ``seed``, ``test_error`` (fraction).
    """
    figure, axes = subplots(height=3.8)
    percent = ends.assign(test_error=100 * ends["test_error"])
    seeds = {"label": None, "linestyle": "none", "markersize": 3, "alpha": 0.5}
    lines(axes, aside(percent, "learning_rate", "norm", 1.15, factor=True), "learning_rate", "test_error", "norm",
          looks=LOOKS, **seeds)  # fmt: skip
    _bars_by_rate(axes, percent, "test_error", 1.15)
    axes.axhline(90, color="#666666", ls=":", lw=1)
    axes.annotate("guessing", (0.01, 90), xycoords=("axes fraction", "data"), va="bottom", color=GREY)
    axes.set(xlabel="learning rate of the convolutions", ylabel="final test error (%)", xscale="log", yscale="log")
    plain_ticks(axes.yaxis)
    legend_below(figure, 4)
    return figure


def _bars_by_rate(axes, rows: pd.DataFrame, column: str, ratio: float) -> None:
    """Draw median and quartiles over the seeds against the rate, moved a little so that equal values stay visible."""
    moved = aside(rows, "learning_rate", "norm", ratio, factor=True)
    lines_with_quartiles(axes, moved, "learning_rate", column, "norm", spread="bars", looks=LOOKS, label=NAMES.get,
                         decades=2)  # fmt: skip
