"""Numbers put into the text of an executed notebook, as MyST-NB puts them into the page."""

import math

import pytest
from conftest import cell, notebook

from bnlab.claims.markup import numbers
from bnlab.commands.glued import RECORD, filled


def glued(name: str, plain: object, *, shown: bool = False) -> dict:
    prefix = "" if shown else "application/papermill.record/"
    return {
        "output_type": "display_data",
        "data": {f"{prefix}text/plain": plain},
        "metadata": {"scrapbook": {"name": name, "mime_prefix": prefix}},
    }


def page(text: object, *outputs: dict) -> dict:
    return notebook([cell("glue()", outputs=list(outputs)), cell(text, "markdown")])


def told(text: object, *outputs: dict) -> object:
    return filled(page(text, *outputs))["cells"][1]["source"]


FORMATS = ["", ":.2f", ":+.2f", ":.1e", ":,.0f", ":g", ":.2g"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("value", [0.12345, -3.0, 1234567.0, math.inf, 12])
def test_formats_are_those_of_the_built_page(value, form):
    oracle = pytest.importorskip("myst_nb.core.variables")
    expected = numbers(oracle.format_plain_text(repr(value), form.removeprefix(":")))
    assert told(f"so {{glue:text}}`x{form}`.", glued("x", repr(value))) == f"so {expected}."


def test_powers_of_ten_are_raised():
    assert told("{glue:text}`x:.1e`", glued("x", "2.34e-09")) == "2.3\u00a0×\u00a010<sup>−9</sup>"


def test_a_text_loses_its_quotation_marks():
    text = "{glue:text}`x` and {glue:text}`::x:s`"
    assert told(text, glued("x", "'BN, none'", shown=True)) == "BN, none and BN, none"


def test_what_nobody_computed_stays_as_it_is_typed():
    text = "{glue:text}`y:.2f`, {glue:text}`x:.2f`, `x` and {cite:t}`x`"
    assert told(text, glued("x", "1.0")) == "{glue:text}`y:.2f`, 1.00, `x` and {cite:t}`x`"


def test_a_format_that_does_not_fit_leaves_the_value():
    assert told("{glue:text}`x:.2f`", glued("x", "'never'")) == "never"
    assert told("{glue:text}`x:d`", glued("x", "0.5")) == "0.5"
    assert told("{glue:text}`x`", glued("x", "<an object>")) == "<an object>"


def test_sources_and_outputs_in_lines_stay_in_lines():
    assert told(["one {glue:text}`x`\n", "two"], glued("x", ["1", "2"])) == ["one 12\n", "two"]


def test_code_and_the_notebook_that_was_given_are_left_alone():
    before = page("{glue:text}`x`", glued("x", "1"))
    before["cells"].append(cell("'{glue:text}`x`'"))
    after = filled(before)
    assert after["cells"][2]["source"] == "'{glue:text}`x`'"
    assert before["cells"][1]["source"] == "{glue:text}`x`"
    assert RECORD in after["cells"][0]["outputs"][0]["data"]
