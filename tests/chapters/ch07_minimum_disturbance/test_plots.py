"""Figures of chapter 07 show every row they are given, and are told apart without colour."""

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, legend

from bnlab.chapters.ch07_minimum_disturbance import noise_plots as noise_sensitivity
from bnlab.chapters.ch07_minimum_disturbance import plots as minimum_disturbance
from bnlab.chapters.ch07_minimum_disturbance import schematic as arrangements

NAMES = ["a: no normalisation", "d: BN before conv2"]


@pytest.fixture
def powers():
    rows = [(name, seed, step, channel) for name in NAMES for seed in (0, 1) for step in (0, 9) for channel in (0, 1)]
    table = pd.DataFrame(rows, columns=["arrangement", "seed", "step", "channel"])
    return table.assign(power=np.linspace(0.1, 2, len(table)), gamma=1.0, beta=0.5)


def test_the_plane_shows_every_step():
    steps = pd.DataFrame(
        [("now", 0.0, 0.0), ("NLMS", 1.0, 0.5), ("other", 1.25, 0.0)], columns=["step", "first", "second"]
    )
    (axes,) = minimum_disturbance.smallest_steps(steps, (2.0, 1.0), 2.5).axes
    lines = labelled(axes)
    assert {"now", "NLMS", "other"} < set(lines)
    line = lines["all weights that give $d$"]
    np.testing.assert_allclose(2 * line.get_xdata() + line.get_ydata(), 2.5)
    assert lines["NLMS"].get_marker() != lines["other"].get_marker()
    assert axes.patches[-1].get_radius() == pytest.approx(1.25**0.5)


def test_scales_and_constraints():
    table = pd.DataFrame(
        [(rule, scale, n, 2.0**-n) for rule in ("LMS", "NLMS") for scale in (1, 2) for n in range(4)],
        columns=["rule", "scale", "step", "error"],
    )
    left, right = minimum_disturbance.input_scales(table).axes
    assert list(labelled(left)) == list(labelled(right)) == ["1", "2"]
    for value in (3e6, 1e300, float("inf"), float("nan")):  # leaves the panel, and is not left out
        table.loc[2, "error"] = value
        line = labelled(minimum_disturbance.input_scales(table).axes[0])["1"]
        assert len(line.get_ydata()) == 4
        assert line.get_ydata()[2] == min(value, 1e8) if value == value else 1e8
    overshoot = pd.DataFrame([("x", 1, 2.0), ("x", 6, 7.0), ("y", 1, 0.0)], columns=["form", "channels", "ratio"])
    remaining = pd.DataFrame([("z", 1, 0.0), ("z", 30, 0.9)], columns=["form", "pixels", "share"])
    left, right = minimum_disturbance.constraints(overshoot, remaining, 25).axes
    assert labelled(left)["x"].get_ydata().tolist() == [2, 7]
    assert labelled(right)["z"].get_ydata().tolist() == [1e-16, 0.9]


def test_powers_and_directions(powers):
    (axes,) = minimum_disturbance.input_powers(powers).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    for line, step in zip(labelled(axes).values(), (0, 9), strict=True):
        assert sorted(line.get_xdata()) == sorted(powers[powers["step"] == step]["power"])
    rows = [(n, s, step, span, 0.5) for n in NAMES for s in (0, 1) for step in (0, 9) for span in ("channel", "patch")]
    directions = pd.DataFrame(rows, columns=["arrangement", "seed", "step", "span", "cosine"])
    first, second, third = minimum_disturbance.nearness(directions, powers).axes
    assert list(labelled(first)) == list(labelled(second)) == NAMES
    assert len(third.get_lines()) == 4  # two seeds, two channels
    np.testing.assert_allclose(third.get_lines()[0].get_ydata(), 1.25)


def test_the_schematic_has_four_panels():
    titles = [axes.get_title(loc="left") for axes in arrangements.arrangements().axes]
    assert titles == list(arrangements.PANELS)


@pytest.fixture
def runs():
    rows = [
        (norm, noise, rate, seed, "frozen", "reported", step, 0.1 * step + 0.01 * noise + seed / 100)
        for norm in ("none", "batch")
        for noise in (0.0, 10.0)
        for rate in (0.1, 1.0)
        for seed in (0, 1)
        for step in (1, 2)
    ]
    return pd.DataFrame(rows, columns=["norm", "noise", "rate", "seed", "fc", "role", "step", "test_error"])


def test_frontier_and_long_runs(runs):
    final = runs[runs["step"] == 2]
    (axes,) = noise_sensitivity.frontier(final, 10.0, 0.3).axes
    assert legend(axes.figure) == ["Baseline", "BN after"]
    quiet, loud = noise_sensitivity.long_runs(runs.assign(diverged=False), {"none": 0.1, "batch": 1.0}, 40).axes
    assert list(labelled(quiet)) == ["Baseline", "BN after"]
    assert labelled(loud)["Baseline"].get_xdata().tolist() == [20, 40]
    assert labelled(loud)["Baseline"].get_ydata().tolist() == pytest.approx([20.5, 30.5])


def test_a_lost_run_is_drawn_at_chance_where_whole_runs_are_looked_at(runs):
    runs = runs.assign(diverged=(runs["norm"] == "batch") & (runs["noise"] == 10))
    lost_between = runs["step"].where(~runs["diverged"], runs["step"].replace({2: 1.5}))
    loud = noise_sensitivity.long_runs(runs.assign(step=lost_between), {"none": 0.1, "batch": 1.0}, 40).axes[1]
    assert labelled(loud)["BN after"].get_xdata().tolist() == [20, 40]
    assert labelled(loud)["BN after"].get_ydata().tolist() == pytest.approx([20.5, 90])


def test_increases_and_ratios():
    matched = pd.DataFrame(
        [(n, s, seed, 0.1 * seed, seed != 3) for n in ("none", "nlms_l2") for s in (3.0, 10.0) for seed in range(5)],
        columns=["norm", "noise", "seed", "increase", "reached"],
    )
    panels = noise_sensitivity.increases(matched).axes
    assert [axes.get_title() for axes in panels] == ["noise 3", "noise 10"]
    for name in ("full", "none"):  # hollow where a seed does not stand at the level
        seeds = [line for line in panels[0].lines if line.get_linestyle() == "None" and line.get_marker() != "|"]
        drawn = [line.get_xdata() for line in seeds if line.get_fillstyle() == name]
        assert np.sort(drawn, axis=1) == pytest.approx(np.array([[0, 10, 20, 40] if name == "full" else [30]] * 2))
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["Baseline", "NLMS, L2"]
    ratios = pd.DataFrame(
        [(w, n, seed, 8, s, s * s) for w in ("initial", "trained") for n in ("none", "batch") for seed in (0, 1)
         for s in (1.0, 10.0)],
        columns=["weights", "norm", "seed", "batch_size", "noise", "ratio"],
    )  # fmt: skip
    left, right = noise_sensitivity.noise_in_an_update(ratios).axes
    assert list(labelled(left)) == list(labelled(right)) == ["Baseline", "BN after"]
    assert labelled(left)["BN after"].get_ydata().tolist() == [1, 100]
    assert len({line.get_marker() for line in labelled(left).values()}) == 2
