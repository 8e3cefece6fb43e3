"""The figure of verdicts that a setting flips."""

import pandas as pd

from bnlab.figures import flips


def test_the_figure_has_a_row_a_setting_and_a_letter_a_verdict(book_style):
    found = {
        "C-Fig6": ("reproduced", "partly", "partly"),
        "C-Fig7": ("not judged", "reported", "partly"),
    }
    rows = [
        (changed, claim, verdicts[place])
        for place, changed in enumerate(("nothing", "gain 3.0", "many"))
        for claim, verdicts in found.items()
    ]
    table = pd.DataFrame(rows, columns=["changed", "claim", "verdict"])
    axes = flips.flips(table).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["the book's own", "gain 3.0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["C-Fig6", "C-Fig7"]
    assert [text.get_text() for text in axes.texts] == ["R", "–", "p", "r"]
