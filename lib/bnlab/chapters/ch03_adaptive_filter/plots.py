"""Figures of a convolution layer as an adaptive filter: block diagrams, the two signs, what slides, what drifts.

Chai et al. 2020, section 2. Every plot takes a tidy table; the block diagrams (figure 3) are drawn from nothing.
"""

import numpy as np
import pandas as pd
from matplotlib.patches import FancyBboxPatch

from bnlab.figures.shapes import groups, heat_map, lines, lines_with_quartiles, subplots
from bnlab.figures.style import COLOURS, line_styles

BACKWARD = COLOURS[1]


def block_diagrams():
    """Figure 3: (a) a generic adaptive filter and (b) a convolution layer recast as one, signs as they must be.

    Returns:
        A matplotlib Figure. Solid arrows are the forward pass, dashed ones the error's way back and the update.
    """
    figure, (above, below) = subplots(2, height=7, height_ratios=[4.3, 4.9])
    for axes, height in ((above, 4.3), (below, 4.9)):
        axes.set(xlim=(0, 10), ylim=(0, height), aspect="equal")
        axes.axis("off")
    _generic_filter(above)
    _convolution_layer(below)
    return figure


def _generic_filter(axes) -> None:
    axes.set_title("(a) a generic adaptive filter")
    _box(axes, 3.2, 2.9, "filter\n$\\mathbb{W}(n)$")
    _box(axes, 7.4, 2.9, "Σ", width=0.8)
    update = "update $\\mathbb{W} \\leftarrow \\mathbb{W} + 2\\mu\\,\\mathbb{X}\\varepsilon$"
    _box(axes, 3.2, 0.8, update, width=4.4, backward=True)
    _arrow(axes, [(0.2, 2.9), (2.3, 2.9)], "$\\mathbb{X}(n)$", at=(0.9, 3.15))
    _arrow(axes, [(0.7, 2.9), (0.7, 0.8), (1.0, 0.8)])
    _arrow(axes, [(4.1, 2.9), (7.0, 2.9)], "$y(n) = \\mathbb{X}^T\\mathbb{W}$", at=(5.35, 3.15))
    axes.text(6.75, 2.55, "−", ha="center", va="center")
    _arrow(axes, [(7.4, 4.2), (7.4, 3.35)], "$d(n)$", at=(8.0, 3.95))
    axes.text(7.1, 3.55, "+", ha="center", va="center")
    way_back = [(7.8, 2.9), (9.2, 2.9), (9.2, 0.8), (5.4, 0.8)]
    _arrow(axes, way_back, "$\\varepsilon(n) = d - y$", at=(7.3, 1.1), backward=True)
    _arrow(axes, [(3.2, 1.25), (3.2, 2.45)], backward=True)


def _convolution_layer(axes) -> None:
    axes.set_title("(b) a convolution layer, its gradient step seen as the same filter")
    _box(axes, 2.8, 4.2, "convolution\n$\\mathbb{W}^{(l)}$", width=2.0)
    _box(axes, 5.9, 4.2, "ReLU", width=1.1)
    _box(axes, 7.75, 4.2, "later\nlayers", width=1.3)
    _box(axes, 9.4, 4.2, "$J$", width=0.7)
    _box(axes, 4.4, 2.5, "$\\mathbb{D} = \\mathbb{Y} - \\delta$", width=2.0, backward=True)
    update = "update $\\mathbb{W} \\leftarrow \\mathbb{W} + \\mu\\,E[\\mathbf{X}\\mathbb{E}]$"
    _box(axes, 2.8, 0.7, update, width=4.6, backward=True)
    _arrow(axes, [(0.1, 4.2), (1.8, 4.2)], "$\\mathbf{X}^{(l)}$", at=(0.85, 4.5))
    _arrow(axes, [(0.3, 4.2), (0.3, 0.7), (0.5, 0.7)])
    _arrow(axes, [(3.8, 4.2), (5.35, 4.2)], "$\\mathbb{Y}^{(l)}$", at=(4.45, 4.5))
    _arrow(axes, [(6.45, 4.2), (7.1, 4.2)])
    _arrow(axes, [(8.4, 4.2), (9.05, 4.2)])
    _arrow(axes, [(4.4, 4.2), (4.4, 2.95)])
    error = "$\\delta = \\partial J/\\partial\\mathbb{Y}$, back through\nthe later layers and the ReLU"
    _arrow(axes, [(9.4, 3.75), (9.4, 2.5), (5.4, 2.5)], error, at=(7.4, 3.05), backward=True)
    local = "$\\mathbb{E} = \\mathbb{D} - \\mathbb{Y} = -\\delta$"
    _arrow(axes, [(4.4, 2.05), (4.4, 1.15)], local, at=(6.0, 1.6), backward=True)
    _arrow(axes, [(2.4, 1.15), (2.4, 3.75)], backward=True)


def sign_matters(table: pd.DataFrame):
    """Plot the loss under the printed and the corrected update (Chai et al. 2020, section 2.1).

    Args:
        table: columns ``step``, ``loss`` (squared units of d), ``form``.

    Returns:
        A matplotlib Figure with a logarithmic loss axis.
    """
    figure, axes = subplots(height=3.6)
    lines(axes, table, "step", "loss", "form")
    axes.set(xlabel="step $n$", ylabel="loss $J$ (squared units of $d$)", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure


def sliding_share(table: pd.DataFrame, layers: pd.DataFrame):
    """Plot the share of pixels that meet every position of the patch vector, against the size of the map.

    Args:
        table: columns ``size`` (pixels), ``kernel_size`` (pixels), ``share`` (fraction of the pixels).
        layers: the layers to mark: columns ``layer``, ``size``, ``share``.

    Returns:
        A matplotlib Figure; the dotted line is one half, where "most" begins.
    """
    figure, axes = subplots()
    lines(axes, table, "size", "share", "kernel_size", label="kernel {0} × {0}".format, marker="")
    axes.axhline(0.5, color="black", linewidth=1, linestyle=":")
    axes.annotate("one half", (table["size"].max(), 0.5), ha="right", va="bottom", fontsize=10)
    axes.plot(layers["size"], layers["share"], "ko", markersize=7)
    for row in layers.itertuples():
        where = {"xytext": (8, -4), "textcoords": "offset points", "va": "top"}
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.annotate(f"{row.layer}, {row.size} px", (row.size, row.share), bbox=ground, **where)
    axes.set(xlabel="width and height of the input map (pixels)", ylabel="share of the pixels (fraction)", ylim=(0, 1))
    axes.legend(loc="upper left")
    return figure


def drift(table: pd.DataFrame):
    """Plot how far the filter's quantities move during training, one panel a network.

    Args:
        table: columns ``network``, ``quantity`` (a symbol, such as W_o), ``step`` (gradient steps), ``seed``,
            ``drift`` (distance moved, as a fraction).

    Returns:
        A matplotlib Figure; lines are medians over seeds, bands reach from the first to the third quartile.
    """
    networks, looks = groups(table["network"]), line_styles(groups(table["quantity"]))
    # Step 0, where nothing has moved, has no place on the logarithmic axis.
    moved = table[table["drift"] > 0].assign(drift=100 * table["drift"])
    figure, panels = subplots(len(networks), height=3.2 * len(networks), squeeze=False)
    for axes, network in zip(panels[:, 0], networks, strict=True):
        rows = moved[moved["network"] == network]
        lines_with_quartiles(axes, rows, "step", "drift", "quantity", looks=looks, label="${}$".format, marks=8)
        axes.set(title=network, xlabel="gradient step $n$", ylabel="moved since $n = 0$ (%)", yscale="log")
        axes.legend(ncols=2)
    return figure


def coupling(table: pd.DataFrame):
    """Plot how much the output of image b depends on the input of image b', one panel an arm.

    Args:
        table: columns ``arm``, ``output`` and ``input`` (image numbers), ``norm`` (of the Jacobian block, pure number).

    Returns:
        A matplotlib Figure: grey scale of log10 of the norm; cells that are exactly zero are crossed out.
    """
    arms = groups(table["arm"])
    nonzero = np.log10(table["norm"][table["norm"] > 0])
    figure, panels = subplots(1, len(arms), height=3.6, sharey=True, squeeze=False)
    for axes, arm in zip(panels[0], arms, strict=True):
        block = table[table["arm"] == arm].pivot(index="output", columns="input", values="norm")
        with np.errstate(divide="ignore"):
            image = heat_map(axes, np.log10(block), vmin=nonzero.min() - 0.5, vmax=nonzero.max())
        for row, column in np.argwhere(block.to_numpy() == 0):
            axes.text(column, row, "×", ha="center", va="center", color="black")
        axes.set(title=arm, xlabel="input of image $b'$", ylabel="output of image $b$" if axes is panels[0][0] else "")
        axes.set(xticks=range(len(block)), yticks=range(len(block)))
    words = "$\\log_{10}\\,\\Vert\\partial y_b/\\partial x_{b'}\\Vert$"
    figure.colorbar(image, ax=panels, shrink=0.85, label=words)
    return figure


def _box(axes, x: float, y: float, text: str, width: float = 1.8, backward: bool = False) -> None:
    edge = BACKWARD if backward else "black"
    look = {"boxstyle": "round,pad=0,rounding_size=0.12", "facecolor": "#f4f4f4", "edgecolor": edge, "linewidth": 1.4}
    axes.add_patch(FancyBboxPatch((x - width / 2, y - 0.45), width, 0.9, **look))
    axes.text(x, y, text, ha="center", va="center", fontsize=11)


def _arrow(axes, points, text: str = "", at=None, backward: bool = False) -> None:
    """Draw a line through the points with a head at the last one; ``text`` stands at ``at``."""
    look = {"color": BACKWARD if backward else "black", "linestyle": "--" if backward else "-", "linewidth": 1.4}
    axes.plot(*zip(*points[:-1], strict=True), marker="", **look)
    axes.annotate("", points[-1], points[-2], arrowprops={"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, **look})
    if text:
        axes.text(*at, text, ha="center", va="center", fontsize=11)
