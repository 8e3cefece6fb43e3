"""The picture of explanations and tests: a mark where the table has a row, and nothing on top of another."""

import pandas as pd
import pytest

from bnlab.figures import narrow
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


@pytest.mark.usefixtures("book_style")
def test_on_a_phone_every_test_stands_below_its_explanation_and_no_name_on_another():
    many = pd.concat([TESTS, TESTS.assign(explanation="A longer name of an explanation", claim="E-ICS-corr")] * 2)
    figure = narrow.narrow(outcomes(many))
    assert figure.get_figwidth() == narrow.WIDTH
    (axes,) = figure.axes
    figure.draw_without_rendering()
    names = [text.get_text() for text in axes.texts]
    assert len(axes.lines) == len(many)
    assert sorted(name for name in names if name in set(many["claim"])) == sorted(many["claim"])
    below = {text.get_text(): text.xy[1] for text in axes.texts}
    assert below["A"] < below["C-1"] < below["C-3"] < below["B"] < below["C-4"]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width + 1 for box in boxes)
