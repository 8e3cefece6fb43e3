"""Few seeds, honestly summarised: quartiles, paired tests and intervals, log-log slopes, several tests at once.

Five paired runs that all differ in one direction have probability 1/32 under chance: that speaks for a direction, not
for a size, which is what effect and interval are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch

Numbers = Sequence[float] | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Quartiles:
    """Median and the quartiles around it."""

    q1: float
    median: float
    q3: float


@dataclass(frozen=True)
class SignTest:
    """Exact sign test of paired differences."""

    positive: int
    negative: int
    ties: int  # differences of exactly 0, which the test leaves out
    p_value: float


@dataclass(frozen=True)
class PairedSummary:
    """Paired differences a - b: where they lie, how sure that is, how large they are beside their scatter."""

    n: int
    median_difference: float
    q1: float
    q3: float
    low: float  # bootstrap interval of the median difference
    high: float
    confidence: float
    effect_size: float  # mean / standard deviation of the differences (Cohen's d for pairs)
    positive: int
    negative: int


@dataclass(frozen=True)
class PowerLaw:
    """Least-squares line through (ln x, ln y)."""

    slope: float
    standard_error: float  # of the slope
    intercept: float  # ln y at x = 1
    r_squared: float


def quartiles(values: Numbers) -> Quartiles:
    """Quartiles of some numbers, by linear interpolation (NumPy's default), inf included: a diverged run is the worst.

    >>> quartiles([3.0, 1.0, 2.0, 5.0, 4.0])
    Quartiles(q1=2.0, median=3.0, q3=4.0)

    Raises:
        ValueError: if there is none, or one is nan.
    """
    vector = _vector(values, "values", 1)
    lower, upper = (np.quantile(vector, [0.25, 0.5, 0.75], method=method) for method in ("lower", "higher"))
    # NumPy interpolates between a number and infinity with 0 * inf = nan even where it need not interpolate.
    finite = np.quantile(np.nan_to_num(vector), [0.25, 0.5, 0.75])
    between = np.where(np.isinf(upper), upper, np.where(np.isinf(lower), lower, finite))
    return Quartiles(*np.where(lower == upper, lower, between).tolist())


def sign_test(differences: Numbers, alternative: str = "greater") -> SignTest:
    """Exact probability of so many positive signs among n fair ones (binomial; ties left out).

    ``alternative`` is that the differences are "greater" than 0, "less", or "two-sided".

    >>> sign_test([0.3, 1.2, 0.1, 0.8, 2.0]).p_value
    0.03125

    Raises:
        ValueError: if there is no difference, one is nan, or the alternative is another word.
    """
    signs = np.sign(_vector(differences, "differences", 1))
    positive, negative = int((signs > 0).sum()), int((signs < 0).sum())
    if alternative not in ("greater", "less", "two-sided"):
        raise ValueError(f"alternative: {alternative!r} is not 'greater', 'less' or 'two-sided'")
    p_value = 1.0
    if positive + negative:
        p_value = scipy.stats.binomtest(positive, positive + negative, alternative=alternative).pvalue
    return SignTest(positive, negative, len(signs) - positive - negative, float(p_value))


def paired_summary(a: Numbers, b: Numbers, generator: torch.Generator, confidence: float = 0.95) -> PairedSummary:
    """Compare two methods run on the same seeds: a[i] and b[i] share seed i.

    The interval is the percentile bootstrap's of the median difference (10,000 resamples, drawn through ``generator``,
    a CPU generator). BCa would need the jackknife of a median, which is degenerate. With five pairs the interval can
    reach no further than the extreme differences and covers less than it says: report n.

    >>> summary = paired_summary([3.0, 5.0, 4.0], [1.0, 2.0, 3.0], torch.Generator().manual_seed(0))
    >>> summary.median_difference, summary.effect_size, summary.positive
    (2.0, 2.0, 3)

    Raises:
        ValueError: if the lengths differ, there are fewer than two pairs, a value or a difference is not finite, or the
            confidence is no share.
    """
    a, b = _vector(a, "a", 2), _vector(b, "b", 2)
    if len(a) != len(b):
        raise ValueError(f"b: {len(b)} values beside {len(a)} of a; they are to be pairs")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence!r} is not between 0 and 1")
    with np.errstate(over="ignore", invalid="ignore"):
        differences = a - b
    if not np.isfinite(differences).all():
        raise ValueError("a, b: not all differences are finite; leave out or rank diverged runs first")
    seed = torch.randint(2**62, (), generator=generator).item()
    interval = scipy.stats.bootstrap(
        (differences,),
        np.median,
        n_resamples=10_000,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    middle, signs = quartiles(differences), sign_test(differences)
    scatter, mean = differences.std(ddof=1), differences.mean()
    # Differences without scatter have no finite effect size: infinite, or 0 where there is no difference at all.
    effect = mean / scatter if scatter > 0 else np.sign(mean) * np.inf if mean else 0.0
    return PairedSummary(
        n=len(differences),
        median_difference=middle.median,
        q1=middle.q1,
        q3=middle.q3,
        low=float(interval.low),
        high=float(interval.high),
        confidence=confidence,
        effect_size=float(effect),
        positive=signs.positive,
        negative=signs.negative,
    )


def equivalence_p_value(differences: Numbers, margin: float) -> float:
    """P value of two one-sided t tests: chance of so small a mean difference if the true one reached +-margin.

    A small value speaks for equivalence within +-margin; a large one for nothing, where overlapping intervals would
    reward scatter. Differences without scatter are within the margin (0) or not (1).

    >>> equivalence_p_value([0.1, -0.2, 0.05, 0.0, 0.1], margin=1.0) < 0.001
    True

    Raises:
        ValueError: if margin is not positive and finite, there are fewer than two differences, or one is not finite.
    """
    differences = _vector(differences, "differences", 2)
    if not 0 < margin < np.inf:
        raise ValueError(f"margin: {margin!r} is not positive and finite")
    if not np.isfinite(differences).all():
        raise ValueError("differences: not all are finite; leave out or rank diverged runs first")
    if np.ptp(differences) == 0:  # the t statistic would be x / 0
        return 0.0 if abs(differences[0]) < margin else 1.0
    above = scipy.stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(differences, margin, alternative="less").pvalue
    return float(max(above, below))


def log_log_slope(x: Numbers, y: Numbers) -> PowerLaw:
    """Exponent of y ~ x^slope, from a straight line through the logarithms.

    >>> law = log_log_slope([1.0, 10.0, 100.0], [2.0, 0.2, 0.02])
    >>> round(law.slope, 12), round(law.r_squared, 12)
    (-1.0, 1.0)

    Raises:
        ValueError: if the lengths differ, there are fewer than three points, a value is not positive and finite, or all
            x are one.
    """
    x, y = _vector(x, "x", 3), _vector(y, "y", 3)
    if len(x) != len(y):
        raise ValueError(f"y: {len(y)} values beside {len(x)} of x")
    for name, values in (("x", x), ("y", y)):
        if not ((values > 0) & np.isfinite(values)).all():
            raise ValueError(f"{name}: a value is not positive and finite, so it has no logarithm")
    if np.ptp(np.log(x)) == 0:
        raise ValueError("x: all values are one, so there is no slope")
    line = scipy.stats.linregress(np.log(x), np.log(y))
    return PowerLaw(float(line.slope), float(line.stderr), float(line.intercept), float(line.rvalue**2))


def holm(p_values: Numbers) -> np.ndarray:
    """Holm's adjusted p values, in the order given: reject those at most alpha, and the family errs at most alpha.

    The k-th smallest of m is multiplied by m - k + 1, and none is smaller than the ones before it (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]

    Raises:
        ValueError: if there is none, or one is no probability.
    """
    p = _vector(p_values, "p_values", 1)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p_values: not all lie between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]), 1)
    return adjusted


def _vector(values: Numbers, name: str, least: int) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values  # NumPy has no bfloat16
    found = np.asarray(values)
    if found.size and found.dtype.kind not in "iuf":  # text and complex numbers would be converted, True be 1
        raise ValueError(f"{name}: {' '.join(str(values).split())[:60]} is not a list of real numbers")
    vector = found.astype(np.float64)
    if vector.ndim != 1 or len(vector) < least:
        raise ValueError(f"{name}: shape {vector.shape} is not a list of at least {least} numbers")
    if np.isnan(vector).any():
        raise ValueError(f"{name}: {int(np.isnan(vector).sum())} of {len(vector)} values are nan")
    return vector
