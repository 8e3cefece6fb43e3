"""How much of each document stands: pieces as long as their counts, small documents together."""

import pandas as pd

from bnlab.figures.documents import LOOKS, documents

COUNTS = pd.DataFrame(
    {"reproduced": [6, 2, 1], "partly": [0, 1, 0], "refuted": [3, 0, 1]},
    index=["Long 2020", "Short 2021", "Short 2022"],
)


def test_pieces_are_as_long_as_their_counts_and_few_claims_share_a_bar():
    axes = documents(COUNTS).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Long 2020", "Later papers"]
    lengths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    assert lengths == [[6, 3], [0, 1], [3, 1]]
    starts = [[bar.get_x() for bar in bars] for bars in axes.containers]
    assert starts == [[0, 0], [6, 3], [6, 4]]
    assert sorted(int(text.get_text()) for text in axes.texts) == [1, 1, 3, 3, 6]


def test_a_ledger_of_long_lists_has_no_bar_of_later_papers():
    axes = documents(COUNTS.iloc[:1]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Long 2020"]


def test_every_verdict_has_a_look():
    from bnlab.claims.ledger import VERDICTS

    assert list(LOOKS) == ["reproduced", "corrected", "partly", "not reproduced", "refuted", "reported",
                           "not run at full scale", "not built"]  # fmt: skip
    assert set(LOOKS) - {"not built"} == set(VERDICTS)
