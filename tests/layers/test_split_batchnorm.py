"""Both halves of Batch Normalization, against finite differences and the printed formula."""

import pytest
import torch

from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.split_batchnorm import BackwardBatchNorm, DetachedBatchNorm

EPS = 1e-3


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def prepared(layer):
    """Give it a gamma and a beta that are not 1 and 0."""
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -2.0, 3.0]))
        layer.bias.copy_(torch.tensor([1.0, 0.0, -4.0]))
    return layer


def detached():
    return prepared(DetachedBatchNorm(3, eps=EPS).double())


X = [2 + 3 * numbers(8, 3), 5 - numbers(4, 3, 2, 2)]


@pytest.mark.parametrize("x", X, ids=["features", "maps"])
def test_detached_forward_and_buffers_are_batch_normalizations(x):
    plain, layer = prepared(BatchNorm(3, eps=EPS).double()), detached()
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=0)
    torch.testing.assert_close(layer(x.clone().requires_grad_()).detach(), plain(x), rtol=0, atol=0)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(layer.get_buffer(name), buffer, rtol=0, atol=0)
    torch.testing.assert_close(layer.eval()(x), plain.eval()(x), rtol=0, atol=0)


@pytest.mark.parametrize("x", X, ids=["features", "maps"])
def test_detached_gradient_is_that_of_a_frozen_affine_map(x):
    """Central differences of x -> gamma (x - mu) / s + beta with mu and s as they were."""
    layer, g, h = detached(), numbers(*x.shape, seed=1), 1e-6
    dims = [d for d in range(x.ndim) if d != 1]
    shape = (1, 3, *(1,) * (x.ndim - 2))
    mu, s2 = x.mean(dims).view(shape), x.var(dims, correction=0).view(shape)

    def loss(values):
        y = layer.weight.view(shape) * (values - mu) / (s2 + EPS).sqrt() + layer.bias.view(shape)
        return (y * g).sum().item()

    leaf = x.clone().requires_grad_()
    found = torch.autograd.grad((layer(leaf) * g).sum(), (leaf, layer.weight, layer.bias))
    for place in [(0, 0), (1, 1), (3, 2)]:
        at = place + (0,) * (x.ndim - 2)
        step = torch.zeros_like(x)
        step[at] = h
        assert found[0][at].item() == pytest.approx((loss(x + step) - loss(x - step)) / (2 * h), rel=1e-6)
    x_hat = (x - mu) / (s2 + EPS).sqrt()
    torch.testing.assert_close(found[1], (g * x_hat).sum(dims), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found[2], g.sum(dims), rtol=1e-10, atol=1e-10)


def test_detached_in_evaluation_has_the_plain_gradient():
    layer = detached()
    layer(X[0])
    leaf = X[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer.eval()(leaf).sum(), leaf)
    expected = layer.weight.detach() / (layer.running_var + EPS).sqrt()
    torch.testing.assert_close(gradient, expected.expand_as(gradient), rtol=1e-12, atol=0)


@pytest.mark.parametrize("x", X, ids=["features", "maps"])
def test_backward_only_hands_on_its_input_and_has_batch_normalizations_gradient(x):
    """The gradient against central differences of Batch Normalization's own forward pass."""
    layer, plain, g, h = BackwardBatchNorm(3, eps=EPS), BatchNorm(3, eps=EPS).double(), numbers(*x.shape, seed=2), 1e-6
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    assert torch.equal(y, x)
    (gradient,) = torch.autograd.grad(y, leaf, g)
    with torch.no_grad():
        for place in [(0, 0), (2, 1), (3, 2)]:
            at = place + (0,) * (x.ndim - 2)
            step = torch.zeros_like(x)
            step[at] = h
            slope = ((plain(x + step) - plain(x - step)) * g).sum().item() / (2 * h)
            assert gradient[at].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_backward_only_in_evaluation_is_nothing():
    leaf = X[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(BackwardBatchNorm(3).eval()(leaf).sum(), leaf)
    assert torch.equal(gradient, torch.ones_like(gradient))


def test_bad_inputs_are_named():
    with pytest.raises(ValueError, match=r"x: shape \(4, 2\) has 2 channels, the layer 3"):
        BackwardBatchNorm(3)(torch.zeros(4, 2))
    for layer in (BackwardBatchNorm(3), DetachedBatchNorm(3)):
        with pytest.raises(ValueError, match=r"x: shape \(1, 3\) has one value a channel"):
            layer(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"eps: -1 is not"):
        BackwardBatchNorm(3, eps=-1)
