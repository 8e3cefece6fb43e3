"""The pictures of chapter 15 show what they were given, and can be read."""

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, legend, readable

from bnlab.chapters.ch15_gradients_and_activations import plots
from bnlab.chapters.ch15_gradients_and_activations.arms import ARMS

pytestmark = pytest.mark.usefixtures("book_style")


def test_moments():
    rows = [
        (arm, seed, place, layer, 1.0 + layer, 2.0**layer)
        for arm, places in (("none", ["convolution", "stream"]), ("all", ["convolution", "norm", "stream"]))
        for place in places
        for layer in range(0, 9, 2 if place == "stream" else 1)
        for seed in range(2)
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "place", "layer", "mean", "variance"])
    figure = readable(plots.moments(table))
    assert legend(figure) == [
        "no norm: first convolutions",
        "no norm: residual stream",
        "BN everywhere: first convolutions",
        "BN everywhere: BN's outputs",
        "BN everywhere: residual stream",
    ]
    lines = labelled(figure.axes[0])
    assert lines["no norm: residual stream"].get_ydata().tolist() == [1, 4, 16, 64, 256]
    assert lines["BN everywhere: first convolutions"].get_xdata().tolist() == [1, 3, 5, 7]
    assert len(figure.axes[1].get_lines()) == 4, "means of BN's outputs are 0"


def test_output_gradients():
    rows = [
        (arm, seed, image, 2 - image, output, 0.1 * image + output + 10 * seed)
        for arm in ("none", "last BN", "all")
        for seed in range(2)
        for image in range(3)
        for output in range(2)
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "image", "label", "output", "gradient"])
    figure = readable(plots.output_gradients(table))
    assert [axes.get_title() for axes in figure.axes[:3]] == ["no norm", "one BN at the end", "BN everywhere"]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, [[0.2, 1.2], [0.1, 1.1], [0.0, 1.0]])  # by label, of the first seed
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def test_cancellation():
    rows = [
        (arm, seed, layer, factor * 2.0, 2.0, 400)
        for arm, factor in (("none", 2.0), ("last BN", 8.0), ("all", 16.0))
        for seed in range(2)
        for layer in (0, 3, 9, 15, 18)
    ]
    columns = ["arm", "seed", "layer", "absolute", "net", "summands"]
    figure = readable(plots.cancellation(pd.DataFrame(rows, columns=columns)))
    lines = labelled(figure.axes[0])
    assert lines["BN everywhere"].get_ydata().tolist() == [16] * 5
    assert lines["independent signs"].get_ydata().tolist() == [20] * 5
    printed = lines["BN everywhere, printed"]
    assert printed.get_xdata().tolist() == [3, 9, 15]
    assert printed.get_ydata().tolist() == [251.8, 112.8, 40.7]


PAIRS = pd.DataFrame(
    [
        (arm, 0, i, o, (i + 1.0) * (o + 1.0) * (i != 2), -float(i))
        for arm in ("none", "all")
        for i in range(3)
        for o in range(2)
    ],
    columns=["arm", "seed", "in", "out", "size", "mean"],
)


def test_channels_are_ordered_and_relative_to_their_mean():
    figure = readable(plots.between_channels(PAIRS))
    shown = np.asarray(figure.axes[0].images[0].get_array())
    mean = PAIRS[PAIRS["arm"] == "none"]["size"].mean()
    np.testing.assert_allclose(shown[:2], np.array([[4.0, 2.0], [2.0, 1.0]]) / mean)
    assert (shown[2] > 0).all(), "a gradient of 0 leaves no hole"


def test_means_and_gradients():
    figure = readable(plots.means_and_gradients(PAIRS))
    (points,) = figure.axes[0].get_lines()
    assert points.get_xdata().tolist() == [0, 0.5, 1]
    assert points.get_ydata().tolist() == [0.5, 1, 0]


def ends(depths):
    rows = [
        (arm, depth, seed, 10.0**n * depth, 1.0 if arm != "none" else 0.0)
        for n, arm in enumerate(ARMS)
        for depth in depths
        for seed in range(3)
    ]
    columns = ["arm", "depth", "seed", "gaussian", "survived"]
    return pd.DataFrame(rows, columns=columns).assign(features=lambda t: t["gaussian"], softmax=0.0)


def test_ends():
    figure = readable(plots.ends(ends([20, 110]), "gaussian", "eigenvalue"))
    assert legend(figure) == ["depth 20", "depth 110"]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [plots.NAMES[arm] for arm in ARMS]
    line = labelled(figure.axes[0])["depth 110"].lines[0]
    assert line.get_xdata().tolist() == pytest.approx([110 * 10.0**n for n in range(6)])
    one = readable(plots.ends(ends([20]), "gaussian", "eigenvalue"))
    assert (one.axes[0].get_title(), one.legends) == ("depth 20", [])


def test_predicted_rates():
    table = ends([20])
    keys = ["arm", "depth", "seed"]
    figure = readable(plots.predicted_rates(table.drop(columns="survived"), table[[*keys, "survived"]]))
    assert [axes.get_title() for axes in figure.axes] == ["R of the last layer", "Fisher matrix", "Fisher, softmax"]
    points = figure.axes[1].get_lines()
    assert points[0].get_xdata().tolist() == [], "a rate of 0 has no place on a logarithmic axis"
    assert points[1].get_xdata().tolist() == [2 / 200] * 3


def test_conditions():
    rows = [
        (arm, depth, seed, norm, 10.0 * depth * (norm == "without") + depth)
        for arm in ("none", "all")
        for depth in (8, 20)
        for norm in ("without", "with")
        for seed in range(2)
    ]
    figure = readable(plots.conditions(pd.DataFrame(rows, columns=["arm", "depth", "seed", "norm", "condition"])))
    assert legend(figure) == ["features as they are", "behind one BN"]
    assert figure.axes[0].get_title() == "BN everywhere"
    assert labelled(figure.axes[0])["features as they are"].get_ydata().tolist() == [88, 220]
