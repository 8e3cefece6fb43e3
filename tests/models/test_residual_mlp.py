"""The residual MLP: its formula by hand in NumPy, equal weights across arms, initialisations, refusals."""

import math

import numpy as np
import pytest
import torch

from bnlab.models.mlp import ACTIVATIONS
from bnlab.models.residual_mlp import HERE, ResidualMLP
from bnlab.randomness import generator

BY_HAND = {
    "relu": lambda z: z * (z > 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "linear": lambda z: z,
}


def make(**options):
    options = {"depth": 3, "width": 16, "generator": generator(0, "weights")} | options
    return ResidualMLP(5, 4, **options).double()


X = torch.randn(7, 5, generator=generator(1, "inputs"), dtype=torch.float64)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("skip", [True, False])
def test_forward_is_the_formula(activation, norm, skip):
    net = make(activation=activation, norm=norm, skip=skip, branch_scale=0.3)

    def weight(linear):
        return linear.weight.detach().numpy().T

    h = X.numpy() @ weight(net.stem)
    for block in net.blocks:
        x = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) if norm == "batch" else h
        h = skip * h + 0.3 * BY_HAND[activation](x) @ weight(block.linear)
    # The scale is a float32 parameter before the network turns into float64.
    np.testing.assert_allclose(net(X).detach().numpy(), h @ weight(net.head), rtol=1e-6, atol=1e-6)


def test_arms_have_the_same_weights():
    one = make()
    for options in ({"norm": "batch"}, {"skip": False}, {"branch_scale": 0.0}, {"norm": "rms"}, {"activation": "relu"}):
        other = make(**options)
        for a, b in zip((one.stem, one.head), (other.stem, other.head), strict=True):
            assert torch.equal(a.weight, b.weight)
        for a, b in zip(one.blocks, other.blocks, strict=True):
            assert torch.equal(a.linear.weight, b.linear.weight)


def test_initialisations():
    wide = {kind: make(width=400, initialisation=kind) for kind in ("he", "xavier", "orthogonal")}
    for kind, scale in (("he", 2), ("xavier", 1)):
        weight = wide[kind].blocks[0].linear.weight
        assert weight.var().item() * 400 == pytest.approx(scale, rel=0.02)
    weight = wide["orthogonal"].blocks[0].linear.weight
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(400, dtype=torch.float64), rtol=1e-6, atol=1e-5)
    weight = make(width=400, initialisation="orthogonal", activation="tanh").blocks[0].linear.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(400, dtype=torch.float64), rtol=1e-6, atol=1e-5)
    assert wide["he"].stem.weight.var().item() * 5 == pytest.approx(1, rel=0.1)


def test_skipinit_begins_as_the_identity_and_can_learn():
    net = make(norm="batch", branch_scale=0.0)
    torch.testing.assert_close(net(X), X @ net.stem.weight.T @ net.head.weight.T)
    net(X).square().sum().backward()
    assert all(block.scale.grad.abs() > 0 for block in net.blocks)
    assert all(block.linear.weight.grad.abs().max() == 0 for block in net.blocks)


def test_nothing_global_is_drawn():
    before = torch.random.get_rng_state()
    make(initialisation="orthogonal")
    assert torch.equal(before, torch.random.get_rng_state())


def test_norms_that_have_a_place():
    assert "batch" in HERE
    assert "none" in HERE
    assert not {"batch_prior", "nlms_l2"} & set(HERE)
    for norm in HERE:
        assert make(norm=norm)(X).shape == (7, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 0}, "depth: 0 is not a whole number"),
        ({"width": 2.0}, "width: 2.0 is not a whole number"),
        ({"norm": "batch_prior"}, "norm: 'batch_prior' is not one of"),
        ({"norm": "layer?"}, "norm: 'layer\\?' is not one of"),
        ({"activation": "gelu"}, "activation: 'gelu' is not one of"),
        ({"initialisation": "ntk"}, "initialisation: 'ntk' is not one of"),
        ({"branch_scale": math.inf}, "branch_scale: inf is not a finite number"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match="^" + words):
        make(**options)


def test_other_inputs_are_refused():
    with pytest.raises(ValueError, match=r"^inputs: 6 features where the network has 5"):
        make()(torch.zeros(3, 6, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"^inputs: torch.float32 where"):
        make()(X.float())
