"""Figures of length and direction: drawn from tables, labelled, with every arm named."""

import pandas as pd
import pytest
from drawn import legend

from bnlab.chapters.ch11_length_and_direction import plots
from bnlab.chapters.ch11_length_and_direction.decoupling import ARMS, KERNELS

CASES = [
    (plots.forms, {"form": ["a", "b"], "normalised": [0.0, 1.0], "value": [0.0, 2.0]}, ["equal", "a", "b"]),
    (plots.output_scales, {"factor": [0.1, 1.0], "quantity": ["a", "b"], "value": [1.0, 2.0]}, ["a", "b"]),
    (plots.growth, {"case": ["a", "b"], "step": [1, 1], "squared": [1.0, 2.0], "off": [0.0, 1e-9]}, ["a", "b"]),
    (plots.initial_scales, {"arm": list(ARMS), "exponent": [-1, 0, 1], "error": [0.1, 0.2, 0.9]}, list(ARMS)),
    (plots.fisher_spectra, {"arm": list(KERNELS), "depth": [1] * 4, "largest": [1.0] * 4, "kappa": [2.0] * 4},
     list(KERNELS)),
    (plots.rate_collapse, {"exponent": [0, 2], "rate": [0.1, 1.6], "effective": [0.1, 0.1], "turned": [3.0, 3.0],
                           "loss": [1.0, 1.0]}, ["weights × $2^{0}$", "weights × $2^{2}$"]),
]  # fmt: skip


@pytest.mark.parametrize(("draw", "columns", "names"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_figure_names_every_line_and_axis(draw, columns, names):
    figure = draw(pd.DataFrame(columns))
    beside = [text.get_text() for axes in figure.axes for text in axes.texts]  # names on the lines themselves
    assert (legend(figure) or beside) == names
    for axes in figure.axes:
        assert axes.get_ylabel() or axes.get_shared_y_axes().get_siblings(axes)
    assert figure.get_figwidth() <= 7


def test_collapse_is_drawn_over_the_effective_rate():
    rates = pd.DataFrame({"exponent": [0, 2], "rate": [0.1, 1.6], "effective": [0.1, 0.1], "turned": [3.0, 3.0],
                          "loss": [1.0, 1.0]})  # fmt: skip
    over_rate, over_effective = plots.rate_collapse(rates).axes[:2]
    assert [line.get_xdata()[0] for line in over_rate.lines] == [0.1, 1.6]
    assert [line.get_xdata()[0] for line in over_effective.lines] == [0.1, 0.1]
