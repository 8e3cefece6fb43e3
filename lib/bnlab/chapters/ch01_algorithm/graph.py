"""Pictures of chapter 1: the computation graph of Batch Normalization, and its forward pass to play with."""

import numpy as np
import pandas as pd

from bnlab.figures.animation import player
from bnlab.figures.shapes import subplots
from bnlab.figures.style import COLOURS

BACKWARD = COLOURS[1]
NODES = {"x": (0.9, 2.0), "mean": (4.4, 3.7), "variance": (4.4, 0.3), "x_hat": (7.4, 2.0), "y": (10.0, 2.0)}
WORDS = {"x": "$x_i$", "mean": "$\\mu_B$", "variance": "$\\sigma_B^2$", "x_hat": "$\\hat x_i$", "y": "$y_i$"}
PATHS = [("x", "mean"), ("x", "variance"), ("mean", "variance"), ("x", "x_hat"), ("mean", "x_hat"),
         ("variance", "x_hat"), ("x_hat", "y")]  # fmt: skip
FORWARD_WORDS = {  # text beside an edge, and where its middle stands
    ("x", "mean"): ("mean", (1.9, 3.2)),
    ("x", "variance"): ("mean of\n$(x_i - \\mu_B)^2$", (1.6, 0.6)),
    ("mean", "x_hat"): ("subtract", (6.7, 3.15)),
    ("variance", "x_hat"): ("divide by\n$\\sqrt{\\sigma_B^2 + \\epsilon}$", (6.9, 0.7)),
    ("x_hat", "y"): ("$\\gamma\\hat x_i + \\beta$", (8.75, 2.45)),
}
BACKWARD_WORDS = {
    ("x", "mean"): ("③ $\\frac{1}{m}\\frac{\\partial L}{\\partial\\mu_B}$", (1.8, 3.35)),
    ("x", "variance"): ("② $\\frac{2(x_i-\\mu_B)}{m}\\frac{\\partial L}{\\partial\\sigma_B^2}$", (1.45, 0.55)),
    ("mean", "variance"): ("sums\nto 0", (5.0, 1.35)),
    ("x", "x_hat"): (
        "① $\\frac{1}{\\sqrt{\\sigma_B^2+\\epsilon}}\\frac{\\partial L}{\\partial\\hat x_i}$",
        (3.0, 2.0),
    ),
    ("mean", "x_hat"): ("$\\frac{\\partial L}{\\partial\\mu_B}$", (6.55, 3.3)),
    ("variance", "x_hat"): ("$\\frac{\\partial L}{\\partial\\sigma_B^2}$", (6.6, 0.7)),
    ("x_hat", "y"): ("$\\gamma\\frac{\\partial L}{\\partial y_i}$", (8.75, 2.55)),
}
STAGES = ("x, as it came", "centred", "divided by the standard deviation", "scaled by γ and shifted by β")
CAPTION = (
    "Step through the forward pass. The cross marks the mean of the two channels and one standard deviation to each "
    "side: where is it after each step, and does the cloud ever turn?"
)


def computation_graph():
    """Draw the graph of the forward pass, and the same graph run backwards with the derivative on every edge."""
    figure, panels = subplots(2, height=7.2)
    for axes, words, backward in zip(panels, (FORWARD_WORDS, BACKWARD_WORDS), (False, True), strict=True):
        axes.set(xlim=(0.2, 10.6), ylim=(-0.5, 4.4))
        axes.axis("off")
        for path in PATHS:
            look = {"arrowstyle": "<|-" if backward else "-|>", "shrinkA": 23, "shrinkB": 23, "linewidth": 1.6,
                    "color": BACKWARD if backward else "black", "linestyle": "--" if backward else "-",
                    "mutation_scale": 16}  # fmt: skip
            axes.annotate("", NODES[path[1]], NODES[path[0]], arrowprops=look)
        for text, place in words.values():
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            axes.text(*place, text, ha="center", va="center", fontsize=21 if "frac" in text else 13, bbox=ground)
        for name, place in NODES.items():
            box = {"boxstyle": "circle,pad=0.3", "facecolor": "#f0f0f0", "edgecolor": "black"}
            axes.text(*place, WORDS[name], ha="center", va="center", fontsize=17, bbox=box)
        title = "backward: the chain rule, against the arrows" if backward else "forward: one channel"
        axes.set_title(title, loc="left", fontsize=14)
    return figure


def forward_player(points: pd.DataFrame, gamma: list[float], beta: list[float], eps: float, *, name: str, alt: str):
    """Build the player: a cloud of two channels is centred, scaled to unit variance, then scaled and shifted again.

    Args:
        points: the values of two channels at the same images and positions, columns ``first`` and ``second``.
        gamma: scale of each channel.
        beta: shift of each channel.
        eps: added to the variances.
        name: id of the elements, unique on the page.
        alt: what is shown, in words.
    """
    x = points[["first", "second"]].to_numpy()
    mean, spread = x.mean(0), np.sqrt(x.var(0) + eps)
    stages = [x, x - mean, (x - mean) / spread, (x - mean) / spread * gamma + beta]
    titles = [
        "$x$: as the convolution left it",
        "$x - \\mu_B$: centred",
        "$\\hat x$: divided by $\\sqrt{\\sigma_B^2+\\epsilon}$",
        "$y = \\gamma\\hat x + \\beta$: scaled and shifted",
    ]
    steps = [(stage, part) for stage in range(3) for part in np.linspace(0, 1, 6)[:-1]] + [(3, 0.0)]
    figure, axes = subplots(height=5.4, width=5.4, dpi=84)
    reach = 1.05 * max(np.abs(stage).max() for stage in stages)
    (cloud,) = axes.plot([], [], "o", markersize=4, alpha=0.5, color=COLOURS[0])
    (cross,) = axes.plot([], [], color=COLOURS[1], linestyle="-", marker="", linewidth=3)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="one channel", ylabel="another channel")
    axes.axhline(0, color="black", linewidth=0.6, linestyle="-")
    axes.axvline(0, color="black", linewidth=0.6, linestyle="-")

    def draw(frame: int) -> None:
        stage, part = steps[frame]
        now = stages[stage] if part == 0 else (1 - part) * stages[stage] + part * stages[stage + 1]
        centre, width = now.mean(0), now.std(0)
        cloud.set_data(now[:, 0], now[:, 1])
        cross.set_data([centre[0] - width[0], centre[0] + width[0], np.nan, centre[0], centre[0]],
                       [centre[1], centre[1], np.nan, centre[1] - width[1], centre[1] + width[1]])  # fmt: skip
        arrow = f"{titles[stage].split(':')[0]} → {titles[stage + 1]}" if part else titles[stage]
        axes.set_title(arrow, fontsize=12)

    labels = [STAGES[stage] + (f", {part:.0%} of the way on" if part else "") for stage, part in steps]
    return player(figure, draw, labels, name=name, knob="stage", alt=alt, caption=CAPTION, first=10)
