"""Adaptive filters against padasip, NumPy's least squares, a KKT solve and closed forms."""

import itertools

import numpy as np
import padasip
import pytest
import torch

from bnlab.theory import filters, patches, spectra, stability


def numbers(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_correlations_are_means_over_images_and_positions():
    X, D = numbers(3, 5, 7), numbers(3, 2, 7, seed=1)
    R, P = filters.correlations(X, D)
    columns, desired = X.numpy().transpose(1, 0, 2).reshape(5, 21), D.numpy().transpose(1, 0, 2).reshape(2, 21)
    np.testing.assert_allclose(R, columns @ columns.T / 21, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(P, columns @ desired.T / 21, rtol=1e-13, atol=1e-14)
    one_R, one_P = filters.correlations(X[0], D[0, 1])
    np.testing.assert_allclose(one_R, X[0] @ X[0].T / 7, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(one_P, X[0] @ D[0, 1] / 7, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(filters.correlations(X, D[:, 1])[1], P[:, 1], rtol=1e-13, atol=1e-14)


def test_correlations_of_patches_are_those_of_the_maps():
    x, d = numbers(2, 3, 6, 6), numbers(2, 4, 4, 4, seed=1)
    R, P = filters.correlations(patches.unroll(x, 3), d.flatten(2))
    torch.testing.assert_close(R, spectra.autocorrelation(x, 3), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(P, spectra.cross_correlation(x, d, 3), rtol=1e-12, atol=1e-13)


def test_wiener_solution_is_least_squares():
    X, D = numbers(6, 40), numbers(3, 40, seed=1)
    ours = filters.wiener_solution(*filters.correlations(X, D))
    theirs = np.linalg.lstsq(X.numpy().T, D.numpy().T, rcond=None)[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    error = D - ours.T @ X  # the principle of orthogonality
    assert (X @ error.T).abs().max() < 1e-11


def test_wiener_solution_of_a_singular_problem_is_the_shortest():
    X, D = numbers(6, 40), numbers(40, seed=1)
    X[2], X[5] = 0, 2 * X[4]  # a dead channel and a copy
    ours = filters.wiener_solution(*filters.correlations(X, D))
    theirs = np.linalg.lstsq(X.numpy().T, D.numpy(), rcond=1e-12)[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
    assert ours[2].item() == pytest.approx(0, abs=1e-12)


def test_cost_is_the_mean_square_and_its_slope_is_rw_minus_p():
    X, D, W = numbers(3, 5, 7), numbers(3, 2, 7, seed=1), numbers(5, 2, seed=2)
    expected = 0.5 * np.sum((D.numpy() - np.einsum("ko,bkm->bom", W, X)) ** 2) / 21
    assert filters.cost(W, X, D).item() == pytest.approx(expected, rel=1e-13)
    R, P = filters.correlations(X, D)
    for k, o in ((0, 0), (4, 1)):
        nudge = torch.zeros_like(W)
        nudge[k, o] = 1.0  # J is quadratic: its central differences are exact at any distance
        slope = (filters.cost(W + nudge, X, D) - filters.cost(W - nudge, X, D)) / 2
        assert slope.item() == pytest.approx((R @ W - P)[k, o].item(), abs=1e-13)
    W_o = filters.wiener_solution(R, P)
    excess = 0.5 * torch.einsum("ko,kl,lo->", W - W_o, R, W - W_o)  # J = J_o + 1/2 C^T R C
    torch.testing.assert_close(filters.cost(W, X, D), filters.cost(W_o, X, D) + excess, rtol=1e-12, atol=0)


def test_gradient_descent_is_the_power_of_a_matrix():
    X, D, W = numbers(4, 30), numbers(30, seed=1), numbers(4, seed=2)
    R, P = filters.correlations(X, D)
    mu = 0.7 * stability.stability_bound(R)
    trajectory = filters.gradient_descent_trajectory(R, P, W, mu, 50)
    W_o = filters.wiener_solution(R, P)
    for n in (0, 1, 7, 50):
        C = np.linalg.matrix_power(np.eye(4) - mu * R.numpy(), n) @ (W - W_o).numpy()
        np.testing.assert_allclose(trajectory[n] - W_o, C, rtol=0, atol=1e-10)
    costs = [filters.cost(w, X, D) for w in trajectory]
    assert all(after <= before + 1e-15 for before, after in itertools.pairwise(costs))


def test_an_lms_step_goes_down():
    W, x = numbers(5), numbers(5, seed=1)
    d = 1.0
    e = (W @ x).item() - d
    step = filters.lms_step(W, x, d, 0.01)
    torch.testing.assert_close(step, W - 0.01 * e * x, rtol=1e-14, atol=0)
    assert abs((step @ x).item() - d) < abs(e)


@pytest.mark.parametrize("mu", [0.01, 0.1])
def test_lms_is_padasips(mu):
    X, D, W = numbers(50, 4), numbers(50, seed=1), numbers(4, seed=2)
    theirs = padasip.filters.FilterLMS(4, mu=mu, w=W.numpy().copy())
    _, _, weights = theirs.run(D.numpy(), X.numpy())  # weights[n] is W(n), before sample n
    ours = filters.lms_trajectory(W, X, D, mu)
    np.testing.assert_allclose(ours[:-1], weights, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ours[-1], theirs.w, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("mu", "epsilon"), [(0.5, 1e-3), (1.9, 0.1)])
def test_nlms_is_padasips(mu, epsilon):
    X, D, W = numbers(50, 4), numbers(50, seed=1), numbers(4, seed=2)
    theirs = padasip.filters.FilterNLMS(4, mu=mu, eps=epsilon, w=W.numpy().copy())
    theirs.run(D.numpy(), X.numpy())
    for x, d in zip(X, D, strict=True):
        W = filters.nlms_step(W, x, d, mu, epsilon)
    np.testing.assert_allclose(W, theirs.w, rtol=1e-12, atol=1e-13)


def test_nlms_disturbs_the_weights_least():
    W, x, d = numbers(6), numbers(6, seed=1), 3.0
    step = filters.nlms_step(W, x, d)
    assert (step @ x).item() == pytest.approx(d, abs=1e-12)
    # argmin ||W+ - W||^2 / 2 with x^T W+ = d, by its KKT system
    system = np.block([[np.eye(6), x.numpy()[:, None]], [x.numpy()[None], np.zeros((1, 1))]])
    kkt = np.linalg.solve(system, np.append(W.numpy(), d))
    np.testing.assert_allclose(step, kkt[:6], rtol=1e-12, atol=1e-12)


def test_nlms_at_zero_input():
    W, x = numbers(3), torch.zeros(3, dtype=torch.float64)
    assert filters.nlms_step(W, x, 1.0).isnan().all()
    torch.testing.assert_close(filters.nlms_step(W, x, 1.0, epsilon=1e-3), W, rtol=0, atol=0)


def test_steps_take_many_filters_at_once():
    W, X, D = numbers(4, 3), numbers(9, 4, 3, seed=1), numbers(9, 4, seed=2)
    together = filters.lms_trajectory(W, X, D, 0.1)
    one = filters.lms_trajectory(W[2], X[:, 2], D[:, 2], 0.1)
    torch.testing.assert_close(together[:, 2], one, rtol=1e-14, atol=1e-15)
    both = filters.nlms_step(W, X[0], D[0], 1.0)
    torch.testing.assert_close(both[1], filters.nlms_step(W[1], X[0, 1], D[0, 1]), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("outputs", [(), (3,)])
def test_affine_projection_meets_every_response_with_the_least_change(outputs):
    W, X, D = numbers(8, *outputs), numbers(8, 5, seed=1), numbers(*outputs, 5, seed=2)
    step = filters.affine_projection(W, X, D)
    responses = D.numpy().T
    np.testing.assert_allclose(X.mT @ step, responses, rtol=1e-12, atol=1e-12)
    # NumPy's least-norm solution of the underdetermined X^T change = D - X^T W
    change = np.linalg.lstsq(X.mT.numpy(), responses - (X.mT @ W).numpy(), rcond=None)[0]
    np.testing.assert_allclose(step - W, change, rtol=1e-11, atol=1e-12)
    half = filters.affine_projection(W, X, D, mu=0.5)
    np.testing.assert_allclose(half, (W + step) / 2, rtol=1e-12, atol=1e-12)


def test_affine_projection_of_one_patch_is_nlms():
    W, x, d = numbers(6), numbers(6, 1, seed=1), numbers(1, seed=2)
    np.testing.assert_allclose(
        filters.affine_projection(W, x, d, 0.7), filters.nlms_step(W, x[:, 0], d[0], 0.7), rtol=1e-13
    )


def test_affine_projection_beyond_the_rank_is_least_squares():
    W, X, D = numbers(4), numbers(3, 4, 10, seed=1), numbers(3, 10, seed=2)
    X[:, 2] = 0  # a dead input
    step = filters.affine_projection(W.float(), X, D)
    columns, responses = X.transpose(0, 1).flatten(1).numpy(), D.flatten().numpy()
    fit = np.linalg.lstsq(columns.T, responses, rcond=1e-10)[0]
    assert step.dtype == torch.float64
    np.testing.assert_allclose(step[[0, 1, 3]], fit[[0, 1, 3]], rtol=1e-10, atol=1e-12)
    assert step[2].item() == W[2].float().item()  # where nothing passes nothing changes
    left = columns.T @ step.numpy() - responses
    assert np.linalg.norm(left) > 0.5 * np.linalg.norm(responses)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: filters.correlations(numbers(3), numbers(3)), r"X: shape \(3,\) is not"),
        (lambda: filters.correlations(numbers(3, 4), numbers(5)), r"D: shape \(5,\) does not fit X of shape \(3, 4\)"),
        (lambda: filters.correlations(numbers(2, 3, 4), numbers(3, 4)), "D: shape"),
        (lambda: filters.wiener_solution(numbers(3, 2), numbers(3)), r"R: shape \(3, 2\) is not \(K, K\)"),
        (lambda: filters.wiener_solution(numbers(3, 3), numbers(2)), r"P: shape \(2,\) is not \(3,\) or \(3, OC\)"),
        (lambda: filters.gradient_descent_trajectory(numbers(2, 2), numbers(2), numbers(3), 1.0, 1), "W0: shape"),
        (lambda: filters.gradient_descent_trajectory(numbers(2, 2), numbers(2), numbers(2), 1.0, -1), "steps: -1"),
        (
            lambda: filters.lms_trajectory(numbers(2), numbers(5, 3), numbers(5), 0.1),
            r"X \(5, 3\), D \(5,\), W0 \(2,\)",
        ),
        (lambda: filters.affine_projection(numbers(3), numbers(2, 4), numbers(4)), r"W: shape \(3,\) does not fit"),
        (lambda: filters.affine_projection(numbers(2), numbers(2, 4), numbers(3, 4)), r"W: shape \(2,\) does not fit"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_dependent_inputs_in_single_precision():
    """The third input is the sum of the others: counted as alive, rounding made weights off by 4."""
    X = numbers(2, 500).float()
    X = torch.cat([X, X.sum(0, keepdim=True)])
    D = (torch.tensor([1.0, -2.0, 0.5]) @ X).float()
    expected = np.linalg.lstsq(X.double().numpy().T, D.double().numpy(), rcond=1e-6)[0]
    np.testing.assert_allclose(filters.wiener_solution(*filters.correlations(X, D)), expected, rtol=0, atol=1e-4)
    step = filters.affine_projection(torch.zeros(3), X[:, :6], D[:6])
    np.testing.assert_allclose(X[:, :6].double().mT @ step, D[:6], rtol=0, atol=1e-5)
    assert step.abs().max() < 3


def test_complex_integer_and_half_input_give_no_number():
    """Complex products were not conjugated (1 + i gave 2i), integer weights stayed 0, halves overflow."""
    X, D, W = numbers(3, 8), numbers(8, seed=1), numbers(3, seed=2)
    R, P = filters.correlations(X, D)
    calls = {
        "correlations": (filters.correlations, X, D),
        "wiener": (filters.wiener_solution, R, P),
        "cost": (filters.cost, W, X, D),
        "descent": (lambda R, P, W: filters.gradient_descent_trajectory(R, P, W, 0.1, 2), R, P, W),
        "lms_step": (lambda W, x, d: filters.lms_step(W, x, d, 0.1), W, X[:, 0], D[0]),
        "nlms_step": (filters.nlms_step, W, X[:, 0], D[0]),
        "lms": (lambda W, X, D: filters.lms_trajectory(W, X, D, 0.1), W, X.T, D),
        "affine": (filters.affine_projection, W, X, D),
        "limit": (stability.mean_square_limit, X),
    }
    for name, (call, *arguments) in calls.items():
        for dtype in (torch.complex128, torch.int64, torch.bool, torch.float16, torch.bfloat16):
            with pytest.raises(ValueError, match=rf"{dtype} (is no real floating-point dtype|overflows at half)"):
                call(*(argument.to(dtype) for argument in arguments))
        for place, argument in enumerate(arguments):
            if name in ("lms_step", "nlms_step") and place == 0:
                continue  # weights that have diverged
            spoilt = [*arguments]
            spoilt[place] = argument * torch.nan
            with pytest.raises(ValueError, match="not all entries are finite"):
                call(*spoilt)


X, D = torch.ones(4, 5), torch.ones(5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: filters.cost(torch.ones(8), X, D), r"W: shape \(8,\) does not fit 4 inputs and 1 outputs"),
        (lambda: filters.cost(torch.ones(4, 2), X, D), r"W: shape \(4, 2\) does not fit 4 inputs and 1 outputs"),
        (lambda: filters.cost(torch.ones(4), X, torch.ones(2, 5)), r"W: shape \(4,\) does not fit"),
        (lambda: filters.cost(torch.ones(4).double(), X, D), "are not of one dtype"),
        (lambda: filters.lms_step(torch.ones(3, 4), torch.ones(3, 4), torch.ones(3, 1), 0.1), r"d: shape \(3, 1\)"),
        (lambda: filters.lms_step(torch.ones(4), torch.ones(4), torch.ones(3), 0.1), r"d: shape \(3,\) is not \(\)"),
        (lambda: filters.lms_step(torch.ones(4), torch.ones(1), 1.0, 0.1), "are not one shape"),
        (lambda: filters.lms_step(torch.ones(2, 4), torch.ones(3, 4), 1.0, 0.1), "are not one shape"),
        (lambda: filters.nlms_step(torch.ones(4), torch.ones(4), 1.0, epsilon=-1.0), r"epsilon: -1\.0"),
        (lambda: filters.nlms_step(torch.ones(4), torch.ones(4), 1.0, mu=torch.inf), "mu: inf"),
        (lambda: filters.wiener_solution(torch.eye(4), torch.ones(4), 2.0), r"tolerance: 2\.0"),
    ],
)
def test_what_broadcasts_by_accident_is_refused(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_cost_takes_weights_as_a_column():
    assert filters.cost(torch.ones(4, 1), X, D) == filters.cost(torch.ones(4), X, D) == 0.5 * 9
