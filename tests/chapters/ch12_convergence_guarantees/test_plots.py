"""The pictures of chapter 12 on least squares show what they were given, and can be read."""

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, readable

from bnlab.chapters.ch12_convergence_guarantees import plots as convergence
from bnlab.chapters.ch12_convergence_guarantees import rayleigh_bounds

pytestmark = pytest.mark.usefixtures("book_style")


def test_distances():
    t = np.arange(5)
    runs = pd.concat(
        [pd.DataFrame({"rule": r, "step": t, "distance": f**t, "law": f**t}) for r, f in (("a", 0.5), ("b", 1.1))]
    )
    figure = readable(convergence.distances(runs))
    assert labelled(figure.axes[0])["b"].get_ydata()[-1] == pytest.approx(1.1**4)


def test_scaled_features():
    scaling = pd.DataFrame(
        {"base": [1.1, 1.1, 2.0, 2.0], "features": ["raw", "standardised"] * 2, "epochs": [8.0, 2.0, 900.0, 3.0]}
    )
    figure = readable(convergence.scaled_features(scaling))
    assert figure.axes[1].get_lines()[0].get_ydata().tolist() == [4.0, 300.0]


def test_effective_spectrum():
    spectra = pd.DataFrame({"matrix": ["H", "H", "H*", "H*"], "rank": [1, 2, 1, 2], "eigenvalue": [3.0, 1.0, 2.0, 0.0]})
    ratios = pd.DataFrame(
        {"H": ["positive"] * 2 + ["indefinite"] * 2, "kappa": 1.0, "kappa_star": [0.5, 0.9, 0.7, 5.0]}
    )
    figure = readable(convergence.effective_spectrum(spectra, ratios))
    assert labelled(figure.axes[1])["indefinite"].get_xdata().tolist() == [0.7, 5.0]


def test_rates_that_never_arrive_are_drawn_above_the_line():
    sweep = pd.DataFrame(
        [
            (method, seed, rate, np.inf if rate == 10 and method == "plain" else 100.0 / rate)
            for method in ("plain", "other")
            for seed in range(3)
            for rate in (0.1, 1.0, 10.0)
        ],
        columns=["method", "seed", "rate", "iterations"],
    )
    axes = readable(convergence.learning_rates(sweep)).axes[0]
    assert labelled(axes)["plain"].get_xdata().tolist() == [0.1, 1.0]
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "none" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in hollow] == [[10.0]]
    assert hollow[0].get_ydata()[0] > 1000
    readable(convergence.learning_rates(sweep.assign(iterations=np.inf)))


def test_traces_and_rayleigh():
    traces = pd.DataFrame(
        {
            "rate": [1.0, 1.0, 9.0, 9.0],
            "step": [1, 2] * 2,
            "length": [1.0, 1.1, 1.0, 9.0],
            "times_bound": [0.5, 0.4, 7.0, 0.1],
        }
    )
    assert len(readable(convergence.lengths_and_rates(traces)).axes[0].get_lines()) == 2
    figure = readable(
        convergence.rayleigh_bound(rayleigh_bounds.rayleigh_curves(3, 8, 0), rayleigh_bounds.rayleigh_runs(3, 3, 8, 0))
    )
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:3] == ["Rayleigh quotient", "plain descent", "bound"]
    assert len(names) == 5
