"""Natural modes against spectra known beforehand, iterated recursions and SciPy."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from descent import SPECTRUM, rotated, rotation, weight_errors

from bnlab.theory import modes, spectra


def test_modes_of_a_matrix_with_a_known_spectrum():
    Q = rotation(4)
    natural = modes.natural_modes(rotated(SPECTRUM))
    torch.testing.assert_close(natural.eigenvalues, SPECTRUM, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close((natural.eigenvectors.T @ Q).abs(), torch.eye(4).double(), rtol=0, atol=1e-12)
    assert (natural.eigenvectors.gather(0, natural.eigenvectors.abs().argmax(0, keepdim=True)) > 0).all()
    expected = scipy.linalg.eigh(rotated(SPECTRUM).numpy(), eigvals_only=True, driver="ev")
    np.testing.assert_allclose(natural.eigenvalues, expected, rtol=1e-13)


def test_signs_do_not_depend_on_the_sign_of_the_input_basis():
    R = rotated(SPECTRUM)
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64))
    one, other = modes.natural_modes(R), modes.natural_modes(flip @ R @ flip)
    torch.testing.assert_close(one.eigenvectors.abs(), other.eigenvectors.abs(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mu", [0.3, 1.0, 1.9])
def test_each_mode_runs_alone(mu):
    R, C = rotated(SPECTRUM), torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    natural = modes.natural_modes(R)
    V = modes.project(natural, weight_errors(R, mu, C, 60))  # (61, K)
    predicted = modes.decay(natural.eigenvalues, mu, torch.arange(61)) * V[0]
    torch.testing.assert_close(V, predicted, rtol=0, atol=1e-12)
    for k in range(4):  # started in one mode, the recursion leaks into no other
        alone = modes.project(natural, weight_errors(R, mu, natural.eigenvectors[:, k], 60))
        alone[:, k] = 0
        assert alone.abs().max() < 1e-10


@pytest.mark.parametrize("shape", [(40, 7), (7, 40)])
def test_largest_eigenvalue_is_that_of_the_autocorrelation_however_few_the_inputs(shape):
    X = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    by_numpy = np.linalg.svd(X.double().numpy(), compute_uv=False)[0] ** 2 / shape[0]
    assert modes.largest_eigenvalue(X) == pytest.approx(by_numpy, rel=1e-12)


def test_decay_of_one_number_of_steps_is_a_vector():
    torch.testing.assert_close(modes.decay(SPECTRUM, 0.5, 3), (1 - 0.5 * SPECTRUM) ** 3, rtol=1e-15, atol=0)


@pytest.mark.parametrize("x", [1e-12, 0.01, 0.5, 0.999, 1.001, 1.5, 1.9, 1.999])
def test_time_constant_is_the_time_in_which_a_mode_falls_by_e(x):
    tau = modes.time_constants(torch.tensor([x], dtype=torch.float64), 1.0).item()
    # |v(n)| = exp(-n / tau), measured over about ten steps or one time constant, whichever is longer.
    n = max(10, min(round(tau), 10**6))
    fall = math.log(abs(1.0 - x)) * n if x > 1e-6 else -n * (x + x * x / 2)
    assert -n / tau == pytest.approx(fall, rel=1e-10)


def test_special_time_constants():
    eigenvalues = torch.tensor([-1e-3, 0.0, 1.0, 2.0, 2.5], dtype=torch.float64)
    tau = modes.time_constants(eigenvalues, 1.0).tolist()
    assert math.isnan(tau[0])
    assert tau[1:4] == [math.inf, 0.0, math.inf]
    assert math.isnan(tau[4])
    # The paper's formula is undefined where the modulus is not.
    assert modes.time_constants(torch.tensor([1.5]), 1.0).item() == pytest.approx(1 / math.log(2), rel=1e-12)
    assert not math.copysign(1, tau[2]) < 0


def test_dead_modes_are_counted_and_left_out():
    R = rotated(torch.tensor([0.0, 0.0, 0.5, 2.0], dtype=torch.float64))
    spectrum = modes.effective_eigenvalues(R)
    assert (spectrum.dead_modes, len(spectrum.eigenvalues)) == (2, 2)
    assert (spectrum.smallest, spectrum.largest) == (pytest.approx(0.5), pytest.approx(2))
    assert spectrum.smallest_of_all == pytest.approx(0, abs=1e-15)
    assert spectrum.condition_number == pytest.approx(4)


def test_an_all_zero_autocorrelation_has_no_modes():
    nothing = torch.zeros(3, 3)
    spectrum = modes.effective_eigenvalues(nothing)
    assert (spectrum.dead_modes, spectrum.smallest, spectrum.largest, spectrum.condition_number) == (3, 0, 0, 1)


def test_dead_channels():
    x = torch.randn(5, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    x[:, [0, 2]] = 0
    R = spectra.autocorrelation(x, 3)
    assert modes.dead_channels(R, 4) == 2
    assert modes.dead_channels(torch.zeros(4, 4), 2) == 2
    assert modes.effective_eigenvalues(R).dead_modes == 18


def test_single_precision_has_its_own_rounding():
    """Rank 3 of 6 in float32: what rounding leaves of the other three is no mode, and no negative eigenvalue."""
    X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    R = X @ X.T
    assert torch.linalg.eigvalsh(R.double())[0] < 0
    spectrum = modes.effective_eigenvalues(R)
    assert spectrum.dead_modes == 3
    exact = modes.effective_eigenvalues(X.double() @ X.double().T)
    assert spectrum.condition_number == pytest.approx(exact.condition_number, rel=1e-5)
    assert modes.effective_eigenvalues(torch.tensor([1e-9, 1.0]).double(), 1e-12).dead_modes == 0


TAKES_R = {
    "natural_modes": modes.natural_modes,
    "effective_eigenvalues": modes.effective_eigenvalues,
    "dead_channels": lambda R: modes.dead_channels(R, 2),
}


@pytest.mark.parametrize("name", [name for name in TAKES_R if name != "natural_modes"])
def test_no_answer_for_what_is_no_autocorrelation(name):
    """A NaN eigenvalue once had condition number 1, and a negative trace an infinite bound."""
    call = TAKES_R[name]
    with pytest.raises(ValueError, match="no autocorrelation matrix"):
        call(torch.diag(torch.tensor([-3.0, 1.0])))
    for spectrum in ([torch.nan, 1.0], [torch.inf, 1.0]):
        with pytest.raises(ValueError, match="R: not all entries are finite"):
            call(torch.diag(torch.tensor(spectrum)))
        if name != "dead_channels":
            with pytest.raises(ValueError, match="R: not all entries are finite"):
                call(torch.tensor(spectrum))
            with pytest.raises(ValueError, match="no autocorrelation matrix"):
                call(torch.tensor([-3.0, 1.0]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: modes.decay(SPECTRUM, torch.nan, 1), "mu: nan"),
        (lambda: modes.decay(SPECTRUM, 1.0, True), "n: True"),
        (lambda: modes.decay(SPECTRUM, 1.0, torch.tensor([0, -1])), "n: tensor"),
        (lambda: modes.decay(SPECTRUM, 1.0, torch.tensor([0.5])), "n: tensor"),
        (lambda: modes.log_decay(SPECTRUM * torch.nan, 1.0), "eigenvalues: not all"),
        (lambda: modes.time_constants(SPECTRUM.cfloat(), 1.0), "eigenvalues: torch.complex64"),
        (lambda: modes.effective_eigenvalues(SPECTRUM, 1.0), r"tolerance: 1\.0"),
        (lambda: modes.project(modes.natural_modes(torch.eye(2)), torch.ones(2).long()), "errors: torch.int64"),
        (lambda: modes.natural_modes(torch.zeros(2, 3)), r"R: shape \(2, 3\) is not \(K, K\)"),
        (lambda: modes.natural_modes(torch.tensor([[1.0, 2.0], [0.0, 1.0]])), "R: not symmetric"),
        (lambda: modes.natural_modes(torch.tensor([[torch.nan]])), "R: not all entries are finite"),
        (lambda: modes.time_constants(SPECTRUM, 0.0), r"mu: 0\.0 is not a finite number above 0"),
        (lambda: modes.decay(SPECTRUM, 1.0, -1), "n: -1"),
        (lambda: modes.decay(SPECTRUM, 1.0, 1.5), "n: 1.5"),
        (lambda: modes.project(modes.natural_modes(rotated(SPECTRUM)), torch.zeros(3)), "errors: .* the 4 weights"),
        (lambda: modes.dead_channels(torch.zeros(5, 5), 2), "channels: 2 blocks"),
        (lambda: modes.largest_eigenvalue(torch.ones(3)), r"inputs: .* \(B, K\)"),
        (lambda: modes.largest_eigenvalue(torch.tensor([[torch.nan]])), "inputs: not all"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
