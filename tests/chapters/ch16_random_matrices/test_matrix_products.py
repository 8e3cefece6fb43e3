"""Chapter 16's tables: complete, tidy, reproducible, and saying what the theory says at a small scale."""

import numpy as np
import pytest

from bnlab.chapters.ch16_random_matrices import matrix_products
from bnlab.randomness import generator
from bnlab.theory.matrix_products import sample_product_singular_values

SMALL = {
    "size": 60,
    "runs": 3,
    "products": (1, 2),
    "universality_runs": 2,
    "edge_sizes": (10, 20),
    "edge_runs": 10,
    "largest_size": 30,
    "largest_products": (2, 4),
    "largest_runs": 2,
    "depth_sizes": (8,),
    "depths": (1, 4),
    "depth_runs": 2,
    "kappas": (3.0, 6.0),
    "fan_ins": (16, 32),
}


@pytest.fixture(scope="module")
def tables():
    return matrix_products.run(**SMALL)


def test_every_table_is_tidy_with_a_unit_for_each_column(tables):
    assert set(tables) == set(matrix_products.parts())
    for name, table in tables.items():
        assert len(table) > 0, name
        assert set(table.attrs["units"]) == set(table.columns), name
        assert not table.isna().any().any(), name


def test_same_parameters_give_the_same_numbers(tables):
    again = matrix_products.parts(**SMALL)
    for name in ("extremes", "depth", "largest", "initialisations", "zero_or_value"):
        assert again[name]().equals(tables[name]), name
    other = matrix_products.parts(**{**SMALL, "seed": 1})
    assert not other["extremes"]().equals(tables["extremes"])


def test_histogram_loses_no_value_and_stands_beside_the_theory(tables):
    histogram = tables["histogram"]
    for (M, _), part in histogram.groupby(["M", "quantity"]):
        assert part["count"].sum() == 3 * 60
        assert part["expected"].sum() == pytest.approx(180, rel=0.02)
        np.testing.assert_array_equal(part["right"].to_numpy()[:-1], part["left"].to_numpy()[1:])
        # chi^2 against the theory on bins merged to five expected values; spectra are rigid, so it is far below n
        expected, count = part["expected"].cumsum().to_numpy(), part["count"].cumsum().to_numpy()
        assert np.abs(expected - count).max() < 6, M


def test_standard_gaussian_units_are_those_of_figure_nine(tables):
    """Entries of variance 1 stretch a product of M by N^(M/2)."""
    draws = generator(0, "gaussian products of 2")
    raw = sample_product_singular_values(60, 2, 3, draws, scales=(60**0.5, 60**0.5))[:, 0].numpy()
    ours = tables["extremes"].query("entries == 'gaussian' and M == 2")["largest_standard_gaussian"]
    np.testing.assert_allclose(ours, raw, rtol=1e-12)
    last = tables["histogram"].query("M == 2 and quantity == 'plain'")["right_standard_gaussian"].max()
    assert last == pytest.approx(max(60 * 6.75**0.5, raw.max()))
    squared = tables["histogram"].query("quantity == 'squared'")
    np.testing.assert_allclose(squared["right_standard_gaussian"] / squared["right"], 60.0 ** squared["M"])


def test_distances_tell_squares_from_plain_values(tables):
    distance = tables["distances"].groupby("quantity")["ks_distance"]
    assert distance.max()["squared"] < 0.09
    assert distance.min()["plain"] > 0.12
    assert set(tables["distances"]["entries"]) == {"gaussian", "uniform", "rademacher"}


def test_spectra_are_drawn_once_for_the_tables_that_share_them(monkeypatch):
    calls = []
    sampled = matrix_products.sampled_spectra

    def counted(*arguments):
        calls.append(arguments)
        return sampled(*arguments)

    monkeypatch.setattr(matrix_products, "sampled_spectra", counted)
    parts = matrix_products.parts(**SMALL)
    assert not calls  # naming the parts makes nothing
    for name in ("histogram", "extremes", "distances"):
        parts[name]()
    assert len(calls) == 3


def test_impossible_parameters_give_one_line():
    with pytest.raises(ValueError, match=r"^N: 0 is not a whole number of at least 1"):
        matrix_products.parts(**{**SMALL, "size": 0})["extremes"]()
    with pytest.raises(ValueError, match=r"^M: 0 is not a whole number of at least 1"):
        matrix_products.parts(**{**SMALL, "products": (0,)})["histogram"]()
