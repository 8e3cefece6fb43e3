"""Chapter 09's figures: panels, groups and what lies outside the axes, on invented tables."""

import math

import numpy as np
import smoothness_tables as invented

from bnlab.chapters.ch09_smoothness import plots


def test_every_figure_has_its_panels_and_labels():
    tables = invented.GOOD
    drawn = {
        plots.gains(tables["gains"]): 1,
        plots.quadratic_forms(tables["hessians"].assign(g_along=[0.1, -0.2, 0.3, 0.0])): 1,
        plots.variation(tables["probes"]): 2,
        plots.effective_beta(tables["probes"]): 2,
        plots.ratios(tables["curvatures"]): 2,
        plots.shares(tables["curvatures"]): 1,
        plots.gradients(tables["curvatures"]): 2,
        plots.survival(tables["survival"]): 1,
        plots.level_lines({"none": (np.outer(range(1, 6), range(1, 6)), 2.0), "batch": (np.eye(5) + 1, 1.0)}): 2,
    }
    for figure, panels in drawn.items():
        assert len(figure.axes) == panels
        assert any(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)


def test_lost_runs_stand_at_the_top():
    table = invented.survival()
    figure = plots.survival(table)
    top = max(max(line.get_ydata()) for line in figure.axes[0].lines if len(line.get_ydata()))
    assert math.isfinite(top)
    assert top >= 3


def test_lost_runs_have_no_mark():
    table = invented.changed(invented.probes(), math.inf, "range", norm="none", rule="0.1")
    figure = plots.variation(table)
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in figure.axes[0].lines])
    assert np.isfinite(values).all()
