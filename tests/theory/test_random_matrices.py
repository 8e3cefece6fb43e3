"""The Fuss-Catalan law against exact moments, closed forms, Meijer's G, algebraic roots, and 60-digit arithmetic."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import comb

from bnlab.theory.random_matrices import (
    fuss_catalan_cdf,
    fuss_catalan_density,
    fuss_catalan_moment,
    fuss_catalan_support,
    singular_value_density,
)

FACTORS = (1, 2, 3, 5, 8)


def inside(M, points=200, lowest=1e-12):
    """Points of the support, down to `lowest` and up to a few ulp below the edge."""
    edge = fuss_catalan_support(M)[1]
    return edge * np.concatenate(
        [np.geomspace(lowest, 0.5, points), 1 - np.geomspace(1e-15, 0.5, points), np.linspace(0.01, 0.99, points)]
    )


@pytest.mark.parametrize("M", FACTORS)
@pytest.mark.parametrize("k", range(5))
def test_moments_by_quadrature_are_fuss_catalan_numbers(M, k):
    edge = fuss_catalan_support(M)[1]

    def integrand(t):  # x = edge t^(M+1): bounded at 0
        x = edge * t ** (M + 1)
        return float(fuss_catalan_density(x, M)) * x**k * edge * (M + 1) * t**M

    value, _ = quad(integrand, 0, 1, epsabs=0, epsrel=1e-10, limit=200)
    exact = comb((M + 1) * k, k, exact=True) / (M * k + 1)
    assert value == pytest.approx(exact, rel=1e-8)
    assert fuss_catalan_moment(k, M) == exact


def test_moments_are_exact_integers_with_known_rows():
    assert [fuss_catalan_moment(k, 2) for k in range(6)] == [1, 1, 3, 12, 55, 273]  # OEIS A001764
    assert fuss_catalan_moment(40, 8) == comb(360, 40, exact=True) // 321  # far beyond 2^53
    assert [fuss_catalan_moment(2, M) for M in FACTORS] == [M + 1 for M in FACTORS]


@pytest.mark.parametrize("M", FACTORS)
def test_moment_of_the_singular_values_themselves_differs(M):
    """The density that Theorem 1 prints is of squares: E s^2 = 1 under the right one, E s^2 = M + 1 read literally."""
    root = fuss_catalan_support(M)[1] ** 0.5
    second, _ = quad(lambda u: float(singular_value_density(root * u**2, M)) * (root * u**2) ** 2 * 2 * root * u, 0, 1)
    assert second == pytest.approx(1, rel=1e-6)
    assert fuss_catalan_moment(2, M) == M + 1


def test_one_factor_is_marchenko_pastur_and_the_quarter_circle():
    x = inside(1)
    # 4 - x is exact by Sterbenz above 2, so this reference keeps its digits at the edge.
    np.testing.assert_allclose(fuss_catalan_density(x, 1), np.sqrt((4 - x) / x) / (2 * np.pi), rtol=2e-14)
    s = np.concatenate([np.geomspace(1e-200, 1, 100), 2 - np.geomspace(1e-15, 1, 100)])
    np.testing.assert_allclose(singular_value_density(s, 1), np.sqrt((2 - s) * (2 + s)) / np.pi, rtol=1e-13)
    closed = 2 / np.pi * (np.arcsin(s / 2) + s / 2 * np.sqrt((1 - s / 2) * (1 + s / 2)))
    np.testing.assert_allclose(fuss_catalan_cdf(s**2, 1)[s > 1e-150], closed[s > 1e-150], rtol=1e-13)


def test_two_factors_against_the_closed_form_of_penson_and_zyczkowski():
    """Penson, Zyczkowski 2011: the Raney density P_2 of order 3 in radicals."""
    x = inside(2, lowest=1e-6)
    radical = 27 + 3 * np.sqrt(12 * (6.75 - x))
    numerator = 2 ** (1 / 3) * radical ** (2 / 3) - 6 * x ** (1 / 3)
    closed = 2 ** (1 / 3) * np.sqrt(3) / (12 * np.pi) * numerator / (x ** (2 / 3) * radical ** (1 / 3))
    np.testing.assert_allclose(fuss_catalan_density(x, 2), closed, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("M", [2, 3, 5])
def test_density_is_the_meijer_g_function_with_the_moments_gamma_factors(M):
    """Inverse Mellin transform of Gamma((M+1) s + 1) / (Gamma(s + 1) Gamma(M s + 2)), by mpmath."""
    edge = fuss_catalan_support(M)[1]
    for x in (1e-3 * edge, 0.2 * edge, 0.7 * edge):
        # Gauss's multiplication formula turns the moments C((M+1)s, s)/(M s + 1) into prod Gamma(b + s)/Gamma(a + s).
        upper = [mpmath.mpf(j) / M for j in range(2, M + 2)]
        lower = [mpmath.mpf(j) / (M + 1) for j in range(1, M + 1)]
        scale = mpmath.sqrt((M + 1) / (2 * mpmath.pi)) * mpmath.mpf(M) ** mpmath.mpf(-1.5)
        value = scale / x * mpmath.meijerg([[], upper], [lower, []], mpmath.mpf(x) / edge)
        assert float(fuss_catalan_density(x, M)) == pytest.approx(float(value.real), rel=1e-10)


@pytest.mark.parametrize("M", [*FACTORS, 13])
def test_density_is_the_imaginary_part_of_the_resolvents_root(M):
    """Among the roots of w^(M+1) = x (w - 1), found numerically, one has Im w = pi x rho(x)."""
    for x in fuss_catalan_support(M)[1] * np.array([0.01, 0.1, 0.5, 0.9]):
        roots = np.roots([1, *[0] * (M - 1), -x, x])
        target = np.pi * x * float(fuss_catalan_density(x, M))
        assert np.min(np.abs(roots.imag - target)) < 1e-8 * target


@pytest.mark.parametrize("M", [1, 2, 3, 8, 100])
def test_both_edges_against_sixty_digits(M):
    """Relative precision of density and distribution, from 1e-250 to the last float below the edge."""
    edge = fuss_catalan_support(M)[1]
    with mpmath.workdps(60):
        for x in (1e-250, 1e-30, edge / 3, edge * (1 - 1e-9), np.nextafter(edge, 0)):
            density, probability = exact(x, M)
            assert float(fuss_catalan_density(x, M)) == pytest.approx(float(density), rel=5e-13)
            assert float(fuss_catalan_cdf(x, M)) == pytest.approx(float(probability), rel=5e-13)


def exact(x, M):
    """Density and distribution function at x to the working precision, by bisection on ln delta."""
    x, end = mpmath.mpf(x), mpmath.pi / (M + 1)

    def log_x(delta):
        s = [mpmath.sin((M + 1) * delta), mpmath.sin(end - delta), mpmath.sin(end + M * delta)]
        return (M + 1) * mpmath.log(s[0]) - mpmath.log(s[1]) - M * mpmath.log(s[2])

    low, high = mpmath.log(end) - 700, mpmath.log(end)
    for _ in range(210):
        middle = (low + high) / 2
        low, high = (middle, high) if log_x(mpmath.exp(middle)) < mpmath.log(x) else (low, middle)
    delta = mpmath.exp(low)
    # sin(M phi) sin(phi) as in Eq. 5, with phi = end - delta
    part = mpmath.sin((M + 1) * delta) * mpmath.sin(end - delta) / mpmath.sin(M * (end - delta))
    return part / (mpmath.pi * x), ((M + 1) * delta + M * part) / mpmath.pi


@pytest.mark.parametrize("M", FACTORS)
def test_distribution_function_is_the_integral_of_the_density(M):
    edge = fuss_catalan_support(M)[1]
    for share in (0.001, 0.1, 0.6, 0.99):
        end = share ** (1 / (M + 1))
        mass, _ = quad(
            lambda t: float(fuss_catalan_density(edge * t ** (M + 1), M)) * edge * (M + 1) * t**M,
            0, end, epsabs=0, epsrel=1e-10,
        )  # fmt: skip
        assert float(fuss_catalan_cdf(share * edge, M)) == pytest.approx(mass, rel=1e-9)
    np.testing.assert_array_equal(fuss_catalan_cdf([-1.0, 0.0, edge, edge + 1], M), [0, 0, 1, 1])
    probabilities = fuss_catalan_cdf(np.sort(inside(M)), M)
    assert np.diff(probabilities).min() > -4e-16
    assert probabilities.max() <= 1


@pytest.mark.parametrize("M", FACTORS)
def test_exponents_at_zero(M):
    """Squares blow up as x^(-M/(M+1)), singular values only as s^(-(M-1)/(M+1)): bounded for one factor."""
    ends = np.array([1e-120, 1e-119])
    assert np.diff(np.log10(fuss_catalan_density(ends, M)))[0] == pytest.approx(-M / (M + 1), abs=1e-10)
    assert np.diff(np.log10(singular_value_density(ends, M)))[0] == pytest.approx(-(M - 1) / (M + 1), abs=1e-10)


@pytest.mark.parametrize("M", FACTORS)
def test_square_root_at_the_edge(M):
    """Eq. 5 to lowest order in phi: rho ~ ((M+1)/(pi M edge)) sqrt(2 y / (M (M+1))), y = 1 - x / edge."""
    edge, y = fuss_catalan_support(M)[1], 2.0**-40
    leading = (M + 1) / (np.pi * M * edge) * np.sqrt(2 * y / (M * (M + 1)))
    assert float(fuss_catalan_density(edge * (1 - y), M)) == pytest.approx(leading, rel=1e-3)


def test_values_at_and_outside_the_support():
    for M in FACTORS:
        low, edge = fuss_catalan_support(M)
        assert low == 0
        assert edge == pytest.approx((M + 1) ** (M + 1) / M**M, rel=3e-16)
        np.testing.assert_array_equal(fuss_catalan_density([-1.0, 0.0, edge, 2 * edge], M), [0, np.inf, 0, 0])
        at_zero = 2 / np.pi if M == 1 else np.inf
        np.testing.assert_array_equal(singular_value_density([-1.0, 0.0, 2 * edge**0.5], M), [0, at_zero, 0])
    assert fuss_catalan_density(np.ones((2, 3)), 2).shape == (2, 3)
    assert fuss_catalan_density(np.ones(0), 2).shape == (0,)
    assert fuss_catalan_support(1000)[1] / 1000 == pytest.approx(np.e, rel=1e-3)


def test_scale_stretches_the_law():
    x, M, scale = np.array([0.5, 10.0, 100.0]), 2, 36.0
    np.testing.assert_allclose(fuss_catalan_density(x, M, scale) * scale, fuss_catalan_density(x / scale, M))
    np.testing.assert_allclose(fuss_catalan_cdf(x, M, scale), fuss_catalan_cdf(x / scale, M))
    np.testing.assert_allclose(singular_value_density(x, M, scale) * 6, singular_value_density(x / 6, M))
    assert fuss_catalan_support(M, scale) == (0, 36 * 6.75)


@pytest.mark.parametrize("M", [1, 2, 3, 8])
def test_plain_density_is_the_change_of_variables(M):
    s = np.sqrt(inside(M, lowest=1e-8))[:-1]
    s = s[s < 0.999 * fuss_catalan_support(M)[1] ** 0.5]
    np.testing.assert_allclose(singular_value_density(s, M), 2 * s * fuss_catalan_density(s**2, M), rtol=1e-11)


@pytest.mark.parametrize("M", [0, -1, 1.5, True, "2", None])
@pytest.mark.parametrize("function", [fuss_catalan_density, singular_value_density, fuss_catalan_cdf])
def test_refuses_impossible_numbers_of_factors(function, M):
    with pytest.raises(ValueError, match=r"^M: .* is not a whole number of at least 1; the number of factors$"):
        function(1.0, M)


@pytest.mark.parametrize("function", [fuss_catalan_density, singular_value_density, fuss_catalan_cdf])
def test_refuses_numbers_that_are_not_finite(function):
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"^(x|s): -?(nan|inf) is not finite$"):
            function([1.0, bad], 2)
    for bad in (np.array([1j]), ["1"], [True]):
        with pytest.raises(ValueError, match=r"^(x|s): .* is no array of real numbers$"):
            function(bad, 2)
    for scale in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"^scale: .* is not a finite number above 0"):
            function(1.0, 2, scale)


def test_refuses_impossible_moments_and_supports():
    for k in (-1, 0.5, True):
        with pytest.raises(ValueError, match=r"^k: .* is not a whole number of at least 0"):
            fuss_catalan_moment(k, 2)
    with pytest.raises(ValueError, match=r"^M: 0 is not"):
        fuss_catalan_moment(2, 0)
    with pytest.raises(ValueError, match=r"^M: 0 is not"):
        fuss_catalan_support(0)
