"""How much of each document stands: a bar a document, a piece a verdict, as long as it has claims."""

import pandas as pd

from bnlab.figures.shapes import subplots

# The badges' colours on the page, and a hatch that tells those apart that are alike in grey.
LOOKS = {
    "reproduced": ("#00604a", ""),
    "corrected": ("#004f7a", "//"),
    "partly": ("#b07d1a", ""),
    "not reproduced": ("#96330a", "\\\\"),
    "refuted": ("#96330a", ""),
    "reported": ("#777777", ""),
    "not run at full scale": ("#bbbbbb", "//"),
    "not built": ("#eeeeee", ""),
}
FEW = 5  # documents with fewer claims share a bar


def documents(counts: pd.DataFrame):
    """Plot how many claims of each document came out how.

    Args:
        counts: a row a document, a column a verdict (of `LOOKS`), numbers of claims; documents with fewer than 5 claims
            are drawn as one, the later papers.
    """
    few = counts.sum(axis=1) < FEW
    shown = counts[~few]
    if few.any():
        shown = pd.concat([shown, counts[few].sum().to_frame("Later papers").T])
    figure, axes = subplots(height=1.3 + 0.6 * len(shown), width=8.0)
    left = pd.Series(0, index=shown.index)
    for verdict in (name for name in LOOKS if name in shown):
        colour, hatch = LOOKS[verdict]
        axes.barh(shown.index, shown[verdict], left=left, color=colour, hatch=hatch, edgecolor="white", label=verdict)
        for y, (start, n) in enumerate(zip(left, shown[verdict], strict=True)):
            if n:
                box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
                axes.annotate(int(n), (start + n / 2, y), ha="center", va="center", size=9, bbox=box)
        left = left + shown[verdict]
    axes.invert_yaxis()
    axes.set(xlabel="claims", xlim=(0, left.max()))
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=4)
    return figure
