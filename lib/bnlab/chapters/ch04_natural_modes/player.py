"""The playable figure of chapter 4: factors and modes as the rate crosses 2 / lambda_max (Chai et al. 2020, Eq. 6)."""

import numpy as np
import pandas as pd

from bnlab.figures.animation import player
from bnlab.figures.shapes import groups, subplots
from bnlab.figures.style import COLOURS, GREY, MARKERS

# In units of 1 / lambda_max; slow where something happens: the factor of the largest eigenvalue reaches -1 at 2.
RATES = (*(round(0.1 * n, 2) for n in range(1, 18)), 1.8, 1.85, 1.9, 1.95, 1.98, 2.0, 2.02, 2.05, 2.1)
FLOOR, CEILING = 1e-5, 1e3  # of the axis of |v_k(n)| / |v_k(0)|
CAPTION = (
    "Move the rate from left to right. Above, the factor by which a step multiplies each mode; below, the size of each "
    "mode after n steps. Where does the largest eigenvalue's mode vanish in one step, and where does it return?"
)
ZONES = ((-1.6, -1.0, "#D55E00", "grows"), (-1.0, 0.0, "#E69F00", "alternates"), (0.0, 1.0, "#009E73", "decays"))


def decay_player(decays: pd.DataFrame, *, name: str, alt: str, first: int = 11):
    """Build the player: factors 1 - mu lambda_k on a line above, |v_k(n)| below, one frame for each rate of the table.

    Args:
        decays: columns mu_lambda_max (rate in units of 1 / lambda_max), eigenvalue (in units of lambda_max), n (steps),
            v (v_k(n) / v_k(0)); every rate holds the same modes and steps.
        name: id of the elements, unique on the page.
        alt: what is shown, in words.
        first: the frame that stands for all on paper.
    """
    rates = groups(decays["mu_lambda_max"])
    eigenvalues = groups(decays["eigenvalue"])[::-1]
    by_rate = {rate: part for rate, part in decays.groupby("mu_lambda_max")}
    figure, (line, curves) = subplots(2, height=6.4, width=6.0, dpi=84, height_ratios=(1, 1.5))
    dots = _factor_line(line, eigenvalues)
    trails = _mode_axes(curves, eigenvalues, int(decays["n"].max()))
    heading = figure.suptitle("$\\mu$", fontsize=15, fontweight="bold")
    state = line.set_title("Stable", fontsize=12, pad=22, x=0.42)

    def draw(frame: int) -> None:
        rate = rates[frame]
        table = by_rate[rate].pivot_table(index="n", columns="eigenvalue", values="v")
        slowest = _slowest(rate, eigenvalues)
        for k, eigenvalue in enumerate(eigenvalues):
            factor = 1 - rate * eigenvalue
            dot, way = dots[k]
            dot.set_data([factor], [k])
            dot.set_markersize(14 if k == slowest else 9)
            way.set_data([1, factor], [k, k])
            v = table[eigenvalue].to_numpy()
            inside = (np.abs(v) >= FLOOR) & (np.abs(v) <= 2 * CEILING)
            curve, positive, negative = trails[k]
            steps = table.index.to_numpy()
            curve.set_data(steps, np.clip(np.abs(v), FLOOR / 1e3, None))
            positive.set_data(steps[inside & (v > 0)], v[inside & (v > 0)])
            negative.set_data(steps[inside & (v < 0)], -v[inside & (v < 0)])
        heading.set_text(f"$\\mu$ = {rate:.2f} / $\\lambda_{{\\max}}$")
        state.set_text(_state(rate, eigenvalues, slowest))
        state.set_color("#96330a" if rate > 2 else "#222222")

    labels = [f"{rate:.2f} / λmax" for rate in rates]
    return player(figure, draw, labels, name=name, knob="learning rate μ", alt=alt, caption=CAPTION, first=first)


def _factor_line(axes, eigenvalues: list[float]) -> list[tuple]:
    """Prepare the line of factors: zones, unit interval, one row a mode; give the movable dot and bar of each mode."""
    for low, high, colour, word in ZONES:
        axes.axvspan(low, high, color=colour, alpha=0.13, lw=0)
        axes.text((low + high) / 2, 1.03, word, transform=axes.get_xaxis_transform(), ha="center", fontsize=11)
    for edge, width in ((-1, 2), (0, 0.8), (1, 2)):
        axes.axvline(edge, color=GREY, lw=width, ls="-" if width > 1 else ":")
    movable = []
    for k, colour in enumerate(COLOURS[: len(eigenvalues)]):
        (way,) = axes.plot([], [], color=colour, lw=4, alpha=0.3, ls="-", solid_capstyle="butt")
        (dot,) = axes.plot([], [], color=colour, marker=MARKERS[k], ls="none", mec="black", mew=0.7, zorder=5)
        movable.append((dot, way))
    labels = [f"{value:.2g} $\\lambda_{{\\max}}$" for value in eigenvalues]
    axes.set(xlim=(-1.6, 1.08), ylim=(len(eigenvalues) - 0.4, -0.6), yticks=range(len(eigenvalues)))
    axes.set_yticklabels(labels)
    axes.set_xticks([-1.5, -1, -0.5, 0, 0.5, 1])
    axes.grid(False)
    axes.set_xlabel("factor $1 - \\mu\\lambda_k$ by which a step multiplies the mode")
    return movable


def _mode_axes(axes, eigenvalues: list[float], steps: int) -> list[tuple]:
    """Prepare the axes of |v_k(n)|; give the curve, the positive and the negative points of each mode."""
    movable = []
    for k, colour in enumerate(COLOURS[: len(eigenvalues)]):
        (curve,) = axes.semilogy([], [], color=colour, lw=1.4, ls="-")
        look = {"color": colour, "marker": MARKERS[k], "ls": "none", "ms": 6, "clip_on": True}
        (positive,) = axes.semilogy([], [], **look)
        (negative,) = axes.semilogy([], [], **look, mfc="white")
        movable.append((curve, positive, negative))
    axes.axhline(1, color=GREY, lw=1, ls="-")
    axes.set(xlim=(-0.5, steps + 0.5), ylim=(FLOOR, CEILING), xlabel="step $n$", ylabel="$|v_k(n)| / |v_k(0)|$")
    axes.text(0.99, 0.97, "filled: $v_k$ keeps its sign, open: changed", transform=axes.transAxes, ha="right", va="top",
              fontsize=11)  # fmt: skip
    return movable


def _slowest(rate: float, eigenvalues: list[float]) -> int:
    return int(np.argmax([abs(1 - rate * value) for value in eigenvalues]))


def _state(rate: float, eigenvalues: list[float], slowest: int) -> str:
    if rate > 2:
        return "Unstable: the mode of the largest eigenvalue grows"
    if rate == 2:
        return "On the edge: the largest eigenvalue's mode only changes sign"
    which = {0: "largest", len(eigenvalues) - 1: "smallest"}.get(slowest, "middle")
    factor = abs(1 - rate * eigenvalues[slowest])
    halving = np.log(0.5) / np.log(factor)
    return f"Stable. Slowest: the {which} eigenvalue, halved in {halving:.3g} steps"
