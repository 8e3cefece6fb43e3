"""What a verdict says about a statement, and how firmly: two things that one word would mix.

``direction`` is what was found: the statement stands, stands in a corrected form, stands in part, or does not.
``confidence`` is what stands behind it: a calculation, the document's own scale, seeds that agree, other draws.
"""

from collections.abc import Mapping

from bnlab.claims.reach import STEADY

DIRECTIONS = {
    "reproduced": "supports",
    "corrected": "supports a corrected form",
    "partly": "mixed",
    "not reproduced": "contradicts",
    "refuted": "contradicts",
}
CONFIDENCES = {
    "exact": "an identity or a theorem, checked by calculation",
    "high": "the recorded full-scale run decides, or at least 19 of 20 other draws of the seeds agree",
    "medium": "a quick run whose seeds agree; no other draws are on record",
    "low": "other draws of the seeds overturn it more than one time in twenty, or earlier code made them",
    "none": "nothing decides",
}


def direction(row: Mapping) -> str:
    """What a row of `verdicts.collect` says of its statement; "undecided" where nothing does.

    >>> direction({"verdict": "not reproduced"})
    'contradicts'
    """
    return DIRECTIONS.get(row["verdict"], "undecided")


def confidence(row: Mapping) -> str:
    """How firmly: one of `CONFIDENCES`.

    >>> confidence({"verdict": "refuted", "kind": "T", "scale": "quick", "reach": None})
    'exact'
    >>> confidence({"verdict": "refuted", "kind": "T", "scale": "quick", "reach": {"agree": 6, "draws": 10}})
    'low'
    """
    if row["verdict"] not in DIRECTIONS:
        return "none"
    if row["kind"] in "IT":
        return "low" if (drawn := row["reach"]) and drawn["agree"] < STEADY * drawn["draws"] else "exact"
    return "high" if row["scale"] == "full" else {"steady": "high", "none": "medium"}.get(steadiness(row), "low")


def steadiness(row: Mapping) -> str:
    """Whether other draws of the seeds leave a quick run's verdict: "steady", "moves", or "none" on record."""
    if row["scale"] != "quick" or not row["reach"]:
        return "none"
    return "steady" if row["reach"]["steady"] else "moves"
