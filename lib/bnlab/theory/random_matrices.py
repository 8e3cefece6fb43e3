r"""The law of the squared singular values of a product of M random matrices (Fuss-Catalan law).

Bjorck et al. 2018, Theorem 1 (after Liu, Wang, Zhang 2016), Eq. 5, for X = X_1 ... X_M with iid entries of variance
sigma_i^2 / N and N -> infinity:

    rho_M(x) = sin((M+1) phi) sin(phi) / (pi x sin(M phi)),   x = sin((M+1) phi)^(M+1) / (sin(phi) sin(M phi)^M),

0 < phi < pi/(M+1).  The paper calls rho_M the *singular value* density; it is the density of their *squares*
(`singular_value_density` gives the other one), and it holds as printed when every sigma_i is 1.  Otherwise
x / (prod_i sigma_i^2) has this law: that product is the argument `scale`.

Everything follows from one complex number.  w = x G(x + i0), with G the resolvent, solves w^(M+1) = x (w - 1), and

    w = sin((M+1) phi) / sin(M phi) e^(i phi),   w - 1 = sin(phi) / sin(M phi) e^(i (M+1) phi),

so that rho = Im w / (pi x).  Since w d(ln x) integrates to M w - ln(w - 1), the distribution function is closed too:

    F(x) = 1 - (M+1) phi / pi + (M / pi) Im w.

All functions are float64, vectorised, and precise in the relative sense at both ends of the support.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from math import comb

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray
from scipy.special import zeta

from bnlab import checks

FACTORS = "the number of factors"
# ln(sin t / t) = -sum_k zeta(2k) t^(2k) / (k pi^(2k)).  For |t| < 1/2 the terms fall by a factor > 39: 12 reach 1e-19.
_SERIES_LIMIT = 0.5
_LOG_SINC = Polynomial([0.0] + [c for k in range(1, 13) for c in (0.0, -zeta(2 * k) / (k * np.pi ** (2 * k)))])
_LOG_SINC_SLOPE = _LOG_SINC.deriv()
# Newton converges quadratically: after a relative step this small the next one would be below rounding.  Four or five
# steps do for small M, some twelve for M = 1000.
_LAST_STEP = 1e-10
_MAX_STEPS = 100


def fuss_catalan_density(x: ArrayLike, M: int, scale: float = 1.0) -> NDArray[np.float64]:
    """Density rho_M of the squared singular values of a product of M random matrices.

    rho_M(x) = sin((M+1) phi) sin(phi) / (pi x sin(M phi)), Bjorck et al. 2018, Eq. 5; of x / scale if `scale` is given.

    x: any shape, squared singular values (dimensionless when `scale` is).  Returns float64 of the same shape, in
    units of 1 / x: 0 outside the support, 0 at the upper edge, inf at x = 0 (rho ~ x^(-M/(M+1))).
    Raises ValueError if M is no integer >= 1, `scale` is not positive, or x is not finite.

    >>> round(float(fuss_catalan_density(1.0, 1)) * 2 * np.pi, 12)   # Marchenko-Pastur: sqrt((4 - x) / x) / (2 pi)
    1.732050807569
    """
    x = checks.array("x", x) / checks.number("scale", scale, above=0)
    edge = _edge(M)
    inside = (x > 0) & (x < _nearest(edge)[0])
    density = np.where(x == 0, np.inf, 0.0)
    phi, delta = _angle(_log_below(x[inside], edge), M)
    density[inside] = _imaginary_part(phi, delta, M) / x[inside] / np.pi
    return density / scale


def singular_value_density(s: ArrayLike, M: int, scale: float = 1.0) -> NDArray[np.float64]:
    """Density of the singular values themselves: 2 s rho_M(s^2).

    It behaves as s^(-(M-1)/(M+1)) at 0: bounded for M = 1 (quarter circle, sqrt(4 - s^2) / pi), inf at s = 0 for M > 1.

    s: any shape, singular values.  `scale` is the product of the variances sigma_i^2, as for the squares.  Returns
    float64 of the same shape, in units of 1 / s.  Raises ValueError as `fuss_catalan_density` does.

    >>> [round(float(v), 6) for v in singular_value_density([0.0, 1.0, 2.0], 1) * np.pi]
    [2.0, 1.732051, 0.0]
    """
    root = np.sqrt(checks.number("scale", scale, above=0))
    s = checks.array("s", s) / root
    edge = _square_root(_edge(M))
    inside = (s > 0) & (s < _nearest(edge)[0])
    density = np.where(s == 0, 2 / np.pi if M == 1 else np.inf, 0.0)
    # ln(edge / s^2) = 2 ln(sqrt(edge) / s): s is never squared, so nothing underflows and no digit is lost at the edge.
    phi, delta = _angle(2 * _log_below(s[inside], edge), M)
    density[inside] = 2 * _imaginary_part(phi, delta, M) / s[inside] / np.pi
    return density / root


def fuss_catalan_cdf(x: ArrayLike, M: int, scale: float = 1.0) -> NDArray[np.float64]:
    """Distribution function of the squared singular values: F(x) = 1 - (M+1) phi/pi + (M/pi) Im w.

    Closed form (the antiderivative in this module's docstring), exact to rounding, with relative precision near 0.
    For singular values use `fuss_catalan_cdf(s**2, M)`.

    x: any shape.  Returns float64 probabilities of the same shape.  Raises ValueError as `fuss_catalan_density` does.

    >>> [round(float(p), 6) for p in fuss_catalan_cdf([-1.0, 0.0, 2.0, 4.0], 1)]   # 1/2 + 1/pi at the centre
    [0.0, 0.0, 0.81831, 1.0]
    """
    x = checks.array("x", x) / checks.number("scale", scale, above=0)
    edge = _edge(M)
    inside = (x > 0) & (x < _nearest(edge)[0])
    probability = np.where(x > 0, 1.0, 0.0)
    phi, delta = _angle(_log_below(x[inside], edge), M)
    probability[inside] = np.minimum(((M + 1) * delta + M * _imaginary_part(phi, delta, M)) / np.pi, 1.0)
    return probability


def fuss_catalan_support(M: int, scale: float = 1.0) -> tuple[float, float]:
    """Support (0, (M+1)^(M+1) / M^M * scale) of the squared singular values (Bjorck et al. 2018, Theorem 1).

    `scale` is the product of the sigma_i^2, which the theorem as printed leaves out.  The upper edge grows as e M, so
    the largest singular value grows as sqrt(e M); it is rounded up, to where the density is 0.
    Raises ValueError if M is no integer >= 1, or `scale` not positive.

    >>> fuss_catalan_support(1), fuss_catalan_support(2)
    ((0.0, 4.0), (0.0, 6.75))
    """
    return 0.0, _nearest(_edge(M))[0] * checks.number("scale", scale, above=0)


def fuss_catalan_moment(k: int, M: int) -> int:
    """Exact k-th moment E[x^k] = C((M+1) k, k) / (M k + 1) of the squared singular values (a Fuss-Catalan number).

    Raises ValueError if M is no integer >= 1 or k no integer >= 0.

    >>> [fuss_catalan_moment(k, 1) for k in range(6)], [fuss_catalan_moment(2, M) for M in (1, 2, 3)]
    ([1, 1, 2, 5, 14, 42], [2, 3, 4])
    """
    M, k = checks.whole("M", M, hint=FACTORS), checks.whole("k", k, 0, hint="the order of the moment")
    return comb((M + 1) * k, k) // (M * k + 1)


def _edge(M: int) -> Fraction:
    M = checks.whole("M", M, hint=FACTORS)
    return Fraction((M + 1) ** (M + 1), M**M)


def _square_root(value: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = 50
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def _nearest(value: Fraction) -> tuple[float, float]:
    """The smallest float that is not below `value`, and what is missing: value = high + low, low <= 0."""
    high = float(value)
    if Fraction(high) < value:
        high = float(np.nextafter(high, np.inf))
    return high, float(value - Fraction(high))


def _log_below(x: NDArray[np.float64], edge: Fraction) -> NDArray[np.float64]:
    """ln(edge / x) for 0 < x < edge, to full relative precision also where x is a few ulp below the edge."""
    high, low = _nearest(edge)
    gap = (high - x) + low  # high - x is exact for x > high / 2 (Sterbenz)
    with np.errstate(divide="ignore"):
        return np.where(x > high / 2, -np.log1p(-gap / high), np.log(high) - np.log(x))


def _angle(log_ratio: NDArray[np.float64], M: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find phi and its complement delta = pi/(M+1) - phi, from log_ratio = ln(edge / x) > 0.

    The smaller of the two is solved for, so neither end of the support suffers from cancellation.  Newton's iterates
    cannot leave the interval: ln(edge/x) is convex in phi and is entered from above, ln x is concave in ln delta and is
    entered from below.
    """
    end = np.pi / (M + 1)
    halfway = _log_ratio_of_phi(np.array(end / 2), M)[0]
    upper = log_ratio < halfway

    y = log_ratio[upper]
    start = np.sqrt(2 * y / (M * (M + 1)))  # ln(edge/x) = M(M+1)/2 phi^2 + positive terms
    phi = _newton(_log_ratio_of_phi, start, y, M)

    log_edge = float(np.log(M + 1.0) + M * np.log1p(1.0 / M))
    log_x = log_edge - log_ratio[~upper]
    start = log_x / (M + 1) + np.log(np.sin(end) / (M + 1))  # x ~ ((M+1) delta / sin(end))^(M+1) as x -> 0
    log_delta = _newton(_log_x_of_log_delta, start, log_x, M)

    both = np.empty((2, *log_ratio.shape))
    both[0, upper], both[1, upper] = phi, end - phi
    both[1, ~upper] = np.exp(log_delta)
    both[0, ~upper] = end - both[1, ~upper]
    return both[0], both[1]


def _newton(function: Callable, start: NDArray[np.float64], target: NDArray[np.float64], M: int) -> NDArray[np.float64]:
    """Root of function(root, M) = target, entry by entry; `function` returns the value and the derivative."""
    root = start
    for _ in range(_MAX_STEPS):
        value, slope = function(root, M)
        step = (target - value) / slope
        root = root + step
        if np.all(np.abs(step) <= _LAST_STEP * np.abs(root)):
            break
    return root


def _log_ratio_of_phi(phi: NDArray[np.float64], M: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ln(edge / x(phi)) and its derivative, without cancellation as phi -> 0."""
    inner, outer, last = _log_sinc(phi), _log_sinc((M + 1) * phi), _log_sinc(M * phi)
    value = inner[0] + M * last[0] - (M + 1) * outer[0]
    slope = inner[1] + M**2 * last[1] - (M + 1) ** 2 * outer[1]
    return value, slope


def _log_sinc(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ln(sin(t) / t) and its derivative cot(t) - 1/t, for 0 < t < pi."""
    small = t < _SERIES_LIMIT
    large = np.where(small, 1.0, t)
    value = np.where(small, _LOG_SINC(t), np.log(np.sin(large) / large))
    return value, np.where(small, _LOG_SINC_SLOPE(t), 1 / np.tan(large) - 1 / large)


def _log_x_of_log_delta(log_delta: NDArray[np.float64], M: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Value of ln x and of d(ln x)/d(ln delta) at phi = pi/(M+1) - delta; sin(M phi) = sin(pi/(M+1) + M delta)."""
    delta, end = np.exp(log_delta), np.pi / (M + 1)
    phi, other = end - delta, end + M * delta
    value = (M + 1) * np.log(np.sin((M + 1) * delta)) - np.log(np.sin(phi)) - M * np.log(np.sin(other))
    slope = (M + 1) ** 2 / np.tan((M + 1) * delta) + 1 / np.tan(phi) - M**2 / np.tan(other)
    return value, delta * slope


def _imaginary_part(phi: NDArray[np.float64], delta: NDArray[np.float64], M: int) -> NDArray[np.float64]:
    """Im w = sin((M+1) phi) sin(phi) / sin(M phi); sin((M+1) phi) = sin((M+1) delta), taken from the smaller angle."""
    return np.sin((M + 1) * np.minimum(phi, delta)) * np.sin(phi) / np.sin(M * phi)
