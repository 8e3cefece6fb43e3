"""Pictures of unrolling: pixels that slide through the patch vector, and the convolution as a matrix product.

Chai et al. 2020, figures 1 and 2, for any kernel, stride, padding and dilation: every function draws the arrays that
it is given (the map, the patch matrix, the weights), and reads off them how large they are.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bnlab.figures.animation import player
from bnlab.figures.shapes import heat_map, subplots
from bnlab.figures.style import COLOURS

HATCHES = ("", "//", "..", "xx")
MOST_NUMBERS = 110  # more cells than this in one matrix and a phone shows grey dust where the numbers should be
MOST_FRAMES = 25
CAPTION = (
    "Move the window over the map, and follow one coloured pixel: through which positions of the patch vector does it "
    "pass, and in which order?"
)


def pixels_slide(delays: np.ndarray, sample: int, pixels: np.ndarray, patches: np.ndarray, followed: Sequence[int]):
    """Figure 1: what slides through the input vector, (a) in time and (b) in space.

    Args:
        delays: labels of the samples in a filter's input vector, (H, N): column n is the vector at time n, so that the
            first row is the signal; negative before its beginning.
        sample: the label to follow in (a).
        pixels: labels of the pixels of a one-channel map, (IH, IW).
        patches: the same labels unrolled, (K, M); negative where the padding is.
        followed: the labels to follow with colour and hatch, at most four.

    Returns:
        A matplotlib Figure.

    Raises:
        ValueError: more labels to follow than colours to tell them apart.
    """
    if not 1 <= len(followed) <= len(HATCHES):
        raise ValueError(f"followed: {len(followed)} labels, where 1 to {len(HATCHES)} can be told apart.")
    heights = [1 + len(delays), max(len(pixels), min(len(patches), 12))]
    figure = Figure(figsize=(7, 1.4 + 0.34 * sum(heights)))
    time, space = figure.subfigures(2, 1, height_ratios=heights)
    axes = time.subplots(2, 1, height_ratios=[1, len(delays)], sharex=True)
    _label_cells(axes[0], delays[:1], [sample])
    _label_cells(axes[1], delays, [sample])
    axes[0].set(title="(a) in time: the signal, and the input vector at each step", yticks=[])
    axes[1].set(xlabel="time step $n$", ylabel="position in $\\mathbb{X}(n)$")
    left, right = space.subplots(1, 2, width_ratios=[1, 1.5])
    _label_cells(left, pixels, followed)
    _label_cells(right, patches, followed)
    left.set(title="(b) in space: the map", xlabel="column (pixels)", ylabel="row (pixels)", aspect="equal")
    right.set(title="its unrolled patches $\\mathbf{X}$", xlabel="window $m$")
    right.set_ylabel("position $k$ in $\\mathbb{X}^{(m)}$")
    return figure


def window_slides(pixels: np.ndarray, patches: np.ndarray, followed: Sequence[int], *, name: str, alt: str):
    """Figure 1 (b) in motion: one frame a window, with the patch vector that it cuts out.

    ``pixels``, ``patches`` and ``followed`` as in `pixels_slide`; ``name`` and ``alt`` as in `player`, which
    this returns. At most `MOST_FRAMES` windows are shown, since each is a picture inside the page.
    """
    figure, (left, right) = subplots(1, 2, height=4.2, dpi=120, width_ratios=[2.2, 1])
    _label_cells(left, pixels, followed)
    left.set(xlabel="column (pixels)", ylabel="row (pixels)", aspect="equal")
    outline = []

    def draw(frame: int) -> None:
        while outline:
            outline.pop().remove()
        for row, column in np.argwhere(np.isin(pixels, patches[:, frame])):
            outline.append(_frame(left, column, row, "black"))
        left.set(title=f"window $m$ = {frame}")
        right.clear()
        _label_cells(right, patches[:, frame : frame + 1], followed)
        right.set(title="$\\mathbb{X}^{(m)}$", xticks=[], ylabel="position $k$")

    frames = min(patches.shape[1], MOST_FRAMES)
    labels = [f"m = {window}" for window in range(frames)]
    return player(figure, draw, labels, name=name, knob="window", alt=alt, caption=CAPTION, first=frames // 2)


def restructured_convolution(
    inputs: np.ndarray, weights: np.ndarray, patches: np.ndarray, outputs: np.ndarray, window: np.ndarray
):
    """Figure 2: the convolution as it is, and restructured as the matrix-vector products Y = X^T W.

    Args:
        inputs: the padded maps, (IC, IH, IW).
        weights: the filters, (OC, IC, H, W).
        patches: the unrolled patches X, (K, M), K = IC*H*W.
        outputs: the output maps, (OC, OH, OW).
        window: which padded pixels the marked window m = 0 holds, (IH, IW) bool.

    Returns:
        A matplotlib Figure; numbers stand in the cells where they can be read.
    """
    channels, count = len(inputs), len(weights)
    K, M = patches.shape
    numbers = K * max(M, count) <= MOST_NUMBERS
    tall = 0.29 * K + 0.9 if numbers else 5.5
    figure = Figure(figsize=(7, 4.4 + tall), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[4.4, tall])
    grid = top.add_gridspec(1, 3, width_ratios=[1.3, 1.6, 1.2])
    limit = max(np.abs(array).max() for array in (inputs, weights, outputs))
    maps = _column(top, grid[0], inputs, [f"input {i}" for i in range(channels)], limit, numbers)
    for axes in maps:
        for row, column in np.argwhere(window):
            _frame(axes, column, row, COLOURS[1])
    kernels = weights.reshape(count * channels, *weights.shape[2:])
    names = [f"$W_{{{o}}}$, input {i}" for o in range(count) for i in range(channels)]
    _column(top, grid[1], kernels, names, limit, False, columns=channels)
    for axes in _column(top, grid[2], outputs, [f"output {o}" for o in range(count)], limit, numbers):
        _frame(axes, 0, 0, COLOURS[1])
    _product(bottom, patches, weights.reshape(count, K).T, outputs.reshape(count, M).T, limit, numbers, channels)
    return figure


def _product(figure, patches, weights, products, limit: float, numbers: bool, channels: int) -> None:
    """Draw X (K, M), W (K, OC) and X^T W (M, OC) side by side, the channels' block rows and window 0 marked."""
    (K, M), count = patches.shape, weights.shape[1]
    panels = figure.subplots(1, 3, width_ratios=[M, count, count + 0.6])
    names = ("$\\mathbf{X}$", "$\\mathbb{W}$", "$\\mathbf{X}^T\\mathbb{W}$")
    for axes, matrix, name in zip(panels, (patches, weights, products), names, strict=True):
        _values(axes, matrix, limit, matrix.size <= 36 or numbers)
        axes.set_title(f"{name}, {len(matrix)} × {matrix.shape[1]}")
    for axes in panels[:2]:
        for boundary in range(1, channels):
            axes.axhline(boundary * K / channels - 0.5, color=COLOURS[0], linewidth=3)
    panels[0].set(ylabel="element $k$ (channel, row, column)", xlabel="window $m$")
    panels[1].set(xlabel="output channel")
    panels[2].set(xlabel="output channel", ylabel="window $m$", anchor="N")
    panels[2].set_box_aspect(min(M / count, 3))
    _frame(panels[0], 0, 0, COLOURS[1], height=K)
    _frame(panels[2], 0, 0, COLOURS[1], width=count)


def _column(
    figure, place, arrays: np.ndarray, titles: Sequence[str], limit: float, numbers: bool, columns: int = 1
) -> list:
    """Draw small maps one below the other (or in ``columns``), and give back their axes."""
    rows = len(arrays) // columns
    cells = place.subgridspec(rows, columns)
    every = []
    for n, (array, title) in enumerate(zip(arrays, titles, strict=True)):
        axes = figure.add_subplot(cells[n // columns, n % columns])
        _values(axes, array, limit, numbers and array.size <= 36)
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.set_title(title, fontsize=10)
        every.append(axes)
    return every


def _values(axes, matrix: np.ndarray, limit: float, numbers: bool) -> None:
    """Show a matrix on one diverging scale, light enough for black numbers in its cells."""
    heat_map(axes, matrix, cmap="PuOr_r", reach=1.6 * limit, aspect="auto")
    rows, columns = matrix.shape
    axes.set(xticks=range(0, columns, 1 + columns // 12), yticks=range(0, rows, 1 if numbers else 1 + rows // 12))
    if numbers:
        for (row, column), value in np.ndenumerate(matrix):
            axes.text(column, row, f"{round(float(value), 6) + 0.0:.3g}", ha="center", va="center", fontsize=10)


def _frame(axes, column: float, row: float, colour: str, width: float = 1, height: float = 1):
    outline = Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor=colour, linewidth=2.2)
    return axes.add_patch(outline)


def _label_cells(axes, labels: np.ndarray, followed: Sequence[int]) -> None:
    """Draw a grid of labelled cells; the followed ones get a colour and a hatch, the empty ones (negative) are grey."""
    rows, columns = labels.shape
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.grid(False)
    write = labels.size <= MOST_NUMBERS
    for (row, column), label in np.ndenumerate(labels):
        at = followed.index(label) if label in followed else None
        face = "#dddddd" if label < 0 else "white" if at is None else COLOURS[(4, 5, 3, 2)[at]]
        hatch = HATCHES[at] if at is not None else ""
        look = {"facecolor": face, "edgecolor": "#555555", "hatch": hatch, "linewidth": 0.6}
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **look))
        if write and label >= 0:
            weight = "bold" if at is not None else "normal"
            box = {"facecolor": face, "edgecolor": "none", "pad": 0.6} if hatch else None
            axes.text(column, row, str(label), ha="center", va="center", fontsize=10, weight=weight, bbox=box)
    axes.set(xticks=range(0, columns, 1 + columns // 12), yticks=range(0, rows, 1 + rows // 12))
