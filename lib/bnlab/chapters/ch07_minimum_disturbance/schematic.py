"""The schematic of figure 9 of Chai et al. 2020: where a normalisation stands beside a convolution."""

from itertools import pairwise

from bnlab.figures.shapes import subplots
from bnlab.figures.style import COLOURS

# Panel -> blocks in the order of the forward pass, and how the weights' step is made.
PANELS = {
    "a: Baseline": (("conv", "ReLU"), "$\\delta\\,x$"),
    "b: BN after": (("conv", "BN", "ReLU"), "$\\delta\\,x$"),
    "c: NLMS": (("conv", "ReLU"), "$\\delta\\,x\\,/\\,\\Vert x\\Vert^2$"),
    "d: BN before (BN_Prior)": (("BN", "conv", "ReLU"), "$\\delta\\,\\hat x$"),
}
FILLS = {"conv": "#d5e8f4", "BN": "#fbe3d0", "ReLU": "#f0f0f0"}
BACK = COLOURS[1]


def arrangements():
    """Draw the four arrangements: solid arrows forward, dashed arrows back, and what the step of the weights is."""
    figure, grid = subplots(2, 2, height=5.4)
    for axes, (title, (blocks, step)) in zip(grid.flat, PANELS.items(), strict=True):
        axes.set(xlim=(0, 10), ylim=(0, 6))
        axes.axis("off")
        axes.set_title(title, loc="left", fontsize=13)
        places = [10 * (number + 1) / (len(blocks) + 1) for number in range(len(blocks))]
        ends = [0.1, *places, 9.9]
        for left, right in pairwise(ends):
            start, stop = left + (0.9 if left > 1 else 0), right - (0.9 if right < 9 else 0)
            axes.annotate("", (stop, 4.4), (start, 4.4), arrowprops={"arrowstyle": "-|>", "lw": 1.6, "color": "black"})
            back = {"arrowstyle": "-|>", "lw": 1.4, "color": BACK, "linestyle": "--"}
            axes.annotate("", (start, 3.6), (stop, 3.6), arrowprops=back)
        for place, block in zip(places, blocks, strict=True):
            box = {"boxstyle": "round,pad=0.45", "facecolor": FILLS[block], "edgecolor": "black"}
            axes.text(place, 4.0, block, ha="center", va="center", fontsize=12, bbox=box)
        conv = places[blocks.index("conv")]
        down = {"arrowstyle": "-|>", "lw": 1.4, "color": BACK, "linestyle": "--"}
        axes.annotate("", (conv, 1.9), (conv, 3.3), arrowprops=down)
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": BACK}
        axes.text(conv, 1.3, f"step of $w$: $-\\mu\\,\\Sigma$ {step}", ha="center", va="center", fontsize=12, bbox=box)
        axes.text(0.1, 4.75, "$x$", fontsize=12)
        axes.text((ends[blocks.index("conv") + 1] + ends[blocks.index("conv") + 2]) / 2, 2.95, "$\\delta$",
                  fontsize=13, color=BACK, ha="center")  # fmt: skip
    return figure
