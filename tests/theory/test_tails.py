"""Shapes of samples against closed forms, SciPy, and laws whose tails are known."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from bnlab.theory.tails import excess_kurtosis, share_carrying, tail_index


def quantiles(law, count=200_000):
    """A sample without luck: the quantiles of a law at evenly spaced probabilities."""
    return torch.from_numpy(law.ppf((np.arange(count) + 0.5) / count))


def test_kurtosis_is_that_of_the_law():
    assert excess_kurtosis(quantiles(scipy.stats.uniform())) == pytest.approx(-6 / 5, abs=1e-4)
    assert excess_kurtosis(quantiles(scipy.stats.norm())) == pytest.approx(0, abs=2e-2)
    assert excess_kurtosis(quantiles(scipy.stats.laplace(), 2_000_000)) == pytest.approx(3, abs=1e-2)


def test_kurtosis_is_scipys_and_knows_no_place_and_no_scale():
    draws = torch.from_numpy(np.random.default_rng(0).standard_t(5, 999))
    found = excess_kurtosis(draws)
    assert found == pytest.approx(scipy.stats.kurtosis(draws.numpy()), rel=1e-12)
    assert excess_kurtosis(-3 * draws + 7) == pytest.approx(found, rel=1e-9)
    assert excess_kurtosis(1e300 * draws) == pytest.approx(found, rel=1e-12)
    assert excess_kurtosis((1e30 * draws).float()) == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("index", [1.5, 3.0, 6.0])
def test_tail_index_of_paretos_law(index):
    sample = quantiles(scipy.stats.pareto(index))
    for share in (0.01, 0.05, 0.5):
        assert tail_index(sample, share) == pytest.approx(index, rel=2e-2)
    assert tail_index(-sample) == tail_index(sample)
    assert tail_index(1e-200 * sample) == pytest.approx(tail_index(sample), rel=1e-12)


@pytest.mark.parametrize("freedom", [2, 3, 4])
def test_tail_index_of_students_law_is_its_degrees_of_freedom(freedom):
    sample = quantiles(scipy.stats.t(freedom), 1_000_000)
    assert tail_index(sample, 0.001) == pytest.approx(freedom, rel=0.05)


def test_a_gaussian_has_an_index_that_grows_as_the_share_falls():
    found = [tail_index(quantiles(scipy.stats.norm()), share) for share in (0.1, 0.01, 0.001)]
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(2 * math.log(1 / 0.001), rel=0.1)


def test_hill_by_hand():
    sample = torch.tensor([8.0, -4.0, 2.0, 1.0])
    assert tail_index(sample, share=0.5) == pytest.approx(2 / (math.log(4) + math.log(2)))
    assert tail_index(sample, share=0.3) == pytest.approx(1 / math.log(2))


@pytest.mark.parametrize(
    ("values", "share", "words"),
    [
        (torch.ones(20), 0.1, "largest moduli are all one"),
        (torch.tensor([1.0] + [0.0] * 19), 0.1, "or 0 is among them"),
        (torch.arange(1.0, 5), 0.05, "share: 0.05 of 4 values is none"),
        (torch.arange(1.0, 5), 1.0, "share: 1.0 is not a finite number above 0 and below 1"),
        (torch.tensor([1.0, math.inf]), 0.5, "values: not all entries are finite"),
        (torch.tensor([1.0, math.nan]), 0.5, "values: not all entries are finite"),
    ],
)
def test_a_sample_without_a_tail_is_refused(values, share, words):
    with pytest.raises(ValueError, match=words):
        tail_index(values, share)


def test_a_sample_without_a_shape_is_refused():
    for values in (torch.ones(5), torch.ones(1)):
        with pytest.raises(ValueError, match="they are all one, so they have no shape"):
            excess_kurtosis(values)


def test_share_of_lorenzs_curve():
    assert share_carrying(torch.ones(64)) == pytest.approx(0.9)
    assert share_carrying(torch.tensor([0.0, 5.0, 0.0, 0.0])) == pytest.approx(0.9 / 4)
    assert share_carrying(torch.tensor([8.0, 1.0, 1.0]), 0.8) == pytest.approx(1 / 3)
    assert share_carrying(torch.tensor([1.0, 8.0, 1.0]), 0.85) == pytest.approx(1.5 / 3)
    assert share_carrying(torch.full((7,), 1e300, dtype=torch.float64)) == pytest.approx(0.9)
    halves = torch.tensor(0.5, dtype=torch.float64) ** torch.arange(60)  # the first k carry 1 - 2^-k
    assert share_carrying(halves, 0.875) == pytest.approx(3 / 60)


@pytest.mark.parametrize("powers", [torch.zeros(4), torch.tensor([1.0, -0.5])])
def test_powers_that_are_none_are_refused(powers):
    with pytest.raises(ValueError, match="powers: one is negative, or all are 0"):
        share_carrying(powers)
