"""Chapter 13's figures: panels, groups and what has no mark, on invented tables."""

import math

import numpy as np
import pandas as pd
import pytest
from rate_tables import THREE, changed, drawn, largest_rates, plateau, runs, sharpness, tables, warm_up

from bnlab.chapters.ch13_learning_rate import plots


def test_every_figure_has_its_panels_and_labels():
    made = tables()
    figures = {
        plots.noise(drawn()): 1,
        plots.largest_rates(made["largest_rates"]): 1,
        plots.warm_up(made["warm_up"]): 2,
        plots.training(made["runs"], THREE): 2,
        plots.rates(made["runs"]): 2,
        plots.variants(made["runs"], THREE): 1,
        plots.sharpness(made["sharpness"]): 2,
        plots.plateau(made["plateau"]): 2,
    }
    for figure, panels in figures.items():
        assert len(figure.axes) == panels
        assert all(axes.get_xlabel() for axes in figure.axes)
        assert figure.axes[0].get_ylabel()


def heights(figure) -> np.ndarray:
    return np.concatenate([np.asarray(line.get_ydata(), float) for axes in figure.axes for line in axes.lines])


def test_rates_are_the_geometric_middle_of_their_brackets():
    found = heights(plots.largest_rates(largest_rates(none=0.001, batch=0.4)))
    assert np.isclose(found, 0.4 * math.sqrt(2)).any()
    assert np.isclose(found, 0.001 * math.sqrt(2)).any()


def test_brackets_beyond_what_was_tried_are_drawn_at_its_end():
    table = largest_rates()
    table.loc[table["norm"] == "batch", ["survived", "lost"]] = 64.0, math.inf
    assert np.isfinite(heights(plots.largest_rates(table))).all()


def test_diverged_runs_have_no_curve_and_stand_at_chance():
    lost = runs()
    curves = heights(plots.training(lost, THREE))
    assert np.isfinite(curves).all()
    ends = heights(plots.rates(lost))
    assert (ends == 0.1).sum() > 5


def test_no_look_at_a_plateau_before_the_rate_is_reached():
    early = plateau().assign(step=125)
    both = pd.concat([early, plateau()], ignore_index=True)
    for axes in plots.plateau(both).axes:
        assert min(min(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) > 2) > 200


def test_a_plateau_that_diverged_has_no_mark():
    table = changed(plateau(), math.inf, "batch", step=2000, seed=1)
    assert np.isfinite(heights(plots.plateau(table))).all()


@pytest.mark.parametrize("lost", [0, 5])
def test_runs_that_did_not_reach_the_level_have_no_mark(lost):
    figure = plots.sharpness(sharpness(lost=lost))
    assert np.isfinite(heights(figure)).all()


def test_warm_up_shows_bn_beside_every_length():
    figure = plots.warm_up(warm_up())
    for axes in figure.axes:
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "50", "200"]
