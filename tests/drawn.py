"""What tests of figures share: a figure that can be read, and the lines and names that it shows."""

import pytest
from matplotlib.text import Text


def texts(figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def readable(figure, width: float = 7.0):
    """Draw it: as wide as the book's figures, nothing smaller than 10 points, all its mathematics drawable."""
    figure.draw_without_rendering()
    assert figure.get_figwidth() == pytest.approx(width)
    assert min(text.get_fontsize() for text in texts(figure)) >= 10
    return figure


def labelled(axes) -> dict:
    """Give lines and error bars by label; a label that stands at two of them is a fault."""
    artists = [a for a in [*axes.containers, *axes.lines] if not a.get_label().startswith("_")]
    assert len({a.get_label() for a in artists}) == len(artists)
    return {a.get_label(): a for a in artists}


def legend(figure) -> list[str]:
    return [text.get_text() for shown in figure.legends for text in shown.get_texts()]
