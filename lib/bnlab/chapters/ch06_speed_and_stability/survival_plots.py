"""Figures of the survival runs: largest rates in octaves, and what a rate that is survived is worth."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bnlab.chapters.ch06_speed_and_stability.survival import NAMES, PLACES
from bnlab.figures.shapes import legend_below, lines_with_quartiles, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles

LOOKS = line_styles(NAMES)
SHAPES = ("o", "s", "D")
TOP = 30.0  # ratios of losses above are drawn here
STILL = 1e-3  # degrees a step below which the axis is linear, down to 0


def largest_octaves(found: Mapping[str, pd.DataFrame]):
    """Plot the largest octave that every arm survives, one panel a place: each seed, and the median as a bar.

    Args:
        found: by what the legend calls them, tables ``norm``, ``swept``, ``seed``, ``octave``, ``beyond``; the first in
            the colours of the arms, the others below it in grey.
    """
    first = next(iter(found.values()))
    places = [place for place in PLACES if place in set(first["swept"])]
    norms = [norm for norm in NAMES if norm in set(first["norm"])]
    height = 1.5 + (0.3 + 0.16 * len(found)) * len(norms)
    figure, panels = subplots(1, len(places), height=height, sharey=True, squeeze=False)
    for axes, place in zip(panels[0], places, strict=True):
        for number, table in enumerate(found.values()):
            shift = 0.26 * (number - (len(found) - 1) / 2)
            for height, norm in enumerate(norms):
                rows = table[(table["swept"] == place) & (table["norm"] == norm)]
                if len(rows):
                    _seeds(axes, rows, height + shift, SHAPES[number], GREY if number else LOOKS[norm]["color"])
        axes.set(title=PLACES[place], xlabel="rate, power of two")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    left = panels[0][0]
    for number, name in enumerate(found):
        left.plot([], [], SHAPES[number], color=GREY if number else COLOURS[0], label=name)
    left.set_yticks(range(len(norms)), [NAMES[norm] for norm in norms])
    left.set_ylim(len(norms) - 0.4, -0.6)
    bounds = set().union(*(table["beyond"] for table in found.values()))
    for beyond, marker, name in (("above", ">", "at least"), ("below", "<", "at most")):
        if beyond in bounds:
            left.plot([], [], marker, color=GREY, ls="none", markerfacecolor="white", label=name)
    legend_below(figure, 2)
    return figure


def _seeds(axes, rows: pd.DataFrame, height: float, shape: str, colour: str) -> None:
    """Draw one point a seed, open where the grid ended first (or began after), and the median."""
    for beyond, marker in (("", shape), ("above", ">"), ("below", "<")):
        part = rows[rows["beyond"] == beyond]
        spread = np.linspace(-0.08, 0.08, len(part)) if len(part) > 1 else np.zeros(len(part))
        axes.plot(part["octave"], height + spread, marker, ls="none", color=colour, ms=5,
                  markerfacecolor="white" if beyond else colour)  # fmt: skip
    axes.plot([rows["octave"].median()] * 2, [height - 0.12, height + 0.12], color="black", lw=2, ls="-")


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
    lines_with_quartiles(right, table, "octave", "turn", "norm", looks=LOOKS, label=None, spread="none")
    left.set(yscale="log", xlabel="rate, power of two", ylabel="test loss over that of frozen convolutions")
    right.set(xlabel="rate, power of two", ylabel="turn of conv2's filters (degrees a step)")
    right.set_yscale("symlog", linthresh=STILL, linscale=0.3)  # half of the filters may stand still: 0
    right.set_ylim(bottom=0)
    legend_below(figure, 3)
    return figure
