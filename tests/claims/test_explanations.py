"""Explanations side by side: which way a test speaks, and a file that cannot be used."""

import re

import pytest
import yaml

from bnlab.claims import book, explanations, ledger
from bnlab.claims.ledger import LedgerError

ROW = {
    "name": "Sums", "chapter": "90", "predicts": "$1 + 1 = 2$", "for": ["T-Sum", "T-Trend"], "against": ["T-Bound"],
    "cause": ["T-Sum"], "weighs_most": "T-Sum", "would_change_our_mind": "another sum",
}  # fmt: skip


def write(mini, *rows):
    (mini / "book" / "explanations.yml").write_text(yaml.safe_dump(list(rows), sort_keys=False), encoding="utf-8")


@pytest.mark.parametrize(
    ("verdict", "in_favour", "says"),
    [
        ("reproduced", True, "for it"),
        ("reproduced", False, "against it"),
        ("refuted", True, "against it"),
        ("not reproduced", True, "against it"),
        ("not reproduced", False, "for it"),
        ("partly", True, "mixed"),
        ("partly", False, "mixed"),
        ("corrected", False, "mixed"),
        ("reported", True, "open"),
        ("not run at full scale", False, "open"),
        ("not built", True, "open"),
    ],
)
def test_which_way_a_test_speaks(mini, monkeypatch, verdict, in_favour, says):
    write(mini, {**ROW, "for": ["T-Sum"] if in_favour else [], "against": [] if in_favour else ["T-Sum"]})
    rows = [{"id": "T-Sum", "verdict": verdict, "measured": "2", "scale": None, "data": ""}]
    monkeypatch.setattr(explanations.verdicts, "collect", lambda where=None: rows)
    found = explanations.outcomes()
    told = {"explanation": "Sums", "claim": "T-Sum", "verdict": verdict, "says": says, "cause": True, "measured": "2"}
    assert found.to_dict("records") == [{**told, "where": ""}]


@pytest.mark.parametrize(
    ("verdict", "scale", "data", "words"),
    [
        ("partly", "full", "MNIST, CIFAR-10 (JPEG)", "Full scale, MNIST, CIFAR-10 (JPEG): 2"),
        ("partly", "quick", "digits", "Quick run, digits: 2"),
        ("refuted", "quick", "", "Quick run: 2"),
        ("not run at full scale", "full", "CIFAR-10 (JPEG)", "CIFAR-10 (JPEG): 2"),  # a smaller run, which is told
        ("not built", None, "", "2"),
    ],
)
def test_a_number_stands_with_the_run_and_the_data_that_it_is_from(mini, monkeypatch, verdict, scale, data, words):
    write(mini, {**ROW, "for": ["T-Sum"], "against": []})
    rows = [{"id": "T-Sum", "verdict": verdict, "measured": "2", "scale": scale, "data": data}]
    monkeypatch.setattr(explanations.verdicts, "collect", lambda where=None: rows)
    shown = []
    monkeypatch.setattr(explanations, "display", lambda *given: shown.append(given))
    explanations.show()
    explanations.show_matrix()
    assert [f">{words}</span>" in markup for markup, _ in shown] == [True, True]


def test_what_is_displayed_links_to_every_card(mini, capsys):
    write(mini, ROW)
    shown = []
    original, explanations.display = explanations.display, lambda *given: shown.append(given)
    try:
        explanations.show()
    finally:
        explanations.display = original
    markup, plain = shown[0]
    for name in ("T-Sum", "T-Trend", "T-Bound"):
        assert f'href="90_mini.html#claim-{name}"' in markup or f"#claim-{name}" in markup
    assert "another sum" in markup
    assert markup.count("the cause tested") == 1
    assert plain.startswith("Sums: 3 open")


def test_the_matrix_counts_what_tests_say_and_shows_the_one_that_weighs_most(built, monkeypatch):
    write(
        built,
        ROW,
        {**ROW, "name": "Bounds", "for": ["T-Bound"], "against": ["T-Sum"], "cause": [], "weighs_most": "T-Bound"},
    )
    shown = []
    monkeypatch.setattr(explanations, "display", lambda *given: shown.append(given))
    explanations.show_matrix()
    markup, plain = shown[0]
    assert plain.splitlines() == ["Sums: 1 for it, 2 mixed", "Bounds: 1 mixed, 1 against it"]
    assert re.findall(r'<th scope="col">([^<]*)</th>', markup) == [
        "Explanation", "for it", "mixed", "against it", "The test that weighs most",
    ]  # fmt: skip
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', markup)
    assert re.findall(r'bn-count">([^<]*)<', rows[1]) == ["–", "1", "1"]
    assert "90_tiny.html#claim-T-Bound" in rows[1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**ROW, "for": ["T-Sun"]}, "'T-Sun' is no claim of the ledger"),
        ({**ROW, "against": ["T-Sum"]}, "T-Sum is named twice"),
        ({key: ROW[key] for key in ROW if key != "predicts"}, "must have name, chapter, predicts"),
        ({**ROW, "more": 1}, "and nothing else"),
        ({**ROW, "weighs_most": "T-Head"}, "weighs_most: 'T-Head' is none of its tests"),
        ({**ROW, "cause": ["T-Sum", "T-Head"]}, "cause: 'T-Head' is none of its tests"),
        ("words", "and nothing else"),
    ],
)
def test_an_explanation_that_cannot_be_used(mini, row, words):
    write(mini, row)
    with pytest.raises(LedgerError, match=words) as error:
        explanations.explanations()
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read(mini):
    with pytest.raises(LedgerError, match=r"explanations\.yml cannot be read"):
        explanations.explanations()
    (mini / "book" / "explanations.yml").write_text("a: [", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"explanations\.yml cannot be read"):
        explanations.explanations()


def test_the_books_own_name_chapters_that_stand():
    numbers = {path.stem[:2] for path in book.chapter_paths()}
    for explanation in explanations.explanations():
        assert {explanation.chapter, *(ledger.claims()[claim].chapter for claim in explanation.tests)} <= numbers
