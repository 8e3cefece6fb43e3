"""Figures of chapter 16: every function draws its tables, with labelled axes, and draws what they hold."""

import pytest

from bnlab.chapters.ch16_random_matrices import deep_linear, matrix_products, plots


@pytest.fixture(scope="module")
def tables():
    small = matrix_products.run(
        size=40, runs=2, universality_runs=1, law_products=(1, 2), edge_sizes=(10, 20), edge_runs=5, largest_size=30,
        largest_products=(2, 4), largest_runs=2, depth_sizes=(8,), depths=(1, 2, 4), depth_runs=3, kappas=(5.0, 10.0),
        fan_ins=(16, 32),
    )  # fmt: skip
    return small | {"deep": deep_linear.largest_stable_rates(depths=(1, 2), size=8, runs=2, steps=20)}


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (plots.law, ["law"]),
        (plots.histogram, ["histogram"]),
        (plots.distances, ["distances"]),
        (plots.edges, ["edge_rate", "largest"]),
        (plots.condition_numbers, ["depth"]),
        (plots.gradient_descent, ["gradient_descent", "rates"]),
        (plots.deep_linear, ["deep"]),
    ],
)
def test_every_figure_has_labels(tables, function, names):
    figure = function(*(tables[name] for name in names))
    assert figure.axes
    for ax in figure.axes:
        assert ax.get_xlabel() or function is plots.distances
    assert figure.axes[0].get_ylabel()


def test_histogram_draws_the_counts(tables):
    figure = plots.histogram(tables["histogram"])
    counted = tables["histogram"].query("quantity == 'plain' and M == 1")["count"]
    drawn = figure.axes[0].patches[0].get_data().values
    assert list(drawn) == list(counted)


def test_condition_numbers_draws_the_medians(tables):
    figure = plots.condition_numbers(tables["depth"])
    medians = tables["depth"].groupby("M")["log_kappa"].median()
    assert list(figure.axes[0].lines[0].get_ydata()) == list(medians)
