"""The pictures of chapter 08 show what they were given, and can be read."""

import math

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, legend, readable

from bnlab.chapters.ch08_internal_covariate_shift import arms, cause_verdicts, estimates, plots

pytestmark = pytest.mark.usefixtures("book_style")


@pytest.fixture(scope="module")
def sigmoid():
    rows = [
        (arm, seed, layer, step, 1.0 - 0.01 * step, -1.0, 0.1 * step, 1.0, *(ratio * (step > 0),) * 3, *(kl,) * 4)
        for arm, ratio, kl in (("none", 6.0, 2.0), ("BN", 2.0, 0.2))
        for seed in range(3)
        for layer in (1, 2, 3)
        for step in (0, 50, 100)
    ]
    names = ["arm", "seed", "layer", "step", "loss", "p15", "p50", "p85", "moved", "moved_own", "moved_next"]
    return pd.DataFrame(rows, columns=[*names, "kl_normalised", "kl_input", "kl_next", "kl_input_back"])


@pytest.fixture(scope="module")
def runs():
    steps = {arms.NONE: 60.0, arms.BN: 10.0, arms.PINNED: math.inf, arms.GRADIENT_ONLY: 20.0}
    rows = [
        (arm, 0.1, seed, at, layer, count, count, 0.1, 0.2, 0.05, 1.0, 0.3, 0.5, -0.5, False)
        for arm, count in steps.items()
        for seed in range(3)
        for at in (["loss 0.3"] if math.isfinite(count) else []) + ["end"]
        for layer in (1, 2)
    ]
    names = ["arm", "learning_rate", "seed", "at", "layer", "steps_to_loss", "steps_to_good", "test_error", "loss"]
    names += ["drift", "travelled", "difference", "cosine", "cosine_matched", "diverged"]
    return pd.DataFrame(rows, columns=names)


def test_estimates_show_the_closed_form_and_the_infinite_ones():
    figure = readable(plots.estimates(estimates.kl_cases(20000, [25, 100, 400], 0)))
    forward, backward, atom = figure.axes
    assert labelled(forward)["closed form"].get_ydata()[0] == pytest.approx(0.4431, abs=1e-4)
    assert "0 added counts" not in labelled(backward)
    assert [text.get_text() for text in backward.texts] == ["none added: infinite"]
    assert np.all(np.diff(labelled(atom)["1 added counts"].get_ydata()) > 0)


def test_percentiles(sigmoid):
    figure = readable(plots.percentiles(sigmoid, 1))
    assert [axes.get_title() for axes in figure.axes] == ["none", "BN"]
    assert figure.axes[0].get_lines()[1].get_ydata().tolist() == [0.0, 5.0, 10.0]


def test_divergences_by_place(sigmoid):
    figure = readable(plots.divergences_by_place(sigmoid, 0.5))
    assert legend(figure) == ["none", "BN"]
    assert {float(y) for line in figure.axes[0].get_lines() for y in line.get_ydata()} == {2.0, 0.2}
    readable(plots.divergences_by_place(sigmoid, 1e-9))  # a loss that nobody reaches


def test_drift_by_depth(sigmoid):
    figure = readable(plots.drift_by_depth(sigmoid))
    assert figure.axes[0].get_lines()[-1].get_ydata().tolist() == [3.0, 3.0, 3.0]


def test_steps_by_arm(runs):
    axes = readable(plots.steps_by_arm(runs, 100)).axes[0]
    drawn = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in drawn] == [60.0, 10.0, 150.0, 20.0]
    words = [label.get_text() for label in axes.get_yticklabels()]
    assert words[2] == "weights restandardised\n(pins)"
    assert words[0] == "none\n(none of the three)"


def test_drift_and_speed(runs):
    axes = readable(plots.drift_and_speed(runs, 100)).axes[0]
    assert labelled(axes)["BN"].get_ydata().tolist() == [10.0] * 3
    assert labelled(axes)["weights restandardised"].get_ydata().tolist() == [150.0] * 3


def test_gradient_shift(runs):
    figure = readable(plots.gradient_shift(runs, [arms.NONE, arms.PINNED, arms.BN]))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["none", "weights restandardised", "BN"]
    assert figure.axes[2].get_lines()[0].get_xdata().tolist() == [-0.5] * 3


def test_noise_of_a_unit():
    values = pd.DataFrame({"layer": ["a", "a", "b"], "step": [0, 1, 0], "value": [1.0, 2.0, 3.0]})
    figure = readable(plots.noise_of_a_unit(values))
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]


def test_shift_by_layer(runs):
    shifting = runs.assign(drift=runs["drift"].where(runs["arm"] != arms.BN, 3 * runs["drift"]))
    figure = readable(plots.shift_by_layer(cause_verdicts.shift_ratios_by_layer(shifting)))
    (axes,) = figure.axes
    drift, gradients = labelled(axes).values()
    assert drift.get_ydata().tolist() == pytest.approx([3.0, 3.0])
    assert gradients.get_ydata().tolist() == pytest.approx([1.0, 1.0])
    assert drift.get_xdata().tolist() == [1, 2]
