"""Figures of length and direction: the decoupling formulas, growth of the weights, scaled starts, Fisher information.

Every function takes tidy tables and returns a closed matplotlib Figure.
"""

import pandas as pd

from bnlab.figures.style import line_styles

BELOW = {"loc": "outside lower center"}
GREY = "#444444"


def forms(outputs: pd.DataFrame):
    """Plot what each formula gives for the inputs of a batch against Batch Normalization's own output.

    Args:
        outputs: columns ``form``, ``normalised`` (what Batch Normalization gives), ``value`` (what the formula gives).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4))
    ends = [outputs["normalised"].min(), outputs["normalised"].max()]
    axes.plot(ends, ends, color=GREY, lw=1, ls="-", label="equal")
    for form, look in line_styles(list(dict.fromkeys(outputs["form"]))).items():
        rows = outputs[outputs["form"] == form]
        axes.plot(rows["normalised"], rows["value"], label=form, **look | {"linestyle": "none"})
    axes.set(xlabel="output of Batch Normalization", ylabel="output of the formula")
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def output_scales(scales: pd.DataFrame):
    """Plot the standard deviation of the output against the factor on the weights, beside what is printed.

    Args:
        scales: columns ``factor``, ``quantity``, ``value`` (units of the output).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.8))
    for quantity, look in line_styles(list(dict.fromkeys(scales["quantity"]))).items():
        rows = scales[scales["quantity"] == quantity]
        axes.loglog(rows["factor"], rows["value"], label=quantity, **look)
    axes.set(xlabel="factor on the weights", ylabel="standard deviation of the output")
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def growth(runs: pd.DataFrame):
    """Plot the squared length of the weights (left) and its error from the law of growth (right) against the step.

    Args:
        runs: columns ``case``, ``step``, ``squared`` (relative to the start), ``off`` (relative error of the law).
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.4))
    for case, look in line_styles(list(dict.fromkeys(runs["case"]))).items():
        rows = runs[runs["case"] == case]
        every = max(1, len(rows) // 7)
        left.plot(rows["step"], rows["squared"], label=case, markevery=every, **look)
        shown = rows[rows["off"] > 0]
        right.semilogy(shown["step"], shown["off"], markevery=every, **look)
    left.set(xlabel="step", ylabel="$\\Vert W\\Vert^2$ / its start")
    right.set(xlabel="step", ylabel="relative error of the law")
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def initial_scales(scales: pd.DataFrame):
    """Plot test errors against the initial scale of the weights: points are seeds, lines medians.

    Args:
        scales: table of `experiments.decoupling.initial_scales`.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    for arm, look in line_styles(list(dict.fromkeys(scales["arm"]))).items():
        rows = scales[scales["arm"] == arm]
        median = rows.groupby("exponent")["error"].median()
        axes.plot(2.0**median.index, median, label=arm, **look | {"marker": ""})
        axes.plot(2.0 ** rows["exponent"], rows["error"], **look | {"linestyle": "none", "alpha": 0.7})
    axes.set_xscale("log", base=2)
    axes.set(xlabel="factor on the initial weights", ylabel="test error (share)", ylim=(0, 1))
    figure.legend(**BELOW, ncols=3)
    plt.close(figure)
    return figure


def rate_collapse(rates: pd.DataFrame):
    """Plot turn of the filters and test loss against the rate and against the effective rate, one line a scale.

    Args:
        rates: table of `experiments.decoupling.effective_rates`; points are medians over the seeds.
    """
    import matplotlib.pyplot as plt

    figure, every = plt.subplots(2, 2, figsize=(7, 5.6), sharex="col", sharey="row")
    looks = line_styles(sorted(rates["exponent"].unique()))
    for row, (column, words) in zip(every, (("turned", "turn (degrees)"), ("loss", "test loss (nats)")), strict=True):
        for axes, rate in zip(row, ("rate", "effective"), strict=True):
            for exponent, look in looks.items():
                median = rates[rates["exponent"] == exponent].groupby(rate)[column].median()
                label = f"weights × $2^{{{exponent}}}$" if (column, rate) == ("turned", "rate") else None
                axes.semilogx(median.index, median, label=label, **look)
        row[0].set(ylabel=words)
    every[1, 0].set(xlabel="rate $\\eta$")
    every[1, 1].set(xlabel="effective rate $\\eta/a^2$")
    figure.legend(**BELOW, ncols=3)
    plt.close(figure)
    return figure


def fisher_spectra(spectra: pd.DataFrame):
    """Plot the top eigenvalue and the condition number of the Fisher information against depth.

    Args:
        spectra: table of `experiments.decoupling.fisher`; points are seeds, lines medians.
    """
    import matplotlib.pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(7, 4.6))
    columns = (("largest", "largest eigenvalue"), ("kappa", "condition number"))
    for axes, (column, words) in zip(both, columns, strict=True):
        for arm, look in line_styles(list(dict.fromkeys(spectra["arm"]))).items():
            rows = spectra[spectra["arm"] == arm]
            median = rows.groupby("depth")[column].median()
            label = arm if column == "largest" else None
            axes.semilogy(median.index, median, label=label, **look | {"marker": ""})
            axes.semilogy(rows["depth"], rows[column], **look | {"linestyle": "none", "alpha": 0.7})
        axes.set(xlabel="hidden layers", ylabel=words)
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure
