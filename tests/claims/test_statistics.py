"""Summaries against hand counts, closed forms and brute force."""

import itertools
import math

import numpy as np
import pytest
import torch

from bnlab.claims import statistics


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_quartiles():
    assert statistics.quartiles([1, 2, 3, 4]) == statistics.Quartiles(1.75, 2.5, 3.25)
    assert statistics.quartiles(torch.tensor([7.0])) == statistics.Quartiles(7, 7, 7)


def test_quartiles_with_diverged_runs():
    assert statistics.quartiles([1.0, 2.0, math.inf]) == statistics.Quartiles(1.5, 2, math.inf)
    assert statistics.quartiles([math.inf, 1.0, 2.0, 3.0, math.inf]) == statistics.Quartiles(2, 3, math.inf)
    assert statistics.quartiles([math.inf, math.inf]) == statistics.Quartiles(math.inf, math.inf, math.inf)


@pytest.mark.parametrize(("positive", "negative"), [(5, 0), (4, 1), (0, 5), (8, 0), (7, 3)])
def test_sign_test_counts_outcomes(positive, negative):
    n = positive + negative
    outcomes = [sum(signs) for signs in itertools.product((0, 1), repeat=n)]
    differences = [0.5] * positive + [-2.0] * negative + [0.0]
    result = statistics.sign_test(differences)
    assert (result.positive, result.negative, result.ties) == (positive, negative, 1)
    assert result.p_value == pytest.approx(np.mean([count >= positive for count in outcomes]))
    less = statistics.sign_test(differences, "less").p_value
    assert less == pytest.approx(np.mean([count <= positive for count in outcomes]))
    two = statistics.sign_test(differences, "two-sided").p_value
    assert two == pytest.approx(np.mean([abs(count - n / 2) >= abs(positive - n / 2) for count in outcomes]))


def test_sign_test_of_ties_alone_says_nothing():
    assert statistics.sign_test([0.0, 0.0]) == statistics.SignTest(0, 0, 2, 1.0)


def test_paired_summary():
    a, b = np.array([3.0, 5.0, 4.0, 8.0, 6.0]), np.array([1.0, 2.0, 5.0, 3.0, 2.0])  # differences 2, 3, -1, 5, 4
    summary = statistics.paired_summary(a, torch.as_tensor(b), generator())
    assert (summary.n, summary.median_difference, summary.q1, summary.q3) == (5, 3, 2, 4)
    assert (summary.positive, summary.negative) == (4, 1)
    assert summary.effect_size == pytest.approx(2.6 / math.sqrt(np.sum((a - b - 2.6) ** 2) / 4))
    assert summary == statistics.paired_summary(a, b, generator())


def test_bootstrap_interval_is_that_of_the_exact_distribution_of_the_median():
    differences = np.array([2.0, 3.0, -1.0, 5.0, 4.0])
    medians = np.sort([np.median(sample) for sample in itertools.product(differences, repeat=5)])  # all 3125 resamples
    for confidence in (0.9, 0.6):
        summary = statistics.paired_summary(differences, np.zeros(5), generator(), confidence)
        tail = (1 - confidence) / 2
        assert summary.low == np.quantile(medians, tail)
        assert summary.high == np.quantile(medians, 1 - tail)
        assert summary.confidence == confidence


@pytest.mark.parametrize(("shift", "effect"), [(1.0, math.inf), (-1.0, -math.inf), (0.0, 0.0)])
def test_differences_without_scatter(shift, effect):
    summary = statistics.paired_summary(np.full(3, 2.0) + shift, np.full(3, 2.0), generator())
    assert (summary.effect_size, summary.low, summary.high) == (effect, shift, shift)


def test_equivalence_is_the_harder_of_two_one_sided_tests():
    differences = np.array([0.2, -0.1, 0.4, 0.1, 0.3])
    error = differences.std(ddof=1) / math.sqrt(5)
    # Student's t with 4 degrees of freedom: F(t) = 1/2 + 3/4 (z - z^3 / 3) with z = t / sqrt(4 + t^2).
    t = (differences.mean() - 1.0) / error
    z = t / math.sqrt(4 + t * t)
    expected = 0.5 + 0.75 * (z - z**3 / 3)
    assert statistics.equivalence_p_value(differences, 1.0) == pytest.approx(expected, rel=1e-9)
    assert statistics.equivalence_p_value(differences, 0.1) > 0.5  # the mean lies outside
    assert statistics.equivalence_p_value(-differences, 1.0) == pytest.approx(expected, rel=1e-9)


def test_log_log_slope_of_a_power_law_and_of_a_noisy_one():
    x = np.geomspace(0.1, 1000, 12)
    law = statistics.log_log_slope(x, 3 * x**-0.5)
    assert (law.slope, law.intercept) == (pytest.approx(-0.5, rel=1e-12), pytest.approx(math.log(3), rel=1e-12))
    assert law.standard_error < 1e-8
    noisy = 3 * x**-0.5 * np.exp(0.1 * np.sin(np.arange(12) * 2.0))
    law = statistics.log_log_slope(x, noisy)
    u, v = np.log(x) - np.log(x).mean(), np.log(noisy) - np.log(noisy).mean()
    slope = (u @ v) / (u @ u)
    residual = v - slope * u
    assert law.slope == pytest.approx(slope, rel=1e-10)
    assert law.standard_error == pytest.approx(math.sqrt(residual @ residual / 10 / (u @ u)), rel=1e-10)
    assert law.r_squared == pytest.approx(1 - residual @ residual / (v @ v), rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_the_closure_of_bonferroni(seed):
    p = np.random.default_rng(seed).uniform(0, 0.3, 5)
    p[1] = p[3]
    # Adjusted p of hypothesis i: the largest Bonferroni p over all intersections that contain i.
    subsets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
    expected = [max(min(1, len(s) * p[list(s)].min()) for s in subsets if i in s) for i in range(5)]
    np.testing.assert_allclose(statistics.holm(p), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: statistics.quartiles([]), r"values: shape \(0,\) is not a list of at least 1 numbers"),
        (lambda: statistics.quartiles([[1.0]]), "values: shape"),
        (lambda: statistics.sign_test([1.0, math.nan]), "differences: 1 of 2 values are nan"),
        (lambda: statistics.sign_test([1.0], "more"), "alternative: 'more' is not"),
        (lambda: statistics.paired_summary([1, 2], [1, 2, 3], generator()), "b: 3 values beside 2 of a"),
        (lambda: statistics.paired_summary([1], [1], generator()), "a: shape .* at least 2"),
        (lambda: statistics.paired_summary([1, math.inf], [1, 2], generator()), "a, b: not all differences are finite"),
        (lambda: statistics.paired_summary([1, 1e308], [1, -1e308], generator()), "a, b: not all differences are fin"),
        (
            lambda: statistics.paired_summary([1, 2], [1, 2], generator(), confidence=95),
            "confidence: 95 is not between",
        ),
        (lambda: statistics.equivalence_p_value([1, 2], 0), "margin: 0 is not positive and finite"),
        (lambda: statistics.equivalence_p_value([1, 2], math.nan), "margin: nan is not positive and finite"),
        (lambda: statistics.equivalence_p_value([1, 2], math.inf), "margin: inf is not positive and finite"),
        (lambda: statistics.equivalence_p_value([1, math.inf], 1), "differences: not all are finite"),
        (lambda: statistics.equivalence_p_value([1], 1), "differences: shape .* at least 2"),
        (lambda: statistics.log_log_slope([2, 2, 2], [1, 2, 3]), "x: all values are one"),
        (lambda: statistics.log_log_slope([1, 2], [1, 2]), "x: shape .* at least 3"),
        (lambda: statistics.log_log_slope([1, 2, 3], [1, 0, 2]), "y: a value is not positive"),
        (lambda: statistics.log_log_slope([1, 2, 3], [1, 2, 3, 4]), "y: 4 values beside 3"),
        (lambda: statistics.holm([0.5, 1.5]), "p_values: not all lie between 0 and 1"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [[1.0, None, 2.0], ["1", "2", "3"], [1j, 2, 3], [True, False, True], np.array([1, 2, 3], dtype=complex), "123"],
    ids=str,
)
def test_only_real_numbers_are_summarised(values):
    calls = (
        lambda: statistics.quartiles(values),
        lambda: statistics.sign_test(values),
        lambda: statistics.paired_summary(values, [1, 2, 3], generator()),
        lambda: statistics.paired_summary([1, 2, 3], values, generator()),
        lambda: statistics.equivalence_p_value(values, 1.0),
        lambda: statistics.log_log_slope(values, [1, 2, 3]),
        lambda: statistics.holm(values),
    )
    for call in calls:
        with pytest.raises(ValueError, match="is not a list of real numbers") as error:
            call()
        assert "\n" not in str(error.value)


def test_numbers_of_every_width_are_summarised():
    for dtype in (torch.int32, torch.float16, torch.bfloat16, torch.float64):
        assert statistics.quartiles(torch.tensor([1, 2, 3], dtype=dtype)).median == 2.0


def test_differences_without_scatter_are_within_the_margin_or_not():
    assert [statistics.equivalence_p_value([d] * 5, 1.0) for d in (0.0, 0.99, -0.99, 1.0, -1.0, 2.0)] == [
        0,
        0,
        0,
        1,
        1,
        1,
    ]


def test_infinity_has_a_sign_and_is_the_worst():
    assert statistics.sign_test([math.inf, -math.inf, 1.0]) == statistics.SignTest(2, 1, 0, 0.5)
    assert statistics.quartiles([1.0, 2.0, math.inf]).median == 2.0


def test_the_sign_test_at_the_threshold():
    assert statistics.sign_test([1.0] * 5).p_value == 1 / 32
    assert statistics.sign_test([1.0] * 4).p_value == 1 / 16  # four seeds can never reach 0.05
    assert statistics.sign_test([1.0, 1.0, 1.0, 1.0, 0.0]).p_value == 1 / 16  # a tie is no agreement
