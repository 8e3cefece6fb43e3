"""The map of two linear layers against the network itself, and its three phases."""

import pytest
import torch

from bnlab.theory.catapult import two_layer_path


def descend(u, v, rate, steps):
    """Gradient descent on f^2 / 2, f = u'v / sqrt(n), by automatic differentiation: rows (f, k)."""
    n, rows = len(u), []
    for _ in range(steps + 1):
        u, v = u.detach().requires_grad_(), v.detach().requires_grad_()
        f = (u * v).sum() / n**0.5
        rows.append([f.item(), ((u.square().sum() + v.square().sum()) / n).item()])
        gu, gv = torch.autograd.grad(f.square() / 2, (u, v))
        u, v = u - rate * gu, v - rate * gv
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("c", [0.5, 1.9, 3.0, 3.9, 5.0])
def test_the_map_is_that_of_the_network(c):
    draws = torch.Generator().manual_seed(0)
    u, v = (torch.randn(50, dtype=torch.float64, generator=draws) for _ in range(2))
    first = descend(u, v, 1.0, 0)[0]
    rate = c / first[1].item()
    steps = 8 if c > 4 else 40
    found = two_layer_path(*first.tolist(), rate, 50, steps)
    torch.testing.assert_close(found, descend(u, v, rate, steps), rtol=1e-6, atol=1e-9)


def test_three_phases():
    def run(c):
        f, k = two_layer_path(1.0, 1.0, c, 1000, 200).T
        return f.square() / 2, c * k

    loss, product = run(1.9)
    assert (loss.diff() <= 0).all()
    assert product[-1] > 1.8
    for c in (2.1, 3.0, 3.9):
        loss, product = run(c)
        assert loss.max() > 2 * loss[0]
        assert loss[-1] < 1e-3 * loss[0]
        assert product[-1] < 2
        assert (product.diff() <= 0).all()  # below 4 every step flattens
    loss, product = run(4.1)
    assert not loss[-1].isfinite()
    assert product[1] > 4.1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"output": 10.0}, "output: 10 is more than any network of width 100 and curvature 1 gives"),
        ({"rate": 0}, "rate: 0 is not a finite number above 0"),
        ({"width": 0}, "width: 0 is not a whole number"),
        ({"steps": 0}, "steps: 0 is not a whole number"),
        ({"curvature": float("nan")}, "curvature: nan is not a finite number"),
    ],
)
def test_what_no_network_does_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        two_layer_path(**{"output": 1.0, "curvature": 1.0, "rate": 0.5, "width": 100, "steps": 3} | given)
