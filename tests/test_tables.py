"""Tables with units."""

import pytest

from bnlab.tables import table


def test_columns_and_units():
    made = table([(1, 2.0), (3, 4.0)], {"M": "factors", "time": "s"})
    assert list(made.columns) == ["M", "time"]
    assert made.attrs["units"] == {"M": "factors", "time": "s"}
    assert list(made["M"]) == [1, 3]
    assert list(table([], {"M": "factors"}).columns) == ["M"]


def test_refuses_rows_of_another_length():
    with pytest.raises(ValueError, match="columns"):
        table([(1, 2)], {"M": "factors"})
