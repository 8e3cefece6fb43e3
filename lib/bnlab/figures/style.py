"""The book's one style.

Figures are opaque white, so that they read the same in the page's dark mode; lines differ in dash and marker as well as
in colour, so that they read in grey.
"""

import os
import sys
from collections.abc import Iterable

import matplotlib as mpl
from matplotlib.figure import Figure

from bnlab.figures import narrow

# Okabe and Ito (2008): eight colours told apart with any colour vision; yellow left out, too light on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#444444"  # what is not data: bounds, laws, guides

STYLE = {
    "figure.figsize": (7.0, 4.0),
    "figure.dpi": 200,  # twice what a page shows, for those who enlarge
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "axes.facecolor": "white",
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.formatter.min_exponent": 3,  # 0.2 and 100 on a logarithmic axis, not 2 x 10^-1 and 10^2
    "font.size": 11,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "image.cmap": "cividis",
    "svg.hashsalt": "bnlab",
}


def use_book_style() -> None:
    """Switch matplotlib to the book's style; a chapter calls it once, importing calls it never.

    In a notebook it also tells IPython to show figures that pyplot has not made, as importing pyplot would.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        shell.run_line_magic("matplotlib", "inline")
        if os.environ.get(narrow.ASKED):
            shell.display_formatter.mimebundle_formatter.for_type(Figure, narrow.beside)
    mpl.rcParams.update(STYLE)
    mpl.rcParams["axes.prop_cycle"] = mpl.cycler(color=COLOURS, linestyle=DASHES)


def line_styles(names: Iterable) -> dict[str, dict]:
    """Give each name its own colour, dash and marker, the same ones wherever the same list is drawn.

    From the eighth name on colours come again, each with another dash and marker.

    >>> line_styles(["BN", "none"])["none"]
    {'color': '#D55E00', 'linestyle': '--', 'marker': 's'}
    """
    styles = {}
    for number, name in enumerate(names):
        shift = number + number // len(COLOURS)
        styles[name] = {
            "color": COLOURS[number % len(COLOURS)],
            "linestyle": DASHES[shift % len(DASHES)],
            "marker": MARKERS[shift % len(MARKERS)],
        }
    return styles
