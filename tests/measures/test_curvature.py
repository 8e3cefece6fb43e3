"""Ends of the Hessian's spectrum against dense eigenvalues and ARPACK; shares of the gradient; condition numbers."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn import functional

from bnlab.measures.curvature import hessian_ends, pseudo_condition, share_in
from bnlab.measures.surface import LossSurface
from bnlab.randomness import generator

TOLERANCE = 1e-6


def draw(*shape, purpose="inputs"):
    return torch.randn(*shape, generator=generator(0, purpose), dtype=torch.float64)


def surface(hidden=7):
    net = nn.Sequential(nn.Linear(5, hidden), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, 3)).double()
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            parameter.copy_(draw(*parameter.shape, purpose=f"parameter {number}"))
    return LossSurface(net, draw(20, 5), torch.arange(20) % 3, functional.cross_entropy)


def ends(made, top=1, **options):
    return hessian_ends(made, top, **{"tolerance": TOLERANCE, "generator": generator(0, "Lanczos")} | options)


def test_dense_eigenvalues():
    made = surface()
    found, values = ends(made, 4), torch.linalg.eigvalsh(made.hessian())
    torch.testing.assert_close(found.largest, values[-4:].flip(0), rtol=1e-8, atol=1e-10)
    assert abs(found.smallest - values[0]) < 1e-8
    assert values[0] < -1e-3, "the smallest of this Hessian is negative, or the test would not see the sign"
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(4, dtype=torch.float64))
    assert found.residuals.shape == (5,)
    assert found.residuals.max() < 1e-5
    for value, vector in zip(found.largest, found.vectors, strict=True):
        torch.testing.assert_close(made.hessian() @ vector, value * vector, rtol=0, atol=1e-4)
    torch.testing.assert_close(made.hessian() @ found.smallest_vector, found.smallest * found.smallest_vector,
                               rtol=0, atol=1e-4)  # fmt: skip


def test_arpack_finds_the_same():
    made = surface(hidden=12)
    size = len(made.theta)
    operator = LinearOperator(
        (size, size), lambda v: made.product(torch.from_numpy(v.ravel().copy())).numpy(), dtype=np.float64
    )
    expected = eigsh(operator, 3, which="LA", return_eigenvectors=False)[::-1]
    found = ends(made, 3)
    torch.testing.assert_close(found.largest, torch.from_numpy(expected.copy()), rtol=1e-7, atol=1e-9)
    assert abs(found.smallest - eigsh(operator, 1, which="SA", return_eigenvectors=False)[0]) < 1e-7


def test_few_products_give_residuals_that_say_so():
    made = surface()
    rough, fine = ends(made, most=4), ends(made)
    assert rough.products == 4
    assert rough.residuals.max() > 100 * fine.residuals.max()
    assert rough.largest[0] <= fine.largest[0] + 1e-9  # Ritz values lie inside the spectrum


def test_nothing_global_is_drawn_and_the_start_does_not_matter():
    made = surface()
    before = torch.get_rng_state()
    first, other = ends(made), ends(made, generator=generator(1, "Lanczos"))
    assert torch.equal(torch.get_rng_state(), before)
    assert abs(first.largest[0] - other.largest[0]) < 1e-8


def test_share_of_a_gradient():
    basis = torch.linalg.qr(draw(6, 6, purpose="basis")).Q.T
    gradient = 3 * basis[0] + 4 * basis[5]
    assert abs(share_in(basis[:2], gradient) - 9 / 25) < 1e-12
    assert abs(share_in(basis, gradient) - 1) < 1e-12
    assert abs(share_in(basis[:2], 1e-200 * gradient) - 9 / 25) < 1e-12


def test_condition_number_without_what_is_null():
    basis = torch.linalg.qr(draw(4, 4, purpose="basis")).Q
    matrix = basis @ torch.diag(torch.tensor([-8.0, 2.0, 0.5, 1e-12], dtype=torch.float64)) @ basis.T
    assert abs(pseudo_condition((matrix + matrix.T) / 2) - 16) < 1e-9
    assert pseudo_condition(torch.diag(torch.tensor([3.0, 6e-10]))) == pytest.approx(5e9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ends(surface(), 80), "top: 80 is not below the number of parameters"),
        (lambda: ends(surface(), 0), "top: 0 is not a whole number"),
        (lambda: ends(surface(), tolerance=0), "tolerance: 0 is not a finite number above 0"),
        (lambda: ends(surface(), 4, most=4), "most: 4 is not a whole number of at least 5"),
        (lambda: share_in(torch.ones(2, 3), torch.ones(3)), "vectors: they are not orthonormal"),
        (lambda: share_in(torch.eye(3), torch.zeros(3)), "gradient: all of it is zero"),
        (lambda: share_in(torch.eye(3), torch.ones(4)), r"gradient: 4 entries beside vectors \(3, 3\)"),
        (lambda: pseudo_condition(torch.zeros(2, 2)), "hessian: all of it is zero"),
        (lambda: pseudo_condition(torch.tensor([[1.0, 2.0], [0.0, 1.0]])), "hessian: it is not symmetric"),
        (lambda: pseudo_condition(torch.eye(2) * math.nan), "hessian: not all entries are finite"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_a_hessian_with_one_eigenvalue(factor):
    """Zero, say: a softmax that is certain of every image has no curvature."""
    line = nn.Linear(3, 1, bias=False).double()
    made = LossSurface(line, torch.eye(3, dtype=torch.float64), torch.zeros(3),
                       lambda outputs, _: factor * outputs.square().sum() / 2)  # fmt: skip
    found = ends(made, 2)
    assert found.largest.tolist() == pytest.approx([factor])
    assert found.smallest == pytest.approx(factor)
    assert found.residuals.shape == (2,)


def test_a_hessian_with_as_many_different_eigenvalues_as_are_asked_for():
    line = nn.Linear(3, 1, bias=False).double()
    made = LossSurface(line, torch.eye(3, dtype=torch.float64), torch.tensor([1.0, 5.0, 5.0]).double(),
                       lambda outputs, weights: (outputs.flatten().square() * weights).sum() / 2)  # fmt: skip
    found = ends(made, 2)
    assert found.largest.tolist() == pytest.approx([5.0, 1.0])
    assert found.smallest == pytest.approx(1.0)
