"""Blocks of R and channel gains: against unrolled patches, closed forms, finite differences and other optimisers."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch

from bnlab.theory import channel_scaling as cs
from bnlab.theory import modes, patches, spectra

f64 = torch.float64


def random_spd(seed, size, count=None):
    draw = torch.Generator().manual_seed(seed)
    shape = (size, size + 2) if count is None else (count, size, size + 2)
    A = torch.randn(shape, dtype=f64, generator=draw)
    return A @ A.mT / (size + 2)


def uniform(seed, *shape):
    return torch.rand(shape, dtype=f64, generator=torch.Generator().manual_seed(seed))


def test_blocks_are_the_correlations_of_channels_of_patches():
    x = torch.randn(4, 3, 6, 7, dtype=f64, generator=torch.Generator().manual_seed(0))
    found = cs.blocks(spectra.autocorrelation(x, (2, 3)), 3)
    assert found.shape == (3, 3, 6, 6)
    for i in range(3):
        for j in range(3):
            X, Y = (patches.unroll(x[:, c : c + 1], (2, 3)).transpose(0, 1).flatten(1) for c in (i, j))
            torch.testing.assert_close(found[i, j], X @ Y.T / X.shape[1], rtol=1e-12, atol=1e-14)


def test_scaling_maps_is_d_r_d_block_by_block():
    x = torch.randn(4, 3, 6, 7, dtype=f64, generator=torch.Generator().manual_seed(1))
    gains = torch.tensor([0.5, 2.0, 7.0], dtype=f64)
    R, scaled = (spectra.autocorrelation(y, 3) for y in (x, x * gains.view(1, -1, 1, 1)))
    torch.testing.assert_close(cs.scale_channels(R, gains), scaled, rtol=1e-12, atol=1e-14)
    before, after = cs.blocks(R, 3), cs.blocks(scaled, 3)
    for i in range(3):
        for j in range(3):
            torch.testing.assert_close(after[i, j], gains[i] * gains[j] * before[i, j], rtol=1e-12, atol=1e-14)
    both = cs.scale_channels(torch.stack([R, R]), torch.stack([gains, 1 / gains]))  # batched
    torch.testing.assert_close(both[0], scaled, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(cs.scale_channels(both[1], gains), R, rtol=1e-12, atol=1e-14)


def test_unit_power_gains_give_unit_power():
    R = random_spd(2, 6, 4)
    scaled = cs.scale_channels(R, cs.unit_power_gains(R, 3))
    traces = torch.einsum("nijkk,ij->nik", cs.blocks(scaled, 3), torch.eye(3, dtype=f64)).mean(-1)
    torch.testing.assert_close(traces, torch.ones(4, 3, dtype=f64), rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match="R: a channel has no power"):
        cs.unit_power_gains(torch.diag(torch.tensor([1.0, 0.0])), 2)


def test_participation_is_the_sensitivity_of_the_eigenvalues():
    R, gains, h = random_spd(3, 12), 0.3 + uniform(3, 3), 1e-5
    shares = cs.participation(torch.linalg.eigh(cs.scale_channels(R, gains))[1], 3)
    torch.testing.assert_close(shares.sum(1), torch.ones(12, dtype=f64))
    for i in range(3):
        moved = []
        for sign in (1, -1):
            factor = torch.ones(3, dtype=f64)
            factor[i] = np.exp(sign * h / 2)  # d^2 times exp(+-h)
            moved.append(scipy.linalg.eigvalsh(cs.scale_channels(R, gains * factor).numpy()))
        slope = (np.log(moved[0]) - np.log(moved[1])) / (2 * h)
        np.testing.assert_allclose(shares[:, i], slope, atol=1e-7)


def test_participation_of_decorrelated_channels_is_pure():
    R = torch.block_diag(random_spd(4, 3), 10 * random_spd(5, 3))
    shares = cs.participation(modes.natural_modes(R).eigenvectors, 2)
    torch.testing.assert_close(shares.max(1).values, torch.ones(6, dtype=f64))
    assert shares.sum(0).tolist() == pytest.approx([3, 3])


def test_ostrowski_holds_and_its_bounds_are_reached():
    R, gains = random_spd(6, 6, 2000), 0.1 + 3 * uniform(6, 2000, 3)
    low, high = cs.eigenvalue_bounds(torch.linalg.eigvalsh(R), gains)
    after = torch.linalg.eigvalsh(cs.scale_channels(R, gains))
    assert (after >= low * (1 - 1e-10)).all()
    assert (after <= high * (1 + 1e-10)).all()
    # Equal gains reach both bounds: they cannot be tightened.
    low, high = cs.eigenvalue_bounds(torch.linalg.eigvalsh(R), torch.full((2000, 3), 1.7, dtype=f64))
    torch.testing.assert_close(low, high)
    torch.testing.assert_close(torch.linalg.eigvalsh(cs.scale_channels(R, torch.full((3,), 1.7, dtype=f64))), low)


def test_coherence_is_bounded_and_blind_to_gains():
    R, gains = random_spd(7, 9), 0.1 + uniform(7, 3)
    found = cs.coherence(R, 3)
    torch.testing.assert_close(cs.coherence(cs.scale_channels(R, gains), 3), found)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    torch.testing.assert_close(found.diagonal(), torch.ones(3, dtype=f64))
    same = torch.kron(torch.ones(2, 2, dtype=f64), random_spd(8, 3))  # two channels that are one
    torch.testing.assert_close(cs.coherence(same, 2), torch.ones(2, 2, dtype=f64))
    apart = torch.block_diag(random_spd(9, 3), random_spd(10, 3), torch.zeros(3, 3, dtype=f64))
    torch.testing.assert_close(cs.coherence(apart, 3), torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=f64)))
    correlation = torch.tensor([[4.0, -1.8], [-1.8, 1.0]], dtype=f64)
    assert cs.coherence(correlation, 2)[0, 1].item() == pytest.approx(0.9)


def test_condition_slopes_by_differences():
    R, h = random_spd(11, 9), 1e-5

    def log_kappa(i, change):
        gains = torch.ones(3, dtype=f64)
        gains[i] = np.exp(change / 2)
        return np.log(np.linalg.cond(cs.scale_channels(R, gains).numpy()))

    expected = [(log_kappa(i, h) - log_kappa(i, -h)) / (2 * h) for i in range(3)]
    np.testing.assert_allclose(cs.condition_slopes(R, 3), expected, atol=1e-7)
    assert cs.condition_slopes(R, 3).sum().item() == pytest.approx(0, abs=1e-12)
    with_dead = torch.block_diag(R, torch.zeros(3, 3, dtype=f64))
    np.testing.assert_allclose(cs.condition_slopes(with_dead, 4)[:3], cs.condition_slopes(R, 3), atol=1e-10)


@pytest.mark.parametrize(("size", "channels"), [(3, 3), (6, 3), (8, 4)])
def test_best_gains_beat_another_optimiser_and_random_gains(size, channels):
    R = random_spd(12 + size, size)

    def kappa(log_gains):
        return np.linalg.cond(cs.scale_channels(R, torch.from_numpy(np.exp(log_gains))).numpy())

    found = cs.best_gains(R, channels)
    assert found.condition_number == pytest.approx(kappa(found.gains.log().numpy()), rel=1e-8)
    options = {"maxiter": 8000, "maxfev": 8000, "xatol": 1e-8, "fatol": 1e-10}
    start = found.gains.log().numpy() + 0.1 * np.cos(np.arange(channels))
    simplex = scipy.optimize.minimize(kappa, start, method="Nelder-Mead", options=options)
    assert found.condition_number == pytest.approx(simplex.fun, rel=1e-6)
    draws = np.random.default_rng(0).normal(size=(2000, channels))
    assert found.condition_number <= min(kappa(draw) for draw in draws)
    assert found.gains.log().sum().item() == pytest.approx(0, abs=1e-12)


def test_equal_diagonal_is_best_for_two_by_two():
    for seed in range(20):
        R = random_spd(40 + seed, 2)
        equal = np.linalg.cond(cs.scale_channels(R, cs.unit_power_gains(R, 2)).numpy())
        assert cs.best_gains(R, 2).condition_number == pytest.approx(equal, rel=1e-6)


def test_no_gains_get_below_the_worst_channel_and_decorrelated_channels_reach_it():
    R = random_spd(70, 9)
    floor = max(np.linalg.cond(R[i : i + 3, i : i + 3].numpy()) for i in (0, 3, 6))
    assert cs.condition_floor(R, 3) == pytest.approx(floor)
    assert cs.best_gains(R, 3).condition_number > 1.01 * floor
    apart = torch.block_diag(*(R[i : i + 3, i : i + 3] for i in (0, 3, 6)))
    assert cs.best_gains(apart, 3).condition_number == pytest.approx(floor, rel=1e-6)
    assert cs.condition_floor(torch.diag(torch.tensor([1.0, 0.0, 1.0, 1.0])), 2) == np.inf


def test_log_kappa_is_convex_in_log_gains():
    R = random_spd(60, 6)
    a, b = uniform(61, 200, 3) * 4 - 2, uniform(62, 200, 3) * 4 - 2

    def log_kappa(x):
        spectrum = torch.linalg.eigvalsh(cs.scale_channels(R, x.exp()))
        return (spectrum[:, -1] / spectrum[:, 0]).log()

    assert (log_kappa((a + b) / 2) <= (log_kappa(a) + log_kappa(b)) / 2 + 1e-10).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cs.blocks(torch.eye(4), 3), "channels: 3 blocks do not make up 4 rows"),
        (lambda: cs.blocks(torch.ones(4, 3), 1), r"R: shape \(4, 3\) is not"),
        (lambda: cs.scale_channels(torch.eye(4), torch.ones(3)), "channels: 3 blocks"),
        (lambda: cs.participation(torch.eye(4), 0), "channels: 0 blocks"),
        (lambda: cs.best_gains(torch.ones(2, 2), 2), "R: singular"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
