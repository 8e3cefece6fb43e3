"""Networks on the way of an update: against networks that were moved by hand; overflow; nothing is left behind."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.measures.update_path import ChannelMoments, along_update


@pytest.fixture
def net():
    draws = torch.Generator().manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    made = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), *head).double()
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(torch.randn(p.shape, generator=draws, dtype=torch.float64))
    return made


@pytest.fixture
def batch():
    draws = torch.Generator().manual_seed(1)
    return torch.randn(5, 2, 6, 6, generator=draws, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])


def moved(net, update, fraction):
    """A copy of a network with a part of an update made."""
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for name, p in twin.named_parameters():
            if name in update:
                p += fraction * update[name]
    return twin


def test_losses_and_moments_are_those_of_a_network_that_was_moved(net, batch):
    x, labels = batch
    update = {name: torch.ones_like(p) for name, p in net.named_parameters() if name.startswith(("0", "5.weight"))}
    found = along_update(net, x, labels, functional.cross_entropy, update, [0.0, -0.5, 2.0], ["0", "1"])
    assert [one.fraction for one in found] == [0.0, -0.5, 2.0]
    for one in found:
        twin = moved(net, update, one.fraction)
        assert one.loss == pytest.approx(functional.cross_entropy(twin(x), labels).item(), rel=1e-12)
        for name, maps in (("0", twin[0](x)), ("1", twin[1](twin[0](x)))):
            channels = maps.transpose(0, 1).flatten(1)
            torch.testing.assert_close(one.moments[name].mean, channels.mean(1), rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(one.moments[name].variance, channels.var(1, correction=0))
            torch.testing.assert_close(one.moments[name].power, channels.square().mean(1))


def test_nothing_is_left_behind(net, batch):
    before = copy.deepcopy(net.state_dict())
    along_update(net, *batch, functional.cross_entropy, {"5.bias": torch.ones(4).double()}, [1.0, 3.0], ["1"])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(p.grad is None for p in net.parameters())


def test_the_mode_decides_the_statistics(net, batch):
    x, labels = batch
    [train] = along_update(net, x, labels, functional.cross_entropy, {}, [1.0], ["1"])
    [running] = along_update(net.eval(), x, labels, functional.cross_entropy, {}, [1.0], ["1"])
    assert train.loss != running.loss
    assert running.loss == pytest.approx(functional.cross_entropy(net(x), labels).item())


def test_what_overflows_is_told(net, batch):
    x, labels = batch
    net, x = net.float(), x.float()
    update = {"0.weight": torch.full_like(net[0].weight, 1e30), "5.weight": torch.full_like(net[5].weight, 1e38)}
    [far] = along_update(net[:1], x, x, lambda y, _: y.square().mean(), {"0.weight": update["0.weight"]}, [1.0], ["0"])
    assert math.isinf(far.loss)
    assert far.moments["0"].variance.isfinite().all()  # float64 holds the squares of what float32 holds
    assert far.moments["0"].variance.min() > 1e50
    lost = along_update(net, 1e30 * x, labels, functional.cross_entropy, update, [1e9], ["0"])[0]
    assert not math.isfinite(lost.loss)
    assert not lost.moments["0"].variance.isfinite().all()


def test_fully_connected_layers_have_moments():
    line = nn.Linear(2, 2, bias=False).double()
    nn.init.eye_(line.weight)
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0]]).double()
    [found] = along_update(line, x, x, functional.mse_loss, {}, [0.0], [""])
    assert found.moments[""].mean.tolist() == [2, 5]
    assert found.moments[""].variance.tolist() == [1, 0]
    assert ChannelMoments(torch.tensor([2.0]), torch.tensor([1.0])).power.item() == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"update": {"9.weight": torch.ones(1)}}, "update: '9.weight' of shape .1,. is no parameter of the model"),
        ({"update": {"5.bias": torch.ones(3)}}, "update: '5.bias' of shape .3,. is no parameter of the model"),
        ({"layers": ["9"]}, "layers: '9' is no layer of the model"),
        ({"fractions": []}, "fractions: there is none"),
        ({"fractions": [math.inf]}, "fractions: inf is not a finite number"),
    ],
)
def test_what_is_not_there_is_refused(net, batch, given, words):
    x, labels = batch
    usual = {"update": {}, "fractions": [1.0], "layers": ["0"]} | given
    with pytest.raises(ValueError, match=words):
        along_update(net, x, labels, functional.cross_entropy, **usual)


def test_images_that_do_not_pass_the_network_are_refused_in_one_line(net, batch):
    x, labels = batch
    for images, words in ((x.long(), "images: torch.int64"), (x[:, :1], "do not pass the model")):
        with pytest.raises(ValueError, match=words) as refusal:
            along_update(net, images, labels, functional.cross_entropy, {}, [1.0])
        assert "\n" not in str(refusal.value)


def test_layers_without_channels_or_that_run_twice_are_refused(batch):
    x, labels = batch

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.line, self.total = nn.Linear(6, 6).double(), nn.Flatten(0)

        def forward(self, images):
            return self.total(self.line(self.line(images)))

    for layer, words in (("line", "ran 2 times"), ("total", "does not give channels")):
        with pytest.raises(ValueError, match=words):
            along_update(Twice(), x, labels, lambda y, _: y.sum(), {}, [0.0], [layer])
