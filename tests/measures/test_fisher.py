"""The top eigenvalue of the Fisher information, against the whole matrix, from the Jacobian row by row."""

import copy

import pytest
import torch
from torch import nn

from bnlab.measures.fisher import LIKELIHOODS, fisher_top
from bnlab.measures.kernels import empirical_ntk, fisher_gram
from bnlab.measures.probes import using_batch_statistics
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator

IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def start():
    return generator(0, "Lanczos")


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(
    "options", [{}, {"placement": "nowhere"}, {"placement": "last"}, {"placement": "last", "norm": "layer"}]
)
def test_it_is_that_of_the_whole_matrix(likelihood, options):
    net = ResNet(8, width=4, generator=generator(0, "weights"), **options).double()
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad(), using_batch_statistics(net):
        logits = net(IMAGES)
    whole = fisher_gram(empirical_ntk(net, IMAGES), logits, likelihood)
    images = IMAGES.contiguous(memory_format=torch.channels_last)
    found = fisher_top(net.to(memory_format=torch.channels_last), images, likelihood, tolerance=1e-6, generator=start())
    assert found.value == pytest.approx(torch.linalg.eigvalsh(whole)[-1].item(), rel=1e-6)
    assert found.residual <= 1e-6
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_by_finite_differences_of_the_logits():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, step = IMAGES[:5, :, 0, 0], 1e-6
    theta = nn.utils.parameters_to_vector(net.parameters()).detach()
    columns = []
    for k in range(len(theta)):
        ends = []
        for sign in (1, -1):
            moved = theta.clone()
            moved[k] += sign * step
            nn.utils.vector_to_parameters(moved, net.parameters())
            ends.append(net(x).detach().flatten())
        columns.append((ends[0] - ends[1]) / (2 * step))
    nn.utils.vector_to_parameters(theta, net.parameters())
    J = torch.stack(columns, 1)  # (n C, P)
    expected = torch.linalg.eigvalsh(J.T @ J / len(x))[-1].item()
    assert fisher_top(net, x, tolerance=1e-6, generator=start()).value == pytest.approx(expected, rel=1e-6)


def test_a_certain_softmax_has_none():
    net = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1e5, 0.0], [0.0, 0.0]]))
    found = fisher_top(net, torch.ones(3, 2), "softmax", generator=start())
    assert (found.value, found.residual) == (0.0, 0.0)


def test_few_products_say_so_in_the_residual():
    net = ResNet(8, width=4, generator=generator(0, "weights")).double()
    rough = fisher_top(net, IMAGES, tolerance=1e-9, most=2, generator=start())
    fine = fisher_top(net, IMAGES, tolerance=1e-9, generator=start())
    assert rough.products == 2
    assert rough.residual > 1e-3
    assert rough.value < fine.value


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Flatten(0)), "not \\(n, C\\)"),
        (nn.Identity(), "no parameter"),
        (nn.Conv2d(1, 1, 1), "do not pass the model"),
    ],
)
def test_refusals(model, words):
    with pytest.raises(ValueError, match=words):
        fisher_top(model, torch.ones(3, 2), generator=start())


def test_logits_that_overflow_are_refused():
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.fill_(3e38)
    with pytest.raises(ValueError, match="not finite"):
        fisher_top(net, torch.full((3, 2), 10.0), generator=start())
    with pytest.raises(ValueError, match="likelihood"):
        fisher_top(net, torch.ones(3, 2), "poisson", generator=start())
