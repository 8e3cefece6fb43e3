"""Shift of gradients, on networks that are not the book's, against central differences."""

import math

import pytest
import torch
from convolutional import convolutional, numbers, seeded
from torch import nn
from torch.nn import functional

from bnlab.layers.step_noise import StepNoise
from bnlab.measures import gradient_shift, shift

IMAGES, LABELS = numbers(7, 2, 6, 6), torch.tensor([0, 1, 2, 0, 1, 2, 0])


def full_gradient(net, values, name):
    """All entries of a parameter's gradient by central differences."""
    step, flat = 1e-6, []
    for index in range(values[name].numel()):
        sides = []
        for sign in (1, -1):
            changed = {key: value.clone() for key, value in values.items()}
            changed[name].view(-1)[index] += sign * step
            with torch.no_grad():
                sides.append(
                    functional.cross_entropy(torch.func.functional_call(net, changed, (IMAGES,)), LABELS).item()
                )
        flat.append((sides[0] - sides[1]) / (2 * step))
    return torch.tensor(flat, dtype=torch.float64).view_as(values[name])


def test_gradient_shift_is_that_of_finite_differences():
    """Santurkar's definition, every gradient by central differences: step the first layer, take the last's again."""
    net, rate = convolutional(norm=True), 0.5
    with torch.no_grad():
        net[0].weight.mul_(3)
    found = gradient_shift.gradient_shifts(
        net, IMAGES, LABELS, functional.cross_entropy, [("0", "1"), "4", "6"], rate=rate
    )
    assert list(found) == ["4", "6"]
    values = {name: p.detach().clone() for name, p in net.named_parameters()}
    before = torch.cat([full_gradient(net, values, name).flatten() for name in ("6.weight", "6.bias")])
    moved = dict(values)
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"):
        moved[name] = values[name] - rate * full_gradient(net, values, name)
    after = torch.cat([full_gradient(net, moved, name).flatten() for name in ("6.weight", "6.bias")])
    one = found["6"]
    assert one.before == pytest.approx(before.norm().item(), rel=1e-5)
    assert one.after == pytest.approx(after.norm().item(), rel=1e-5)
    assert one.difference == pytest.approx((before - after).norm().item(), rel=1e-4)
    assert one.cosine == pytest.approx((before @ after / before.norm() / after.norm()).item(), rel=1e-5)
    assert one.difference > 1e-3


def test_equal_turns_turn_by_the_angle():
    gradient, value, turn = numbers(4, 5), numbers(4, 5, seed=1), 0.3
    step = gradient_shift._step(value, gradient, None, turn)
    cosine = (value * (value + step)).sum() / value.norm() / (value + step).norm()
    assert math.acos(cosine.item()) == pytest.approx(turn, rel=1e-9)
    assert (step * gradient).sum() < 0
    torch.testing.assert_close(step / step.norm(), -gradient / gradient.norm())
    assert gradient_shift._step(numbers(4), numbers(4), None, turn).abs().max() == 0  # no direction to turn
    assert (
        gradient_shift._step(value, value, None, turn).abs().max() == 0
    )  # straight down its own length: it cannot turn
    net = convolutional()
    small, large = (
        gradient_shift.gradient_shifts(net, IMAGES, LABELS, functional.cross_entropy, ["0", "4"], turn=t)[
            "4"
        ].difference
        for t in (1e-4, 1e-3)
    )
    assert large / small == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("step", [{"rate": 0.1}, {"turn": 0.1}])
def test_the_network_is_left_as_it_was(training, step):
    noise = StepNoise(torch.Generator().manual_seed(1))
    net = nn.Sequential(*convolutional()[:2], noise, nn.Dropout(0.5), nn.Flatten(), seeded(nn.Linear(48, 3)))
    net.train(training)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random, own = torch.get_rng_state(), noise.generator.get_state()
    gradient_shift.gradient_shifts(net, IMAGES, LABELS, functional.cross_entropy, ["0", "5"], **step)
    shift.layer_moments(net, IMAGES, ("5",))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(p.grad, torch.ones_like(p)) and p.requires_grad for p in net.parameters())
    assert all(module.training == training for module in net.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(noise.generator.get_state(), own)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_noise_is_the_same_for_both_gradients():
    """With steps of almost nothing G' is G, although the layer draws anew at every pass."""
    net = nn.Sequential(seeded(nn.Linear(4, 3)), StepNoise(torch.Generator().manual_seed(1)), seeded(nn.Linear(3, 3)))
    x = numbers(7, 4)
    found = gradient_shift.gradient_shifts(net, x, LABELS, functional.cross_entropy, ["0", "2"], rate=1e-12)["2"]
    assert found.cosine == pytest.approx(1, abs=1e-9)
    assert found.difference < 1e-9 * found.before


class Shared(nn.Module):
    """One linear layer under two names, another that nothing uses."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.idle = (seeded(nn.Linear(4, 4)) for _ in range(3))
        self.again = self.first

    def forward(self, x):
        return self.last(self.again(torch.tanh(self.first(x))))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (["0", "9"], "layers: '9' is no layer; there are 0, 1, 2, 3, 4, 5, 6"),
        (["0", ""], "layers: '' is no layer"),
        (["0", "2"], "layers: '2' has no parameter of its own"),
        (["0", ("4", "0")], "layers: '0.weight' is in two of them, '0' and '4'"),
    ],
)
def test_layers_that_cannot_be_are_named(layers, words):
    with pytest.raises(ValueError, match=r"^layers: ") as refusal:
        gradient_shift.gradient_shifts(convolutional(), IMAGES, LABELS, functional.cross_entropy, layers, rate=0.1)
    assert words in str(refusal.value)


def test_shared_and_idle_layers():
    net, x, loss = Shared(), numbers(7, 4), functional.cross_entropy
    labels = LABELS
    found = gradient_shift.gradient_shifts(net, x, labels, loss, ["first", "last"], rate=0.1)
    assert 0 < found["last"].difference < math.inf  # under its first name the step moves both uses
    with pytest.raises(ValueError, match=r"layers: 'again' shares its parameters with another layer"):
        gradient_shift.gradient_shifts(net, x, labels, loss, ["again", "last"], rate=0.1)
    with pytest.raises(ValueError, match=r"layers: 'idle' has no part in the loss"):
        gradient_shift.gradient_shifts(net, x, labels, loss, ["first", "idle"], rate=0.1)
    with pytest.raises(ValueError, match=r"layers: 'first' ran 2 times|'first' ran 2 times"):
        shift.layer_moments(net, x, ("first",))


def test_losses_and_steps_that_cannot_be_are_named():
    net, loss = convolutional(), functional.cross_entropy
    call = lambda **other: gradient_shift.gradient_shifts(  # noqa: E731
        **{"model": net, "images": IMAGES, "labels": LABELS, "loss": loss, "layers": ["0", "4"]} | other
    )
    with pytest.raises(ValueError, match=r"rate, turn: a step has exactly one of the two"):
        call()
    with pytest.raises(ValueError, match=r"rate, turn: a step has exactly one of the two"):
        call(rate=0.1, turn=0.1)
    with pytest.raises(ValueError, match=r"turn: 2 is not a finite number above 0 and below 1.57"):
        call(turn=2)
    with pytest.raises(ValueError, match=r"loss: \(7,\) is no single number"):
        call(rate=0.1, loss=lambda y, labels: functional.cross_entropy(y, labels, reduction="none"))
    with pytest.raises(ValueError, match=r"the loss on them is nan, not finite; the network has diverged"):
        call(rate=0.1, loss=lambda y, labels: loss(y, labels) * math.nan)
    with torch.no_grad():
        net[0].weight.mul_(math.inf)
    with pytest.raises(ValueError, match=r"the input of '4' is not finite on them; the network has diverged"):
        shift.layer_moments(net, IMAGES, ("4",))
    with pytest.raises(ValueError, match=r"side: 'above' is not one of 'input', 'output'"):
        shift.layer_moments(net, IMAGES, ("4",), side="above")
