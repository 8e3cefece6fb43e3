"""Figures of learning halfspaces and of tangent kernels.

Every function takes tidy tables (those of `halfspaces` and `tangent_kernels`,
unless a docstring says otherwise) and returns a closed matplotlib Figure.
"""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, MARKERS, line_styles

BELOW = {"loc": "outside lower center"}
GREY = "#444444"


def separable_loss(descent: pd.DataFrame):
    """Plot the loss of plain descent on separable data against the step, beside two powers of t."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2))
    for data, look in line_styles(list(dict.fromkeys(descent["data"]))).items():
        runs = descent[descent["data"] == data]
        for number, (_, run) in enumerate(runs.groupby("seed")):
            thin = look | {"markevery": 12, "label": data if number == 0 else None}
            left.loglog(run["step"], run["loss"], **thin)
            right.loglog(run["step"], run["length"], **thin | {"label": None})
        last, end = run["loss"].iloc[-1], run["step"].iloc[-1]
        exponent, words = (-1, "$t^{-1}$") if data == "positive margin" else (-1 / 3, "$t^{-1/3}$")
        t = np.array([end / 100, end])
        left.loglog(t, 2 * last * (t / end) ** exponent, color=GREY, ls=":", lw=1.2)
        place = {"xytext": (0, 5), "textcoords": "offset points", "color": GREY, "ha": "center"}
        left.annotate(words, (t[0], 2 * last * 100**-exponent), **place)
    left.set(xlabel="step $t$", ylabel="logistic loss (nats)")
    right.set(xlabel="step $t$", ylabel="$\\Vert w\\Vert$")
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def direction_gaps(gaps: pd.DataFrame):
    """Plot 1 - |cos| of minimiser and S^(-1)u against the number of samples: points are seeds, lines medians."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.8))
    for inputs, look in line_styles(list(dict.fromkeys(gaps["inputs"]))).items():
        rows = gaps[gaps["inputs"] == inputs]
        median = rows.groupby("samples")["gap"].median()
        axes.loglog(median.index, median, label=f"{inputs} inputs", **look | {"marker": ""})
        axes.loglog(rows["samples"], rows["gap"], color=look["color"], marker=look["marker"], ls="none", alpha=0.7)
    axes.set(xlabel="samples", ylabel="$1 - |\\cos|$ in the $S$ norm")
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def gradient_bounds(runs: pd.DataFrame, least: float = 1e-24):
    """Plot squared gradient norms on their bounds, and the norm over the printed right side, which must not pass 1."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.8))
    random = runs[runs["case"] == "random classes"]
    chosen = [random[random["seed"] == random["seed"].min()]]
    chosen += [run for _, run in runs[runs["case"] == "few bisections"].groupby("bisections")][:2]  # more look alike
    for number, run in enumerate(chosen):
        run = run[run["step"] <= 60]
        points = {"color": COLOURS[number], "marker": MARKERS[number], "markevery": 7, "ls": "none"}
        left.semilogy(run["step"], run["squared"], label=f"{run['bisections'].iloc[0]} bisections", **points)
        left.semilogy(run["step"], run["bound"], color=COLOURS[number], ls="-", lw=1.2)
    left.set(xlabel="step $T$", ylabel="$\\Vert\\nabla f\\Vert^2_{S^{-1}}$, and bound (lines)")
    left.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1)
    cases = [("random classes", "euclidean"), ("features in units of 1/100", "euclidean"),
             ("slowest direction missing in u", "squared")]  # fmt: skip
    for (case, column), look in zip(cases, line_styles([case for case, _ in cases]).values(), strict=True):
        run = runs[(runs["case"] == case) & (runs["squared"] > least)]
        run = run[run["seed"] == run["seed"].min()]
        norm = run[column] ** (0.5 if column == "squared" else 1)
        words = "$S^{-1}$ norm" if column == "squared" else "Euclidean"
        right.semilogy(run["step"], norm / run["printed"], label=f"{case},\n{words}",
                       markevery=max(1, len(run) // 8), **look)  # fmt: skip
    right.axhline(1, color=GREY, lw=1.2, ls="-")
    right.set(xlabel="step $T$", ylabel="norm / printed right side")
    right.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    plt.close(figure)
    return figure


def landscape(values: pd.DataFrame):
    """Plot a loss with two weights as contours, before and after normalisation.

    Args:
        values: columns ``panel``, ``w1``, ``w2``, ``loss`` (nats), a full grid a panel.
    """
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys(values["panel"]))
    figure, every = plt.subplots(1, len(panels), figsize=(7, 3.6), sharey=True, squeeze=False)
    for axes, panel in zip(every[0], panels, strict=True):
        grid = values[values["panel"] == panel].pivot(index="w2", columns="w1", values="loss")
        levels = np.unique(np.quantile(grid, np.linspace(0, 1, 13)))  # equal areas: a plateau takes no more than others
        shades = axes.contourf(grid.columns, grid.index, grid.to_numpy(), levels=levels)
        axes.contour(grid.columns, grid.index, grid.to_numpy(), levels=levels, colors="white", linewidths=0.6)
        axes.set(title=panel, xlabel="$w_1$", aspect="equal")
        axes.grid(visible=False)
        below = {"orientation": "horizontal", "shrink": 0.85, "label": "loss (nats)", "format": "%.2g"}
        bar = figure.colorbar(shades, ax=axes, **below)
        bar.set_ticks(levels[:: max(1, len(levels) // 4)])
    every[0, 0].set_ylabel("$w_2$")
    plt.close(figure)
    return figure


def excess_by_step(exact: pd.DataFrame, stochastic: pd.DataFrame):
    """Plot f - f* by the step of GDNP: exact gradients (table of `gdnp_runs`) and mini-batches, one line a seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    exact = exact[exact["case"] == "random classes"]
    batch = int(stochastic["batch"].iloc[0])
    looks = line_styles(["exact gradients", f"mini-batches of {batch}"])
    for (label, look), runs in zip(looks.items(), (exact, stochastic), strict=True):
        for number, (_, run) in enumerate(runs.groupby("seed")):
            excess = run["excess"].clip(lower=1e-14)
            axes.semilogy(run["step"], excess, label=label if number == 0 else None, **look | {"marker": "", "lw": 1.2})
    axes.axhline(1e-12, color=GREY, lw=0.8, ls=":")
    axes.set(xlabel="step", ylabel="$f - f^*$ (nats)")
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def margin_shares(growth: pd.DataFrame):
    """Plot the margin reached, as a share of the largest, against the spread of the features; points are seeds."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.8))
    for features, look in line_styles(["raw", "scaled"]).items():
        rows = growth[growth["features"] == features]
        for _, run in rows.groupby("seed"):
            axes.semilogx(run["spread"], run["share"], color=look["color"], marker=look["marker"], lw=0.6, alpha=0.6)
        median = rows.groupby("spread")["share"].median()
        axes.semilogx(median.index, median, label=f"{features} features (median)", lw=3, **look | {"marker": ""})
    ticks = sorted(growth["spread"].unique())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="largest / smallest standard deviation", ylabel="margin / largest margin", ylim=(0, 1.02))
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def kernel_widths(runs: pd.DataFrame):
    """Plot the change of the tangent kernel and the error of its forecast against the width, beside two powers."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    figure, every = plt.subplots(1, 2, figsize=(7, 4.2))
    names = {"kernel_change": "$\\Vert K_T - K_0\\Vert / \\Vert K_0\\Vert$", "forecast_error": "error of the forecast"}
    for axes, (column, label), colour in zip(every, names.items(), COLOURS, strict=False):
        median = runs.groupby("width")[column].median()
        axes.loglog(runs["width"], runs[column], color=colour, marker="o", ls="none", alpha=0.5)
        axes.loglog(median.index, median, color=colour, ls="-")
        for exponent, dash, words in ((-0.5, ":", "$N^{-1/2}$"), (-1, "--", "$N^{-1}$")):
            law = median.iloc[0] * (median.index / median.index[0]) ** exponent
            axes.loglog(median.index, law, color=GREY, ls=dash, lw=1, label=words)
        ticks = sorted(runs["width"].unique())
        axes.set_xticks(ticks, [str(tick) for tick in ticks], rotation=60)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="width $N$", ylabel=label)
        axes.legend(fontsize=10)
    plt.close(figure)
    return figure


def kernel_spectra(spectra: pd.DataFrame):
    """Plot the top eigenvalue, its share of the trace, and the correlations of tangent kernels, by depth and norm."""
    import matplotlib.pyplot as plt

    figure, every = plt.subplots(1, 3, figsize=(7, 4))
    kinds = {"none": "no BN", "passed through": "BN, through the statistics", "held": "BN, statistics held"}
    depths = sorted(spectra["depth"].unique())
    columns = {"largest": "largest eigenvalue", "top_share": "share of the trace", "correlation": "mean correlation"}
    for axes, (column, title) in zip(every, columns.items(), strict=True):
        for number, (kind, look) in enumerate(line_styles(list(kinds)).items()):
            rows = spectra[spectra["statistics"] == kind]
            place = rows["depth"].map(depths.index) + 0.22 * (number - 1)
            axes.plot(place, rows[column], label=kinds[kind], mfc="none", **look | {"linestyle": "none"})
        axes.set_xticks(range(len(depths)), [str(depth) for depth in depths])
        axes.set(xlabel="hidden layers", title=title, xlim=(-0.5, len(depths) - 0.5))
        axes.set(yscale="log") if column == "largest" else axes.set(ylim=(0, None))
    handles, labels = every[0].get_legend_handles_labels()
    figure.legend(handles, labels, **BELOW, ncols=3, fontsize=10)
    plt.close(figure)
    return figure
