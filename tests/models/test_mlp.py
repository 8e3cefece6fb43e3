"""The fully connected network: initialisation, placement of the norm, identical weights across norms, refusals."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bnlab.models.mlp import MLP
from bnlab.models.norms import NORMS
from bnlab.randomness import generator


def make(**options):
    options = {"depth": 2, "width": 16, "generator": generator(0, "weights")} | options
    return MLP(5, 3, **options).double()


def inputs(count=7, features=5):
    return torch.randn(count, features, generator=generator(1, "inputs"), dtype=torch.float64)


def numpy_forward(net, x, activation, gamma_one_norm):
    """The same network by hand, in numpy: batch statistics before the nonlinearity where asked."""
    x = x.numpy()
    for layer, linear in enumerate(net.linears):
        x = net.input_scales[layer] * x @ linear.weight.detach().numpy().T
        if linear.bias is not None:
            x = x + linear.bias.detach().numpy()
        if layer < len(net.linears) - 1:
            if gamma_one_norm:
                x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
            x = activation(x)
    return x


@pytest.mark.parametrize("initialisation", ["default", "he", "xavier", "ntk", "orthogonal"])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda z: z * (z > 0)),
        ("tanh", np.tanh),
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
        ("linear", lambda z: z),
    ],
)
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_forward_is_the_formula(initialisation, name, function, norm):
    net = make(initialisation=initialisation, activation=name, norm=norm)
    expected = numpy_forward(net, inputs(), function, norm == "batch")
    assert np.abs(net(inputs()).detach().numpy() - expected).max() < 1e-12


@pytest.mark.parametrize("initialisation", ["default", "he", "xavier", "ntk", "orthogonal"])
def test_networks_that_differ_in_norm_have_identical_weights(initialisation):
    plain = make(initialisation=initialisation)
    for norm in NORMS:
        other = make(initialisation=initialisation, norm=norm)
        for a, b in zip(plain.linears, other.linears, strict=True):
            assert torch.equal(a.weight, b.weight)
            assert torch.equal(a.bias, b.bias)


def test_every_parameter_gets_a_gradient():
    for norm in NORMS:
        net = make(norm=norm, bias=False)
        net(inputs()).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 1e-12 for p in net.parameters()), norm


def test_bias_is_redundant_before_batch_normalisation():
    net = make(norm="batch", initialisation="default")
    net(inputs()).square().sum().backward()
    assert net.linears[0].bias.grad.abs().max() < 1e-12
    assert net.linears[-1].bias.grad.abs().max() > 1e-3


def test_norm_after_the_last_nonlinearity_standardises_what_the_last_layer_sees():
    net = make(norm=("batch", "batch", "batch_prior"))
    seen = []
    net.linears[-1].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    net(inputs(200))
    alive = seen[0].var(0, unbiased=False) > 1e-3
    assert alive.sum() > 8
    assert seen[0].mean(0).abs().max() < 1e-12
    assert (seen[0].var(0, unbiased=False)[alive] - 1).abs().max() < 0.01


def test_variances_of_the_initialisations():
    wide = {"depth": 2, "width": 1000}
    he = make(initialisation="he", **wide).linears
    assert he[1].weight.var().item() == pytest.approx(2 / 1000, rel=0.01)
    assert he[2].weight.var().item() == pytest.approx(1 / 1000, rel=0.06)
    tanh = make(initialisation="he", activation="tanh", **wide).linears
    assert tanh[1].weight.var().item() == pytest.approx(1e-3, rel=0.01)
    assert make(initialisation="xavier", **wide).linears[0].weight.var().item() == pytest.approx(2 / 1005, rel=0.05)
    assert make(initialisation="ntk", **wide).linears[1].weight.var().item() == pytest.approx(1, rel=0.01)
    uniform = make(initialisation="default", **wide).linears[1].weight
    assert uniform.abs().max().item() == pytest.approx(1 / math.sqrt(1000), rel=1e-4)
    assert he[1].bias.abs().max() == 0


def test_ntk_parameterisation_is_the_same_function_as_he_at_the_start():
    he, ntk = make(initialisation="he"), make(initialisation="ntk")
    assert (he(inputs()) - ntk(inputs())).abs().max() < 1e-6  # weights are drawn in float32


def test_he_keeps_the_power_of_preactivations():
    net = make(depth=6, width=1000)
    powers = []
    for linear in net.linears[1:-1]:
        linear.register_forward_hook(lambda module, args, z: powers.append(z.square().mean().item()))
    net(inputs(100))
    assert all(0.7 < later / powers[0] < 1.4 for later in powers)


def test_images_are_flattened_and_draws_leave_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    net = make()
    assert torch.equal(before, torch.rand(1))
    assert net(torch.zeros(2, 1, 5, 1, dtype=torch.float64)).shape == (2, 3)
    assert all(p.dtype == torch.float32 for p in MLP(5, 3, depth=1, width=2, generator=generator(0, "w")).parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 0}, "depth: 0"),
        ({"width": 2.5}, "width: 2.5"),
        ({"norm": "btach"}, "'btach' is not one of"),
        ({"norm": ("batch", "none")}, "one for each of the 3 linear layers"),
        ({"activation": "gelu"}, "activation: 'gelu' is not one of 'relu'"),
        ({"initialisation": "zero"}, "initialisation: 'zero' is not one of 'default'"),
    ],
)
def test_refusals_are_one_line(options, words):
    with pytest.raises(ValueError, match=words) as refusal:
        make(**options)
    assert "\n" not in str(refusal.value)


def test_wrong_number_of_features_is_refused():
    with pytest.raises(ValueError, match="4 features where the network has 5"):
        make()(inputs(2, 4))


def test_norms_are_modules_of_the_registry():
    assert sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in make(norm="batch").modules()) == 2


@pytest.mark.parametrize(("activation", "gain"), [("relu", math.sqrt(2)), ("linear", 1.0)])
def test_orthogonal_weights_have_one_singular_value(activation, gain):
    net = make(initialisation="orthogonal", activation=activation)
    for linear, expected in zip(net.linears, [gain, gain, 1.0], strict=True):
        weight = linear.weight.detach().numpy()  # float32 draws rounded, then made double
        assert np.abs(np.linalg.svd(weight, compute_uv=False) - expected).max() < 1e-6
