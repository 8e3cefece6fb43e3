"""The pictures of chapter 06 show what they were given: medians and quartiles, thresholds, gains, largest rates."""

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, readable

from bnlab.chapters.ch06_speed_and_stability import control_plots as controls
from bnlab.chapters.ch06_speed_and_stability import plots

NETWORKS = ("none", "batch", "amplify", "suppress")


pytestmark = pytest.mark.usefixtures("book_style")


@pytest.fixture
def first():
    rows = []
    for place, norm in enumerate(NETWORKS):
        for rate in (0.001, 3.0):
            for seed in range(3):
                for step in (0, 5):
                    powers = {f"power1_{n}": 0.5 for n in range(6)} | {f"power2_{n}": 2.0 * step for n in range(16)}
                    rows.append({"norm": norm, "learning_rate": rate, "seed": seed, "step": step,
                                 "lambda_min": 10.0**place * (seed + 1), "lambda_max": 100 * rate * (seed + 1),
                                 **powers})  # fmt: skip
    return pd.DataFrame(rows)


def test_powers_stand_on_their_side_of_the_threshold(first):
    figure = readable(plots.channel_powers(first, [0.001, 3.0]))
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "at initialisation", "5 steps at rate 0.001", "5 steps at rate 3",
    ]  # fmt: skip
    shares = [text.get_text() for text in axes.texts]
    assert shares == ["0 %", "73 %", "73 %", "above"]  # 16 of 22
    above = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() == "^"])
    below = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() == "o"])
    assert (above > 1).all()
    assert (below <= 1).all()
    assert len(above) == 2 * 3 * 16
    assert any(list(line.get_xdata()) == [1, 1] for line in axes.lines)


def test_eigenvalues_are_medians_with_quartiles(first):
    left, right = readable(plots.eigenvalues(first)).axes
    line, caps, _ = labelled(left)["BN"].lines
    assert line.get_ydata() == pytest.approx([20, np.nan, 20], nan_ok=True)  # nothing is known for decades between
    assert sorted(cap.get_ydata()[0] for cap in caps) == pytest.approx([15, 25])
    line, *_ = labelled(right)["BN_Suppress"].lines
    assert line.get_ydata() == pytest.approx([0.2, np.nan, 600], nan_ok=True)
    lost = first.copy()
    lost.loc[(lost["norm"] == "none") & (lost["step"] == 5), "lambda_max"] = np.inf
    _, right = readable(plots.eigenvalues(lost)).axes
    line, *_ = labelled(right)["Baseline"].lines
    assert line.get_ydata() == pytest.approx([0.2, np.nan, 600], nan_ok=True)  # as it last was, at step 0


def curves():
    rows = [(norm, rate, seed, step, 0.5 / step + 0.1 * seed)
            for norm in NETWORKS for rate in (0.1, 3.0) for seed in range(3) for step in (1, 2)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["norm", "learning_rate", "seed", "step", "test_error"])
    gone = (table["norm"] == "none") & (table["learning_rate"] == 3.0) & (table["step"] == 2) & (table["seed"] == 1)
    return table[~gone]


def test_training_curves_name_the_lost(first):
    slow, fast = readable(plots.training_curves(curves(), [0.1, 3.0], 2)).axes
    assert labelled(slow)["Baseline"].get_xdata().tolist() == [0.5, 1]
    assert labelled(slow)["Baseline"].get_ydata() == pytest.approx([60, 35])
    # Told only where every seed still runs.
    assert labelled(fast)["Baseline"].get_ydata() == pytest.approx([60, np.nan], nan_ok=True)
    assert [text.get_text() for text in slow.texts] == []
    assert [text.get_text() for text in fast.texts] == ["lost: Baseline"]


def test_who_only_guesses_has_no_curve():
    runs = curves()
    runs.loc[(runs["norm"] == "amplify") & (runs["learning_rate"] == 3.0), "test_error"] = 0.9
    _, fast = readable(plots.training_curves(runs, [0.1, 3.0], 2)).axes
    assert "BN_Amplify" not in labelled(fast)
    assert [text.get_text() for text in fast.texts] == ["lost: Baseline, BN_Amplify"]


def test_final_errors_show_every_seed():
    ends = curves().query("step == 1")
    (axes,) = readable(plots.final_errors(ends)).axes
    line, *_ = labelled(axes)["BN_Amplify"].lines
    assert line.get_ydata() == pytest.approx([60, 60])
    dots = [line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_ydata()) == 6]
    assert sorted(dots[0].get_ydata()) == pytest.approx([50, 50, 60, 60, 70, 70])


def test_masks_have_a_panel_for_each_question():
    rows = [
        (norm, rate, seed, 0.1 * seed, 0.2)
        for norm in ("amplify", "suppress")
        for rate in (0.1, 1)
        for seed in (1, 2, 3)
    ]
    table = pd.DataFrame(rows, columns=["norm", "learning_rate", "seed", "occupancy", "disagreement"])
    left, right = readable(plots.masks(table)).axes
    assert labelled(left)["BN_Amplify"].lines[0].get_ydata() == pytest.approx([20, 20])
    assert labelled(right)["BN_Suppress"].lines[0].get_ydata() == pytest.approx([20, 20])


def test_forest_marks_the_gain_of_batch_normalisation():
    gains = {("baseline", "paper"): 0.0, ("BN after both", "paper"): 0.10, ("lower half raised", "paper"): 0.01,
             ("baseline", "frozen"): 0.0, ("BN after both", "frozen"): 0.30, ("BN after conv2", "frozen"): 0.2,
             ("BN after both", "matched"): 0.05}  # fmt: skip
    rows = [(arm, mode, seed, gain + 0.01 * seed) for (arm, mode), gain in gains.items() for seed in (-1, 0, 1)]
    figure = readable(controls.forest(pd.DataFrame(rows, columns=["arm", "fc_mode", "seed", "gain"])))
    paper, frozen = figure.axes
    assert [label.get_text() for label in paper.get_yticklabels()] == [
        "BN after both", "lower half raised", "BN after conv2", "BN after both, fc's rate matched"
    ]  # fmt: skip
    assert (paper.get_title(), frozen.get_title()) == ("fc as in the paper", "fc frozen")
    dashed = [axes.lines[-1].get_xdata()[0] for axes in (paper, frozen)]
    assert dashed == pytest.approx([10, 30])
    diamond = [line for line in paper.lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in diamond] == [(pytest.approx(1), 1)]


def test_cause_or_effect_keeps_beginning_and_end_apart():
    rows = [(norm, seed, 10.0 + seed, 100.0 + seed) for norm in NETWORKS for seed in range(3)]
    (axes,) = readable(controls.cause_or_effect(pd.DataFrame(rows, columns=["norm", "seed", "initial", "last"]))).axes
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_color() == "black" and len(line.get_ydata())]
    assert medians == [11, 101] * 4
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white" and len(line.get_ydata())]
    assert all(line.get_ydata().tolist() == [10, 11, 12] for line in hollow)
    assert len(hollow) == 4


def rates(**more):
    rows = [("none", 0.0, 0, 0.5, ""), ("none", 0.0, 1, 1.0, ""), ("batch", 0.0, 0, 16.0, "above"),
            ("batch", 0.0, 1, 8.0, "")]  # fmt: skip
    rows += [("none", cap, seed, 16 / cap, "") for cap in more.get("caps", ()) for seed in (0, 1)]
    return pd.DataFrame(rows, columns=["norm", "cap", "seed", "largest", "beyond"])


def test_largest_rates_and_the_end_of_the_grid():
    (axes,) = readable(controls.largest_stable_rates(rates())).axes
    drawn = {line.get_ydata()[0]: line for line in axes.lines}
    assert sorted(drawn) == [0.5, 1, 8, 16]
    assert drawn[16.0].get_marker() == "^"
    assert drawn[16.0].get_markerfacecolor() == "white"
    assert drawn[8.0].get_markerfacecolor() != "white"
    assert drawn[0.5].get_xdata()[0] < 0.5 < drawn[8.0].get_xdata()[0]


def test_caps_have_a_panel_and_the_line_of_constant_product():
    _, right = readable(controls.largest_stable_rates(rates(caps=(1.0, 4.0, 16.0, 1e6)))).axes
    assert [label.get_text() for label in right.get_xticklabels()] == ["1", "4", "16", "none"]
    line = labelled(right)["∝ 1 / cap"]
    assert line.get_ydata() == pytest.approx([16, 4, 1])
    _, right = readable(controls.largest_stable_rates(rates(caps=(1e6,)))).axes
    assert right.get_legend() is None


def test_other_settings_are_ratios_in_their_row():
    rows = [(end, rate, setting, norm, seed, ratio * (seed + 1))
            for end, rate in (("min", 0.001), ("max", 3.0)) for setting, ratio in (("as in the paper", 1), ("× 3", 10))
            for norm in NETWORKS[1:] for seed in range(3)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["eigenvalue", "rate", "setting", "norm", "seed", "ratio"])
    left, right = readable(controls.other_settings(table)).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["as in the paper", "× 3"]
    assert labelled(left)["BN"].lines[0].get_xdata() == pytest.approx([2, 20])
    assert (left.get_title(), right.get_title()) == ("rate 0.001", "rate 3")
