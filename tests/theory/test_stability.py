"""Stable rates against recursions run beside them, closed forms and Kronecker products."""

import math

import numpy as np
import pytest
import torch
from descent import SPECTRUM, rotated, weight_errors
from torch.nn import functional

from bnlab.theory import filters, modes, spectra, stability


def numbers(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_bound_separates_decay_from_growth():
    R, C = rotated(SPECTRUM), torch.ones(4, dtype=torch.float64)
    natural, bound = modes.natural_modes(R), stability.stability_bound(R)
    assert bound == pytest.approx(2, rel=1e-12)
    assert stability.stability_bound(SPECTRUM) == pytest.approx(2, rel=1e-15)
    top = []
    for share in (0.995, 1.0, 1.005):
        V = modes.project(natural, weight_errors(R, share * bound, C, 3000))[:, -1]
        top.append((V[-1] / V[0]).abs().item())
    assert top[0] == pytest.approx(0.99**3000, rel=1e-6)
    assert top[1] == pytest.approx(1, abs=1e-9)
    assert top[2] == pytest.approx(1.01**3000, rel=1e-6)


@pytest.mark.parametrize(("share", "converges"), [(0.98, True), (1.02, False)])
def test_the_bound_with_autograds_gradient_divides_by_the_positions(share, converges):
    # A convolution trained as one trains it: the mean over images of the sum over positions of e^2 / 2.
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 2, 6, 6, dtype=torch.float64, generator=generator)
    weight = torch.randn(1, 2, 3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    rate = share * stability.stability_bound(spectra.autocorrelation(x, 3), positions=16)
    start = weight.detach().norm()
    for _ in range(800):
        loss = 0.5 * functional.conv2d(x, weight).square().sum() / len(x)
        (gradient,) = torch.autograd.grad(loss, weight)
        weight.data -= rate * gradient
    assert (weight.norm() < start) == converges


def test_mean_square_bound_is_stricter():
    R = rotated(SPECTRUM)
    assert stability.mean_square_bound(R) == pytest.approx(2 / R.trace().item(), rel=1e-12)
    assert stability.mean_square_bound(R) < stability.stability_bound(R)


def test_the_slowest_mode_switches_at_the_crossover():
    crossover = stability.crossover_rate(rotated(SPECTRUM))
    assert crossover == pytest.approx(2 / 1.1, rel=1e-12)
    natural = modes.natural_modes(rotated(SPECTRUM))
    for rate, slowest in ((0.5, 0), (1.80, 0), (crossover - 1e-3, 0), (crossover + 1e-3, 3), (1.90, 3)):
        assert stability.slowest_mode(SPECTRUM, rate) == slowest
        # the mode that is largest after a long run of the recursion itself, from equal beginnings
        C = natural.eigenvectors.sum(1)
        final = modes.project(natural, torch.linalg.matrix_power(torch.eye(4) - rate * rotated(SPECTRUM), 1000) @ C)
        assert final.abs().argmax() == slowest


def test_the_best_rate_minimises_the_slowest_factor():
    rate, factor = stability.best_rate(SPECTRUM)
    rates = torch.linspace(0.01, 2.2, 5000, dtype=torch.float64)
    slowest = (1 - rates[:, None] * SPECTRUM).abs().amax(1)
    assert slowest.min() >= factor - 1e-12
    assert (1 - rate * SPECTRUM).abs().max().item() == pytest.approx(factor, rel=1e-12)
    assert stability.best_rate(torch.tensor([3.0, 3.0])) == (pytest.approx(1 / 3), 0.0)


def test_mean_square_limit_of_one_gaussian_weight():
    # Gauss-Hermite quadrature makes E x^2 = 1 and E x^4 = 3 exact for a variable of finitely many values.
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    counts = np.round(weights / weights.sum() * 6).astype(int)
    X = torch.as_tensor(np.repeat(nodes, counts))[None]  # (1, 6): -sqrt 3, 0 (4 times), sqrt 3
    assert stability.mean_square_limit(X) == pytest.approx(2 / 3, rel=1e-10)
    assert stability.mean_square_bound(filters.correlations(X, X[0])[0]) == pytest.approx(2, rel=1e-10)


def test_mean_square_limit_is_where_the_second_moment_stops_contracting():
    X = numbers(3, 400) * torch.tensor([[0.3], [1.0], [2.0]])
    X[2] += X[1]
    X = torch.cat([X, torch.zeros(1, 400).double()])  # a dead input changes nothing
    limit = stability.mean_square_limit(X)
    columns = X[:3].numpy()
    for share, bounded in ((0.999, True), (1.001, False)):
        steps = np.eye(3)[None] - share * limit * np.einsum("kn,ln->nkl", columns, columns)  # (N, K, K)
        moment = np.mean([np.kron(step, step) for step in steps], axis=0)  # E of the map of S, (K^2, K^2)
        assert (np.abs(np.linalg.eigvals(moment)).max() < 1) == bounded
    assert stability.mean_square_limit(X.reshape(4, 2, 200).transpose(0, 1)) == pytest.approx(limit, rel=1e-10)
    assert stability.mean_square_limit(iter(X.split(150, dim=1))) == pytest.approx(limit, rel=1e-10)
    with pytest.raises(ValueError, match=r"X: shape \(2, 5\) follows \(4, 400\)"):
        stability.mean_square_limit([X, X[:2, :5]])


def test_dead_modes_set_no_rate():
    R = rotated(torch.tensor([0.0, 0.0, 0.5, 2.0], dtype=torch.float64))
    assert stability.slowest_mode(modes.natural_modes(R).eigenvalues, 0.1) == 2
    assert stability.crossover_rate(R) == pytest.approx(0.8)
    nothing = torch.zeros(3, 3)
    assert stability.stability_bound(nothing) == stability.mean_square_bound(nothing) == math.inf


def test_single_precision_has_its_own_rounding():
    """Rank 3 of 6 in float32: what rounding leaves of the other three is no negative eigenvalue."""
    X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    bound = stability.stability_bound(X.double() @ X.double().T)
    assert stability.stability_bound(X @ X.T) == pytest.approx(bound, rel=1e-6)
    assert stability.stability_bound(torch.tensor([-6e-8, 1.0])) == 2
    with pytest.raises(ValueError, match="eigenvalue -6e-08 is negative"):
        stability.stability_bound(torch.tensor([-6e-8, 1.0], dtype=torch.float64))
    assert stability.slowest_mode(torch.tensor([-6e-8, 0.5, 1.0]), 0.1) == 1


TAKES_R = {
    "stability_bound": stability.stability_bound,
    "mean_square_bound": stability.mean_square_bound,
    "crossover_rate": stability.crossover_rate,
    "best_rate": stability.best_rate,
    "slowest_mode": lambda R: stability.slowest_mode(R, 0.1),
}


@pytest.mark.parametrize("name", TAKES_R)
def test_no_answer_for_what_is_no_autocorrelation(name):
    """A NaN eigenvalue once had condition number 1, and a negative trace an infinite bound."""
    call = TAKES_R[name]
    with pytest.raises(ValueError, match="no autocorrelation matrix"):
        call(torch.diag(torch.tensor([-3.0, 1.0])))
    for spectrum in ([torch.nan, 1.0], [torch.inf, 1.0]):
        with pytest.raises(ValueError, match=r"^(R|eigenvalues): not all entries are finite"):
            call(torch.diag(torch.tensor(spectrum)))
        with pytest.raises(ValueError, match=r"^(R|eigenvalues): not all entries are finite"):
            call(torch.tensor(spectrum))
        with pytest.raises(ValueError, match="no autocorrelation matrix"):
            call(torch.tensor([-3.0, 1.0]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stability.slowest_mode(torch.zeros(2), 0.1), "eigenvalues: all are 0"),
        (lambda: stability.stability_bound(SPECTRUM, positions=2.0), r"positions: 2\.0"),
        (lambda: stability.stability_bound(SPECTRUM, positions=0), "positions: 0"),
        (lambda: stability.stability_bound(torch.tensor([-1.0, 2.0])), "R: eigenvalue -1 is negative"),
        (lambda: stability.mean_square_limit(torch.zeros(2, 3)), r"X: shape \(2, 3\) is not"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
