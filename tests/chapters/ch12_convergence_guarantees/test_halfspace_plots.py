"""The pictures of chapter 12 on halfspaces and kernels show what they were given, and can be read."""

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, readable

from bnlab.chapters.ch12_convergence_guarantees import halfspace_plots as halfspaces

pytestmark = pytest.mark.usefixtures("book_style")


def test_separable_and_direction():
    t = np.array([1, 10, 100, 1000])
    descent = pd.concat(
        [
            pd.DataFrame({"data": data, "seed": seed, "step": t, "loss": t**power, "length": np.log(t + 1.0)})
            for data, seed, power in (
                ("positive margin", 0, -1.0),
                ("positive margin", 1, -1.0),
                ("positive margin, output normalised", 0, -1.0),
                ("margin zero", -1, -1 / 3),
            )
        ]
    )
    figure = readable(halfspaces.separable_loss(descent))
    assert list(labelled(figure.axes[0])) == [
        "positive margin",
        "positive margin, output normalised",
        "margin zero",
    ]  # one entry for all seeds
    gaps = pd.DataFrame(
        {"inputs": ["Gaussian"] * 3, "samples": [10, 10, 100], "gap": [0.1, 0.3, 0.01], "seed": [0, 1, 0]}
    )
    axes = readable(halfspaces.direction_gaps(gaps)).axes[0]
    assert axes.get_lines()[0].get_ydata().tolist() == pytest.approx([0.2, 0.01])


def test_bounds():
    def run(case, seed, bisections):
        t = np.arange(20)
        return pd.DataFrame(
            {
                "case": case,
                "seed": seed,
                "bisections": bisections,
                "step": t,
                "squared": 0.1 * 0.5**t,
                "euclidean": 0.6**t,
                "bound": 0.5**t,
                "printed": 0.4**t,
                "error": 0.0,
                "excess": 0.5**t,
            }
        )

    runs = pd.concat(
        [
            run("random classes", 0, 40),
            run("random classes", 1, 40),
            run("few bisections", 0, 4),
            run("features in units of 1/100", 0, 40),
            run("slowest direction missing in u", 0, 40),
        ]
    )
    figure = readable(halfspaces.gradient_bounds(runs))
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["40 bisections", "4 bisections"]
    drawn = labelled(figure.axes[1])["slowest direction missing in u,\n$S^{-1}$ norm"]
    assert drawn.get_ydata()[3] == pytest.approx((0.1 * 0.5**3) ** 0.5 / 0.4**3)
    stochastic = runs[runs["case"] == "random classes"].assign(batch=64)
    assert len(readable(halfspaces.excess_by_step(runs, stochastic)).axes[0].get_lines()) == 5


def test_landscape_margins_and_kernels():
    grid = np.linspace(-1, 1, 6)
    values = pd.DataFrame(
        [(panel, a, b, a * a + k * b) for k, panel in enumerate(("before", "after")) for a in grid for b in grid],
        columns=["panel", "w1", "w2", "loss"],
    )
    assert readable(halfspaces.landscape(values)).axes[0].get_title() == "before"
    growth = pd.DataFrame(
        [
            (spread, features, seed, 0.9 / spread)
            for spread in (1, 4)
            for seed in (0, 1)
            for features in ("raw", "scaled")
        ],
        columns=["spread", "features", "seed", "share"],
    )
    axes = readable(halfspaces.margin_shares(growth)).axes[0]
    assert labelled(axes)["raw features (median)"].get_ydata().tolist() == pytest.approx([0.9, 0.225])
    widths = pd.DataFrame(
        {
            "width": [8, 16, 8, 16],
            "seed": [0, 0, 1, 1],
            "kernel_change": [0.2, 0.1, 0.4, 0.1],
            "forecast_error": [0.2, 0.1, 0.4, 0.1],
        }
    )
    assert readable(halfspaces.kernel_widths(widths)).axes[0].get_lines()[0].get_ydata().tolist() == pytest.approx(
        [0.3, 0.1]
    )
    spectra = pd.DataFrame(
        [(depth, kind, 10.0, 0.4, 0.3) for depth in (5, 10) for kind in ("none", "passed through", "held")],
        columns=["depth", "statistics", "largest", "top_share", "correlation"],
    )
    assert len(readable(halfspaces.kernel_spectra(spectra)).legends[0].get_texts()) == 3
