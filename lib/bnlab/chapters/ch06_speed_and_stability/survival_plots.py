"""Figures of the survival runs: largest rates in octaves, and what a rate that is survived is worth."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bnlab.chapters.ch06_speed_and_stability.survival import NAMES, PLACES
from bnlab.figures.shapes import legend_below, lines_with_quartiles, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles

LOOKS = line_styles(NAMES)
TOP = 30.0  # ratios of losses above are drawn here


def largest_octaves(found: dict[int, pd.DataFrame]):
    """Plot the largest octave that every arm survives, one panel a place: each seed, and the median as a bar.

    Args:
        found: by the steps of the runs, ``norm``, ``swept``, ``seed``, ``octave``, ``beyond``; the first large, the
            others small beside it.
    """
    first = next(iter(found.values()))
    places = [place for place in PLACES if place in set(first["swept"])]
    norms = [norm for norm in NAMES if norm in set(first["norm"])]
    figure, panels = subplots(1, len(places), height=1.5 + 0.42 * len(norms), sharey=True, squeeze=False)
    for axes, place in zip(panels[0], places, strict=True):
        for number, (steps, table) in enumerate(found.items()):
            shift = 0.28 * (number - (len(found) - 1) / 2)
            for height, norm in enumerate(norms):
                rows = table[(table["swept"] == place) & (table["norm"] == norm)]
                _seeds(axes, rows, height + shift, LOOKS[norm]["color"] if not number else GREY)
            if len(found) > 1:
                axes.plot([], [], "o", color=GREY if number else COLOURS[0], label=f"{steps:,} steps")
        axes.set(title=PLACES[place], xlabel="largest rate, power of two")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panels[0][0].set_yticks(range(len(norms)), [NAMES[norm] for norm in norms])
    panels[0][0].set_ylim(len(norms) - 0.4, -0.6)
    panels[0][0].plot([], [], ">", color=GREY, markerfacecolor="white", label="at least")
    legend_below(figure, 3)
    return figure


def _seeds(axes, rows: pd.DataFrame, height: float, colour: str) -> None:
    """Draw one point a seed, open where the grid ended first (or before), and the median."""
    for beyond, marker in (("", "o"), ("above", ">"), ("below", "<")):
        part = rows[rows["beyond"] == beyond]
        spread = np.linspace(-0.08, 0.08, len(part)) if len(part) > 1 else np.zeros(len(part))
        axes.plot(part["octave"], height + spread, marker, ls="none", color=colour, ms=5,
                  markerfacecolor="white" if beyond else colour)  # fmt: skip
    axes.plot([rows["octave"].median()] * 2, [height - 0.14, height + 0.14], color="black", lw=2, ls="-")


def worth(found: pd.DataFrame):
    """Plot what is reached against the rate: test loss over that of the twins, and the last turn of conv2's filters.

    Args:
        found: ``norm``, ``learning_rate``, ``seed``, ``loss``, ``twin`` (nats), ``turn`` (degrees) of the survivors; a
            ratio above `TOP` is drawn there.
    """
    ratio = (found["loss"] / found["twin"]).clip(upper=TOP)
    table = found.assign(ratio=ratio, octave=np.log2(found["learning_rate"]))
    figure, (left, right) = subplots(1, 2, height=4.2)
    lines_with_quartiles(left, table, "octave", "ratio", "norm", looks=LOOKS, label=NAMES.get, spread="band")
    left.axhline(1, color="black", lw=1, ls="--")
    turning = table[table["turn"] > 0]
    lines_with_quartiles(right, turning, "octave", "turn", "norm", looks=LOOKS, label=None, spread="none")
    left.set(yscale="log", xlabel="rate, power of two", ylabel="test loss over that of frozen convolutions")
    right.set(yscale="log", xlabel="rate, power of two", ylabel="turn of conv2's filters (degrees a step)")
    legend_below(figure, 3)
    return figure
