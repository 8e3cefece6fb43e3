import json
import math

import pandas as pd
import pytest
from conftest import displayed, notebook, tiny_chapter, verdict_row, write_json

from bnlab.claims.book import BookError
from bnlab.commands import compare as comparison


def run(folder, *entries, name="out.ipynb", **metadata):
    return write_json(folder / name, notebook([*tiny_chapter()["cells"], displayed(*entries)], **metadata))


def refusal(path) -> str:
    with pytest.raises(BookError) as caught:
        comparison.compare(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


VERDICTS = {"verdicts": [verdict_row("T-Sum", "reproduced"), verdict_row("T-Bound", "corrected")]}
REST = {"verdicts": [verdict_row("T-Trend", "partly", data="toy"), verdict_row("T-Head", "not run at full scale")]}
LOSSES = {"table": "losses", "rows": {"epoch": [0, 1], "loss": [1.0, 0.5]}}


def test_nothing_differs(built, tmp_path):
    found = comparison.compare(run(tmp_path, VERDICTS, REST, LOSSES))
    assert found.chapter == "90"
    assert found.changed.empty
    assert found.tables.empty
    assert found.as_text().splitlines() == [
        "Chapter 90: this run beside the book's.",
        "Parameters of this run: the book's own.",
        "Verdicts that differ: none.",
        "Tables that differ: none.",
    ]
    assert found.as_dict() == {"chapter": "90", "parameters": [], "verdicts": [], "tables": []}


def test_what_differs(built, tmp_path):
    changed = {"verdicts": [verdict_row("T-Sum", "refuted", measured="3"), verdict_row("T-Bound", "corrected")]}
    losses = {"table": "losses", "rows": {"epoch": [0, 1], "loss": [1.0, 0.4]}}
    parameters = {"rates": [1.0], "norm": "none"}
    path = run(tmp_path, changed, losses, {"table": "extra", "rows": {"a": [1]}}, papermill={"parameters": parameters})
    found = comparison.compare(path).as_dict()
    json.dumps(found, allow_nan=False)
    assert found["parameters"] == [
        {"name": "rates", "book": [0.1, 1.0], "mine": [1.0]},
        {"name": "norm", "book": "batch", "mine": "none"},
    ]
    verdicts = {row["id"]: (row["book"], row["mine"], row["mine_measured"]) for row in found["verdicts"]}
    assert verdicts == {
        "T-Sum": ("reproduced", "refuted", "3"),
        "T-Trend": ("partly", "absent", ""),
        "T-Head": ("not run at full scale", "absent", ""),
    }
    losses, extra = found["tables"]
    assert (losses["table"], losses["column"]) == ("losses", "loss")
    assert losses["largest_relative_difference"] == pytest.approx(0.2)
    assert (extra["table"], extra["note"]) == ("extra", "only in this run")
    assert extra["largest_relative_difference"] is None
    text = comparison.compare(path).as_text()
    assert "refuted" in text
    assert "0.2" in text


def test_scales_are_compared_each_with_its_own(built, tmp_path):
    mine = {"verdicts": [verdict_row("T-Trend", "partly"), verdict_row("T-Trend", "reproduced", "full")]}
    changed = comparison.compare(run(tmp_path, VERDICTS, mine, LOSSES)).changed
    assert list(zip(changed["id"], changed["scale"], changed["book"], changed["mine"], strict=True)) == [
        ("T-Head", "quick", "not run at full scale", "absent"),
        ("T-Trend", "full", "absent", "reproduced"),
    ]


@pytest.mark.parametrize("name", ["out.ipynb", "04_other.ipynb", "90_tiny-2.ipynb", "my run.ipynb"])
def test_the_chapter_is_known_by_what_it_says(built, tmp_path, name):
    assert comparison.compare(run(tmp_path, VERDICTS, name=name)).chapter == "90"


def test_shapes(built, tmp_path):
    longer = {"table": "losses", "rows": {"epoch": [0, 1, 2], "loss": [1.0, 0.5, 0.2]}}
    (row,) = comparison.compare(run(tmp_path, VERDICTS, REST, longer)).as_dict()["tables"]
    assert row["note"] == "2 rows of epoch, loss in the book, 3 rows of epoch, loss here"
    renamed = {"table": "losses", "rows": {"epoch": [0, 1], "error": [1.0, 0.5]}}
    (row,) = comparison.compare(run(tmp_path, VERDICTS, REST, renamed)).as_dict()["tables"]
    assert row["note"] == "2 rows of epoch, loss in the book, 2 rows of epoch, error here"


@pytest.mark.parametrize(
    ("mine", "theirs", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.0], None),
        ([1, 2], [1.0, 2.0], None),
        ([1.0, 2.0], [1.0, 2.0 * (1 + 1e-15)], 1e-15),
        ([0.0, 0.0], [0.0, -0.0], None),
        ([0.0, 1.0], [1e-3, 1.0], 1.0),
        ([1.0, math.nan], [1.0, math.nan], None),
        ([math.inf, 1.0], [math.inf, 2.0], 0.5),
        ([True, False], [True, True], 1.0),
        (["inf", 1.0], ["inf", 3.0], 2 / 3),
        (["a", "b"], ["a", "b"], None),
        (["a", None], ["a", None], None),
        ([1e-320], [2e-320], 0.5),
    ],
)
def test_difference(mine, theirs, difference):
    found = comparison._difference(pd.Series(mine), pd.Series(theirs))
    if difference is None:
        assert found is None
    else:
        assert found == (pytest.approx(difference, rel=0.2), "")


@pytest.mark.parametrize(
    ("mine", "theirs", "entries"),
    [
        ([1.0, math.nan], [1.0, 2.0], 1),
        ([math.inf, 1.0], [1.0, 1.0], 1),
        ([math.inf, 1.0], [-math.inf, 1.0], 1),
        ([math.inf, math.nan], [math.nan, math.inf], 2),
        (["a", "b"], ["a", "c"], 1),
        (["a", "b"], [1.0, 2.0], 2),
        (["a", None], ["a", "b"], 1),
    ],
)
def test_entries_that_no_number_can_compare(mine, theirs, entries):
    number, note = comparison._difference(pd.Series(mine), pd.Series(theirs))
    assert number is None
    assert note.startswith(f"{entries} entries differ")


def test_a_run_that_is_none(built, tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere.ipynb")
    assert "holds no verdicts: name a chapter executed to its end" in refusal(run(tmp_path))
    assert "has none of its claims" in refusal(run(tmp_path, {"verdicts": [verdict_row("T-Ghost", "reproduced")]}))


@pytest.mark.parametrize("rows", [3, "x", {"a": [1], "b": [1, 2]}, {"a": 1}])
def test_a_hostile_table_is_named(built, tmp_path, rows):
    line = refusal(run(tmp_path, VERDICTS, {"table": "losses", "rows": rows}))
    assert line.startswith(f"{tmp_path / 'out.ipynb'}: a table in it cannot be read (")


@pytest.mark.parametrize("papermill", [3, {}, {"parameters": 3}, {"parameters": None}])
def test_hostile_metadata_are_no_parameters(built, tmp_path, papermill):
    assert comparison.compare(run(tmp_path, VERDICTS, papermill=papermill)).parameters.empty


def test_before_a_build(mini, tmp_path):
    assert "the book is not built, so there is nothing to compare" in refusal(run(tmp_path, VERDICTS))


def test_a_parameter_of_any_value_is_shown(built, tmp_path):
    given = {"note": None, "step": 0.1, "rates": []}
    path = run(tmp_path, VERDICTS, papermill={"parameters": given})
    assert [row["mine"] for row in comparison.compare(path).as_dict()["parameters"]] == [None, 0.1, []]
    assert "rates" in comparison.compare(path).as_text()
