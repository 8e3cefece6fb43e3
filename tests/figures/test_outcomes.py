"""The picture of explanations and tests: a mark where the table has a row, and nothing on top of another."""

import pandas as pd

from bnlab.figures.outcomes import LOOKS, outcomes

TESTS = pd.DataFrame(
    [
        ("A", "C-1", "for it", False),
        ("A", "C-2", "for it", True),
        ("A", "C-3", "against it", True),
        ("B", "C-4", "mixed", False),
    ],
    columns=["explanation", "claim", "says", "cause"],
)


def test_a_mark_a_test_in_the_row_of_its_explanation():
    axes = outcomes(TESTS).axes[0]
    places = [(float(line.get_xdata()[0]), int(line.get_ydata()[0])) for line in axes.lines]
    assert len(set(places)) == len(TESTS)
    assert [y for _, y in places] == [0, 0, 0, 1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A", "B"]
    assert {line.get_marker() for line in axes.lines} == {LOOKS[word][0] for word in ("for it", "mixed", "against it")}


def test_tests_of_the_cause_are_filled():
    filled = [line.get_markerfacecolor() != "white" for line in outcomes(TESTS).axes[0].lines]
    assert filled == [False, True, True, False]


def test_columns_stand_in_order_and_only_where_needed():
    axes = outcomes(TESTS).axes[0]
    words = {text.get_text(): text.xy[0] for text in axes.texts if text.get_text() in LOOKS}
    assert list(words) == ["for it", "mixed", "against it"]
    assert words["for it"] < words["mixed"] < words["against it"]
