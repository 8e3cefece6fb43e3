"""Sums over the summands of a kernel's gradient, against the summands themselves, written out one by one."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.measures.kernel_sums import KernelSums, kernel_sums, kernel_sums_by_layer
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator
from bnlab.theory.patches import geometry


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def summands(x, errors, kernel, stride, padding):
    """d of Bjorck et al. 2018, Eq. 4, by its indices: a list of values for every entry (o, i, h, w) of the kernel."""
    padded = functional.pad(x, (padding,) * 4)
    found = {}
    for o in range(errors.shape[1]):
        for i in range(x.shape[1]):
            for h in range(kernel):
                for w in range(kernel):
                    found[o, i, h, w] = [
                        float(errors[b, o, y, z] * padded[b, i, y * stride + h, z * stride + w])
                        for b in range(len(x))
                        for y in range(errors.shape[2])
                        for z in range(errors.shape[3])
                    ]
    return found


@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), [(3, 1, 1, 4), (3, 2, 1, 2), (1, 1, 0, 4)])
def test_sums_are_those_of_the_summands(kernel, stride, padding, side):
    x, errors = draw(2, 2, 4, 4), draw(2, 3, side, side, seed=1)
    found = kernel_sums(x, errors, geometry(kernel, stride, padding))
    for at, values in summands(x, errors, kernel, stride, padding).items():
        assert found.gradient[at].item() == pytest.approx(sum(values), rel=1e-10, abs=1e-13)
        assert found.absolute[at].item() == pytest.approx(sum(map(abs, values)), rel=1e-12)
        assert found.summands == len(values)
    torch.testing.assert_close(found.input_means, torch.stack([x[:, i].mean() for i in range(2)]))


def test_ratio_is_one_if_signs_agree_and_infinite_if_all_cancels():
    x = draw(2, 2, 4, 4).abs()
    same = kernel_sums(x, torch.ones_like(x), geometry(1))
    assert same.cancellation == pytest.approx(1)
    halves = torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None, None, None] * torch.ones_like(x)
    gone = kernel_sums(torch.ones_like(x), halves, geometry(1))
    assert math.isinf(gone.cancellation)


def test_ratio_is_a_ratio_of_means_over_the_entries():
    sums = KernelSums(torch.tensor([[[[1.0, -3.0]]]]), torch.tensor([[[[2.0, 6.0]]]]), torch.zeros(1), 4)
    assert sums.cancellation == 2.0
    assert sums.between_channels.tolist() == [[4.0]]


def test_rows_of_m_are_input_channels():
    x, errors = draw(3, 2, 4, 4), draw(3, 5, 4, 4, seed=1)
    found = kernel_sums(x, errors, geometry(3, 1, 1))
    M = found.between_channels
    assert M.shape == (2, 5)
    assert M[1, 4].item() == pytest.approx(found.gradient[4, 1].abs().sum().item())


@pytest.mark.parametrize("placement", ["everywhere", "nowhere"])
def test_layers_of_a_network_have_the_gradients_of_plain_backpropagation(placement):
    net = ResNet(8, width=4, placement=placement, generator=generator(0, "weights")).double()
    x, labels = draw(5, 3, 8, 8), torch.arange(5)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    names = [f"convolutions.{k}" for k in range(7)]
    found = kernel_sums_by_layer(net, x, labels, functional.cross_entropy, names)
    assert list(found) == names
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    functional.cross_entropy(net.train()(x), labels).backward()
    for k, convolution in enumerate(net.convolutions):
        torch.testing.assert_close(found[names[k]].gradient, convolution.weight.grad, rtol=1e-9, atol=1e-12)
        side = 8 >> (k - 1) // 2 if k else 8
        assert found[names[k]].summands == 5 * side * side


def test_what_overflows_is_summed_as_it_is():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(1))
    with torch.no_grad():
        net[0].weight.fill_(1e38)
    found = kernel_sums_by_layer(
        net, torch.full((1, 1, 2, 2), 1e3), torch.tensor([0]), functional.cross_entropy, ["0"]
    )["0"]
    assert not found.gradient.isfinite().all()
    assert math.isnan(found.cancellation)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.idle = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.conv(self.conv(x)).flatten(1)


@pytest.mark.parametrize(
    ("layers", "loss", "words"),
    [
        (["other"], functional.cross_entropy, "'other' is no layer"),
        (["conv"], functional.cross_entropy, "'conv' ran 2 times"),
        (["idle"], functional.cross_entropy, "'idle' ran 0 times"),
        ([], lambda y, d: y, "no single number"),
    ],
)
def test_refusals(layers, loss, words):
    with pytest.raises(ValueError, match=words):
        kernel_sums_by_layer(Twice(), torch.ones(2, 1, 2, 2), torch.tensor([0, 1]), loss, layers)


def test_a_layer_without_part_in_the_loss_is_refused():
    net = nn.ModuleDict({"conv": nn.Conv2d(1, 1, 1), "fc": nn.Linear(4, 2)})
    net.forward = lambda x: (net["conv"](x), net["fc"](x.flatten(1)))[1]
    with pytest.raises(ValueError, match="'conv' has no part in the loss"):
        kernel_sums_by_layer(net, torch.ones(2, 1, 2, 2), torch.tensor([0, 1]), functional.cross_entropy, ["conv"])


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"errors: shape \(2, 3, 4, 4\) is not \(2, OC, 2, 2\)"):
        kernel_sums(draw(2, 2, 4, 4), draw(2, 3, 4, 4), geometry(3, 2, 1))
