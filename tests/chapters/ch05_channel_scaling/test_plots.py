"""Figures of channel scaling: drawn from tables, labelled, showing what the tables say."""

import numpy as np
import pandas as pd
import pytest
from drawn import legend

from bnlab.chapters.ch05_channel_scaling import layer_plots, plots


def frame(**columns):
    return pd.DataFrame(columns)


LAYER_SPECTRA = frame(
    weights=["as drawn"] * 4 + ["other"], seed=[0, 0, 1, 1, 0], rank=[1, 2, 1, 2, 1], plain=[2.0, 1, 9, 9, 9],
    scaled=[4.0, 3, 9, 9, 9], normalised=[3.0, 3, 9, 9, 9], low=[2.0, 1, 9, 9, 9], high=[6.0, 3, 9, 9, 9],
)  # fmt: skip
SHARES = frame(
    weights=["as drawn"] * 8, seed=[0, 0, 0, 0, 1, 1, 1, 1], rank=[1, 1, 2, 2] * 2, channel=[0, 1] * 4,
    participation=[0.9, 0.1, 0.4, 0.6, 0.7, 0.3, 0.5, 0.5],
)  # fmt: skip
SUMMARY = pd.concat(
    frame(
        weights=[w] * 2,
        seed=[0, 1],
        view=[v] * 2,
        kappa=[k, k * 2],
        floor=[2.0, 3.0],
        leverage=[0.5, 0.7],
        coherence=0.3,
    )
    for w in ("as drawn", "BN, rate 0.1")
    for v, k in (("plain", 10.0), ("scaled", 5.0), ("normalised", 20.0), ("best", 4.0))
)
CASES = [
    (plots.mixtures(frame(gains=["any", "at least 1", "at least 1"], position=[0.2, 0.3, np.nan]),
                    frame(share=[1, 0.1], q1=[0.3, 0.9], median=[0.5, 1.0], q3=[0.6, 1.0])), []),
    (plots.two_sides(frame(case=["a", "a", "b", "b"], when=["before", "after"] * 2, eigenvalue=[1.0, 2, 3, 4])), []),
    (plots.centred_top(frame(share=[0.0, 0.5], treatment=["x", "y"], ratio=[1.0, 0.5], source=["closed form", "maps"])),
     ["x", "y"]),
    (plots.power_after_pooling(frame(correlation=[0, 1], power=[0.25, 0.5]),
                               frame(correlation=[0, 1], power=[0.25, 0.5], standard_error=[0.01, 0.01])),
     ["closed form", "unit power", "simulated, four standard errors"]),
    (plots.equilibrated(frame(dimension=[2, 2, 3, 3], before=[2.0] * 4, after=[1.0, 2, 3, 1])), ["d = 2", "d = 3"]),
    (layer_plots.spectra(LAYER_SPECTRA), ["plain", "scaled", "normalised", "Ostrowski's bounds on scaled"]),
    (layer_plots.participations(SHARES), ["median and quartiles over seeds", "decorrelated channels", "spread evenly"]),
    (layer_plots.control(SUMMARY), ["divided by RMS", "Batch Normalization", "best channel gains",
                                    "largest κ inside a channel", "leverage of the channels",
                                    "coherence of the channels"]),
]  # fmt: skip


@pytest.mark.parametrize(("figure", "names"), CASES)
def test_figure_names_every_line_and_axis(figure, names):
    assert legend(figure) == names
    for axes in figure.axes:
        assert axes.get_ylabel() or axes.get_shared_y_axes().get_siblings(axes)
    assert figure.get_figwidth() <= 7


def test_block_structure_labels_bands_and_factors():
    labels = frame(row=[0, 0, 1, 1], column=[0, 1, 0, 1], channel=[1, 1, 2, 2])
    factors = frame(i=[1, 1, 2, 2], j=[1, 2, 1, 2], factor=[4.0, 1.0, 1.0, 0.25])
    left, right = plots.block_structure(labels, factors).axes
    assert [(text.get_text(), text.get_position()[1]) for text in left.texts] == [("channel 1", 0), ("channel 2", 1)]
    assert [text.get_text() for text in right.texts] == ["4", "1", "1", "0.25"]


def test_two_sides_write_the_condition_numbers():
    cases = frame(case=["a"] * 4, when=["before", "before", "after", "after"], eigenvalue=[1.0, 24, 2, 6])
    assert [text.get_text() for text in plots.two_sides(cases).axes[0].texts] == ["κ = 24", "κ = 3"]


def test_equilibrated_shows_the_share_above():
    (line, *_) = (
        plots.equilibrated(frame(dimension=[3] * 4, before=[1.0] * 4, after=[0.5, 2.0, 0.8, 0.9])).axes[0].lines
    )
    assert line.get_xdata().tolist() == [0.5, 0.8, 0.9, 2.0]
    assert line.get_ydata().tolist() == [1.0, 0.75, 0.5, 0.25]


def test_block_maps_keep_the_matrix_and_draw_the_edges():
    grid = np.arange(144.0).reshape(12, 12)
    rows, columns = np.indices((12, 12))
    blocks = frame(row=rows.ravel(), column=columns.ravel(), plain=grid.ravel(), scaled=2 * grid.ravel())
    left, right, *_ = layer_plots.block_maps(blocks).axes
    for axes in (left, right):  # over the mean of the diagonal, on one scale
        np.testing.assert_allclose(axes.images[0].get_array(), grid / grid.diagonal().mean())
    assert left.images[0].get_clim() == right.images[0].get_clim()
    assert [line.get_ydata()[0] for line in left.lines[::2]] == [1.5, 3.5, 5.5, 7.5, 9.5]


def test_layer_spectra_are_those_of_the_first_seed_and_the_weights_asked_for():
    left, right = layer_plots.spectra(LAYER_SPECTRA).axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[2, 1], [4, 3], [3, 3]]
    assert [line.get_ydata().tolist() for line in right.lines[:2]] == [[2, 3], [1.5, 3]]


def test_participations_show_one_network_above_and_all_below():
    above, below, *_ = layer_plots.participations(SHARES).axes
    np.testing.assert_allclose(above.images[0].get_array(), [[0.9, 0.4], [0.1, 0.6]])
    np.testing.assert_allclose(below.lines[0].get_ydata(), [0.8, 0.55])


def test_control_is_relative_to_the_plain_view():
    left, right = layer_plots.control(SUMMARY).axes
    medians = {line.get_label(): line.get_xdata()[0] for line in left.lines if not line.get_label().startswith("_")}
    assert medians == pytest.approx(
        {
            "divided by RMS": 0.5,
            "Batch Normalization": 2.0,
            "best channel gains": 0.4,
            "largest κ inside a channel": 0.175,
        }
    )
    assert [line.get_xdata()[0] for line in right.lines if not line.get_label().startswith("_")] == [0.6, 0.3]
