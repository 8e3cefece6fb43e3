"""Extreme singular values against size and depth."""

import numpy as np
import pytest

from bnlab.chapters.ch16_random_matrices import matrix_depth
from bnlab.theory.matrix_products import lyapunov_gap


def test_deficit_at_the_edge_shrinks_and_its_summary_is_consistent():
    table = matrix_depth.edge_rate((15, 60), (1, 2), 80, 0, "cpu")
    for _, part in table.groupby("M"):
        assert part["mean"].is_monotonic_decreasing
        assert (part["q1"] < part["median"]).all()
        assert (part["median"] < part["q3"]).all()
        slope = np.diff(np.log(part["mean"]))[0] / np.log(4)
        assert slope == pytest.approx(-2 / 3, abs=0.2)


def test_printed_edge_needs_the_product_of_variances():
    table = matrix_depth.variances(200, ((1.0, 1.0), (3.0, 2.0), (0.5,)), 0, "cpu").set_index("sigmas")
    np.testing.assert_allclose(table["over_edge"], 1, atol=0.15)
    np.testing.assert_allclose(table["mean_square"], table["product_of_variances"], rtol=0.05)
    assert table.loc["3 x 2", "over_printed_edge"] > 30
    assert table.loc["0.5", "over_printed_edge"] < 0.3


def test_largest_value_grows_as_the_root_of_m_and_not_as_m():
    table = matrix_depth.largest(150, (4, 8, 16), 3, 0, "cpu")
    median = table.groupby("M")[["largest", "root_of_edge", "root_of_e_m"]].median()
    slopes = {c: np.polyfit(np.log(median.index), np.log(median[c]), 1)[0] for c in median}
    assert slopes["root_of_e_m"] == pytest.approx(0.5)
    assert slopes["root_of_edge"] == pytest.approx(0.47, abs=0.01)
    assert 0.25 < slopes["largest"] < 0.6
    np.testing.assert_allclose(median["largest"], median["root_of_edge"], rtol=0.2)
    np.testing.assert_allclose(median["root_of_edge"], [3.494, 4.805, 6.697], atol=1e-3)


def test_condition_number_grows_beyond_what_svd_and_gram_can_see():
    table = matrix_depth.depth((16,), (1, 5, 10, 40, 80), 6, 0, "cpu")
    median = table.groupby("M")[["log_kappa", "log_kappa_product", "log_kappa_gram"]].median()
    assert median.loc[1].max() - median.loc[1].min() < 1e-6  # three ways, one number
    early = table[table["M"] == 5]
    np.testing.assert_allclose(early["log_kappa_product"], early["log_kappa"], atol=1e-6)
    slope = (median.loc[80, "log_kappa"] - median.loc[10, "log_kappa"]) / 70
    assert slope == pytest.approx(lyapunov_gap(16), rel=0.12)
    assert median.loc[80, "log_kappa"] > 140
    assert median.loc[80, "log_kappa_product"] < 50
    assert median.loc[80, "log_kappa_gram"] < 30
    assert (table["gap"] == lyapunov_gap(16)).all()
    np.testing.assert_allclose(table["log_kappa"], table["log_largest"] - table["log_smallest"])
