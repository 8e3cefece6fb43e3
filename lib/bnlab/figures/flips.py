"""Which settings that a document leaves open flip a verdict: a row a setting, a column a claim."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
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

BRIGHT = 0.5  # shades above take black letters


def flips(reach: pd.DataFrame):
    """Plot the verdict under every setting that differs in one thing from the book's own, which is the first row.

    Args:
        reach: what `claims.settings_left_open.by_setting` gives.
    """
    shown = reach[reach["changed"] != "many"]
    wide = shown.pivot(index="changed", columns="claim", values="verdict")
    wide = wide.loc[list(dict.fromkeys(shown["changed"])), list(dict.fromkeys(shown["claim"]))]
    order = list(LOOKS)
    codes = wide.map(lambda word: order.index(word) if word in LOOKS else np.nan).to_numpy(float)
    figure, axes = subplots(height=1.2 + 0.32 * len(wide))
    colours = ListedColormap([colour for _, colour in LOOKS.values()])
    axes.imshow(codes, cmap=colours, vmin=-0.5, vmax=len(order) - 0.5, aspect="auto")
    for (row, column), word in np.ndenumerate(wide.to_numpy()):
        if word in LOOKS:  # what the setting changes may be nothing of the claim's networks
            dark = word in ("reproduced", "corrected", "not reproduced")
            axes.annotate(LOOKS[word][0], (column, row), ha="center", va="center", color="w" if dark else "k")
    names = ["the book's own" if name == "nothing" else name for name in wide.index]
    axes.set_yticks(range(len(names)), names)
    _name_claims(axes, wide.columns)
    words = ", ".join(f"{letter} {name}" for name, (letter, _) in LOOKS.items() if (wide == name).any(axis=None))
    axes.set_title(words, loc="left", size="small")
    return figure


def agreement(shares: pd.DataFrame):
    """Plot how often a verdict is the book's own where many things differ, a row what one of them is.

    Args:
        shares: what `claims.settings_left_open.shares` gives.
    """
    keys = {"index": "choice", "columns": "claim"}
    rows, columns = (list(dict.fromkeys(shares[name])) for name in keys.values())
    agree, settings = (shares.pivot(**keys, values=name).loc[rows, columns] for name in ("agree", "settings"))
    figure, axes = subplots(height=1.2 + 0.32 * len(rows))
    share = (agree / settings).to_numpy()
    axes.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(share):
        if np.isfinite(value):
            told = f"{agree.iloc[row, column]:g}/{settings.iloc[row, column]:g}"
            colour = "k" if value > BRIGHT else "w"
            axes.annotate(told, (column, row), ha="center", va="center", color=colour, size="small")
    axes.set_yticks(range(len(rows)), rows)
    _name_claims(axes, columns)
    return figure


def _name_claims(axes: Axes, claims: Sequence[str]) -> None:
    """Write claims below their columns, slanted: ten of them side by side overlap."""
    axes.set_xticks(range(len(claims)), claims, size="small", rotation=45, ha="right", rotation_mode="anchor")
    axes.grid(visible=False)
