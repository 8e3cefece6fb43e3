"""Divergences against quadrature, against scipy, and at the places where they fail."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from bnlab.theory.divergences import gaussian_kl, gaussian_wasserstein, histogram_kl

PAIRS = [(0.0, 1.0, 1.0, 4.0), (1.0, 4.0, 0.0, 1.0), (-2.0, 0.3, 0.5, 0.2), (3.0, 2.0, 3.0, 2.0)]


def scalars(*values):
    return tuple(torch.tensor(value, dtype=torch.float64) for value in values)


@pytest.mark.parametrize(("m", "v", "n", "w"), PAIRS)
def test_normal_divergence_is_the_integral(m, v, n, w):
    p, q = scipy.stats.norm(m, v**0.5), scipy.stats.norm(n, w**0.5)
    reach = 12 * v**0.5
    integral, _ = scipy.integrate.quad(
        lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), m - reach, m + reach, epsabs=1e-13, limit=200
    )
    assert gaussian_kl(*scalars(m, v, n, w)).item() == pytest.approx(integral, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("m", "v", "n", "w"), PAIRS)
def test_wasserstein_is_the_distance_of_the_quantiles(m, v, n, w):
    ranks = (np.arange(200000) + 0.5) / 200000
    apart = scipy.stats.norm(m, v**0.5).ppf(ranks) - scipy.stats.norm(n, w**0.5).ppf(ranks)
    found = gaussian_wasserstein(*scalars(m, v**0.5, n, w**0.5)).item()
    assert found == pytest.approx(np.sqrt((apart**2).mean()), rel=1e-3, abs=1e-9)
    assert found == gaussian_wasserstein(*scalars(n, w**0.5, m, v**0.5)).item()


def test_a_constant_has_no_density_but_a_distance():
    with pytest.raises(ValueError, match=r"variance: 0 is not positive; a constant has no density"):
        gaussian_kl(*scalars(0.0, 0.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"other_variance: -1 is not positive"):
        gaussian_kl(*scalars(0.0, 1.0, 1.0, -1.0))
    assert gaussian_wasserstein(*scalars(0.0, 0.0, 3.0, 4.0)).item() == 5
    with pytest.raises(ValueError, match=r"deviation: -1 is negative"):
        gaussian_wasserstein(*scalars(0.0, -1.0, 3.0, 4.0))
    with pytest.raises(ValueError, match=r"shapes \(\), \(2,\) differ"):
        gaussian_kl(*scalars(0.0, 1.0, 1.0), torch.ones(2, dtype=torch.float64))


def test_histogram_is_numpys_and_scipys():
    draws = torch.Generator().manual_seed(0)
    p, q = torch.randn(500, 2, generator=draws), 0.5 + torch.randn(700, 2, generator=draws)
    for column in range(2):
        both = np.concatenate([p[:, column], q[:, column]]).astype(np.float64)
        edges = np.linspace(both.min(), both.max(), 21)
        counts = [np.histogram(values[:, column].double(), edges)[0] + 2.0 for values in (p, q)]
        expected = scipy.stats.entropy(*counts)
        assert histogram_kl(p, q, bins=20, added=2)[column].item() == pytest.approx(expected, rel=1e-9)


def test_histogram_comes_to_the_closed_form():
    draws = torch.Generator().manual_seed(1)
    p, q = torch.randn(2, 400000, 1, generator=draws, dtype=torch.float64)
    exact = gaussian_kl(*scalars(0.0, 1.0, 1.0, 4.0)).item()
    assert histogram_kl(p, 1 + 2 * q).item() == pytest.approx(exact, rel=0.01)


def test_where_it_fails():
    x = torch.linspace(-3, 3, 2001).reshape(-1, 1)
    assert histogram_kl(2 * x, x, added=0).item() == np.inf  # empty bins
    assert np.isfinite(histogram_kl(x, 2 * x, added=0).item())
    y = torch.randn(200000, 1, generator=torch.Generator().manual_seed(2))
    atom = [histogram_kl(y.clamp_min(0), y.abs(), bins=n, added=0).item() for n in (50, 500)]
    assert atom[1] - atom[0] == pytest.approx(0.5 * np.log(10), rel=0.1)  # half the mass is one point
    constant = torch.full((5, 1), 2.0)
    assert histogram_kl(constant, constant).item() == 0
    with pytest.raises(ValueError, match=r"other: 2 columns beside 1 of samples"):
        histogram_kl(x, torch.zeros(4, 2))
