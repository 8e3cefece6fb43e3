"""Gradient descent against the condition number, and initialisations against conditioning: closed forms."""

import numpy as np
import pytest
from scipy.stats import binom

from bnlab.chapters.ch16_random_matrices import conditioning


def test_linear_system_has_the_singular_values_and_the_solution_it_says():
    A, solution, y, right = conditioning.linear_system(50.0, 3.0, 0)
    s = np.linalg.svd(A, compute_uv=False)
    assert s[0] == pytest.approx(3, rel=1e-12)
    assert s[0] / s[-1] == pytest.approx(50, rel=1e-10)
    np.testing.assert_allclose(np.linalg.solve(A, y), solution, rtol=1e-9)
    np.testing.assert_allclose(right.T @ solution, 1, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(A @ right, axis=0), s, rtol=1e-10)


@pytest.mark.parametrize("kappa", [4.0, 15.0])
def test_iterations_equal_the_count_from_the_modes(kappa):
    """Errors are (1 - mu s_k^2)^n in each mode: the first n that brings their norm to the tolerance."""
    table = conditioning.gradient_descent([kappa], 0).set_index("learning_rate")["iterations"]
    squares = np.geomspace(1, 1 / kappa, 6) ** 2
    for rule, rate in (("1 / s_max^2", 1.0), ("2 / (s_max^2 + s_min^2)", 2 / (1 + kappa**-2))):
        n = np.arange(20_000)
        norms = np.sqrt(np.sum((1 - rate * squares) ** (2 * n[:, None]), axis=1) / 6)
        assert table[rule] == np.argmax(norms <= 1e-6)


def test_iterations_grow_as_kappa_squared_not_kappa():
    table = conditioning.gradient_descent([8.0, 16.0, 32.0], 0)
    for _, part in table.groupby("learning_rate"):
        slope = np.polyfit(np.log(part["kappa"]), np.log(part["iterations"]), 1)[0]
        assert slope == pytest.approx(2, abs=0.03)


def test_unsquared_norm_stalls_at_half_the_learning_rate():
    """Along the stiffest direction the step mu s_max overshoots to and fro, so ||Ax - y|| stays at mu s_max^2 / 2."""
    table = conditioning.unsquared(10.0, (0.1, 0.02), 0, steps=5000)
    np.testing.assert_allclose(table["final_loss"], table["learning_rate"] / 2, rtol=1e-3)


def test_largest_rate_is_two_over_s_max_squared_at_both_normalisations():
    table = conditioning.rates([5.0, 20.0], 0)
    np.testing.assert_allclose(table["largest_rate"], table["bound"], rtol=3e-3)
    np.testing.assert_allclose(table["gradient_ratio"], table["kappa_squared"], rtol=1e-9)
    by = table.pivot(index="kappa", columns="normalisation", values="largest_rate")
    assert by.loc[5.0, "s_min = 1"] / by.loc[20.0, "s_min = 1"] == pytest.approx(16, rel=0.01)
    assert by.loc[5.0, "s_max = 1"] / by.loc[20.0, "s_max = 1"] == pytest.approx(1, rel=0.01)


def test_initialisations_differ_by_constants_that_leave_kappa_alone():
    table = conditioning.initialisations([32, 64, 128], 0)
    for _, part in table.groupby("scheme"):
        slope = np.polyfit(np.log(part["n"]), np.log(part["standard_deviation"]), 1)[0]
        assert slope == pytest.approx(-0.5, abs=1e-12)
    np.testing.assert_allclose(table["measured_deviation"], table["standard_deviation"], rtol=0.03)
    for _, part in table.groupby("n"):
        for column in ("log_kappa", "log_kappa_product"):
            assert part[column].max() - part[column].min() < 1e-8
        assert (part["log_kappa_product"] > part["log_kappa"]).all()


def test_zero_or_value_keeps_the_second_moment_and_zeroes_rows():
    table = conditioning.zero_or_value((1.0, 3.0, 100.0), 50, 0, rows_drawn=200_000)
    assert (np.abs(table["measured_moment"] - 1) < 4 * table["standard_error"]).all()
    p = table["probability"].to_numpy()
    np.testing.assert_allclose(p * table["value"] ** 2 * 50, 1)
    np.testing.assert_allclose(table["zero_row"], binom.pmf(0, 50, p), rtol=1e-10)
    np.testing.assert_allclose(table["measured_zero_row"], table["zero_row"], atol=0.004)
    np.testing.assert_allclose(table["zero_matrix"], binom.pmf(0, 2500, p), rtol=1e-8)
    assert table["zero_row"].iloc[-1] > 0.9998


def test_rectified_inputs_by_brute_force():
    """Weights in {0, 1} with mean above 0 add up inputs of mean above 0: more than unit variance."""
    n, rows = 20, 200_000
    rng = np.random.default_rng(0)
    weights = rng.random((rows, n)) < 1 / n
    inputs = np.maximum(rng.standard_normal((rows, n)), 0) * 2**0.5
    measured = np.sum(weights * inputs, axis=1) ** 2
    expected = conditioning.zero_or_value((1.0,), n, 0, rows_drawn=10)["second_moment_rectified"].iloc[0]
    assert measured.mean() == pytest.approx(expected, abs=4 * measured.std() / rows**0.5)
    assert expected > 1.25


def test_refuses_impossible_condition_numbers():
    for kappa in (0.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"^kappas must be finite and >= 1, got"):
            conditioning.gradient_descent([kappa], 0)
    with pytest.raises(ValueError, match=r"^kappas must be at most some 850"):
        conditioning.gradient_descent([1e5], 0)
