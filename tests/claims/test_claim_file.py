"""What a row of claims.yml may say besides its criterion, and what is refused."""

import pytest
import yaml
from book_files import ROOT
from conftest import CLAIMS

from bnlab.claims import claim_file
from bnlab.claims.claim_file import Amendment, LedgerError

COMMON = {"document": "Toy 2020", "place": "Section 1", "chapter": "90"}
CHANGE = {"date": "2026-11-28", "earlier": "above 2", "why": "the 2 was ours", "says": "not reproduced, 4 of 8"}


# Criteria changed, and sizes, seeds or tolerances settled, when a result had been seen; the history shows each.
EXCEPTIONS = (
    "C-Fig6 C-Fig8b C-BN-LR C-Order C-Drift C-Fig10a C-99-95 E-Batch C-SGD C-Fig9 B-Xav E-Bwd2 E-Noise2 C-Eq1 C-D "
    "E-Conv E-Cost C-Def C-Fig7 C-Fig8a C-Sep C-First A-NLMS"
)
OF_CHAPTERS_11_AND_12 = "E-Dec3 E-Dec4 E-Dec4b E-HS1 E-OLS6 E-OLS4 E-Margin E-NTK1 E-HS5"


def row(**more) -> dict:
    return COMMON | CLAIMS[2] | more


def write(mini, *rows) -> None:
    (mini / "book" / "claims.yml").write_text(yaml.safe_dump(list(rows)), encoding="utf-8")


def refusal(mini, **more) -> str:
    write(mini, row(**more))
    with pytest.raises(LedgerError) as caught:
        claim_file.claims()
    assert "\n" not in str(caught.value)
    assert "'T-Trend' is not a claim" in str(caught.value)
    return str(caught.value)


def test_exceptions_are_read_oldest_first(mini):
    later = CHANGE | {"date": "2026-12-01", "earlier": "above 1, mostly"}
    write(
        mini,
        row(
            amended=[CHANGE, later],
            settled_after_a_look=["the sizes, for time"],
            would_change_our_mind="a fall in one seed",
            shown_at="five-steps",
        ),
    )
    claim = claim_file.claims()["T-Trend"]
    assert claim.amended == (Amendment(**CHANGE), Amendment(**later))
    assert claim.settled_after_a_look == ("the sizes, for time",)
    assert (claim.would_change_our_mind, claim.shown_at) == ("a fall in one seed", "five-steps")


def test_a_row_without_exceptions_has_none(mini):
    write(mini, row())
    claim = claim_file.claims()["T-Trend"]
    assert (claim.amended, claim.settled_after_a_look, claim.would_change_our_mind, claim.shown_at) == ((), (), "", "")


def test_a_text_written_once_serves_several_rows(mini):
    first, second = row(settled_after_a_look=["sizes"]), row(id="T-Other")
    text = yaml.safe_dump([first, second]).replace("- sizes", "- &sizes sizes")
    (mini / "book" / "claims.yml").write_text(text + "  settled_after_a_look: [*sizes]\n", encoding="utf-8")
    assert {claim.settled_after_a_look for claim in claim_file.claims().values()} == {("sizes",)}


@pytest.mark.parametrize(
    ("amended", "reason"),
    [
        ("changed", "amended = 'changed' must be a list of entries with date, earlier, why, says"),
        (CHANGE, "must be a list of entries with date"),
        (["changed"], "amended: 'changed' in place of an entry"),
        ([{k: v for k, v in CHANGE.items() if k != "says"}], "in place of an entry"),
        ([CHANGE | {"by": "us"}], "in place of an entry"),
        ([CHANGE | {"why": ""}], "amended: why = '' must be a text"),
        ([CHANGE | {"says": ["partly"]}], "amended: says = ['partly'] must be a text"),
        ([CHANGE | {"date": "28 November"}], "amended: date '28 November' must be such as 2026-11-28"),
        ([CHANGE | {"date": "2026-02-30"}], "date '2026-02-30' must be such as"),
        ([CHANGE | {"earlier": " five of five  seeds"}], "amended: earlier is the criterion itself"),
    ],
)
def test_a_malformed_amendment_is_refused(mini, amended, reason):
    assert reason in refusal(mini, amended=amended)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("settled_after_a_look", "the sizes", "settled_after_a_look = 'the sizes' must be a list of texts"),
        ("settled_after_a_look", [""], "settled_after_a_look = '' must be a text"),
        ("settled_after_a_look", [{"a": "b"}], "must be a text"),
        ("would_change_our_mind", ["x"], "would_change_our_mind = ['x'] must be a text"),
        ("would_change_our_mind", " ", "would_change_our_mind = ' ' must be a text"),
        ("shown_at", "Five steps", "shown_at 'Five steps' must be a heading's address"),
        ("shown_at", "#five-steps", "must be a heading's address"),
    ],
)
def test_a_malformed_optional_field_is_refused(mini, field, value, reason):
    assert reason in refusal(mini, **{field: value})


def untold(names: str) -> list[str]:
    known = claim_file.claims(ROOT)
    told = {claim.id for claim in known.values() if claim.amended or claim.settled_after_a_look}
    return [name for name in names.split() if name not in told]


def test_what_was_changed_after_a_look_is_told():
    assert untold(EXCEPTIONS) == []


def test_what_was_changed_after_a_look_in_chapters_11_and_12_is_told():
    assert untold(OF_CHAPTERS_11_AND_12) == []


def test_no_field_holds_a_note_to_ourselves():
    """What stands in for a text that is still to be written is one word in capitals."""
    for claim in claim_file.claims(ROOT).values():
        texts = [claim.statement, claim.criterion, claim.would_change_our_mind, *claim.settled_after_a_look]
        texts += [text for entry in claim.amended for text in (entry.why, entry.says, entry.earlier)]
        assert [text for text in texts if text.isupper() or "TODO" in text] == [], claim.id
