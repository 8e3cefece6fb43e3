"""The exact noise of mini-batch statistics against drawing, an independent integral, and its limits."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from bnlab.layers.batchnorm import batch_norm
from bnlab.theory.batch_noise import asymptotic_std, draw, exact_moments


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.7, 3.0])
@pytest.mark.parametrize("m", [2, 3, 4, 8, 32])
def test_exact_moments_against_drawing(x, m):
    runs = 40_000
    values = draw(x, m, runs, torch.Generator().manual_seed(m)).numpy()
    exact = exact_moments(x, m)
    assert abs(values.mean() - exact.mean) < 4.5 * values.std() / math.sqrt(runs)
    squares = (values - exact.mean) ** 2
    assert abs(squares.mean() - exact.std**2) < 4.5 * squares.std() / math.sqrt(runs) + 1e-5


@pytest.mark.parametrize(("x", "m"), [(0.5, 6), (2.0, 10)])
def test_exact_moments_against_the_noncentral_t(x, m):
    """u / sqrt(v), times sqrt(m - 2), is noncentral t with m - 2 degrees of freedom and shift sqrt(m - 1) x."""
    t = scipy.stats.nct(m - 2, math.sqrt(m - 1) * x)

    def moment(power):
        def integrand(value):
            r = value / math.sqrt(m - 2)
            return (r * math.sqrt((m - 1) / (m + r**2))) ** power * t.pdf(value)

        return scipy.integrate.quad(integrand, -60, 200, limit=400, points=[0, math.sqrt(m - 1) * x])[0]

    exact = exact_moments(x, m)
    assert exact.mean == pytest.approx(moment(1), abs=1e-4)
    assert exact.std == pytest.approx(math.sqrt(moment(2) - moment(1) ** 2), rel=1e-3)


def test_drawing_is_batch_normalisation():
    generator = torch.Generator().manual_seed(3)
    found = draw(1.5, 5, 1, generator)
    batch = torch.randn(1, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    batch[:, 0] = 1.5
    one = torch.ones(1, dtype=torch.float64)
    assert found.item() == pytest.approx(batch_norm(batch.T, one, 0 * one, eps=0)[0].item(), rel=1e-12)


def test_closed_form_is_the_limit_and_its_error_falls_as_1_over_m():
    for x in (0.0, 1.0, 3.0):
        off = [exact_moments(x, m).std / asymptotic_std(x, m) - 1 for m in (256, 1024)]
        assert abs(off[1]) < 0.02
        assert off[0] / off[1] == pytest.approx(4, rel=0.2) or abs(off[0]) < 2e-3
    assert exact_moments(3.0, 32).std < 0.75 * asymptotic_std(3.0, 32)  # far out and few: it fails


def test_a_normalised_value_never_exceeds_sqrt_m_minus_1():
    assert draw(1e6, 10, 5, torch.Generator().manual_seed(0)).max().item() <= 3 + 1e-12
    assert exact_moments(50.0, 10).mean == pytest.approx(3, abs=0.01)


def test_symmetry_and_two_values():
    assert exact_moments(0.0, 9).mean == pytest.approx(0, abs=1e-12)
    assert exact_moments(1.0, 9).std == pytest.approx(exact_moments(-1.0, 9).std, rel=1e-12)
    p = scipy.stats.norm.cdf(0.3)
    assert exact_moments(0.3, 2).std == pytest.approx(2 * math.sqrt(p * (1 - p)), rel=1e-12)


@pytest.mark.parametrize("call", [asymptotic_std, exact_moments, lambda x, m: draw(x, m, 3, torch.Generator())])
def test_bad_input(call):
    for x in (np.nan, math.inf):
        with pytest.raises(ValueError, match=r"x: .* is not a finite number"):
            call(x, 4)
    for m in (1, 0, 2.5, True):
        with pytest.raises(ValueError, match=r"m: .* is not a whole number of at least 2"):
            call(0.0, m)
