"""Length and direction: closed forms, PyTorch's BatchNorm1d, finite differences, one assumption at a time violated."""

import math

import pytest
import torch
from torch import nn

from bnlab.layers import decoupling
from bnlab.randomness import generator


def draw(*shape, seed=0, purpose="draw"):
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def layer(m=24, features=5, units=3, seed=0):
    """Inputs with a mean and correlations, weights, gamma and beta."""
    mix = draw(features, features, seed=seed, purpose="mix")
    x = draw(m, features, seed=seed, purpose="inputs") @ mix + 4 + draw(features, seed=seed, purpose="offset")
    w, scales = draw(units, features, seed=seed, purpose="weights"), draw(2, units, seed=seed, purpose="scales")
    return x, w, scales[0], scales[1]


def by_torch(x, w, gamma, beta, eps):
    norm = nn.BatchNorm1d(len(w), eps=eps, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(gamma)
        norm.bias.copy_(beta)
        return norm(x @ w.T)


def loss(x, w, gamma, beta, eps):
    """Any loss of the normalised outputs, by NumPy-like arithmetic without `decoupling`."""
    z = x @ w.T
    y = gamma * (z - z.mean(0)) / (z.var(0, unbiased=False) + eps).sqrt() + beta
    return (y.sin() * torch.linspace(-1, 2, len(x), dtype=torch.float64)[:, None]).sum()


def slopes(f, w, h=1e-5):
    """Central differences of f at w, of the shape of w."""
    found = torch.empty_like(w)
    for i in range(w.numel()):
        step = torch.zeros_like(w).flatten()
        step[i] = h
        step = step.reshape(w.shape)
        found.view(-1)[i] = (f(w + step) - f(w - step)) / (2 * h)
    return found


@pytest.mark.parametrize("eps", [1e-5, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_decoupled_form_is_batch_normalisation(seed, eps):
    arguments = layer(seed=seed)
    assert (decoupling.decoupled(*arguments, eps) - by_torch(*arguments, eps)).abs().max() < 1e-12


def test_length_leaves_the_output_and_sign_turns_it():
    x, w, gamma, _ = layer()
    y = decoupling.decoupled(x, w, gamma, torch.zeros(3).double())
    assert (decoupling.decoupled(x, 1e-3 * w, gamma, torch.zeros(3).double()) - y).abs().max() < 1e-12
    assert (decoupling.decoupled(x, -w, gamma, torch.zeros(3).double()) + y).abs().max() < 1e-12
    assert torch.allclose(y.std(0, unbiased=False), gamma.abs())


def test_printed_over_the_batch_is_off_by_sqrt_m_on_centred_inputs():
    x, w, gamma, _ = layer(m=64)
    zero = torch.zeros(3).double()
    centred = x - x.mean(0)
    ratio = decoupling.decoupled(centred, w, gamma, zero) / decoupling.printed(centred, w, gamma, zero, "batch")
    assert (ratio - 8).abs().max() < 1e-9


def test_printed_over_the_features_has_length_one_an_input():
    x, w, _, _ = layer()
    y = decoupling.printed(x, w, torch.ones(3).double(), torch.zeros(3).double(), "features")
    assert torch.allclose(y.norm(dim=1), torch.ones(len(x)).double())
    # the same number for each unit's sign if there is one unit alone
    alone = decoupling.printed(x, w[:1], torch.ones(1).double(), torch.zeros(1).double(), "features")
    assert torch.equal(alone.abs(), torch.ones_like(alone))


def test_gradients_are_orthogonal_and_scale_inversely():
    x, w, gamma, beta = layer()
    g = slopes(lambda v: loss(x, v, gamma, beta, 0.0), w)
    assert decoupling.radial_cosine(w, g).abs().max() < 1e-8
    smaller = slopes(lambda v: loss(x, v, gamma, beta, 0.0), 4 * w, h=4e-5)
    assert torch.allclose(4 * smaller, g, rtol=1e-6, atol=1e-8)


def test_radial_slope_with_eps_by_finite_differences():
    x, w, gamma, beta = layer()
    eps = 0.7
    along = slopes(lambda a: loss(x, a[0] * w, gamma, beta, eps), torch.ones(1, dtype=torch.float64))
    y = by_torch(x, w, gamma, beta, eps).detach()
    errors = slopes(lambda y: (y.sin() * torch.linspace(-1, 2, len(x), dtype=torch.float64)[:, None]).sum(), y)
    variance = (x @ w.T).var(0, unbiased=False)
    radial = decoupling.radial_gradient(errors, y, beta, variance, eps)
    assert radial.abs().min() > 1e-4  # there is something to be seen
    assert radial.sum().item() == pytest.approx(along.item(), rel=1e-6)
    assert not decoupling.radial_gradient(errors, y, beta, variance, 0.0).any()


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_lengths_and_directions_after_a_step(decay):
    w, g = draw(3, 2, 2, purpose="w"), draw(3, 2, 2, purpose="g")
    flat = w.flatten(1)
    g = g.flatten(1) - (g.flatten(1) * flat).sum(1, keepdim=True) / flat.square().sum(1, keepdim=True) * flat
    stepped = flat - 0.5 * (g + decay * flat)
    found = decoupling.squared_lengths_after(w, g.reshape(w.shape), 0.5, decay)
    assert torch.allclose(found, stepped.square().sum(1))
    if decay:
        return
    length = flat.norm(dim=1, keepdim=True)
    turned = decoupling.direction_after(flat / length, g * length, decoupling.effective_rate(w, 0.5))
    assert torch.allclose(turned, stepped / stepped.norm(dim=1, keepdim=True))


def test_law_of_growth_needs_orthogonality():
    w = torch.tensor([[1.0, 0.0]])
    assert (w - 0.1 * w).square().sum() < 1 < decoupling.squared_lengths_after(w, w, 0.1)


def test_what_has_no_obvious_answer():
    gamma, beta = torch.ones(1), torch.tensor([5.0])
    x, w = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 1.0]])
    assert decoupling.decoupled(x, w, gamma, beta, 1e-5).item() == 5  # a batch of one
    assert math.isnan(decoupling.decoupled(x, w, gamma, beta, 0.0).item())
    zeros = torch.zeros(1, 2)
    assert (decoupling.decoupled(torch.randn(4, 2), zeros, gamma, beta, 1e-5) == 5).all()
    assert decoupling.radial_cosine(zeros, w).item() == decoupling.radial_cosine(w, zeros).item() == 0
    assert decoupling.effective_rate(zeros, 0.1).item() == math.inf
    two = torch.cat([w, torch.full((1, 2), torch.nan)])
    y = decoupling.decoupled(torch.eye(2), two, torch.ones(2), torch.zeros(2), 1.0)
    assert y[:, 0].isfinite().all()
    assert y[:, 1].isnan().all()
    x[0, 0] = torch.nan
    assert decoupling.decoupled(x.expand(3, 2), w, gamma, beta, 1.0).isnan().all()


ONES = torch.ones(3)
X, W = torch.ones(4, 2), torch.ones(3, 2)
REFUSED = [
    (lambda: decoupling.decoupled(X[:0], W, ONES, ONES), "x"),
    (lambda: decoupling.decoupled(X[0], W, ONES, ONES), "x"),
    (lambda: decoupling.decoupled(X.long(), W, ONES, ONES), "x"),
    (lambda: decoupling.decoupled(X, W[:, :1], ONES, ONES), "weight"),
    (lambda: decoupling.decoupled(X, W, ONES[:1], ONES), "gamma"),
    (lambda: decoupling.decoupled(X, W, ONES, ONES[:1]), "beta"),
    (lambda: decoupling.decoupled(X, W, ONES, ONES, -1.0), "eps"),
    (lambda: decoupling.decoupled(X, W, ONES, ONES, math.nan), "eps"),
    (lambda: decoupling.printed(X, W, ONES, ONES, "units"), "norm"),
    (lambda: decoupling.printed(X, W[0], ONES, ONES, "batch"), "weight"),
    (lambda: decoupling.radial_cosine(W, W[:1]), "gradient"),
    (lambda: decoupling.radial_cosine(ONES, ONES), "gradient"),
    (lambda: decoupling.radial_gradient(X, W, ONES[:2], ONES[:2], 0.1), "errors"),
    (lambda: decoupling.radial_gradient(X, X, ONES, ONES[:2], 0.1), "beta"),
    (lambda: decoupling.radial_gradient(X, X, ONES[:2], ONES, 0.1), "variance"),
    (lambda: decoupling.squared_lengths_after(W, W, 0.0), "rate"),
    (lambda: decoupling.squared_lengths_after(W, W, 0.1, -0.1), "weight_decay"),
    (lambda: decoupling.effective_rate(W, math.inf), "rate"),
    (lambda: decoupling.effective_rate(ONES, 0.1), "weight"),
    (lambda: decoupling.direction_after(W, W, ONES[:2]), "effective"),
]


@pytest.mark.parametrize(("call", "named"), REFUSED)
def test_bad_input_is_refused_in_one_line(call, named):
    with pytest.raises(ValueError, match=named) as refusal:
        call()
    assert "\n" not in str(refusal.value)


def test_an_offset_costs_no_digits_in_single_precision():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(64, 5, generator=draw) + 1e6
    w, gamma, beta = torch.randn(3, 5, generator=draw), torch.ones(3), torch.zeros(3)
    z = x.double() @ w.double().T
    exact = ((z - z.mean(0)) / z.std(0, correction=0)).float()
    torch.testing.assert_close(decoupling.decoupled(x, w, gamma, beta), exact, rtol=1e-5, atol=1e-5)
