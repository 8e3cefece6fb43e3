"""Which settings that a document leaves open flip a verdict: a row a setting, a column a claim."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap

from bnlab.figures.shapes import subplots

# What a cell says, in the order of its shade; letters say it too.
LOOKS = {
    "reproduced": ("R", "#00604a"),
    "corrected": ("C", "#004f7a"),
    "partly": ("p", "#e0b050"),
    "not reproduced": ("N", "#c0603a"),
    "reported": ("r", "#c9d4e4"),
    "not judged": ("–", "#dddddd"),
}


def flips(reach: pd.DataFrame):
    """Plot the verdict under every setting that differs in one thing from the book's own, which is the first row.

    Args:
        reach: what `claims.settings_left_open.by_setting` gives.
    """
    shown = reach[reach["changed"] != "many"]
    wide = shown.pivot(index="changed", columns="claim", values="verdict")
    wide = wide.loc[list(dict.fromkeys(shown["changed"])), list(dict.fromkeys(shown["claim"]))]
    order = list(LOOKS)
    codes = wide.map(order.index).to_numpy()
    figure, axes = subplots(height=1.2 + 0.32 * len(wide))
    colours = ListedColormap([colour for _, colour in LOOKS.values()])
    axes.imshow(codes, cmap=colours, vmin=-0.5, vmax=len(order) - 0.5, aspect="auto")
    for (row, column), code in np.ndenumerate(codes):
        dark = order[code] in ("reproduced", "corrected", "not reproduced")
        axes.annotate(LOOKS[order[code]][0], (column, row), ha="center", va="center", color="w" if dark else "k")
    names = ["the book's own" if name == "nothing" else name for name in wide.index]
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(wide.columns)), wide.columns)
    axes.grid(visible=False)
    words = ", ".join(f"{letter} {name}" for name, (letter, _) in LOOKS.items() if (wide == name).any(axis=None))
    axes.set_title(words, loc="left", size="small")
    return figure
