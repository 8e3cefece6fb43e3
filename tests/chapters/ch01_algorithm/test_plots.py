"""What would be blank on the common scale is magnified, and its title says by how much."""

import numpy as np
import pandas as pd
import pytest

from bnlab.chapters.ch01_algorithm import plots


@pytest.mark.parametrize(
    ("peak", "title", "drawn"),
    [
        (0.02, "small, times 10", 0.2),
        (0.0011, "small, times 100", 0.11),
        (0.5, "small", 0.5),
        (3.0, "small", 3.0),
        (0.0, "small", 0.0),
        (np.nan, "small", np.nan),
    ],
)
def test_small_terms_are_magnified(peak, title, drawn):
    values = {"input": 1.0, **{f"large {k}": 1.0 for k in range(4)}, "small": peak}
    rows = [(panel, i, j, value) for panel, value in values.items() for i in range(2) for j in range(2)]
    axes = plots.gradient_terms(pd.DataFrame(rows, columns=["panel", "row", "column", "value"])).axes[5]
    assert axes.get_title() == title
    np.testing.assert_allclose(np.ma.filled(axes.images[0].get_array(), np.nan), drawn)


def test_gradients_that_are_nearly_all_zero():
    rows = [
        (str(panel), i, j, float(panel and i == j == 0)) for panel in range(6) for i in range(20) for j in range(20)
    ]
    figure = plots.gradient_terms(pd.DataFrame(rows, columns=["panel", "row", "column", "value"]))
    assert [axes.get_title() for axes in figure.axes[:6]] == list("012345")
