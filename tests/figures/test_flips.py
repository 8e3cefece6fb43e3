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


def test_a_setting_that_is_none_of_a_claims_has_no_letter(book_style):
    rows = [("nothing", "C-Fig6", "partly"), ("decay 0.99", "C-Fig6", "partly"), ("nothing", "C-BN-LR", "reproduced")]
    axes = flips.flips(pd.DataFrame(rows, columns=["changed", "claim", "verdict"])).axes[0]
    assert [text.get_text() for text in axes.texts] == ["p", "R", "p"]


def test_agreement_says_how_many_of_how_many(book_style):
    rows = [("gain 0.3", "C-Fig6", 3, 4), ("gain 3.0", "C-Fig6", 0, 5), ("gain 3.0", "C-BN-LR", 5, 5)]
    axes = flips.agreement(pd.DataFrame(rows, columns=["choice", "claim", "agree", "settings"])).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["gain 0.3", "gain 3.0"]
    assert [text.get_text() for text in axes.texts] == ["3/4", "0/5", "5/5"]
