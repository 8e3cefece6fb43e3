"""Verdicts under settings that a document leaves open: counted, told, named by what differs."""

import pandas as pd
import pytest

from bnlab.claims import settings_left_open
from bnlab.claims.ledger import Verdict
from bnlab.sweeps.unknowns import UNKNOWNS

BOOK = {name: values[0] for name, values in UNKNOWNS.items()}


def reach(**verdicts: str) -> pd.DataFrame:
    """Three settings: the book's own, one with another gain, one with many changes; a claim each keyword."""
    rows = []
    for changed, place in (("nothing", 0), ("gain 3.0", 1), ("many", 2)):
        for claim, words in verdicts.items():
            rows.append((changed, claim.replace("_", "-"), words.split("/")[place]))
    return pd.DataFrame(rows, columns=["changed", "claim", "verdict"])


def test_counts_are_of_the_other_settings_and_a_setting_that_cannot_decide_is_one_that_does_not_agree():
    found = settings_left_open.counts(reach(C_Fig6="reproduced/reproduced/partly", C_Fig7="partly/not judged/partly"))
    assert found[["claim", "verdict", "agree", "settings"]].to_numpy().tolist() == [
        ["C-Fig6", "reproduced", 1, 2],
        ["C-Fig7", "partly", 1, 2],
    ]


def test_a_verdict_says_how_far_it_reaches_and_the_others_stay():
    judged = [Verdict("C-Fig6", "reproduced", "a factor", scale="full"), Verdict("C-Sup", "partly", "x", scale="full")]
    when = {"After 300 steps": ["C-Fig6"]}
    assert settings_left_open.with_reach(judged, None, when) == judged
    told, same = settings_left_open.with_reach(judged, reach(C_Fig6="partly/partly/reproduced"), when)
    assert told.measured == (
        "a factor. After 300 steps it holds in 1 of 2 settings that the document leaves open, partly in 1; in the "
        "book's own it is partly"
    )
    assert told.settings is None  # those would be settings that the criterion names
    assert told.verdict == "reproduced"
    assert same == judged[1]


@pytest.mark.parametrize(
    ("changes", "word"),
    [({}, "nothing"), ({"gain": 3.0}, "gain 3.0"), ({"power": "variance"}, "power variance"),
     ({"other_rate": 0.01}, "other rate 0.01"), ({"gain": 3.0, "decay": 0.99}, "many")],
)  # fmt: skip
def test_what_differs_is_named(changes, word):
    assert settings_left_open.changed({**BOOK, **changes}, UNKNOWNS) == word


def test_a_sentence_names_what_turns_a_verdict_alone_and_what_leaves_it_open():
    table = reach(C_Fig6="reproduced/partly/reproduced", C_Fig7="partly/partly/not judged", C_Sep="partly/reported/N")
    assert settings_left_open.sentence(table) == (
        "In settings that the document leaves open, the verdict of the same runs in the book's own setting comes out "
        "again for C-Fig6 (reproduced) in 1 of 2 (turned by gain 3.0, changed alone); C-Fig7 (partly) in 1 of 2, "
        "undecided in 1; C-Sep (partly) in 0 of 2, undecided in 1 (left open by gain 3.0, changed alone)."
    )
    both = pd.concat([table, table[table["changed"] == "gain 3.0"].assign(changed="decay 0.99", verdict="partly")])
    both.loc[both["changed"] == "decay 0.99", "verdict"] = ["not judged", "not reproduced", "partly"]
    said = settings_left_open.sentence(both)
    assert "C-Fig6 (reproduced) in 1 of 3, undecided in 1 (turned by gain 3.0; left open by decay 0.99, changed" in said
    assert "not recorded yet" in settings_left_open.sentence(None)


def test_agreement_is_shared_out_over_what_one_of_many_choices_is():
    rows = [("nothing", 1.0, 64, "reproduced"), ("gain 3.0", 3.0, 64, "partly"), ("many", 3.0, 16, "reproduced"),
            ("many", 3.0, 256, "partly"), ("many", 0.3, 16, "not judged")]  # fmt: skip
    table = pd.DataFrame(rows, columns=["changed", "gain", "batch_size", "verdict"]).assign(claim="C-Fig6")
    found = settings_left_open.shares(table, {"gain": (1.0, 0.3, 3.0), "batch_size": (64, 16, 256)})
    assert found[["choice", "agree", "settings"]].to_numpy().tolist() == [
        ["gain 0.3", 0, 1],
        ["gain 3.0", 1, 2],
        ["batch size 16", 1, 2],
        ["batch size 256", 0, 1],
    ]
