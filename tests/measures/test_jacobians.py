"""Gradient profiles and Jacobians on networks that are not the book's: closed forms, finite differences, refusals."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.measures.jacobians import gradient_profile, jacobian, singular_values

float64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=float64)


def half_square(y, d):
    return 0.5 * (y - d).square().sum()


def chain(*sizes, between=nn.Identity):
    """Linear layers without biases, seeded; something after each but the last."""
    layers = []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(fan_in, fan_out, bias=False, dtype=float64)
        linear.weight = nn.Parameter(normal(fan_out, fan_in, seed=number))
        layers += [linear, between()]
    return nn.Sequential(*layers[:-1])


def test_profile_of_a_deep_linear_network_is_its_closed_form():
    net, x, d = chain(3, 4, 5, 2), normal(6, 3, seed=7), normal(6, 2, seed=8)
    W1, W2, W3 = (net[k].weight.detach() for k in (0, 2, 4))
    y1, y2, y3 = x @ W1.T, x @ W1.T @ W2.T, x @ W1.T @ W2.T @ W3.T
    g3 = y3 - d
    g2, g1 = g3 @ W3, g3 @ W3 @ W2
    found = gradient_profile(net, x, d, half_square, ["0", "2", "4"])

    def squares(*tensors):
        return torch.stack([t.square().sum() for t in tensors])

    torch.testing.assert_close(found.outputs, squares(g1, g2, g3), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.parameters, squares(g1.T @ x, g2.T @ y1, g3.T @ y2), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.powers, torch.stack([y.square().mean() for y in (y1, y2, y3)]), rtol=1e-12, atol=0)
    assert found.loss == pytest.approx(0.5 * g3.square().sum().item(), rel=1e-12)
    assert found.layers == ("0", "2", "4")


class Awkward(nn.Module):
    """Convolutions, a norm, activations in place, dropout, a parametrised layer, a block that holds others."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3))
        self.act = nn.ELU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.out = nn.utils.parametrizations.weight_norm(nn.Linear(12, 2))

    def forward(self, x):
        return self.out(self.drop(self.act(self.block(x)).flatten(1)))


def awkward():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Awkward().double()


def test_profile_is_that_of_finite_differences_with_in_place_activations_and_a_norm():
    net, x, labels = awkward(), normal(5, 2, 6), torch.tensor([0, 1, 0, 1, 1])
    net.drop.p = 0.0
    found = gradient_profile(net, x, labels, functional.cross_entropy, ["block.0", "block", "act"])
    conv = net.block[0](x).detach()

    def loss(y):
        with torch.no_grad():
            h = functional.elu(functional.batch_norm(y, None, None, training=True))
            return functional.cross_entropy(net.out(h.flatten(1)), labels).item()

    total, step = 0.0, 1e-6
    for index in range(conv.numel()):
        shift = torch.zeros_like(conv).view(-1)
        shift[index] = step
        total += ((loss(conv + shift.view_as(conv)) - loss(conv - shift.view_as(conv))) / (2 * step)) ** 2
    assert found.outputs[0].item() == pytest.approx(total, rel=1e-5)
    # The activation works in place on the block's output: its power and gradient are those of before.
    assert found.powers[1].item() == pytest.approx(net.block(x).square().mean().item(), rel=1e-12)
    inner = net.block(x).detach().requires_grad_()
    functional.cross_entropy(net.out(functional.elu(inner).flatten(1)), labels).backward()
    assert found.outputs[1].item() == pytest.approx(inner.grad.square().sum().item(), rel=1e-12)
    assert found.parameters[2].isnan()
    assert found.parameters[1] > found.parameters[0] > 0  # the block's norm has parameters of its own
    assert found.powers[2].item() == pytest.approx(net.act(net.block(x)).square().mean().item(), rel=1e-12)


@pytest.mark.parametrize("look", ["profile", "jacobian"])
@pytest.mark.parametrize("training", [True, False])
def test_a_look_leaves_no_trace(look, training):
    net, x, labels = awkward().train(training), normal(4, 2, 6), torch.tensor([0, 1, 0, 1])
    functional.cross_entropy(net(x), labels).backward()
    grads = {name: p.grad.clone() for name, p in net.named_parameters()}
    state, rng, image = copy.deepcopy(net.state_dict()), torch.random.get_rng_state(), x.clone()
    if look == "profile":
        gradient_profile(net, x, labels, functional.cross_entropy, ["block", "out"])
    else:
        jacobian(net, x)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(p.grad, grads[name]) for name, p in net.named_parameters())
    assert torch.equal(rng, torch.random.get_rng_state())
    assert net.training is training
    assert torch.equal(x, image)
    assert not any(module._forward_hooks for module in (net.block, net.act, net.drop))


def test_frozen_networks_have_profiles_too():
    net = chain(3, 4, 2).requires_grad_(False)
    found = gradient_profile(net, normal(5, 3), normal(5, 2), half_square, ["0", "2"])
    assert (found.outputs > 0).all()
    assert found.parameters.isnan().all()


def test_shared_weights_count_once_and_wholly():
    net = chain(3, 3, 3)
    net[2].weight = net[0].weight
    x, d = normal(5, 3), normal(5, 3, seed=9)
    found = gradient_profile(net, x, d, half_square, ["0", "2"])
    half_square(net(x), d).backward()
    assert found.parameters.tolist() == pytest.approx([net[0].weight.grad.square().sum().item()] * 2, rel=1e-12)


class Twice(nn.Module):
    """A module used twice, one never, one that gives a pair, one beside the loss."""

    def __init__(self):
        super().__init__()
        self.a, self.idle = nn.Linear(3, 3, dtype=float64), nn.Linear(3, 3, dtype=float64)
        self.rnn, self.aside = nn.GRU(3, 3, dtype=float64), nn.Linear(3, 3, dtype=float64)

    def forward(self, x):
        self.seen = self.aside(x)
        return self.a(self.a(self.rnn(x)[0]))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (["a"], "layers: 'a' ran 2 times on the inputs, not once"),
        (["idle"], "layers: 'idle' ran 0 times"),
        (["rnn"], "layers: 'rnn' gives a tuple, not one tensor"),
        (["aside"], "layers: 'aside' has no part in the loss"),
        (["b"], "layers: 'b' is no layer of the model; there are a, idle, rnn, aside"),
        ([], "layers: no name"),
    ],
)
def test_layers_that_cannot_be_looked_at(layers, words):
    net = Twice()
    with pytest.raises(ValueError, match=r"^" + words):
        gradient_profile(net, normal(4, 3), normal(4, 3), half_square, layers)
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda y, d: y.sum() * float("nan"), "loss: it is nan on these inputs, so it has no gradients"),
        (lambda y, d: y.sum() / 0, "loss: it is -?inf"),
        (lambda y, d: y, "loss: it gives no tensor of one real number"),
        (lambda y, d: 1.0, "loss: it gives no tensor"),
        (lambda y, d: torch.tensor(1.0), "loss: it does not depend on the layers"),
    ],
)
def test_losses_without_a_gradient(loss, words):
    with pytest.raises(ValueError, match=r"^" + words):
        gradient_profile(chain(3, 2), normal(4, 3), None, loss, ["0"])


def test_one_name_is_a_list_of_one():
    assert gradient_profile(chain(3, 2), normal(4, 3), normal(4, 2), half_square, "0").layers == ("0",)


def test_inputs_that_do_not_pass():
    for look in (lambda x: jacobian(chain(3, 2), x), lambda x: singular_values(chain(3, 2), x)):
        with pytest.raises(ValueError, match=r"^inputs: torch.float64 of shape .4, 2. do not pass the model"):
            look(normal(4, 2))
        with pytest.raises(ValueError, match=r"^inputs: torch.int64 is no real floating-point dtype"):
            look(torch.ones(4, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^inputs: torch.float64 of shape .4, 2. do not pass the model"):
        gradient_profile(chain(3, 2), normal(4, 2), None, half_square, ["0"])


@pytest.mark.parametrize("training", [True, False])
def test_jacobian_is_that_of_finite_differences(training):
    net, x = awkward().train(training), normal(3, 2, 6)
    net.drop.p = 0.0
    found, step = jacobian(net, x), 1e-6
    held = copy.deepcopy(net.state_dict())

    def outputs(inputs):
        net.load_state_dict(held)  # running statistics of before
        with torch.no_grad():
            return net(inputs).flatten()

    columns = []
    for index in range(x.numel()):
        shift = torch.zeros_like(x).view(-1)
        shift[index] = step
        shift = shift.view_as(x)
        columns.append((outputs(x + shift) - outputs(x - shift)) / (2 * step))
    torch.testing.assert_close(found, torch.stack(columns, 1), rtol=1e-5, atol=1e-8)


def test_singular_values_of_a_linear_map_and_of_a_projection():
    weight = normal(4, 3)
    values = singular_values(lambda x: x @ weight.T, normal(1, 3))
    torch.testing.assert_close(values, torch.linalg.svdvals(weight))
    norm = nn.BatchNorm1d(1, eps=1e-300, dtype=float64)
    nn.init.constant_(norm.weight, 3.0)
    x = normal(9, 1)
    values = singular_values(norm, x) * x.std(unbiased=False) / 3
    torch.testing.assert_close(values, torch.tensor([1.0] * 7 + [0.0] * 2, dtype=float64), rtol=1e-10, atol=1e-10)


def test_without_a_norm_the_jacobian_is_block_diagonal_and_its_dtype_is_the_inputs():
    net = chain(3, 5, 2, between=nn.Tanh).float()
    found = jacobian(net, normal(4, 3).float())
    assert found.dtype == torch.float32
    assert found.shape == (8, 12)
    blocks = found.view(4, 2, 4, 3)
    assert all((blocks[i, :, j] == 0).all() == (i != j) for i in range(4) for j in range(4))


def test_functions_without_a_jacobian():
    with pytest.raises(ValueError, match=r"^model: its outputs do not depend on the inputs"):
        jacobian(lambda x: torch.ones(2), normal(2, 2))
    with pytest.raises(ValueError, match=r"^model: its outputs are no tensor of finite"):
        jacobian(lambda x: x / 0, normal(2, 2))
    with pytest.raises(ValueError, match=r"^model: a derivative of its outputs is not finite"):
        singular_values(lambda x: x.abs().sqrt(), torch.zeros(1, 2))
