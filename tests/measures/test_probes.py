"""Probes: by hand on small networks; and a network is left as it was, between its forward and backward pass too."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab import datasets
from bnlab.measures import probes
from bnlab.models.lenet import LeNet
from bnlab.models.norms import NORMS


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def images(digits):
    return probes.probe_images(digits, 24)


def lenet(norm="none", seed=2):
    return LeNet(norm=norm, generator=torch.Generator().manual_seed(seed))


def test_probe_images_are_fixed_normalised_training_images(digits):
    found = probes.probe_images(digits, 30)
    assert torch.equal(found, probes.probe_images(digits, 30))
    assert torch.equal(found[:10], probes.probe_images(digits, 10))
    assert found.shape == (30, 1, 32, 32)
    everything = digits.normalise(digits.train_images).flatten(1)
    assert all((everything == one).all(1).any() for one in found.flatten(1))
    assert len(probes.probe_images(digits, 10**6)) == len(digits.train_labels)


def test_spectra_and_powers_by_hand(images):
    model = lenet()
    row = probes.LeNetProbe(images)(model)
    with torch.no_grad():
        first = functional.conv2d(images, model.conv1.weight, model.conv1.bias)
        maps = functional.avg_pool2d(first.relu(), 2)
        second = functional.conv2d(maps, model.conv2.weight, model.conv2.bias)
        features = functional.avg_pool2d(second.relu(), 2).flatten(1).double().numpy()
    columns = functional.unfold(maps.double(), 5).transpose(0, 1).flatten(1).numpy()  # (150, B*100)
    spectrum = np.linalg.eigvalsh(columns @ columns.T / columns.shape[1])
    assert row["lambda_max"] == pytest.approx(spectrum[-1], rel=1e-6)
    assert row["lambda_min_alive"] == pytest.approx(spectrum[spectrum > 1e-10 * spectrum[-1]][0], rel=1e-4)
    assert row["lambda_max_fc"] == pytest.approx(np.linalg.norm(features, 2) ** 2 / len(features), rel=1e-6)
    assert row["power_fc"] == pytest.approx((features**2).mean(), rel=1e-6)
    for channel in (0, 5):
        assert row[f"power1_{channel}"] == pytest.approx((first[:, channel] ** 2).mean().item(), rel=1e-5)
    assert row["power2_15"] == pytest.approx((second[:, 15] ** 2).mean().item(), rel=1e-5)
    assert "power1_6" not in row
    assert "power2_16" not in row
    assert math.isnan(row["occupancy1"])  # no threshold norm here


def test_a_dead_channel_makes_dead_modes(images):
    model = lenet()
    with torch.no_grad():
        model.conv1.weight[3] = 0
        model.conv1.bias[3] = -1
    row = probes.LeNetProbe(images)(model)
    assert row["dead_modes"] >= 25
    assert row["lambda_min"] == 0
    assert row["lambda_min_alive"] > 0


def test_batch_normalisation_is_seen_with_the_statistics_of_the_images(images):
    model = lenet("batch").eval()  # running statistics are still 0 and 1
    entering, leaving = probes.activations(model, images, ("norm1",))["norm1"]
    centred = entering - entering.mean((0, 2, 3), keepdim=True)
    expected = centred / (centred.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(leaving, expected, rtol=1e-4, atol=1e-5)
    assert not model.training


@pytest.mark.parametrize("norm", NORMS)
def test_a_look_changes_nothing(norm, images):
    model = lenet(norm)
    model.train()(images[:8])  # sets what a first batch sets
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.eval()
    probes.LeNetProbe(images)(model)
    assert not model.training
    after = model.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("norm", ["batch", "amplify", "suppress", "rms", "batch_prior"])
def test_a_look_between_forward_and_backward_spoils_no_gradient(norm, images):
    gradients = []
    for looks in (False, True):
        model = lenet(norm).train()
        loss = functional.cross_entropy(model(images[:8]), torch.arange(8))
        if looks:
            probes.LeNetProbe(images)(model)
        loss.backward()  # once raised: the look had written into running statistics that this pass needs
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_buffers_come_back_even_if_the_pass_fails():
    model = nn.BatchNorm2d(2)
    kept = model.running_mean
    with pytest.raises(RuntimeError), probes.using_batch_statistics(model):
        raise RuntimeError
    assert model.running_mean is kept


def test_masks_and_disagreement_are_told(images):
    model = lenet("suppress").train()
    with torch.no_grad():
        model.conv1.weight[:2] *= 100
    model(images)
    row = probes.LeNetProbe(images)(model)
    assert row["occupancy1"] == pytest.approx(2 / 6)
    assert row["disagreement1"] == 0


def test_a_network_without_numbers_has_no_spectrum(images):
    model = lenet()
    with torch.no_grad():
        model.conv1.weight.fill_(float("inf"))
    row = probes.LeNetProbe(images)(model)
    assert math.isnan(row["lambda_max"])
    assert math.isnan(row["lambda_max_fc"])


def test_split_error_is_of_the_split_asked_for(digits):
    class Always(nn.Module):
        def forward(self, images):
            return functional.one_hot(torch.full((len(images),), 4), 10).float()

    for split, labels in (("test", digits.test_labels), ("train", digits.train_labels)):
        row = probes.SplitError(digits, split)(Always())
        assert set(row) == {f"{split}_error", f"{split}_loss"}
        assert row[f"{split}_error"] == pytest.approx((labels != 4).double().mean().item())


class InPlace(nn.Module):
    """Two convolutions whose outputs the next layer overwrites, as most networks of the world are written."""

    def __init__(self, dims=2, inplace=True):
        super().__init__()
        convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
        self.conv1, self.conv2 = convolution(1, 3, 3), convolution(3, 2, 3)
        self.relu1, self.relu2 = nn.ReLU(inplace), nn.ReLU(inplace)

    def forward(self, x):
        x = self.relu1(self.conv1(x))
        y = self.conv2(x)
        x.mul_(0)
        return self.relu2(y)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_activations_are_those_before_a_later_layer_works_in_place(dims):
    model, x = InPlace(dims).double(), torch.randn(4, 1, *(7,) * dims).double()
    seen = probes.activations(model, x, ("conv1", "relu1", "conv2"))
    expected = model.conv1(x)
    torch.testing.assert_close(seen["conv1"][1], expected)
    assert (seen["conv1"][1] < 0).any()
    torch.testing.assert_close(seen["relu1"][0], expected)
    torch.testing.assert_close(seen["relu1"][1], expected.clamp(min=0))
    torch.testing.assert_close(seen["conv2"][0], expected.clamp(min=0))
    torch.testing.assert_close(seen["conv2"][1], model.conv2(expected.clamp(min=0)))


def test_autocorrelation_of_an_input_that_is_overwritten_later():
    model, x = InPlace().double(), torch.randn(4, 1, 9, 9).double()
    R = probes.input_autocorrelation(model, x)
    columns = functional.unfold(model.conv1(x).clamp(min=0), 3).transpose(0, 1).flatten(1)
    torch.testing.assert_close(R, (columns @ columns.T / columns.shape[1]).detach(), rtol=1e-10, atol=1e-12)


def test_parametrised_layers_are_seen_as_they_compute():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3)).double()
    x = torch.randn(3, 1, 6, 6).double()
    seen = probes.activations(nn.Sequential(conv, nn.ReLU(inplace=True)), x, ("0",))["0"]
    torch.testing.assert_close(seen[1], functional.conv2d(x, conv.weight, conv.bias))


SHARED = nn.ReLU()


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("model", "layer", "words"),
    [
        (nn.Sequential(SHARED, nn.Flatten(), SHARED), "0", "'0' ran 2 times on the images, not once"),
        (nn.Sequential(nn.ReLU()), "1", "'1' is no layer of the model; there are 0"),
        (nn.Sequential(Pair()), "0", "'0' takes or gives a tuple, not one tensor"),
    ],
)
def test_what_activations_cannot_tell_is_refused(model, layer, words):
    with pytest.raises(ValueError, match=words) as refusal:
        probes.activations(model, torch.ones(2, 3), (layer,))
    assert "\n" not in str(refusal.value)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("layer", "channels", "words"),
    [
        (nn.Conv2d(2, 2, 3, groups=2), 2, "has 2 groups and 'zeros' padding"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), 2, "has 1 groups and 'reflect' padding"),
        (nn.Conv2d(2, 2, 3, padding="same"), 2, "padding: 'same' is not"),
        (nn.ConvTranspose2d(2, 2, 3), 2, "'0' is ConvTranspose2d, not a 2-d convolution"),
        (nn.Linear(8, 2), 2, "'0' is Linear, not a 2-d convolution"),
    ],
)
def test_layers_whose_patches_are_others_are_refused(layer, channels, words):
    with pytest.raises(ValueError, match=words):
        probes.input_autocorrelation(nn.Sequential(layer), torch.ones(2, channels, 8, 8), "0")


def test_a_network_that_diverged_has_no_autocorrelation(images):
    model = lenet()
    with torch.no_grad():
        model.conv1.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="what they make enter 'conv2' is not finite"):
        probes.input_autocorrelation(model, images)


def test_a_wrong_layer_is_an_error(images):
    with pytest.raises(ValueError, match="'conv3' is no layer of the model; there are before1, conv1"):
        probes.activations(lenet(), images, ("conv3",))
    with pytest.raises(ValueError, match="count: 0"):
        probes.probe_images(datasets.load("digits"), 0)
