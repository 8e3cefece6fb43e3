"""Direction and confidence of a verdict: two things, each by its rule, for every verdict there is."""

import pytest

from bnlab.claims import ledger, standing

STEADY, MOVES = (
    {"steady": True, "agree": 19, "draws": 20}, {"steady": False, "agree": 18, "draws": 20}
)  # fmt: skip
EARLIER = {"steady": False, "agree": 20, "draws": 20}


def row(verdict="reproduced", kind="X", scale="quick", reach=None) -> dict:
    return {"verdict": verdict, "kind": kind, "scale": scale, "reach": reach}


@pytest.mark.parametrize(
    ("verdict", "direction"),
    [
        ("reproduced", "supports"),
        ("corrected", "supports a corrected form"),
        ("partly", "mixed"),
        ("not reproduced", "contradicts"),
        ("refuted", "contradicts"),
        ("reported", "undecided"),
        ("not run at full scale", "undecided"),
        ("not built", "undecided"),
    ],
)
def test_every_verdict_has_a_direction(verdict, direction):
    assert standing.direction(row(verdict)) == direction


def test_no_verdict_is_forgotten():
    assert set(standing.DIRECTIONS) | set(ledger.UNDECIDED) == set(ledger.VERDICTS)


@pytest.mark.parametrize(
    ("facts", "confidence"),
    [
        ({"kind": "I"}, "exact"),
        ({"kind": "T", "verdict": "refuted", "reach": EARLIER}, "exact"),
        ({"kind": "T", "verdict": "refuted", "reach": MOVES}, "low"),
        ({"scale": "full", "reach": MOVES}, "high"),  # the draws are the quick run's, another verdict
        ({"scale": "full", "kind": "H"}, "high"),
        ({"reach": STEADY}, "high"),
        ({"reach": None}, "medium"),
        ({"reach": MOVES}, "low"),
        ({"verdict": "reported", "kind": "I"}, "none"),
        ({"verdict": "not run at full scale", "kind": "H", "scale": None}, "none"),
    ],
)
def test_confidence_follows_what_stands_behind_a_verdict(facts, confidence):
    assert standing.confidence(row(**facts)) == confidence
    assert confidence in standing.CONFIDENCES
