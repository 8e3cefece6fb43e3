"""Paces of single modes: closed-form quadratics in float64, factors by hand, refusals."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.measures.preconditioning import GROUPS, ModePreconditioner, capping_factors, matching_factors
from bnlab.measures.probes import input_autocorrelation
from bnlab.theory import modes


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Regression(nn.Module):
    """One convolution in float64, whose loss is half the mean squared distance from a teacher's output."""

    def __init__(self, images):
        super().__init__()
        self.conv2 = nn.Conv2d(2, 3, 2, bias=False, dtype=torch.float64)
        self.images, self.teacher = images, normal(3, 2, 2, 2, seed=5)
        with torch.no_grad():
            self.conv2.weight.copy_(normal(3, 2, 2, 2, seed=6))

    def forward(self, images):
        return self.conv2(images)

    def weight_error(self):
        return (self.conv2.weight - self.teacher).detach().flatten(1)  # (OC, K)

    def step(self, mu, adjust, number):
        wanted = functional.conv2d(self.images, self.teacher)
        error = self(self.images) - wanted  # (B, OC, OH, OW)
        loss = error.square().sum(1).mean() / 2  # the mean over images and positions
        self.zero_grad()
        loss.backward()
        adjust(self, number)
        with torch.no_grad():
            self.conv2.weight -= mu * self.conv2.weight.grad


@pytest.fixture
def model():
    scales = torch.tensor([1.0, 0.2], dtype=torch.float64).view(1, 2, 1, 1)
    return Regression(scales * normal(6, 2, 5, 5))


@pytest.mark.parametrize("group", GROUPS)
def test_modes_follow_the_law_of_the_eigenvalues_they_were_given(model, group):
    own = modes.natural_modes(input_autocorrelation(model, model.images))
    target = own.eigenvalues * torch.linspace(3, 1.5, 8, dtype=torch.float64)
    factors = matching_factors(own.eigenvalues, target, group)
    adjust = ModePreconditioner(model.images, factors)
    start, mu, n = modes.project(own, model.weight_error()), 0.3 / target[-1].item(), 30
    for number in range(1, n + 1):
        model.step(mu, adjust, number)
    chosen = GROUPS[group](8)
    felt = own.eigenvalues.clone()
    felt[chosen] = target[chosen]
    expected = start * (1 - mu * felt) ** n  # (OC, K)
    torch.testing.assert_close(modes.project(own, model.weight_error()), expected, rtol=1e-6, atol=1e-9)


def test_capped_modes_follow_the_cap(model):
    own = modes.natural_modes(input_autocorrelation(model, model.images))
    cap = own.eigenvalues[4].item()
    start, n = modes.project(own, model.weight_error()), 40
    mu = 1.9 / cap  # far above the plain bound
    assert mu > 2 / own.eigenvalues[-1].item()
    adjust = ModePreconditioner(model.images, cap=cap)
    for number in range(1, n + 1):
        model.step(mu, adjust, number)
    expected = start * (1 - mu * own.eigenvalues.clamp(max=cap)) ** n
    torch.testing.assert_close(modes.project(own, model.weight_error()), expected, rtol=1e-6, atol=1e-9)


def test_factors_by_hand():
    own = torch.tensor([0.0, 1e-14, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0], dtype=torch.float64)
    target = 10 * own + 1
    found = matching_factors(own, target, "all").tolist()
    assert found[:2] == [1, 1]  # dead modes have no gradient to raise
    assert found[2:] == pytest.approx([11, 10.5, 10.25, 10.125, 10.0625, 10.03125])
    assert matching_factors(own, target, "top_five").tolist()[:3] == [1, 1, 1]
    assert matching_factors(own, target, "all_but_top_five").tolist()[3:] == [1] * 5
    assert matching_factors(own + 1, 2 * own + 2, "smallest").tolist() == [2] + [1] * 7
    assert capping_factors(own, 4.0).tolist() == [1, 1, 1, 1, 1, 0.5, 0.25, 0.125]


def test_what_the_network_computes_stays(model):
    outputs = model(model.images).detach()
    (gradient_before,) = torch.autograd.grad(model(model.images).sum(), model.conv2.weight)
    model.conv2.weight.grad = gradient_before.clone()
    ModePreconditioner(model.images, torch.full((8,), 2.0, dtype=torch.float64))(model, 1)
    torch.testing.assert_close(model.conv2.weight.grad, 2 * gradient_before, rtol=1e-10, atol=1e-12)
    assert torch.equal(model(model.images), outputs)


def test_r_is_followed_every_so_often(model):
    adjust = ModePreconditioner(model.images, cap=1e-3, every=4)
    seen = []
    for step in range(1, 10):
        model.images.mul_(1.5)
        model.conv2.weight.grad = torch.ones_like(model.conv2.weight)
        adjust(model, step)
        seen.append(round(model.conv2.weight.grad.norm().item(), 12))
    changes = [number for number, (a, b) in enumerate(pairwise(seen), 2) if a != b]
    assert changes == [4, 8]


def test_a_network_without_numbers_keeps_the_matrix_it_had(model):
    adjust = ModePreconditioner(model.images, cap=0.1, every=1)
    model.conv2.weight.grad = torch.ones_like(model.conv2.weight)
    adjust(model, 1)
    expected = model.conv2.weight.grad.clone()
    model.images.fill_(np.nan)
    model.conv2.weight.grad = torch.ones_like(model.conv2.weight)
    adjust(model, 2)
    assert torch.equal(model.conv2.weight.grad, expected)


def test_what_does_not_fit_the_layer_is_refused(model):
    with pytest.raises(ValueError, match="layer: 'conv2' has no gradient to change"):
        ModePreconditioner(model.images, cap=1.0)(model, 1)
    model.conv2.weight.grad = torch.ones_like(model.conv2.weight)
    with pytest.raises(ValueError, match="factors: 7 for the 8 modes of 'conv2'"):
        ModePreconditioner(model.images, torch.ones(7))(model, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: matching_factors(torch.ones(8), torch.ones(8), "largest"),
            "group: 'largest' is not one of",
        ),
        (lambda: matching_factors(torch.ones(8), torch.ones(7), "all"), "target: shape"),
        (lambda: matching_factors(torch.ones(5), torch.ones(5), "all"), "target: shape"),
        (lambda: capping_factors(torch.ones(8), 0.0), r"cap: 0\.0 is not a finite number above 0"),
        (lambda: matching_factors(torch.ones(8) * torch.nan, torch.ones(8), "all"), "eigenvalues: not all"),
        (lambda: matching_factors(torch.ones(8), -torch.ones(8), "all"), "eigenvalue -1 is negative"),
        (lambda: matching_factors(torch.arange(8.0).flip(0), torch.ones(8), "all"), "eigenvalues: they do not ascend"),
        (lambda: matching_factors(torch.ones(8).long(), torch.ones(8), "all"), "eigenvalues: torch.int64"),
        (lambda: capping_factors(torch.ones(8) * torch.nan, 1.0), "eigenvalues: not all"),
        (lambda: ModePreconditioner(torch.zeros(1), cap=-1.0), r"cap: -1\.0"),
        (lambda: ModePreconditioner(torch.zeros(1), cap=1.0, every=0), "every: 0"),
        (lambda: ModePreconditioner(torch.zeros(1)), "either factors or cap"),
        (lambda: ModePreconditioner(torch.zeros(1), torch.ones(8), cap=1.0), "either factors or cap"),
    ],
)
def test_refusals_are_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
