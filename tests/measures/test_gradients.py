"""Local signals of a layer: Chai et al. 2020, equation 1, against the gradients a plain backward pass leaves."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.measures import gradients
from bnlab.models.lenet import LeNet
from bnlab.theory import patches

IMAGES = torch.randn(6, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(6) % 10


def lenet(norm="none"):
    return LeNet(norm=norm, generator=torch.Generator().manual_seed(0)).double()


def signals_of(model, layer, images=IMAGES, labels=LABELS):
    return gradients.local_errors(model, images, labels, lambda y, d: functional.cross_entropy(y.flatten(1), d), layer)


@pytest.mark.parametrize("norm", ["none", "batch", "batch_prior"])
@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc"])
def test_weight_gradient_is_patches_times_errors(norm, layer):
    model = lenet(norm)
    ours = gradients.weight_gradient_from_signals(signals_of(model, layer))
    functional.cross_entropy(model(IMAGES), LABELS).backward()
    expected = model.get_submodule(layer).weight.grad
    assert ours.shape == expected.shape
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-13)


def test_strided_padded_convolution_with_in_place_relu():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2)),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(60, 3),
    ).double()
    images = torch.randn(5, 2, 9, 7, dtype=torch.float64)
    labels = torch.arange(5) % 3
    ours = gradients.weight_gradient_from_signals(signals_of(model, "0", images, labels))
    functional.cross_entropy(model(images), labels).backward()
    torch.testing.assert_close(ours, model[0].weight.grad, rtol=1e-10, atol=1e-13)


def test_errors_are_the_finite_differences_of_the_loss_in_the_output():
    model = lenet("batch")
    signals = signals_of(model, "conv2")
    y, step = signals.outputs, 1e-5

    def loss(outputs):
        x = model.pool(model.relu(model.norm2(outputs)))
        return functional.cross_entropy(model.fc(x.flatten(1)), LABELS).item()

    for index in ((0, 0, 0, 0), (5, 15, 9, 9), (2, 7, 4, 4)):
        nudge = torch.zeros_like(y)
        nudge[index] = step
        slope = len(IMAGES) * (loss(y + nudge) - loss(y - nudge)) / (2 * step)  # of the loss of one image
        assert signals.errors[index].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_signals_are_the_layers_input_and_output():
    model = lenet()
    signals = signals_of(model, "conv2")
    x = model.pool(model.relu(model.conv1(IMAGES)))
    assert torch.equal(signals.inputs, x)
    assert torch.equal(signals.outputs, model.conv2(x))
    assert signals.patches.shape == (6, 150, 100)
    y = patches.fold_output(model.conv2.weight.flatten(1) @ signals.patches, (10, 10)) + model.conv2.bias.view(-1, 1, 1)
    torch.testing.assert_close(y, signals.outputs, rtol=1e-12, atol=1e-13)
    assert not any(t.requires_grad for t in (signals.inputs, signals.outputs, signals.errors))
    assert signals_of(model, "fc").patches.shape == (6, 400, 1)


def test_frozen_desired_response_has_the_same_gradient_here_only():
    model = lenet()
    signals = signals_of(model, "conv2")
    desired = gradients.desired_response(signals)

    def local_gradient(weight):
        # W -> 1/2 E||D - Y||^2 as finite differences do not need it: X (Y - D) by hand
        y = torch.einsum("ok,bkm->bom", weight.flatten(1), signals.patches) + model.conv2.bias[:, None]
        return torch.einsum("bkm,bom->ok", signals.patches, y - desired.flatten(2)).reshape_as(weight) / len(IMAGES)

    def true_gradient():
        model.zero_grad()
        functional.cross_entropy(model(IMAGES), LABELS).backward()
        return model.conv2.weight.grad.clone()

    weight = model.conv2.weight.detach()
    here = true_gradient()
    torch.testing.assert_close(local_gradient(weight), here, rtol=1e-10, atol=1e-13)
    with torch.no_grad():
        model.conv2.weight -= 0.5 * here
    moved = true_gradient()
    assert (local_gradient(model.conv2.weight.detach()) - moved).norm() > 0.01 * moved.norm()


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model = nn.Sequential(
        nn.Conv2d(1, 3, 5), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(2352, 10)
    ).double()
    model.train(training)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with torch.no_grad():  # a probe may well be called under no_grad
        signals = signals_of(model, "0")
    assert signals.errors.abs().max() > 0
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all((p.grad == 7).all() for p in model.parameters())
    assert model.training == training == model[1].training
    assert torch.equal(torch.get_rng_state(), state)
    assert not model[0]._forward_hooks
    with pytest.raises(
        ValueError, match=r"^images: torch.float64 of shape \(6, 1, 9, 32\) do not pass the model: mat1"
    ):
        signals_of(model, "0", IMAGES[:, :, :9])  # fails after the batch statistics
    assert not model[0]._forward_hooks
    assert all(torch.equal(before[name], model.state_dict()[name]) for name in before)


def test_frozen_downstream_weights_change_nothing():
    free, frozen = lenet("batch"), lenet("batch")
    frozen.requires_grad_(False)
    assert torch.equal(signals_of(free, "conv1").errors, signals_of(frozen, "conv1").errors)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.idle = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(2, 2)

    def forward(self, x):
        return self.conv(self.conv(x)).flatten(1)


@pytest.mark.parametrize(
    ("model", "layer", "words"),
    [
        (lenet(), "conv3", "layer: 'conv3' is not .* there are \\['conv1', 'conv2', 'fc'\\]"),
        (lenet("batch"), "norm1", "layer: 'norm1' is not a convolution"),
        (Twice().double(), "conv", "layer: 'conv' ran 2 times"),
        (Twice().double(), "idle", "layer: 'idle' ran 0 times"),
        (nn.Sequential(nn.Linear(32, 4)).double(), "0", r"layer: '0' took an input of shape \(6, 1, 32, 32\)"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)), "0", "layer: '0' has 2 groups"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")), "0", "'reflect' padding"),
    ],
)
def test_bad_input_is_named_in_one_line(model, layer, words):
    with pytest.raises(ValueError, match=words) as error:
        signals_of(model, layer)
    assert "\n" not in str(error.value)
