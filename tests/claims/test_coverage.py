"""What is not there is named: a table, a rate, an arm, a run, seeds."""

import math

import pandas as pd
import pytest

from bnlab.claims import coverage, ledger
from bnlab.claims.coverage import MissingArmError, NotRunError
from bnlab.claims.ledger import LedgerError

WIDE = pd.DataFrame({"none": [1.0, 2, 3, 4, 5], "batch": [0.1, 0.2, math.inf, 0.4, 0.5]})


def test_what_is_there_is_given_back():
    table = pd.DataFrame({"rate": [0.1, 3.0], "norm": ["none", "batch"]})
    assert coverage.need(table, "runs", rate=[0.1], norm=["batch", "none"]) is table
    assert coverage.paired(WIDE.assign(more=math.nan), "errors", ["batch", "none"]).columns.tolist() == [
        "batch",
        "none",
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, "no long runs"),
        (pd.DataFrame({"learning_rate": []}), "no long runs"),
        (pd.DataFrame({"learning_rate": [0.1]}), "no long runs with learning rate 3.0, 10.0"),
    ],
)
def test_a_table_or_a_rate_that_was_not_run(table, words):
    with pytest.raises(NotRunError) as caught:
        coverage.need(table, "long runs", learning_rate=[0.1, 3.0, 10.0])
    assert str(caught.value) == words
    assert not isinstance(caught.value, MissingArmError)


@pytest.mark.parametrize(
    ("wide", "error", "words"),
    [
        (WIDE.drop(columns="batch"), MissingArmError, "no errors of batch"),
        (WIDE.assign(batch=math.nan), MissingArmError, "no errors of batch"),
        (WIDE.assign(batch=[0, 0, math.nan, 0, 0]), LedgerError, "errors of batch: 1 of 5 values are not a number"),
        (WIDE[:4], LedgerError, "errors: 4 paired seeds are fewer than 5."),
    ],
)
def test_what_cannot_be_compared(wide, error, words):
    with pytest.raises(error, match=words) as caught:
        coverage.paired(wide, "errors", ["none", "batch"])
    assert type(caught.value) is error


def not_there(error):
    def judge(table, *, scale, data):
        raise error(f"no {table} at {scale}")

    return judge


def test_what_was_not_run_is_no_verdict():
    made = coverage.judged(["C-Fig7", "C-Sep"], not_there(NotRunError), "runs", scale="quick", data="digits")
    assert [(v.id, v.verdict, v.measured, v.scale, v.data) for v in made] == [
        (name, "not run at full scale", "no runs at quick", "quick", "digits") for name in ("C-Fig7", "C-Sep")
    ]


def test_a_missing_arm_is_an_error_in_a_quick_run_only():
    assert (
        coverage.judged(["C-Fig7"], not_there(MissingArmError), "x", scale="full")[0].verdict == "not run at full scale"
    )
    with pytest.raises(MissingArmError):
        coverage.judged(["C-Fig7"], not_there(MissingArmError), "x", scale="quick")
    for scale in ledger.SCALES:
        with pytest.raises(LedgerError, match="no x at"):
            coverage.judged(["C-Fig7"], not_there(LedgerError), "x", scale=scale)
