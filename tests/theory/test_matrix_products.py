"""Products of random matrices: the law, its edge, universality; conditioning against 80-digit arithmetic."""

from functools import partial

import mpmath
import numpy as np
import pytest
import torch

from bnlab.theory.matrix_products import (
    ENTRIES,
    iid_matrices,
    ks_distance,
    log_condition_numbers,
    log_extreme_singular_values,
    lyapunov_gap,
    sample_product_singular_values,
)
from bnlab.theory.random_matrices import fuss_catalan_cdf, fuss_catalan_support


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def exact_log_singular_values(factors):
    """Ln of the singular values of factors[0] factors[1] ..., descending, from 80 digits."""
    with mpmath.workdps(80):
        product = mpmath.matrix(factors[0].tolist())
        for factor in factors[1:]:
            product = product * mpmath.matrix(factor.tolist())
        return np.sort([float(mpmath.log(s)) for s in mpmath.svd_r(product, compute_uv=False)])[::-1]


@pytest.mark.parametrize("entries", ENTRIES)
@pytest.mark.parametrize("M", [1, 2, 3])
def test_squares_follow_the_law_and_plain_values_do_not(M, entries):
    """Universality, and the counterexample to Theorem 1 as printed."""
    s = sample_product_singular_values(400, M, 1, draws(M), entries=entries).numpy()
    law = partial(fuss_catalan_cdf, M=M)
    assert ks_distance(s**2, law) < 0.013
    assert ks_distance(s, law) > 0.15
    wrong = partial(fuss_catalan_cdf, M=M + 1)
    assert ks_distance(s**2, wrong) > 0.05


def test_variances_stretch_the_law_by_their_product():
    s = sample_product_singular_values(300, 2, 1, draws(), scales=(3.0, 2.0)).numpy()
    assert np.mean(s**2) == pytest.approx(36, rel=0.05)
    assert ks_distance(s**2, partial(fuss_catalan_cdf, M=2, scale=36.0)) < 0.015
    assert ks_distance(s**2, partial(fuss_catalan_cdf, M=2)) > 0.5


@pytest.mark.parametrize("M", [1, 2])
def test_largest_squared_value_nears_the_edge_as_n_to_the_minus_two_thirds(M):
    sizes, edge = (20, 40, 80, 160), fuss_catalan_support(M)[1]
    deficits = [
        1 - np.mean(sample_product_singular_values(N, M, 150, draws(N))[:, 0].numpy() ** 2) / edge for N in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(deficits), 1)[0]
    assert slope == pytest.approx(-2 / 3, abs=0.12)  # neither 1/2 nor 1


def test_entries_have_the_variance_and_shape_they_claim():
    for entries, kurtosis in (("gaussian", 3.0), ("uniform", 1.8), ("rademacher", 1.0)):
        x = iid_matrices(200, 3, draws(), entries=entries, variance=4.0)
        assert x.shape == (3, 200, 200)
        assert float(x.mean()) == pytest.approx(0, abs=0.03)
        assert float(x.var()) == pytest.approx(4, rel=0.03)
        assert float((x**4).mean() / x.var() ** 2) == pytest.approx(kurtosis, rel=0.03)
    assert float(iid_matrices(200, 1, draws()).var()) == pytest.approx(1 / 200, rel=0.03)


def test_draws_are_the_same_for_every_dtype_and_number_of_runs():
    double = iid_matrices(5, 2, draws(3))
    single = iid_matrices(5, 2, draws(3), dtype=torch.float32)
    assert single.dtype == torch.float32
    assert torch.equal(double.float(), single)
    few, more = (sample_product_singular_values(8, 3, runs, draws(1)) for runs in (2, 4))
    assert torch.equal(few, more[:2])
    spectrum = sample_product_singular_values(300, 2, 1, draws(1), dtype=torch.float32)
    assert spectrum.dtype == torch.float32
    exact = sample_product_singular_values(300, 2, 1, draws(1))
    assert torch.allclose(spectrum.double(), exact, rtol=2e-2)


def test_spectrum_of_a_product_beyond_float64_is_right_to_the_last_value():
    """At ln kappa = 38 svdvals of the product is off by 10 % in the last value; at 52 it is noise."""
    for M, seed, wrong in ((18, 1218, 0.05), (22, 1222, 5.0)):
        factors = iid_matrices(12, M, draws(seed))
        exact = exact_log_singular_values(factors)
        ours = sample_product_singular_values(12, M, 1, draws(seed))[0].log().numpy()
        np.testing.assert_allclose(ours, exact, atol=1e-6)
        naive = torch.linalg.svdvals(torch.linalg.multi_dot(list(factors))).log().numpy()
        assert np.abs(naive - exact).max() > wrong


def test_extreme_values_at_every_depth_against_eighty_digits():
    depths = [1, 2, 10, 40]
    log_max, log_min = log_extreme_singular_values(6, depths, 1, draws(5))
    factors = [iid_matrices(6, 1, generator)[0] for generator in (draws(5),) for _ in range(40)]
    for column, depth in enumerate(depths):
        exact = exact_log_singular_values(factors[:depth][::-1])
        assert float(log_max[0, column]) == pytest.approx(exact[0], abs=1e-11)
        assert float(log_min[0, column]) == pytest.approx(exact[-1], abs=1e-11)
    assert exact[0] - exact[-1] > 50
    log_kappa = log_condition_numbers(6, depths, 1, draws(5))
    torch.testing.assert_close(log_kappa, log_max - log_min, rtol=0, atol=0)


def test_nothing_overflows_in_a_product_of_thousands():
    log_kappa = log_condition_numbers(4, [5000], 2, draws())
    assert torch.isfinite(log_kappa).all()
    assert (log_kappa > 5000).all()


@pytest.mark.parametrize("N", [1, 2, 5, 16])
def test_growth_of_ln_kappa_is_the_lyapunov_gap(N):
    """Newman's closed form against long products, between depths where the start is forgotten."""
    log_kappa = log_condition_numbers(N, [20, 620], 12, draws(N))
    slopes = ((log_kappa[:, 1] - log_kappa[:, 0]) / 600).numpy()
    tolerance = 4 * slopes.std(ddof=1) / len(slopes) ** 0.5
    assert slopes.mean() == pytest.approx(lyapunov_gap(N), abs=max(tolerance, 1e-12))
    assert tolerance < 0.1


def test_lyapunov_gap_against_mpmath_and_elementary_values():
    for N in (2, 3, 64, 1001):
        exact = (mpmath.digamma(mpmath.mpf(N) / 2) - mpmath.digamma(0.5)) / 2
        assert lyapunov_gap(N) == pytest.approx(float(exact), rel=1e-13)
    assert lyapunov_gap(3) == pytest.approx(1, rel=1e-13)  # psi(3/2) - psi(1/2) = 2


def test_condition_number_does_not_depend_on_scale():
    x = iid_matrices(40, 1, draws())[0]
    for constant in (2**0.5, 1e-3, 7.0):
        assert float(torch.linalg.cond(constant * x)) == pytest.approx(float(torch.linalg.cond(x)), rel=1e-9)


def test_batches_are_right_with_two_threads():
    """Batched LU on a CPU gives garbage from N = 151 with two threads; the inverse product must not go through it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        log_max, log_min = log_extreme_singular_values(200, [1, 2], 4, draws(2))
    finally:
        torch.set_num_threads(threads)
    generator = draws(2)
    first, second = (iid_matrices(200, 4, generator) for _ in range(2))
    for run in range(4):
        s = torch.linalg.svdvals(second[run] @ first[run])
        assert float(log_max[run, 1]) == pytest.approx(float(s[0].log()), abs=1e-9)
        assert float(log_min[run, 1]) == pytest.approx(float(s[-1].log()), abs=1e-6)


def test_singular_factors_have_an_infinite_condition_number():
    log_kappa = log_condition_numbers(2, [1, 8], 20, draws(), entries="rademacher")
    assert 3 <= int(torch.isinf(log_kappa[:, 0]).sum()) <= 17  # half of the 2 x 2 matrices of +-1
    assert int(torch.isinf(log_kappa[:, 1]).sum()) >= 18
    assert not torch.isnan(log_kappa).any()
    with pytest.raises(ValueError, match=r"^a factor drawn at N=2 is singular"):
        sample_product_singular_values(2, 1, 20, draws(), entries="rademacher")


def test_one_by_one_matrices():
    s = sample_product_singular_values(1, 2, 3, draws())
    generator = draws()
    expected = [float(iid_matrices(1, 1, generator) * iid_matrices(1, 1, generator)) for _ in range(3)]
    np.testing.assert_allclose(s[:, 0].numpy(), np.abs(expected), rtol=1e-14)
    assert float(log_condition_numbers(1, [3], 1, draws())) == pytest.approx(0, abs=1e-14)


def test_ks_distance_by_hand():
    assert ks_distance([0.5], lambda x: x) == 0.5
    assert ks_distance([[0.9, 0.1]], lambda x: x) == pytest.approx(0.4)
    assert ks_distance([0.0, 0.0], lambda x: x) == 1
    for bad in ([], [np.nan, 1.0], [np.inf], [1j], ["1"], [True]):
        with pytest.raises(ValueError, match=r"^values: (there is none|.* is not finite$|.* is no array of real)"):
            ks_distance(bad, lambda x: x)
    with pytest.raises(ValueError, match=r"^cdf: it gives \(\) for \(2,\) values"):
        ks_distance([0.5, 0.6], lambda x: 0.5)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"N": 0}, "N: 0 is not a whole number of at least 1"),
        ({"N": 2.0}, "N: 2.0 is not a whole number"),
        ({"M": 0}, "M: 0 is not a whole number of at least 1; the number of factors"),
        ({"runs": 0}, "runs: 0 is not"),
        ({"entries": "cauchy"}, "entries: 'cauchy' is not one of 'gaussian', 'uniform', 'rademacher'"),
        ({"scales": (1.0,)}, "scales: [1.0] are not 2"),
        ({"scales": (1.0, -1.0)}, "scales: -1.0 is not a finite number above 0"),
        ({"dtype": torch.float16}, "dtype: torch.float16 is not torch.float32 or torch.float64"),
        ({"N": 12, "M": 60}, "M=60 factors at N=12: condition number beyond"),
    ],
)
def test_sampling_refuses_in_one_clear_line(change, line):
    arguments = {"N": 3, "M": 2, "runs": 1, "generator": draws(), **change}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        sample_product_singular_values(**arguments)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depths", [[], [0], [2, 1], [1, 1], [1.5]])
def test_depths_must_increase(depths):
    with pytest.raises(ValueError, match=r"^depths: "):
        log_condition_numbers(3, depths, 1, draws())


def test_variance_and_gap_refuse_impossible_values():
    with pytest.raises(ValueError, match=r"^variance: 0\.0 is not a finite number above 0"):
        iid_matrices(3, 1, draws(), variance=0.0)
    with pytest.raises(ValueError, match=r"^count: 0 is not"):
        iid_matrices(3, 0, draws())
    with pytest.raises(ValueError, match=r"^N: 0 is not"):
        lyapunov_gap(0)
