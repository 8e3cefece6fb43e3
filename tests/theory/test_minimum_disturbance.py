"""The principle of minimum disturbance against solvers that know nothing of NLMS."""

import numpy as np
import pytest
import scipy.optimize
import torch

from bnlab.randomness import generator
from bnlab.theory import filters, minimum_disturbance


def draw(*shape, purpose="x"):
    return torch.randn(shape, generator=generator(0, purpose), dtype=torch.float64)


@pytest.mark.parametrize("columns", [1, 4])
def test_kkt_affine_projection_and_slsqp_agree(columns):
    W, X, D = draw(9, purpose="w"), draw(9, columns), draw(columns, purpose="d")
    kkt, multipliers = minimum_disturbance.constrained_minimum(W, X, D)
    np.testing.assert_allclose(kkt, filters.affine_projection(W, X, D), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(kkt - W, -X @ multipliers, rtol=1e-11, atol=1e-12)  # stationarity
    found = scipy.optimize.minimize(
        lambda w: 0.5 * np.sum((w - W.numpy()) ** 2),
        np.zeros(9),
        method="SLSQP",
        constraints={"type": "eq", "fun": lambda w: X.mT.numpy() @ w - D.numpy()},
        options={"ftol": 1e-14},
    )
    np.testing.assert_allclose(kkt, found.x, rtol=1e-6, atol=1e-6)


def test_neighbours_meet_the_constraint_and_are_further_away():
    W, X, D = draw(9, purpose="w"), draw(9, 3), draw(3, purpose="d")
    least = filters.affine_projection(W, X, D)
    others = minimum_disturbance.feasible_neighbours(least, X, 1000, generator(0, "others"))
    np.testing.assert_allclose(others @ X, D.expand(1000, 3), atol=1e-12)
    assert ((others - W).norm(dim=1) > (least - W).norm()).all()
    assert (others - least).norm(dim=1).min() > 0.1 * least.norm()  # they do differ


def test_the_smallest_step_in_each_norm():
    x, error = draw(6), 1.7
    steps = {norm: minimum_disturbance.smallest_step(x, error, norm) for norm in minimum_disturbance.VECTOR_NORMS}
    order = {"l1": 1, "l2": 2, "linf": float("inf")}
    for norm, step in steps.items():
        assert (x @ step).item() == pytest.approx(-error, abs=1e-12)
        sizes = {name: torch.linalg.vector_norm(other, order[norm]).item() for name, other in steps.items()}
        assert min(sizes, key=sizes.get) == norm
    # linear programming finds the least one-norm and the least largest entry without any formula
    K, y = len(x), x.numpy()
    split = scipy.optimize.linprog(np.ones(2 * K), A_eq=np.concatenate([y, -y])[None], b_eq=[-error])
    np.testing.assert_allclose(split.x[:K] - split.x[K:], steps["l1"], atol=1e-9)
    bound = np.block([[np.eye(K), -np.ones((K, 1))], [-np.eye(K), -np.ones((K, 1))]])
    flat = scipy.optimize.linprog(
        [*[0] * K, 1], A_ub=bound, b_ub=np.zeros(2 * K), A_eq=[[*y, 0]], b_eq=[-error], bounds=(None, None)
    )
    assert steps["linf"].abs().max().item() == pytest.approx(flat.x[-1], rel=1e-9)
    assert steps["l2"].tolist() == pytest.approx((-error * np.linalg.pinv(y[None])[:, 0]).tolist(), rel=1e-12)


@pytest.mark.parametrize("channels", [1, 2, 6, 16])
def test_one_patch_with_a_power_a_channel_overshoots(channels):
    X, W, d = draw(channels * 4, 1), draw(channels * 4, purpose="w"), draw(1, purpose="d")
    E = X.mT @ W - d
    literal = minimum_disturbance.summed_step(W, X, E, 1.0, channels, sign=1)
    mended = minimum_disturbance.summed_step(W, X, E, 1.0, channels)
    np.testing.assert_allclose(X.mT @ mended - d, (1 - channels) * E, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(X.mT @ literal - d, (1 + channels) * E, rtol=1e-11)
    whole = minimum_disturbance.summed_step(W, X, E, 1.0)
    np.testing.assert_allclose(whole, filters.nlms_step(W, X[:, 0], d[0]), rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_coupling_predicts_the_errors_after_a_summed_step(channels):
    X, W, D = draw(12, 7), draw(12, purpose="w"), draw(7, purpose="d")
    X[:, 2] = 0
    E = X.mT @ W - D
    G = minimum_disturbance.coupling(X, channels)
    after = X.mT @ minimum_disturbance.summed_step(W, X, E, 0.3, channels) - D
    np.testing.assert_allclose(after, (torch.eye(7).double() - 0.3 * G) @ E, rtol=1e-11, atol=1e-12)
    assert G.isfinite().all()
    for one in range(7):
        for other in range(7):
            blocks = X.reshape(channels, 12 // channels, 7)
            power = (blocks[:, :, other] ** 2).sum(1)
            terms = (blocks[:, :, one] * blocks[:, :, other]).sum(1) / power
            assert G[one, other].item() == pytest.approx(terms[power > 0].sum().item(), abs=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_summed_steps_grow_past_the_largest_stable_rate_and_not_before(channels):
    X = draw(12, 40) + 0.5
    limit = minimum_disturbance.largest_stable_rate(X, channels)
    for share, grows in ((0.99, False), (1.01, True)):
        W = draw(12, purpose="w")
        for _ in range(3000):
            W = minimum_disturbance.summed_step(W, X, X.mT @ W, share * limit, channels)
        assert bool(W.norm() > 1) == grows
    if channels == 1:
        largest = torch.linalg.eigvals(minimum_disturbance.coupling(X)).real.max().item()
        assert limit == pytest.approx(2 / largest, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: minimum_disturbance.constrained_minimum(draw(3), draw(3, 2), draw(3)), r"W \(3,\), X \(3, 2\)"),
        (lambda: minimum_disturbance.constrained_minimum(draw(2), draw(2, 3), draw(3)), "depend on each other"),
        (lambda: minimum_disturbance.feasible_neighbours(draw(2), draw(2, 3), 4, generator(0, "n")), "rank 2 leaves"),
        (lambda: minimum_disturbance.smallest_step(draw(3), 1.0, "l3"), "norm: 'l3' is not one of 'l1', 'l2', 'linf'"),
        (lambda: minimum_disturbance.smallest_step(draw(3) * 0, 1.0), "x: all zero"),
        (lambda: minimum_disturbance.summed_step(draw(3), draw(3, 1), draw(1), 1.0, sign=0), "sign: 0"),
        (lambda: minimum_disturbance.normalised(draw(4, 2), 3), r"X: shape \(4, 2\) is not \(3 \* Z, M\)"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_columns_of_other_units_and_dependent_ones_in_single_precision():
    W, X, D = draw(6, purpose="w"), draw(6, 3), draw(3, purpose="d")
    units = torch.tensor([1e-9, 1.0, 1e9], dtype=torch.float64)
    expected = minimum_disturbance.constrained_minimum(W, X, D)[0]
    torch.testing.assert_close(minimum_disturbance.constrained_minimum(W, X * units, D * units)[0], expected)
    single = X.float()
    dependent = torch.cat([single, single.sum(1, keepdim=True)], 1)  # rounded to float32
    with pytest.raises(ValueError, match="depend on each other"):
        minimum_disturbance.constrained_minimum(W.float(), dependent, torch.ones(4))
    four = torch.cat([dependent, dependent[:, 3:]], 1)[:4]  # rank 3 of 4
    found = minimum_disturbance.feasible_neighbours(W[:4].float(), four, 20, generator(0, "n"))
    assert (found @ four - W[:4].float() @ four).abs().max() < 1e-5
    assert (found - W[:4].float()).norm(dim=1).min() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-25, 1e-15, 1e15, 1e25])
def test_patches_of_any_scale_are_divided_by_their_power(dtype, scale):
    X = draw(6, 4)
    expected = minimum_disturbance.normalised(X, 2) / scale
    torch.testing.assert_close(
        minimum_disturbance.normalised((X * scale).to(dtype), 2).double(), expected, rtol=1e-5, atol=0
    )


def test_the_largest_stable_rate_of_dependent_patches_in_single_precision():
    X = draw(8, 3).repeat(1, 20)
    limit = minimum_disturbance.largest_stable_rate(X)
    assert minimum_disturbance.largest_stable_rate(X.float()) == pytest.approx(limit, rel=1e-4)


W, X = torch.ones(2), torch.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: minimum_disturbance.summed_step(W, X, torch.ones(1), 1.0), r"W \(2,\), X \(2, 3\), E \(1,\)"),
        (lambda: minimum_disturbance.summed_step(W[:1], X, torch.ones(3), 1.0), r"W \(1,\)"),
        (lambda: minimum_disturbance.summed_step(W, X, torch.ones(3).long(), 1.0), "E: torch.int64"),
        (lambda: minimum_disturbance.summed_step(W, X, torch.ones(3), torch.nan), "mu: nan"),
        (lambda: minimum_disturbance.normalised(X * torch.nan), "X: not all entries"),
        (lambda: minimum_disturbance.normalised(X.half()), "X: torch.float16 overflows"),
        (lambda: minimum_disturbance.normalised(X, 2.0), r"channels: 2\.0"),
        (lambda: minimum_disturbance.largest_stable_rate(0 * X), "X: all zero"),
        (lambda: minimum_disturbance.smallest_step(W * torch.inf, 1.0), "x: not all entries"),
        (lambda: minimum_disturbance.smallest_step(W, torch.nan), "error: nan"),
        (lambda: minimum_disturbance.smallest_step(X, 1.0), r"x: shape \(2, 3\) is not \(K,\)"),
        (lambda: minimum_disturbance.feasible_neighbours(W, X[:1], 3, generator(0, "n")), r"X: shape \(1, 3\)"),
        (lambda: minimum_disturbance.feasible_neighbours(W, X, 0, generator(0, "n")), "count: 0"),
        (lambda: minimum_disturbance.constrained_minimum(W.cfloat(), X, torch.ones(3)), "W: torch.complex64"),
    ],
)
def test_more_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
