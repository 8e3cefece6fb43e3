"""The preconditioned step against descent on a layer whose input is normalised."""

import pytest
import torch

from bnlab.layers.preconditioned_linear import PreconditionedLinear, preconditioned_gradients

EPS = 1e-2


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_step_of_normalised_weights():
    """V, c <- V - t dJ/dV, c - t dJ/dc, written in W = V / s and b = c - W mu, J = sum of e y."""
    h, e, t = 3 + 2 * numbers(20, 5), numbers(20, 4, seed=1), 0.1
    mu, s = h.mean(0), (h.var(0, correction=0) + EPS).sqrt()
    W, b = numbers(4, 5, seed=2), numbers(4, seed=3)
    V, c = W * s, b + W @ mu
    x_hat = (h - mu) / s
    V, c = V - t * e.mT @ x_hat, c - t * e.sum(0)
    weights, bias = preconditioned_gradients(e, h, EPS)
    torch.testing.assert_close(W - t * weights, V / s, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(b - t * bias, c - (V / s) @ mu, rtol=1e-12, atol=1e-12)


def layer_and_input():
    layer = PreconditionedLinear(5, 4, eps=EPS).double()
    with torch.no_grad():
        layer.weight.copy_(numbers(4, 5, seed=2))
        layer.bias.copy_(numbers(4, seed=3))
    return layer, 3 + 2 * numbers(20, 5)


def test_layer_forward_is_plain_and_the_error_below_by_finite_differences():
    layer, h = layer_and_input()
    e, step = numbers(20, 4, seed=1), 1e-6
    leaf = h.clone().requires_grad_()
    y = layer(leaf)
    torch.testing.assert_close(y, h @ layer.weight.mT + layer.bias, rtol=1e-12, atol=1e-12)
    below, weights, bias = torch.autograd.grad(y, (leaf, layer.weight, layer.bias), e)
    expected = preconditioned_gradients(e, h, EPS)
    torch.testing.assert_close((weights, bias), expected, rtol=1e-12, atol=1e-12)
    moved = torch.zeros_like(h)
    moved[3, 2] = step
    with torch.no_grad():
        slope = ((layer(h + moved) - layer(h - moved)) * e).sum().item() / (2 * step)
    assert below[3, 2].item() == pytest.approx(slope, rel=1e-7)


def test_in_evaluation_it_is_a_plain_layer():
    layer, h = layer_and_input()
    e = numbers(20, 4, seed=1)
    (weights,) = torch.autograd.grad(layer.eval()(h), layer.weight, e)
    torch.testing.assert_close(weights, e.mT @ h, rtol=1e-12, atol=1e-12)


def test_a_dead_input_gets_no_step():
    h = numbers(20, 5)
    h[:, 1] = 0.1
    weights, bias = preconditioned_gradients(numbers(20, 4, seed=1), h, 1e-5)
    assert weights[:, 1].abs().max() < 1e-9
    assert bias.isfinite().all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"errors: 3 images beside 4 of inputs"):
        preconditioned_gradients(torch.zeros(3, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"h: shape \(1, 5\) is not \(B, 5\), with B of 2 or more"):
        PreconditionedLinear(5, 4)(torch.zeros(1, 5))
    with pytest.raises(ValueError, match=r"h: torch.float64 where the network holds torch.float32"):
        PreconditionedLinear(5, 4)(torch.zeros(2, 5, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"in_features: 0 is not"):
        PreconditionedLinear(0, 4)
