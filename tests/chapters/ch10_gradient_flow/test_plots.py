"""The pictures of chapter 10 show what they were given, and can be read."""

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, legend, readable

from bnlab.chapters.ch10_gradient_flow import plots

pytestmark = pytest.mark.usefixtures("book_style")
LAYERS = np.arange(6)


def profile(arm="BN", activation="relu", weights="Gaussian", rate=1.0):
    made = [
        pd.DataFrame(
            {
                "activation": activation,
                "weights": weights,
                "arm": arm,
                "seed": seed,
                "layer": LAYERS,
                "gradient": 3.0 * np.exp(-rate * LAYERS),
                "parameters": 2.0,
            }
        )
        for seed in range(2)
    ]
    return pd.concat(made)


ALL = pd.concat(
    [profile(arm, kind) for kind in ("linear", "tanh", "relu") for arm in ("none", "BN")], ignore_index=True
)


def test_profiles_are_relative_to_the_last_layer():
    ratio = plots.relative(ALL)["ratio"]
    assert ratio.max() == pytest.approx(np.exp(5))
    assert ratio.min() == pytest.approx(1)


def test_a_panel_an_activation():
    figure = readable(plots.by_activation(ALL, "arm"))
    assert [axes.get_title() for axes in figure.axes] == ["linear", "tanh", "ReLU"]
    assert legend(figure) == ["none", "BN"]
    assert labelled(figure.axes[2])["BN"].get_ydata()[0] == pytest.approx(np.exp(5))


def test_rectifiers_on_their_laws():
    laws = pd.DataFrame({"network": "ReLU + BN", "layer": LAYERS, "ratio": np.exp(5.0 - LAYERS)})
    figure = readable(plots.rectifiers(profile().assign(network="ReLU + BN"), laws))
    law, points = figure.axes[0].get_lines()[:2]
    np.testing.assert_allclose(law.get_ydata(), points.get_ydata())


def test_power_of_depth():
    table = pd.concat([profile("skip"), profile("skip + BN", rate=0.1)], ignore_index=True)
    law = pd.DataFrame({"layer": LAYERS, "ratio": np.exp(-0.1 * LAYERS)})
    figure = readable(plots.power_of_depth(table, law))
    assert legend(figure) == ["skip", "skip + BN", "theory"]
    assert labelled(figure.axes[1])["theory"].get_xdata()[0] == 1


def test_singular_values_without_zeros():
    values = [2.0, 1.0, 0.5, 1e-14]
    rows = [(d, n, 0, k, v) for d in (1, 10) for n in ("none", "batch") for k, v in enumerate(values)]
    figure = readable(plots.singular_values(pd.DataFrame(rows, columns=["depth", "norm", "seed", "rank", "value"])))
    assert labelled(figure.axes[0])["BN"].get_xdata().tolist() == [0.5, 1.0, 2.0]
    assert figure.axes[1].get_title() == "10 hidden layers"


def test_shattering_and_examples():
    rows = [(arm, 0, depth, 0.9**depth) for arm in ("none", "BN") for depth in (1, 2, 3, 20)]
    figure = readable(plots.shattering(pd.DataFrame(rows, columns=["arm", "seed", "depth", "correlation"])))
    assert labelled(figure.axes[0])["BN"].get_xdata().tolist() == [2, 3, 20]
    examples = pd.DataFrame({"title": ["a", "a", "b", "b"], "x": [0, 1] * 2, "gradient": [1.0, 2.0, 3.0, 4.0]})
    figure = readable(plots.gradients_on_a_line(examples))
    assert figure.axes[1].get_lines()[0].get_ydata().tolist() == [3.0, 4.0]


def test_streams_and_shares():
    rows = [
        (arm, seed, block, 1, block, 2.0**block, 3.0**-block, np.nan if block == 0 else share / block)
        for arm, share in (("BN", 1.0), ("zero", 0.0))
        for seed in range(2)
        for block in range(4)
    ]
    columns = ["arm", "seed", "block", "stage", "place", "power", "gradient", "share"]
    table = pd.DataFrame(rows, columns=columns)
    figure = readable(plots.streams(table))
    assert labelled(figure.axes[0])["BN"].get_ydata().tolist() == [1, 2, 4, 8]
    figure = readable(plots.branch_shares(table))
    assert set(labelled(figure.axes[0])) == {"BN", "1 / place"}  # a share of zero has no place on the axis
    assert labelled(figure.axes[0])["BN"].get_ydata() == pytest.approx([1, 1 / 2, 1 / 3])


def test_gradients_of_weights_beside_those_of_layers():
    figure = readable(plots.parameter_gradients(profile(), "arm"))
    assert figure.axes[1].get_lines()[0].get_ydata().tolist() == [2.0] * 5
