"""Figures of length and direction: the decoupling formulas, growth of the weights, scaled starts, Fisher information.

Every function takes tidy tables and returns a matplotlib Figure.
"""

from fractions import Fraction

import pandas as pd

from bnlab.figures.shapes import (
    groups,
    legend_below,
    lines,
    lines_with_quartiles,
    name_lines,
    plain_ticks,
    subplots,
)
from bnlab.figures.style import GREY, line_styles


def forms(outputs: pd.DataFrame):
    """Plot what each formula gives for the inputs of a batch against Batch Normalization's own output.

    Args:
        outputs: columns ``form``, ``normalised`` (what Batch Normalization gives), ``value`` (what the formula gives).
    """
    figure, axes = subplots(height=4.4)
    ends = [outputs["normalised"].min(), outputs["normalised"].max()]
    axes.plot(ends, ends, color=GREY, lw=1, ls="-", label="equal")
    lines(axes, outputs, "normalised", "value", "form", linestyle="none")
    axes.set(xlabel="output of Batch Normalization", ylabel="output of the formula")
    legend_below(figure, 2)
    return figure


def output_scales(scales: pd.DataFrame):
    """Plot the standard deviation of the output against the factor on the weights, beside what is printed.

    Args:
        scales: columns ``factor``, ``quantity``, ``value`` (units of the output).
    """
    figure, axes = subplots(height=3.8)
    lines(axes, scales, "factor", "value", "quantity")
    axes.set(xlabel="factor on the weights", ylabel="standard deviation of the output", xscale="log", yscale="log")
    plain_ticks(axes.xaxis, groups(scales["factor"]))
    name_lines(axes)
    return figure


def growth(runs: pd.DataFrame):
    """Plot the squared length of the weights (left) and its error from the law of growth (right) against the step.

    Args:
        runs: columns ``case``, ``step``, ``squared`` (relative to the start), ``off`` (relative error of the law).
    """
    figure, (left, right) = subplots(1, 2, height=4.4)
    lines(left, runs, "step", "squared", "case", marks=7)
    lines(right, runs[runs["off"] > 0], "step", "off", "case", looks=line_styles(groups(runs["case"])), marks=7)
    left.set(xlabel="step", ylabel="$\\Vert W\\Vert^2$ / its start")
    right.set(xlabel="step", ylabel="relative error of the law", yscale="log")
    legend_below(figure, 2)
    return figure


def initial_scales(scales: pd.DataFrame):
    """Plot test errors against the initial scale of the weights: points are seeds, lines medians.

    Args:
        scales: table of `decoupling.initial_scales`.
    """
    figure, axes = subplots(height=4.2)
    factors = scales.assign(factor=2.0 ** scales["exponent"])
    lines_with_quartiles(axes, factors, "factor", "error", "arm", spread="points", marker="")
    axes.set_xscale("log", base=2)
    plain_ticks(axes.xaxis, groups(factors["factor"]), lambda factor: str(Fraction(factor)))
    axes.set(xlabel="factor on the initial weights", ylabel="test error (share)", ylim=(0, 1))
    legend_below(figure, 3)
    return figure


def rate_collapse(rates: pd.DataFrame):
    """Plot turn of the filters and test loss against the rate and against the effective rate, one line a scale.

    Args:
        rates: table of `decoupling.effective_rates`; points are medians over the seeds.
    """
    figure, every = subplots(2, 2, height=5.6, sharex="col", sharey="row")
    words = {"spread": "none", "label": "weights × $2^{{{}}}$".format}
    for row, (column, unit) in zip(every, (("turned", "turn (degrees)"), ("loss", "test loss (nats)")), strict=True):
        for axes, rate in zip(row, ("rate", "effective"), strict=True):
            lines_with_quartiles(axes, rates, rate, column, "exponent", **words)
            axes.set_xscale("log")
        row[0].set(ylabel=unit)
    every[1, 0].set(xlabel="rate $\\eta$")
    every[1, 1].set(xlabel="effective rate $\\eta/a^2$")
    legend_below(figure, 3)
    return figure


def fisher_spectra(spectra: pd.DataFrame):
    """Plot the top eigenvalue and the condition number of the Fisher information against depth.

    Args:
        spectra: table of `decoupling.fisher`; points are seeds, lines medians.
    """
    figure, both = subplots(1, 2, height=4.6)
    columns = (("largest", "largest eigenvalue"), ("kappa", "condition number"))
    for axes, (column, words) in zip(both, columns, strict=True):
        lines_with_quartiles(axes, spectra, "depth", column, "arm", spread="points", marker="")
        plain_ticks(axes.xaxis, groups(spectra["depth"]))
        axes.set(xlabel="hidden layers", ylabel=words, yscale="log")
    legend_below(figure, 2)
    return figure
