"""What each arm changes in the network, and that it changes nothing else."""

import pytest
import torch
from torch.nn import functional

from bnlab.chapters.ch08_internal_covariate_shift import arms

X = torch.randn(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def made(arm, seed=0, images=X):
    return arms.network(arm, 16, 3, depth=2, width=8, activation="relu", seed=seed, images=images)


def preactivations(net):
    seen = []
    handles = [linear.register_forward_hook(lambda _, __, z: seen.append(z.detach())) for linear in net.linears[:-1]]
    net(X)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("arm", [arm for arm in arms.ARMS if arm not in (arms.LSUV, arms.PINNED)])
def test_arms_start_from_the_same_weights(arm):
    net, plain = made(arm), made(arms.NONE)
    for one, other in zip(net.linears, plain.linears, strict=True):
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.bias, other.bias)
    assert not torch.equal(net.linears[0].weight, made(arm, seed=1).linears[0].weight)


@pytest.mark.parametrize("arm", [arms.NONE, arms.PENALTY, arms.GRADIENT_ONLY, arms.BACKWARD_ONLY])
def test_arms_that_leave_the_forward_pass_alone(arm):
    torch.testing.assert_close(made(arm)(X), made(arms.NONE)(X))


def test_detached_has_batch_normalizations_forward_pass_and_noise_only_in_training():
    torch.testing.assert_close(made(arms.DETACHED)(X), made(arms.BN)(X), rtol=1e-4, atol=1e-5)
    noisy = made(arms.NOISY)
    assert not torch.equal(noisy(X), noisy(X))
    noisy.eval()
    assert torch.equal(noisy(X), noisy(X))


def test_restandardised_weights_are_batch_normalization_without_the_layer():
    net = made(arms.PINNED)
    for z in preactivations(net):
        torch.testing.assert_close(z.mean(0), torch.zeros(8), rtol=0, atol=1e-5)
        torch.testing.assert_close(z.std(0, correction=0), torch.ones(8), rtol=1e-4, atol=0)
    torch.testing.assert_close(net(X), made(arms.BN)(X), rtol=1e-3, atol=1e-3)
    constant = made(arms.NONE, images=torch.ones_like(X))
    arms.restandardise_(constant, torch.ones_like(X))
    assert all(bool(p.isfinite().all()) for p in constant.parameters())


def test_lsuv_has_unit_variance():
    for z in preactivations(made(arms.LSUV)):
        assert z.var(correction=0).item() == pytest.approx(1, abs=0.11)


def test_penalty_by_hand():
    z = torch.tensor([[0.0, 1.0], [2.0, 1.0]])  # means 1, 1; deviations 1, 0
    assert arms.moment_penalty([z, z]).item() == pytest.approx(2 * ((1 + 1) / 2 + (0 + 1) / 2))
    net = made(arms.PENALTY)
    seen, stop = arms.watch_hidden(net)
    net(X)
    stop()
    net(X)
    assert [tuple(z.shape) for z in seen] == [(40, 8)] * 2
    assert all(z.requires_grad for z in seen)


def test_groups_take_a_normalisation_with_its_layer():
    assert arms.groups(made(arms.BN)) == [("linears.0", "after.0"), ("linears.1", "after.1"), ("linears.2",)]
    assert arms.groups(made(arms.NONE)) == [("linears.0",), ("linears.1",), ("linears.2",)]


def test_gradients_differ_where_they_should():
    labels = torch.arange(40) % 3
    found = {}
    for arm in (arms.NONE, arms.GRADIENT_ONLY, arms.BACKWARD_ONLY):
        net = made(arm)
        functional.cross_entropy(net(X), labels).backward()
        found[arm] = [linear.weight.grad for linear in net.linears]
    plain, preconditioned, backward = found.values()
    torch.testing.assert_close(preconditioned[0], plain[0])  # images are not normalised
    assert not torch.allclose(preconditioned[1], plain[1])
    torch.testing.assert_close(backward[2], plain[2])  # nothing stands after the last layer
    assert not torch.allclose(backward[1], plain[1])


def test_unknown_arm():
    with pytest.raises(ValueError, match=r"arm: 'layer' is not one of none, BN, "):
        made("layer")
