"""Figures of R of a network's second convolution before and after its channels are normalised (chapter 05).

Every function takes tables of `channel_scaling` and returns a closed matplotlib Figure; the same
function draws the quick and the recorded run.
"""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, line_styles

BELOW = {"loc": "outside lower center"}
GREY = "#444444"
AS_DRAWN = "as drawn"  # the weights before any training, in column ``weights``


def block_maps(blocks: pd.DataFrame, channels: int = 6):
    """Plot R as a heat map, plain and with its channels scaled.

    Args:
        blocks: table ``blocks``: ``row``, ``column``, ``plain``, ``scaled`` (power).
        channels: how many blocks stand on a side.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 3.7))
    for axes, view in zip(panels, ("plain", "scaled"), strict=True):
        R = blocks.pivot_table(index="row", columns="column", values=view).to_numpy()
        pixels = len(R) // channels
        image = axes.imshow(R, cmap="cividis", vmin=min(0, R.min()))
        middles = np.arange(channels) * pixels + pixels / 2 - 0.5
        axes.set_xticks(middles, range(channels))
        axes.set_yticks(middles, range(channels))
        for edge in np.arange(1, channels) * pixels - 0.5:
            axes.axhline(edge, color="white", lw=0.8, ls="-")
            axes.axvline(edge, color="white", lw=0.8, ls="-")
        axes.grid(False)
        axes.set(xlabel="channel", ylabel="channel", title=f"$\\mathbb{{R}}$, {view}")
        figure.colorbar(image, ax=axes, shrink=0.75, label="power")
    plt.close(figure)
    return figure


def spectra(table: pd.DataFrame, weights: str = AS_DRAWN):
    """Plot eigenvalues of three views of one network, and their ratios to the plain ones beside Ostrowski's bounds.

    Args:
        table: table ``spectra``: ``weights``, ``seed``, ``rank``, ``plain``, ``scaled``, ``normalised``, ``low``,
            ``high`` (power).
        weights: which of them; of the first seed.
    """
    import matplotlib.pyplot as plt

    rows = table[(table["weights"] == weights) & (table["seed"] == table["seed"].min())]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2))
    looks = line_styles(["plain", "scaled", "normalised"])
    for view, look in looks.items():
        left.loglog(rows["rank"], rows[view], markevery=0.12, label=view, **look)
        if view != "plain":
            right.semilogx(rows["rank"], rows[view] / rows["plain"], markevery=0.12, **look)
    band = {"color": GREY, "alpha": 0.15, "lw": 0, "label": "Ostrowski's bounds on scaled"}
    right.fill_between(rows["rank"], rows["low"] / rows["plain"], rows["high"] / rows["plain"], **band)
    right.set_yscale("log")
    right.axhline(1, color=GREY, lw=1, ls="-")
    left.set(xlabel="rank of the eigenvalue", ylabel="eigenvalue (power)")
    right.set(xlabel="rank of the eigenvalue", ylabel="eigenvalue / plain eigenvalue")
    for axis in (right.yaxis.set_major_formatter, right.yaxis.set_minor_formatter):
        axis("{x:g}")
    figure.legend(**BELOW, ncols=4)
    plt.close(figure)
    return figure


def participations(table: pd.DataFrame, weights: str = AS_DRAWN):
    """Plot each channel's participation in each eigenvector (first seed), and the largest one (quartiles over seeds).

    Args:
        table: table ``participation``: ``weights``, ``seed``, ``rank``, ``channel``, ``participation``.
        weights: which of them.
    """
    import matplotlib.pyplot as plt

    rows = table[table["weights"] == weights]
    one = rows[rows["seed"] == rows["seed"].min()]
    grid = one.pivot_table(index="channel", columns="rank", values="participation").to_numpy()
    channels, modes = grid.shape
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(1, 1.1))
    extent = (0.5, modes + 0.5, channels - 0.5, -0.5)
    image = above.imshow(grid, aspect="auto", cmap="cividis", vmin=0, vmax=1, extent=extent, interpolation="none")
    above.grid(False)
    above.set_yticks(range(channels))
    above.set(ylabel="channel")
    figure.colorbar(image, ax=above, label="participation")
    largest = (
        rows.groupby(["seed", "rank"])["participation"].max().groupby("rank").quantile([0.25, 0.5, 0.75]).unstack()
    )
    below.fill_between(largest.index, largest[0.25], largest[0.75], color=COLOURS[0], alpha=0.25, lw=0)
    below.plot(largest.index, largest[0.5], color=COLOURS[0], ls="-", label="median and quartiles over seeds")
    below.axhline(1, color=GREY, lw=1, ls=":", label="decorrelated channels")
    below.axhline(1 / channels, color=GREY, lw=1, ls="--", label="spread evenly")
    below.set(xlabel="rank of the eigenvalue", ylabel="largest participation", ylim=(0, 1.05))
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def control(summary: pd.DataFrame):
    """Plot kappa after normalisation over kappa before, and the two conditions under which scaling controls kappa.

    Args:
        summary: table ``summary``: ``weights``, ``seed``, ``view``, ``kappa``, ``floor``, ``leverage``, ``coherence``.
    """
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(summary["weights"]))
    views = summary.set_index(["weights", "seed"])
    plain = views[views["view"] == "plain"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.4), sharey=True)
    arms = {"divided by RMS": "scaled", "Batch Normalization": "normalised", "best channel gains": "best"}
    kappas = {label: views[views["view"] == view]["kappa"] / plain["kappa"] for label, view in arms.items()}
    kappas["largest κ inside a channel"] = plain["floor"] / plain["kappa"]
    conditions = {"leverage of the channels": plain["leverage"], "coherence of the channels": plain["coherence"]}
    looks = line_styles([*kappas, *conditions])
    for number, (label, ratios) in enumerate(kappas.items()):
        _dots(left, ratios, names, 0.2 * (number - 1.5), label, looks[label])
    for number, (label, values) in enumerate(conditions.items()):
        _dots(right, values, names, 0.2 * (number - 0.5), label, looks[label])
    left.axvline(1, color=GREY, lw=1, ls="-")
    left.set_xscale("log")
    left.set(xlabel="κ after / κ before")
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    right.set(xlabel="leverage, coherence", xlim=(-0.03, 1.03))
    figure.legend(**BELOW, ncols=2)
    plt.close(figure)
    return figure


def _dots(axes, values: pd.Series, names: list[str], shift: float, label: str, look: dict) -> None:
    """Draw every seed small, and the median large, one line of the axes for each kind of weights."""
    for place, name in enumerate(names):
        seeds = values.xs(name, level="weights").dropna()
        colour, marker = look["color"], look["marker"]
        axes.plot(seeds, [place + shift] * len(seeds), marker, color=colour, ms=4, alpha=0.4, ls="none")
        axes.plot([seeds.median()], [place + shift], marker, color=colour, ms=8, label=label if not place else None)
