"""Figures of descent on least squares: contraction, feature scaling, H*, learning rates, the Rayleigh quotient.

Every function takes tidy tables (those of `least_squares`, unless a docstring says otherwise) and
returns a closed matplotlib Figure.
"""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, line_styles

BELOW = {"loc": "outside lower center"}
GREY = "#444444"


def distances(runs: pd.DataFrame):
    """Plot the distance to the solution against the step, points measured, lines from the formula.

    Args:
        runs: columns ``rule`` (the rate), ``step``, ``distance`` (of the first), ``law`` (contraction^step).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    for rule, look in line_styles(list(dict.fromkeys(runs["rule"]))).items():
        run = runs[runs["rule"] == rule]
        every = max(1, len(run) // 14)
        axes.semilogy(run["step"], run["law"], color=look["color"], ls="-", lw=1.2)
        axes.semilogy(run["step"], run["distance"], label=rule, markevery=every, **look | {"linestyle": "none"})
    axes.set(xlabel="step", ylabel="distance to the solution / first")
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def scaled_features(scaling: pd.DataFrame):
    """Plot epochs with raw and with standardised features, and their ratio, against the base of the scales."""
    import matplotlib.pyplot as plt

    medians = scaling.groupby(["base", "features"])["epochs"].median().unstack()
    place = np.arange(len(medians))  # evenly, as bases near 1 would crowd any scale
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4))
    for features, look in line_styles(["raw", "standardised"]).items():
        left.semilogy(place, medians[features], label=features, **look)
    left.set(ylabel="epochs (median of seeds)")
    left.legend(fontsize=10)
    right.axhspan(2, 5, color=COLOURS[2], alpha=0.25, lw=0)
    right.text(place[-1], 3.2, "2 to 5, as printed", ha="right", va="center")
    right.semilogy(place, medians["raw"] / medians["standardised"], marker="D", ls="-", color=GREY)
    right.set(ylabel="epochs, raw / standardised")
    for axes in (left, right):
        axes.set_xticks(place, [f"{base:g}" for base in medians.index])
        axes.set(xlabel="base of the scales")
    plt.close(figure)
    return figure


def effective_spectrum(spectra: pd.DataFrame, ratios: pd.DataFrame):
    """Plot the eigenvalues of H and H* of one problem, and the distribution of kappa(H*) / kappa(H) over many.

    Args:
        spectra: columns ``matrix``, ``rank`` (1 = largest), ``eigenvalue``.
        ratios: table of `effective_conditioning`.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2))
    for matrix, look in line_styles(list(dict.fromkeys(spectra["matrix"]))).items():
        rows = spectra[spectra["matrix"] == matrix]
        left.plot(rows["rank"], rows["eigenvalue"], label=matrix, **look)
    left.set(xlabel="rank of the eigenvalue", ylabel="eigenvalue (power)", ylim=(0, None))
    left.legend()
    for kind, look in line_styles(list(dict.fromkeys(ratios["H"]))).items():
        rows = ratios[ratios["H"] == kind]
        sizes = np.sort(rows["kappa_star"] / rows["kappa"])
        share = np.arange(1, len(sizes) + 1) / len(sizes)
        right.semilogx(sizes, share, label=kind, **look | {"marker": ""})
    right.axvline(1, color=GREY, lw=1, ls="-")
    right.set(xlabel="$\\kappa(H^*)/\\kappa(H)$", ylabel="share of problems below")
    right.legend(title="$H$", fontsize=10)
    plt.close(figure)
    return figure


def learning_rates(sweep: pd.DataFrame):
    """Plot iterations against the learning rate for each method: median and quartiles over seeds; never: on top."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4))
    finite = sweep.loc[np.isfinite(sweep["iterations"]), "iterations"]
    ceiling = 3 * finite.max() if len(finite) else 1.0
    for number, (method, look) in enumerate(line_styles(list(dict.fromkeys(sweep["method"]))).items()):
        runs = sweep[sweep["method"] == method].assign(iterations=lambda t: t["iterations"].clip(upper=1e300))
        low, middle, high = (runs.groupby("rate")["iterations"].quantile(q) for q in (0.25, 0.5, 0.75))
        reached = middle < 1e299
        axes.loglog(middle.index[reached], middle[reached], label=method, **look)
        band = {"color": look["color"], "alpha": 0.2, "lw": 0}
        axes.fill_between(middle.index, low, high.clip(upper=ceiling), where=reached, **band)
        never = middle.index[~reached]
        axes.plot(never, np.full(len(never), ceiling * 1.7**number), color=look["color"], marker=look["marker"],
                  mfc="none", ls="none")  # fmt: skip
    axes.axhline(ceiling / 1.5, color=GREY, lw=0.8, ls=":")
    axes.set(xlabel="learning rate", ylabel="iterations (above the line: not reached)")
    figure.legend(**BELOW, ncols=3)
    plt.close(figure)
    return figure


def lengths_and_rates(traces: pd.DataFrame):
    """Plot how the weight's length grows and the effective rate falls, for a few learning rates."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2))
    rates = sorted(traces["rate"].unique())
    for rate, look in zip(rates, line_styles([f"{rate:g}" for rate in rates]).values(), strict=True):
        run = traces[traces["rate"] == rate]
        thin = look | {"markevery": max(1, len(run) // 8)}
        left.loglog(run["step"], run["length"], label=f"{rate:g}", **thin)
        right.loglog(run["step"], run["times_bound"], **thin)
    right.axhline(1, color=GREY, lw=1.2, ls="-")
    left.set(xlabel="step", ylabel="$\\Vert w\\Vert$")
    right.set(xlabel="step", ylabel="effective rate $\\cdot\\,\\lambda_{\\max}(H^*)/2$")
    figure.legend(**BELOW, ncols=4, title="learning rate")
    plt.close(figure)
    return figure


def rayleigh_bound(curves: pd.DataFrame, worst: pd.DataFrame):
    """Plot one problem's gaps beside the bound, two starts, and the worst gap / bound over random problems."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(7, 4.4))
    for axes, start in zip(panels[:2], ("random", "hardest"), strict=True):
        rows = curves[curves["start"] == start]
        for series, look in line_styles(list(dict.fromkeys(rows["series"]))).items():
            run = rows[rows["series"] == series]
            axes.semilogy(run["step"], run["gap"], label=series, markevery=max(1, len(run) // 6), **look)
        axes.set(title=f"{start} start", xlabel="step", ylim=(1e-8, 2))
    panels[0].set_ylabel("gap / first gap")
    panels[1].set_yticklabels([])
    handles, names = panels[0].get_legend_handles_labels()
    for number, length in enumerate(sorted(worst["step_length"].unique()), start=3):
        run = worst[worst["step_length"] == length]
        words = "gap / bound, the paper's step" if length == 1 else f"gap / bound, {length:g} times that step"
        (line,) = panels[2].semilogy(run["step"], run["worst_ratio"], color=COLOURS[number], ls=("-", "--")[number - 3])
        handles.append(line)
        names.append(words)
    panels[2].axhline(1, color=GREY, lw=1, ls=":")
    panels[2].set(title="worst of all", xlabel="step")
    figure.legend(handles, names, **BELOW, ncols=2)
    plt.close(figure)
    return figure
