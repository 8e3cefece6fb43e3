"""What the figures of chapter 02 draw is what the tables say."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from drawn import labelled

from bnlab.chapters.ch02_inference_and_noise import plots


def test_estimates_draw_a_panel_a_kind_and_medians():
    every = product(("a", "b"), (1, 2), ("x", "y"), (0, 1, 5))
    rows = [(data, m, name, m + extra) for data, m, name, extra in every]
    figure = plots.estimates(pd.DataFrame(rows, columns=["data", "m", "estimate", "ratio"]))
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert labelled(figure.axes[0])["x"].get_ydata().tolist() == [2, 3]


def test_moving_averages_show_every_series():
    weights = pd.DataFrame({"reading": ["r"] * 3, "age": [0, 1, 2], "weight": [0.1, 0.09, 0.081]})
    names = ["exact, over the training set", "mini-batch", "moving average, decay 0.9"]
    rows = [(step, name, 0.1 * step) for name in names for step in (1, 2)]
    tracks = pd.DataFrame(rows, columns=["step", "series", "value"])
    figure = plots.moving_averages(weights, tracks, [1])
    assert set(names) <= set(labelled(figure.axes[1]))
    assert labelled(figure.axes[0])["r"].get_ydata().tolist() == [0.1, 0.09, 0.081]


def test_filters_share_one_scale_and_show_biases():
    every = product((("before", 1), ("after", 3)), (0, 1), (0, 1), (0, 1))
    rows = [(version, f, i, j, scale * (i - j)) for (version, scale), f, i, j in every]
    weights = pd.DataFrame(rows, columns=["version", "filter", "row", "column", "weight"])
    versions = ["before", "before", "after", "after"]
    biases = pd.DataFrame({"version": versions, "filter": [0, 1, 0, 1], "bias": [1, 2, 3, -4]})
    figure = plots.filters(weights, biases)
    images = [axes.get_images()[0] for axes in figure.axes if axes.get_images()]
    assert {image.get_clim() for image in images} == {(-3.0, 3.0)}
    assert figure.axes[3].get_xlabel() == "-4.00"


def test_mismatch_draws_medians_of_the_chosen_decay_and_survives_divergence():
    every = product(("decayed in stages", "constant"), enumerate((1, 2, 9)), (0, 1), (0.5, 1.0))
    rows = [(schedule, 4, seed, stage, 0.1, decay, value * decay) for schedule, (seed, value), stage, decay in every]
    runs = pd.DataFrame(rows, columns=["schedule", "m", "seed", "stage", "rate", "decay", "mismatch"])
    figure = plots.mismatch(runs, 0.5)
    assert figure.axes[0].containers[0].lines[0].get_ydata().tolist() == [1.0, 1.0]
    plots.mismatch(runs.assign(mismatch=np.nan), 0.5)


def test_noise_draws_three_sources():
    table = pd.DataFrame([(x, m, 1 / m, 1.1 / m, 1.2 / m) for x in (0.0, 1.0) for m in (2, 4)],
                         columns=["x", "m", "drawn", "exact", "closed_form"])  # fmt: skip
    figure = plots.noise(table)
    assert labelled(figure.axes[0])["$x$ = 1, drawn"].get_ydata().tolist() == [0.5, 0.25]


def test_spread_is_counted_from_eval_mode():
    logits = pd.DataFrame([(mode, name, value) for mode, value in (("train", 1.0), ("train", 2.0), ("eval", 5.0))
                           for name in ("zero", "one")], columns=["mode", "class", "logit"])  # fmt: skip
    figure = plots.spread(logits)
    assert sum(list(line.get_ydata()) == [-3.5, -3.5] for line in figure.axes[0].lines) == 2  # the medians
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["zero\n5.0", "one\n5.0"]


def test_an_arm_that_no_run_brought_to_the_loss_is_named():
    rows = [(arm, seed, 0.1, np.nan if arm == "a" else 0.1, 0.2) for arm in ("a", "b") for seed in (0, 1)]
    figure = plots.regularisation(pd.DataFrame(rows, columns=["arm", "seed", "train_loss", "gap", "test_loss"]), 0.1)
    assert [(text.get_text(), text.xy[1]) for text in figure.axes[1].texts] == [("not reached", 0)]


@pytest.mark.parametrize("missing", [False, True])
def test_regularisation_leaves_out_levels_that_not_all_seeds_reached(missing):
    every = product(("a", "b"), (0, 1, 2), (0.1, 0.5))
    rows = [(arm, seed, level, 0.1 + seed, 0.2 + seed) for arm, seed, level in every]
    levels = pd.DataFrame(rows, columns=["arm", "seed", "train_loss", "gap", "test_loss"])
    if missing:
        levels.loc[0, ["gap", "test_loss"]] = np.nan
    figure = plots.regularisation(levels, 0.1)
    assert labelled(figure.axes[0])["a"].get_xdata().tolist() == ([0.5] if missing else [0.1, 0.5])
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["a", "b"]


def test_races_put_those_that_never_arrive_above_the_line():
    results = pd.DataFrame([("a", 0.1, 0, 10.0), ("a", 1.0, 0, np.inf)], columns=["arm", "rate", "seed", "steps"])
    figure = plots.races(results, 100)
    assert labelled(figure.axes[0])["a"].get_ydata().tolist() == [10, 130]
