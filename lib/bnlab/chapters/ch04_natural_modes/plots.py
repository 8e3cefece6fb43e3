"""Figures of the natural modes of a layer: what they are, how they decay, when they do not (Chai et al. 2020).

Every function takes tidy tables and returns a closed matplotlib Figure. Eigenvalues come in units of the largest one,
rates mu in units of 1 / lambda_max, unless a docstring says otherwise. The playable figure is in `mode_player`, figures
of trained layers are in `mode_experiments`.
"""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, MARKERS, line_styles


def modes_as_patches(spectrum: pd.DataFrame, patterns: pd.DataFrame):
    """Plot the spectrum of R, and some of its eigenvectors as the patches they are.

    Args:
        spectrum: columns ``mode`` (1 = largest), ``eigenvalue`` (in units of the largest).
        patterns: columns ``mode``, ``row``, ``column`` (pixels), ``weight``; the modes to draw, one input channel.
    """
    import matplotlib.pyplot as plt

    chosen = sorted(patterns["mode"].unique())
    figure, panels = plt.subplot_mosaic(
        [["spectrum"] * len(chosen), [f"patch {mode}" for mode in chosen]], figsize=(7, 5.2), height_ratios=(1.7, 1)
    )
    axes = panels["spectrum"]
    positive = spectrum[spectrum["eigenvalue"] > 0]
    axes.semilogy(positive["mode"], positive["eigenvalue"], marker="o", ls="-", color=COLOURS[0])
    drawn = positive[positive["mode"].isin(chosen)]
    axes.semilogy(drawn["mode"], drawn["eigenvalue"], marker="o", ms=11, mfc="none", mec=COLOURS[1], mew=2, ls="none")
    axes.set(xlabel="mode $k$, by eigenvalue", ylabel="$\\lambda_k / \\lambda_{\\max}$", title="eigenvalues of $R$")
    for mode in chosen:
        pattern = patterns[patterns["mode"] == mode]
        grid = pattern.pivot_table(index="row", columns="column", values="weight").to_numpy()
        reach = np.abs(grid).max()
        panels[f"patch {mode}"].imshow(grid, cmap="RdBu_r", vmin=-reach, vmax=reach)
        panels[f"patch {mode}"].set(title=f"mode {mode}", xticks=[], yticks=[])
    plt.close(figure)
    return figure


def two_signs(decays: pd.DataFrame):
    """Plot |v_k(n)| under the printed and the corrected equation 4, one panel each; points run, lines are laws.

    Args:
        decays: columns ``form``, ``eigenvalue`` (in units of the largest), ``n`` (steps), ``measured`` and ``law``
            (|v_k(n)| / |v_k(0)|).
    """
    import matplotlib.pyplot as plt

    forms = list(dict.fromkeys(decays["form"]))
    figure, panels = plt.subplots(1, len(forms), figsize=(7, 4.2), squeeze=False)
    for axes, form in zip(panels[0], forms, strict=True):
        _decay_lines(axes, decays[decays["form"] == form])
        axes.set(title=form, xlabel="step $n$")
    panels[0, 0].set_ylabel("$|v_k(n)| / |v_k(0)|$")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, title="$\\lambda_k / \\lambda_{\\max}$")
    plt.close(figure)
    return figure


def pure_and_mixed(curves: pd.DataFrame):
    """Plot entries of C and of V = Q^T C with the best single exponential of each, one panel a kind.

    Args:
        curves: columns ``kind``, ``name``, ``n`` (steps, from 1), ``value`` and ``fit`` (units of a weight).
    """
    import matplotlib.pyplot as plt

    kinds = list(dict.fromkeys(curves["kind"]))
    figure, panels = plt.subplots(1, len(kinds), figsize=(7, 4.4), sharey=True, squeeze=False)
    for axes, kind in zip(panels[0], kinds, strict=True):
        rows = curves[curves["kind"] == kind]
        for number, (name, row) in enumerate(rows.groupby("name", sort=False)):
            look = {"color": COLOURS[number], "marker": MARKERS[number]}
            axes.semilogx(row["n"], row["value"], ls="none", label=name, **look)
            axes.semilogx(row["n"], row["fit"], color=COLOURS[number], ls="-", lw=1.2)
        axes.set(title=kind, xlabel="step $n$")
        axes.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    panels[0, 0].set_ylabel("weight error")
    plt.close(figure)
    return figure


def conventions(growth: pd.DataFrame, bounds: pd.DataFrame):
    """Plot the growth of the largest mode a step against the rate, under several conventions for loss and mean.

    Args:
        growth: columns ``convention``, ``mu`` (times lambda_max, pure number), ``factor`` (|v(n+1) / v(n)|, measured).
        bounds: columns ``convention``, ``bound`` (same unit as mu).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    for convention, look in line_styles(list(bounds["convention"])).items():
        rows = growth[growth["convention"] == convention]
        bound = bounds.set_index("convention").loc[convention, "bound"]
        axes.semilogx(rows["mu"], rows["factor"], label=convention, **look | {"marker": ""})
        axes.plot(bound, 1, color=look["color"], marker=look["marker"], ms=9, mec="black", zorder=5)
    axes.axhline(1, color="#444444", lw=1, ls="-")
    axes.set(xlabel="rate $\\mu\\,\\lambda_{\\max}$", ylabel="growth of the top mode a step", ylim=(0, 2.3))
    figure.legend(loc="outside lower center", ncols=1)
    plt.close(figure)
    return figure


def time_constants(single: pd.DataFrame, spectrum: pd.DataFrame, crossover: float):
    """Plot tau against mu lambda for one mode (two formulas, and measured), and tau of every mode against mu.

    Args:
        single: columns ``source``, ``mu_lambda`` (pure number), ``tau`` (steps; nan where undefined).
        spectrum: columns ``eigenvalue`` (in units of the largest), ``mu`` (of 1 / lambda_max), ``tau`` (steps).
        crossover: mu at which the slowest mode changes, same unit.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.8), sharey=True)
    sources = list(dict.fromkeys(single["source"]))
    for source, look in line_styles(sources).items():
        rows = single[single["source"] == source]
        points = source == sources[-1]  # the measured ones stand last
        left.semilogy(rows["mu_lambda"], rows["tau"], label=source, **look | {
            "marker": "o" if points else "", "linestyle": "none" if points else look["linestyle"]})  # fmt: skip
    left.axvline(1, color="#444444", lw=0.8, ls=":")
    left.set(xlabel="$\\mu\\lambda_k$", ylabel="time constant $\\tau_k$ (steps)", ylim=(0.2, 60), xlim=(0, 2.05))
    below = {"fontsize": 10, "loc": "upper center", "bbox_to_anchor": (0.5, -0.18), "ncols": 2}
    left.legend(**below)
    for eigenvalue, look in line_styles(sorted(spectrum["eigenvalue"].unique())).items():
        rows = spectrum[spectrum["eigenvalue"] == eigenvalue]
        right.semilogy(rows["mu"], rows["tau"], label=f"{eigenvalue:.2g}", **look | {"marker": ""})
    slowest = spectrum.groupby("mu")["tau"].max()
    right.semilogy(slowest.index, slowest, color="#444444", lw=7, alpha=0.2, ls="-", label="slowest")
    right.axvline(crossover, color="#444444", lw=0.8, ls=":")
    right.set(xlabel="$\\mu\\,\\lambda_{\\max}$", xlim=(0, 2.05))
    right.legend(title="$\\lambda_k / \\lambda_{\\max}$", **below | {"ncols": 3})
    plt.close(figure)
    return figure


def _decay_lines(axes, decays: pd.DataFrame) -> None:
    """Points (measured) on lines (law), one colour and marker an eigenvalue, logarithmic."""
    for number, eigenvalue in enumerate(sorted(decays["eigenvalue"].unique(), reverse=True)):
        rows = decays[decays["eigenvalue"] == eigenvalue]
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.semilogy(rows["n"], rows["law"], color=colour, ls="-", lw=1.2)
        axes.semilogy(rows["n"], rows["measured"], color=colour, marker=marker, ls="none", label=f"{eigenvalue:.2g}",
                      markevery=max(1, len(rows) // 12))  # fmt: skip
