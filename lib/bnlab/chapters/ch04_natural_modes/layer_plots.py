"""Figures of layers that were trained: slopes of their modes, LMS noise, two levers, and where the frozen picture ends.

Every function takes tidy tables (those of `natural_modes`, unless a docstring says otherwise) and
returns a matplotlib Figure; the same function draws the quick and the recorded run.
"""

import pandas as pd

from bnlab.figures.shapes import (
    aside,
    groups,
    legend_below,
    lines,
    plain_ticks,
    points_on_lines,
    subplots,
)
from bnlab.figures.style import COLOURS, GREY, line_styles


def layer_decay(trajectories: pd.DataFrame, fits: pd.DataFrame, rate: float):
    """Plot |v_k(n)| of a trained layer on the law, and the measured slope of every mode and rate against the predicted.

    Args:
        trajectories: columns ``rate``, ``step``, ``mode``, ``weight_error``, ``theory``.
        fits: columns ``rate``, ``mode``, ``eigenvalue``, ``slope``, ``theory`` (of ln|v_k| a step).
        rate: which one to draw on the left, in units of 1 / lambda_max.
    """
    figure, (left, right) = subplots(1, 2, height=4.4)
    rows = trajectories[trajectories["rate"] == rate]
    rows = rows.assign(rank=rows["mode"].max() + 1 - rows["mode"])
    rows = rows[rows["rank"].isin((1, 2, 3, 5, 8, rows["rank"].max()))]
    start = rows.groupby("mode")["theory"].transform("first").abs()
    rows = rows.assign(theory=rows["theory"].abs() / start, weight_error=rows["weight_error"].abs() / start)
    visible = rows[(rows["step"] > 0) & (rows["theory"] > 1e-9)]
    points_on_lines(left, visible, "step", "weight_error", "theory", "rank")
    left.set(xlabel="step $n$", ylabel="$|v_k(n)| / |v_k(0)|$", ylim=(1e-9, 3), xscale="log", yscale="log")
    left.set_title(f"rate {rate:g} / $\\lambda_{{\\max}}$")
    legend_below(left, 3, title="mode")
    known = fits.dropna(subset=["slope"])
    known = known.assign(theory=known["theory"].abs(), slope=known["slope"].abs())
    lines(right, known, "theory", "slope", "rate", label="{:g}".format, linestyle="none")
    ends = [known["theory"].min() / 2, known["theory"].max() * 2]
    right.loglog(ends, ends, color=GREY, lw=1, ls="-", zorder=0)
    right.set(xlabel="predicted $|\\ln|1 - \\mu\\lambda_k||$", ylabel="measured slope a step")
    several = len(groups(known["rate"])) > 1
    right.set(title=f"all modes, {'all rates' if several else 'this rate'}", xscale="log", yscale="log")
    if several:
        legend_below(right, 3, title="rate (in $1/\\lambda_{\\max}$)")
    return figure


def lms_noise(modes: pd.DataFrame, spread: pd.DataFrame):
    """Plot LMS in the mean (the largest mode beside its law, smallest rate) and in the mean square (every rate).

    Args:
        modes: table ``lms_modes``: ``share``, ``order``, ``seed``, ``step``, ``mode``, ``mean``, ``theory``,
            ``standard_error``.
        spread: table ``lms_spread``: ``share``, ``order``, ``seed``, ``step``, ``mean_square``, ``median_square``.
    """
    figure, (left, right) = subplots(1, 2, height=4.6)
    rows = modes[(modes["share"] == modes["share"].min()) & (modes["seed"] == modes["seed"].min())]
    rows = rows[rows["mode"] == rows["mode"].max()]
    orders = line_styles(sorted(rows["order"].unique()))
    law = rows.drop_duplicates("step")
    left.semilogx(law["step"], law["theory"], color="black", ls="-", lw=1.2, label="Eq. 6")
    for order, part in aside(rows, "step", "order", 1.08, factor=True).groupby("order"):
        bars = {"label": f"{order} patches", "capsize": 3} | orders[order] | {"linestyle": "none"}
        left.errorbar(part["step"], part["mean"], 4 * part["standard_error"], **bars)
    left.set(xlabel="step $n$", ylabel="mean of $v_1(n)$ (weight)", title=f"rate {rows['share'].iloc[0]:g} × 2/tr R")
    started = spread[spread["step"] > 0]
    medians = started.groupby(["share", "order", "step"], as_index=False)["mean_square"].median()
    medians["case"] = medians["share"].map("{:g}".format) + " × 2/tr R, " + medians["order"]
    medians["mean_square"] = medians["mean_square"].where(medians["mean_square"] < 1e12)  # the rest leaves the picture
    lines(right, medians, "step", "mean_square", "case")
    right.set(xlabel="step $n$", ylabel="mean of $\\|C(n)\\|^2$ (weight$^2$)", title="mean square")
    right.set(xscale="log", yscale="log")
    for axes in (left, right):
        legend_below(axes)
    return figure


def two_levers(convergence: pd.DataFrame, largest_rate: pd.DataFrame):
    """Plot steps to convergence against lambda_min, and the largest stable rate against lambda_max.

    Args:
        convergence: columns ``smallest_eigenvalue`` (power), ``steps``.
        largest_rate: columns ``largest_eigenvalue`` (power), ``largest_rate`` and ``bound`` (1 / power).
    """
    figure, (left, right) = subplots(1, 2, height=3.6)
    left.loglog(convergence["smallest_eigenvalue"], convergence["steps"], "o-", color=COLOURS[0])
    # Over little more than a decade matplotlib would label every minor tick.
    plain_ticks(left.xaxis, convergence["smallest_eigenvalue"], "{:.2g}".format)
    left.set(xlabel="$\\lambda_{\\min}$ (power)", ylabel="steps until all modes are done")
    top = largest_rate["largest_eigenvalue"]
    right.loglog(top, largest_rate["bound"], color=COLOURS[1], label="$2/\\lambda_{\\max}$", ls="-")
    right.loglog(top, largest_rate["largest_rate"], "o", color=COLOURS[0], label="measured")
    right.set(xlabel="$\\lambda_{\\max}$ (power)", ylabel="largest stable $\\mu$ (1 / power)")
    right.legend()
    return figure


def forecast_and_truth(drift: pd.DataFrame):
    """Plot how far a trained layer's weights are from the forecast of equation 6 with everything frozen at n = 0.

    Args:
        drift: columns ``loss`` (its name), ``n`` (steps), ``error`` (distance of forecast and weights, in units of the
            distance travelled).
    """
    figure, axes = subplots(height=3.6)
    lines(axes, drift.assign(error=drift["error"].clip(lower=1e-17)), "n", "error", "loss", marks=12)
    axes.set(xlabel="step $n$", ylabel="error of the forecast", yscale="log")
    legend_below(figure)
    return figure


def hessian_spectra(spectra: pd.DataFrame):
    """Plot the eigenvalues of R beside those of Hessians of the same layer's weights.

    Args:
        spectra: columns ``matrix``, ``rank`` (1 = largest), ``eigenvalue`` (power of the input).
    """
    figure, axes = subplots(height=3.8)
    lines(axes, spectra, "rank", "eigenvalue", "matrix", marks=15)
    axes.set(xlabel="rank of the eigenvalue", ylabel="eigenvalue (power)", yscale="log")
    legend_below(figure)
    return figure
