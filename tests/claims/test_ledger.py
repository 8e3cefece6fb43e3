import math

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import CLAIMS

from bnlab.claims import ledger
from bnlab.claims.ledger import LedgerError, judge

COMMON = {"document": "Toy 2020", "place": "Section 1", "chapter": "90"}


def refusal(function, *arguments, **more) -> str:
    with pytest.raises(LedgerError) as caught:
        function(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def claim_file(mini, content) -> None:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (mini / "book" / "claims.yml").write_text(text, encoding="utf-8")


def test_the_vocabulary_is_the_designs():
    assert ledger.VERDICTS == (
        "reproduced",
        "partly",
        "not reproduced",
        "refuted",
        "corrected",
        "reported",
        "not run at full scale",
    )
    assert "".join(ledger.KINDS) == "ITXH"


def test_claims_are_read(mini):
    known = ledger.claims()
    assert list(known) == ["T-Sum", "T-Bound", "T-Trend", "T-Head"]
    assert known["T-Bound"].errata == ("ERR-4",)
    assert known["T-Sum"].errata == ()
    assert known["T-Sum"].statement == "$1 + 1 = 2$ & more"


def test_a_change_of_the_file_is_seen_and_a_caller_cannot_change_what_is_kept(mini):
    ledger.claims().clear()
    assert len(ledger.claims()) == 4
    claim_file(mini, [COMMON | CLAIMS[0]])
    assert list(ledger.claims()) == ["T-Sum"]


def test_words_of_yaml_stay_words(mini):
    claim_file(
        mini, "- {id: T-1, kind: I, chapter: 04, document: 2020, place: no, statement: 1e-3, criterion: null word}"
    )
    claim = ledger.claims()["T-1"]
    assert (claim.chapter, claim.document, claim.place, claim.statement) == ("04", "2020", "no", "1e-3")


def test_an_empty_ledger(mini):
    claim_file(mini, "# nothing yet\n")
    assert ledger.claims() == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "Q"}, "kind 'Q' is not one of I, T, X, H"),
        ({"kind": "IT"}, "kind 'IT' is not one of"),
        ({"chapter": 4}, "chapter '4' must be two digits"),
        ({"chapter": "IV"}, "must be two digits"),
        ({"errata": "ERR-4"}, "must be a list such as [ERR-4]"),
        ({"errata": ["4"]}, "must be a list such as [ERR-4]"),
        ({"errata": None}, "must be a list such as [ERR-4]"),
        ({"statement": ""}, "statement = '' must be a text"),
        ({"statement": {"a": "b"}}, "must be a text"),
        ({"criterion": " "}, "criterion = ' ' must be a text"),
        ({"id": 'a" onclick="x'}, "id 'a\" onclick=\"x' must be letters"),
        ({"id": "a b"}, "id 'a b' must be letters"),
        ({"verdict": "reproduced"}, "unexpected keyword argument 'verdict'"),
    ],
)
def test_a_row_that_is_no_claim_is_refused(mini, change, reason):
    claim_file(mini, [COMMON | CLAIMS[0] | change])
    assert reason in refusal(ledger.claims)


@pytest.mark.parametrize("field", ["id", "document", "place", "kind", "statement", "criterion", "chapter"])
def test_every_field_is_needed(mini, field):
    row = COMMON | CLAIMS[0]
    del row[field]
    claim_file(mini, [row])
    assert f"'{field}'" in refusal(ledger.claims)


def test_an_id_stands_once(mini):
    claim_file(mini, [COMMON | CLAIMS[0], COMMON | CLAIMS[0]])
    assert "claim T-Sum stands there twice" in refusal(ledger.claims)


@pytest.mark.parametrize(
    "content", ["a: [", "just words", "a: b", "- 3", "- [x]", "- !!python/object:os.system x", "[" * 5000]
)
def test_a_file_that_is_no_ledger(mini, content):
    claim_file(mini, content)
    assert "claims.yml" in refusal(ledger.claims)


def test_a_file_that_is_no_text(mini):
    (mini / "book" / "claims.yml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refusal(ledger.claims)


def test_judge_gives_plain_numbers(mini):
    verdict = judge(
        "T-Trend",
        "partly",
        measured="4 of 5",
        statistic=np.float32(0.5),
        interval=np.array([0, 1]),
        seeds=np.int64(5),
        scale="full",
        data="toy",
    )
    assert (verdict.id, verdict.verdict, verdict.measured) == ("T-Trend", "partly", "4 of 5")
    assert (verdict.statistic, verdict.interval, verdict.seeds) == (0.5, (0.0, 1.0), 5)
    assert [type(x) for x in (verdict.statistic, verdict.interval[0], verdict.seeds)] == [float, float, int]
    assert (verdict.scale, verdict.data) == ("full", "toy")


def test_judge_refuses(mini):
    assert "claim 'T-Nope' is not in book/claims.yml" in refusal(judge, "T-Nope", "reproduced", measured="")
    assert "'passed' is not one of reproduced, partly" in refusal(judge, "T-Sum", "passed", measured="")
    assert "scale 'huge' is not one of" in refusal(judge, "T-Sum", "partly", measured="", scale="huge")
    for interval in ((1, 0), (0,), (0, 1, 2), (), "01", 3):
        assert "from low to high" in refusal(judge, "T-Sum", "partly", measured="", interval=interval)


NO_NUMBERS = [
    math.nan,
    np.float32("nan"),
    "0.5",
    True,
    np.True_,
    1j,
    np.array([1.0, 2.0]),
    [1.0],
    torch.tensor(math.nan),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
@pytest.mark.parametrize("verdict", ["reproduced", "not reproduced", "reported"])
def test_what_is_not_a_number_decides_nothing(mini, value, verdict):
    words = "is not a number, so it decides nothing"
    assert words in refusal(judge, "T-Trend", verdict, measured="", statistic=value)
    assert words in refusal(judge, "T-Trend", verdict, measured="", interval=(value, 1))
    assert words in refusal(judge, "T-Trend", verdict, measured="", interval=(0, value))
    assert words in refusal(judge, "T-Trend", verdict, measured="", seeds=value)
    assert words in refusal(judge, "T-Trend", verdict, measured="", settings=(value, 3))


def test_an_infinite_statistic_speaks_against_a_statement_never_for_it(mini):
    for verdict in ("reproduced", "partly"):
        assert "is infinite" in refusal(judge, "T-Trend", verdict, measured="", statistic=np.float64(math.inf))
    for verdict in ("not reproduced", "refuted", "corrected", "reported"):
        assert judge("T-Trend", verdict, measured="", statistic=-math.inf).statistic == -math.inf


def test_a_sentence_with_nan_in_it_decides_nothing(mini):
    sentence = f"{math.nan:.2f} of the gap"
    assert "holds nan" in refusal(judge, "T-Trend", "not reproduced", measured=sentence)
    assert judge("T-Trend", "reported", measured=sentence).measured == sentence
    assert judge("T-Trend", "partly", measured="nanometres of NaN").verdict == "partly"


@pytest.mark.parametrize("seeds", [0, -5, 4.5, math.inf])
def test_seeds_are_counted(mini, seeds):
    assert "seeds = [" in (line := refusal(judge, "T-Trend", "partly", measured="", seeds=seeds))
    assert "must be whole and at least 1" in line


def test_settings_say_in_how_many_a_statement_holds(mini):
    assert judge("T-Trend", "partly", measured="", settings=[np.int64(0), 4]).settings == (0, 4)
    for settings in ((3, 2), (0, 0), (-1, 2), (1.5, 2), (1,), "12"):
        assert "settings" in refusal(judge, "T-Trend", "partly", measured="", settings=settings)


@pytest.mark.parametrize("verdict", ["reproduced", "partly", "not reproduced", "refuted", "corrected"])
def test_below_full_scale_a_headline_is_never_decided(mini, verdict):
    for scale in ("quick", "own"):
        words = f"a {scale} run cannot find a full-scale claim"
        assert words in refusal(judge, "T-Head", verdict, measured="", scale=scale)
    assert judge("T-Head", verdict, measured="", scale="full").verdict == verdict


@pytest.mark.parametrize("verdict", ["not run at full scale", "reported"])
def test_a_quick_run_may_report_a_headline(mini, verdict):
    assert judge("T-Head", verdict, measured="").verdict == verdict


def test_identity_correction_refutation():
    assert [ledger.identity(holds) for holds in (True, False)] == ["reproduced", "not reproduced"]
    table = {
        (printed, right): ledger.correction(printed, right) for printed in (True, False) for right in (True, False)
    }
    assert table == {
        (True, True): "reproduced",
        (True, False): "reproduced",
        (False, True): "corrected",
        (False, False): "not reproduced",
    }
    assert [ledger.refutation(found) for found in (True, False)] == ["refuted", "reproduced"]


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        ([1, 1, 1, 1, 1], "reproduced"),
        ([1, 0, 1, 1, 1], "partly"),
        ([1, 0, 0, 1, 1], "not reproduced"),
        ([0] * 5, "not reproduced"),
        ([1] * 9 + [0], "partly"),
        ([1] * 8 + [0, 0], "not reproduced"),
    ],
)
def test_trend(signs, verdict):
    assert ledger.trend(bool(sign) for sign in signs) == verdict
    assert ledger.trend(np.array(signs) > 0.5) == verdict


def test_a_trend_needs_five_seeds():
    assert "at least five paired seeds, not 4" in refusal(ledger.trend, [True] * 4)
    assert "not 0" in refusal(ledger.trend, np.array([], dtype=bool))


NO_TRUTHS = [math.nan, None, math.inf, 0.5, 1, 0, "True", "", [], np.array([True, True]), np.array([False]), pd.NA]


@pytest.mark.parametrize("value", NO_TRUTHS, ids=str)
def test_what_is_neither_true_nor_false_decides_nothing(value):
    words = "is not True or False"
    assert words in refusal(ledger.identity, value)
    assert words in refusal(ledger.refutation, value)
    for printed, corrected in ((value, True), (True, value), (False, value)):
        assert words in refusal(ledger.correction, printed, corrected)
    for place in range(5):
        assert words in refusal(ledger.trend, [True] * place + [value] + [True] * (4 - place))


@pytest.mark.parametrize("kind", [bool, np.bool_, torch.tensor, np.array])
def test_truth_values_of_numpy_and_torch_decide(kind):
    assert (ledger.identity(kind(True)), ledger.identity(kind(False))) == ("reproduced", "not reproduced")
    assert ledger.correction(kind(False), kind(True)) == "corrected"
    assert (ledger.refutation(kind(True)), ledger.trend([kind(True)] * 5)) == ("refuted", "reproduced")


def test_trend_takes_a_column_or_a_tensor():
    signs = [True, True, False, True, True]
    assert [ledger.trend(kind(signs)) for kind in (np.array, pd.Series, torch.tensor)] == ["partly"] * 3
    assert "is not True or False" in refusal(ledger.trend, np.array([[True] * 5] * 5))


def test_machine_independent_lists_identities_and_theorems_only(mini):
    verdicts = [
        judge("T-Sum", "reproduced", measured=""),
        judge("T-Bound", "corrected", measured=""),
        judge("T-Trend", "partly", measured=""),
        judge("T-Head", "reported", measured=""),
    ]
    assert [line.split() for line in ledger.machine_independent(verdicts)] == [
        ["T-Sum", "reproduced"],
        ["T-Bound", "corrected"],
    ]
