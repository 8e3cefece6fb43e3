"""The pictures of chapter 14 show what they were given, and can be read; what overflowed is marked, not dropped."""

import math

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, legend, readable

from bnlab.chapters.ch14_divergence import plots
from bnlab.chapters.ch14_divergence.looks import EDGES

pytestmark = pytest.mark.usefixtures("book_style")


def test_histogram_is_a_density():
    rows = [(arm, seed, left, 1 / 80) for arm in ("none", "BN") for seed in (0, 1) for left in EDGES[:-1]]
    figure = readable(plots.gradient_histogram(pd.DataFrame(rows, columns=["arm", "seed", "left", "share"])))
    assert legend(figure) == ["no norm", "BN", "Gaussian"]
    line = labelled(figure.axes[0])["no norm"]
    assert line.get_ydata() == pytest.approx(0.05)
    assert line.get_xdata()[0] == pytest.approx(-9.875)
    assert labelled(figure.axes[0])["Gaussian"].get_ydata().max() == pytest.approx(1 / math.sqrt(2 * math.pi))


def test_numbers_by_layer():
    rows = [(arm, seed, layer, 10.0**layer + seed) for arm in ("none", "BN") for seed in range(3) for layer in range(4)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "layer", "kurtosis"])
    figure = readable(plots.gradients_by_layer(table, "kurtosis", "excess kurtosis"))
    assert labelled(figure.axes[0])["BN"].get_ydata().tolist() == [2, 11, 101, 1001]


def test_walks_beyond_the_axis_are_marked():
    rows = [("none", seed, 0, size, ratio) for seed in (0, 1) for size, ratio in ((1e-4, 0.1), (1e-3, math.inf))]
    rows += [("BN", 0, 0, size, 0.5) for size in (1e-2, 1e-1)]
    figure = readable(plots.walks(pd.DataFrame(rows, columns=["arm", "seed", "batch", "step_size", "ratio"])))
    assert legend(figure) == ["no norm", "BN", "beyond the axis"]
    marks = labelled(figure.axes[0])["beyond the axis"]
    assert marks.get_xdata().tolist() == [1e-3, 1e-3]
    assert np.isfinite(marks.get_ydata()).all()


def test_heat_maps_with_an_infinite_channel():
    rows = [
        (layer, channel, part, 1.0, math.inf if channel == part == 1 else 10.0**channel)
        for layer in (8, 44, 80)
        for channel in range(3)
        for part in (0.0, 0.3, 1.0)
    ]
    table = pd.DataFrame(rows, columns=["layer", "channel", "fraction", "mean", "variance"])
    figure = readable(plots.heat_maps(table, "variance", "variance of a channel"))
    assert [axes.get_title() for axes in figure.axes[:3]] == ["layer 8", "layer 44", "layer 80"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["0 %", "30 %", "100 %"]
    image = figure.axes[0].get_images()[0].get_array()
    assert image[0].tolist() == [1, 10, 100]
    assert image.mask[2].tolist() == [False, True, False]


def updates():
    rows = [
        (seed, part, layer, 10.0 ** (part * layer / 8), 0.5)
        for seed in range(3)
        for part in (0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.6, 1.0)
        for layer in (8, 44, 80)
    ]
    return pd.DataFrame(rows, columns=["seed", "fraction", "layer", "variance", "share"])


def test_variances_early_and_all():
    figure = readable(plots.variances(updates()))
    early, late = figure.axes[:2]
    assert {"0 %"} < set(labelled(early)) <= {"0 %", "1 %", "3 %", "10 %"}
    assert labelled(late)["100 %"].get_ydata() == pytest.approx([10, 10**5.5, 1e10])
    assert "100 %" not in labelled(early)


def test_shares():
    figure = readable(plots.shares(updates()))
    names = legend(figure)
    assert len(names) == 5
    assert names[0] == "0 %"
    assert names[-1] == "100 %"
    assert labelled(figure.axes[0])["0 %"].get_ydata() == pytest.approx(0.5)


def test_runs_that_end():
    rows = [(rate, seed, step, loss, 0.1, 0.1) for rate in (1e-3, 1e-2) for seed in (0, 1)
            for step, loss in enumerate((900.0, 1e9, math.inf))]  # fmt: skip
    columns = ["rate", "seed", "step", "loss", "accuracy", "guessing"]
    figure = readable(plots.runs(pd.DataFrame(rows, columns=columns)))
    assert legend(figure) == ["rate 0.001", "rate 0.01", "infinite after this"]
    ends = labelled(figure.axes[0])["infinite after this"]
    assert ends.get_xdata().tolist() == [1] * 4
    assert ends.get_ydata().tolist() == [1e9] * 4


def test_rates_by_depth():
    rows = [(arm, layers, seed, rate, 2 * rate) for arm in ("none", "BN") for seed in range(3)
            for layers, rate in ((8, 1.0), (20, 0.1))]  # fmt: skip
    table = pd.DataFrame(rows, columns=["arm", "depth", "seed", "survived", "lost"])
    figure = readable(plots.rates_by_depth(table))
    assert labelled(figure.axes[0])["BN"].get_ydata() == pytest.approx([2**0.5, 0.1 * 2**0.5])
    assert legend(readable(plots.rates_by_depth(table[table["arm"] == "none"]))) == ["no norm"]


def test_open_brackets_show_the_end_that_is_known():
    rows = [("none", 8, 0, 100.0, math.inf), ("none", 20, 0, 0.0, 1e-7)]
    figure = readable(plots.rates_by_depth(pd.DataFrame(rows, columns=["arm", "depth", "seed", "survived", "lost"])))
    assert labelled(figure.axes[0])["no norm"].get_ydata() == pytest.approx([100, 1e-7])


def test_two_layers():
    rows = [(c, step, c**step, c) for c in (1.0, 3.0) for step in range(5)] + [
        (4.2, 0, 1.0, 4.2),
        (4.2, 1, math.inf, 9.0),
    ]
    figure = readable(plots.two_layers(pd.DataFrame(rows, columns=["c", "step", "loss", "product"])))
    assert legend(figure) == ["c = 1", "c = 3", "c = 4.2"]
    assert labelled(figure.axes[0])["c = 4.2"].get_xdata().tolist() == [0]


def test_phases():
    rows = [
        (network, loss, c, 3, 1, 1) for network in ("MLP", "LeNet", "ResNet-8") for loss in ("squares",) for c in (1, 3)
    ]
    table = pd.DataFrame(rows, columns=["network", "loss", "c", "monotone", "catapult", "lost"])
    figure = readable(plots.phases(table))
    assert legend(figure) == ["monotone", "catapult", "lost"]
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["MLP, squares", "LeNet, squares", "ResNet-8, squares"]
    assert [bar.get_height() for bar in shown[0].patches] == [3, 3, 1, 1, 1, 1]
