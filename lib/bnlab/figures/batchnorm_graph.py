"""Pictures of chapter 1: the computation graph of Batch Normalization, and its forward pass to play with."""

import numpy as np
import pandas as pd

from bnlab.figures import COLOURS

BACKWARD = COLOURS[1]
NODES = {"x": (1.1, 2.0), "mean": (4.3, 3.5), "variance": (4.3, 0.5), "x_hat": (7.2, 2.0), "y": (9.6, 2.0)}
WORDS = {"x": "$x_i$", "mean": "$\\mu_B$", "variance": "$\\sigma_B^2$", "x_hat": "$\\hat x_i$", "y": "$y_i$"}
PATHS = [("x", "mean"), ("x", "variance"), ("mean", "variance"), ("x", "x_hat"), ("mean", "x_hat"),
         ("variance", "x_hat"), ("x_hat", "y")]  # fmt: skip
FORWARD_WORDS = {
    ("x", "mean"): ("mean", (1.9, 3.1)),
    ("x", "variance"): ("mean square of\n$x_i - \\mu_B$", (1.5, 0.6)),
    ("mean", "x_hat"): ("subtract", (6.4, 3.1)),
    ("variance", "x_hat"): ("divide by $\\sqrt{\\sigma_B^2 + \\epsilon}$", (6.9, 0.75)),
    ("x_hat", "y"): ("$\\gamma\\hat x_i + \\beta$", (8.45, 2.4)),
}
BACKWARD_WORDS = {
    ("x", "mean"): ("③ $\\frac{1}{m}\\,\\frac{\\partial L}{\\partial\\mu_B}$", (1.9, 3.15)),
    ("x", "variance"): ("② $\\frac{2(x_i-\\mu_B)}{m}\\,\\frac{\\partial L}{\\partial\\sigma_B^2}$", (1.55, 0.65)),
    ("mean", "variance"): ("sums\nto 0", (3.75, 1.35)),
    ("x", "x_hat"): (
        "① $\\frac{1}{\\sqrt{\\sigma_B^2+\\epsilon}}\\,\\frac{\\partial L}{\\partial\\hat x_i}$",
        (2.75, 2.42),
    ),
    ("mean", "x_hat"): ("$\\frac{\\partial L}{\\partial\\mu_B}$", (6.25, 3.15)),
    ("variance", "x_hat"): ("$\\frac{\\partial L}{\\partial\\sigma_B^2}$", (6.35, 0.8)),
    ("x_hat", "y"): ("$\\gamma\\,\\frac{\\partial L}{\\partial y_i}$", (8.45, 2.5)),
}


def computation_graph():
    """Draw the graph of the forward pass, and the same graph run backwards with the derivative on every edge."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 1, figsize=(7, 6.8))
    for axes, words, backward in zip(panels, (FORWARD_WORDS, BACKWARD_WORDS), (False, True), strict=True):
        axes.set(xlim=(0.3, 10.4), ylim=(-0.1, 4.3))
        axes.axis("off")
        for path in PATHS:
            ends = [NODES[name] for name in path]
            look = {"arrowstyle": "<|-" if backward else "-|>", "shrinkA": 21, "shrinkB": 21, "linewidth": 1.5,
                    "color": BACKWARD if backward else "black", "linestyle": "--" if backward else "-"}  # fmt: skip
            axes.annotate("", ends[1], ends[0], arrowprops=look)
            if path in words:
                text, place = words[path]
                axes.text(*place, text, ha="center", va="center", fontsize=15 if backward and "frac" in text else 11)
        for name, place in NODES.items():
            box = {"boxstyle": "circle,pad=0.35", "facecolor": "#f0f0f0", "edgecolor": "black"}
            axes.text(*place, WORDS[name], ha="center", va="center", fontsize=14, bbox=box)
        axes.set_title("backward: the chain rule" if backward else "forward: one channel", loc="left")
    plt.close(figure)
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
    import matplotlib.pyplot as plt

    from bnlab.figures.animation import player

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
    figure, axes = plt.subplots(figsize=(5.4, 5.4), dpi=84)
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

    return player(figure, draw, len(steps), name=name, alt=alt, first=10)
