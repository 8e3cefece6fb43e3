"""Folding and moving averages against PyTorch's own, closed forms, and the layer they stand for."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm as old_weight_norm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.inference import (
    effective_batches,
    fold,
    fold_network,
    inference_affine,
    moving_average,
    moving_average_weights,
    torch_momentum,
)
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.models.lenet import LeNet


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def with_statistics(norm, seed=1):
    """Give a norm unlike means, variances, scales and shifts, and eval mode."""
    channels = len(norm.running_mean)
    norm.running_mean.copy_(3 * drawn(channels, seed=seed))
    norm.running_var.copy_(drawn(channels, seed=seed + 1).square() + 0.1)
    with torch.no_grad():
        if norm.weight is not None:
            norm.weight.copy_(drawn(channels, seed=seed + 2))
            norm.bias.copy_(drawn(channels, seed=seed + 3))
    return norm.eval()


def normal_weights(layer):
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(drawn(*parameter.shape, seed=10 + number))
    return layer


CONVOLUTIONS = {
    "plain": {},
    "without a bias": {"bias": False},
    "stride, zero padding, dilation": {"stride": 2, "padding": 2, "dilation": 2},
    "reflecting padding": {"padding": 1, "padding_mode": "reflect"},
    "groups": {"groups": 2},
}
NORMS = {"PyTorch's": nn.BatchNorm2d, "ours": BatchNorm}


@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("affine", [True, False])
def test_folded_convolution_is_convolution_and_norm(settings, norm, affine):
    layer = normal_weights(nn.Conv2d(4, 6, 3, dtype=torch.float64, **settings))
    norm = with_statistics(norm(6, affine=affine, dtype=torch.float64))
    x = drawn(3, 4, 9, 8)
    torch.testing.assert_close(fold(layer, norm)(x), norm(layer(x)), rtol=1e-12, atol=1e-12)


def test_pytorchs_own_folding_agrees():
    conv, linear = normal_weights(nn.Conv2d(2, 3, 3).double()), normal_weights(nn.Linear(5, 3).double())
    norms = with_statistics(nn.BatchNorm2d(3).double()), with_statistics(nn.BatchNorm1d(3).double())
    pairs = ((conv, norms[0], fuse_conv_bn_eval), (linear, norms[1], fuse_linear_bn_eval))
    for layer, norm, theirs in pairs:
        ours, expected = fold(layer, norm), theirs(layer.eval(), norm)
        torch.testing.assert_close(ours.weight, expected.weight, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(ours.bias, expected.bias, rtol=1e-13, atol=1e-13)


def test_one_dimension_and_three():
    for conv, norm, shape in ((nn.Conv1d, nn.BatchNorm1d, (2, 2, 9)), (nn.Conv3d, nn.BatchNorm3d, (2, 2, 5, 5, 5))):
        layer, after = normal_weights(conv(2, 3, 3).double()), with_statistics(norm(3).double())
        x = drawn(*shape)
        torch.testing.assert_close(fold(layer, after)(x), after(layer(x)), rtol=1e-12, atol=1e-12)


def test_weights_are_rounded_once():
    layer = nn.Linear(1, 1, dtype=torch.float16)
    layer.weight.data.fill_(1000.0)
    layer.bias.data.zero_()
    norm = nn.BatchNorm1d(1, eps=0.0).eval()
    norm.running_var.fill_(1e6)  # the scale, 1e-3, is none of float16's numbers
    assert fold(layer, norm).weight.item() == 1.0


def test_layer_and_norm_stay_as_they_are():
    layer, norm = nn.Conv2d(2, 3, 3), with_statistics(nn.BatchNorm2d(3))
    before = copy.deepcopy(layer.state_dict()), copy.deepcopy(norm.state_dict())
    folded = fold(layer.requires_grad_(False), norm)
    for module, state in zip((layer, norm), before, strict=True):
        assert all(torch.equal(module.state_dict()[key], value) for key, value in state.items())
    assert not folded.weight.requires_grad


def test_a_channel_without_variance_is_scaled_by_eps_alone():
    norm = nn.BatchNorm2d(2, eps=0.25).eval()
    norm.running_var.copy_(torch.tensor([0.0, 2.0]))
    assert inference_affine(norm).scale.tolist() == [2.0, pytest.approx(1 / 1.5)]


def refusal(call, *arguments):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def spoilt(**values):
    norm = nn.BatchNorm2d(3, eps=values.pop("eps", 1e-5)).eval()
    for name, value in values.items():
        getattr(norm, name)[1] = value
    return norm


@pytest.mark.parametrize(
    "values",
    [{"running_var": 0.0, "eps": 0.0}, {"running_var": -1e-7}, {"running_var": torch.nan}, {"running_mean": torch.inf}],
)
def test_statistics_without_a_finite_map_name_the_channel(values):
    assert "channel 1" in refusal(inference_affine, spoilt(**values))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_cannot_be_folded():
    conv, norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3).eval()
    assert "ConvTranspose2d" in refusal(fold, nn.ConvTranspose2d(2, 3, 3), norm)
    assert "ReLU" in refusal(fold, nn.ReLU(), norm)
    assert "4 channels" in refusal(fold, conv, nn.BatchNorm2d(4).eval())
    assert "train mode" in refusal(fold, conv, nn.BatchNorm2d(3))
    assert "track_running_stats" in refusal(fold, conv, nn.BatchNorm2d(3, track_running_stats=False).eval())
    assert "ThresholdNorm" in refusal(fold, conv, ThresholdNorm(3, where="below").eval())  # depends on its mask
    assert "LayerNorm" in refusal(fold, conv, nn.LayerNorm(3))
    parametrizations = (nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm)
    for computed in (*parametrizations, old_weight_norm, nn.utils.spectral_norm):
        assert "its weight is computed from other parameters" in refusal(fold, computed(nn.Linear(2, 3)), norm)
    tiny = nn.BatchNorm2d(3, eps=0.0).eval()
    tiny.running_var.fill_(1e-12)
    assert "float16" in refusal(fold, nn.Conv2d(2, 3, 3).half(), tiny)


def test_network_folds_and_stays():
    net = LeNet(norm="batch", generator=torch.Generator().manual_seed(0)).double()
    for norm in (net.norm1, net.norm2):
        with_statistics(norm)
    images, pairs = drawn(4, 1, 32, 32), [("conv1", "norm1"), ("conv2", "norm2")]
    folded = fold_network(net, pairs)
    torch.testing.assert_close(folded(images), net.eval()(images), rtol=1e-12, atol=1e-12)
    assert isinstance(folded.norm1, nn.Identity)
    assert isinstance(net.norm1, nn.BatchNorm2d)
    assert "'conv9'" in refusal(fold_network, net, [("conv9", "norm1")])
    assert "twice" in refusal(fold_network, net, [("conv1", "norm1"), ("conv2", "norm1")])
    nested = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), nn.ReLU()).double()
    with_statistics(nested[0][1])
    found = fold_network(nested, [("0.0", "0.1")])
    torch.testing.assert_close(found(drawn(5, 2)), nested.eval()(drawn(5, 2)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pairs", [[("0", "1")], [("0", "1"), ("2", "3")]])
def test_a_layer_under_two_names_is_folded_where_it_was_named(pairs):
    layer = nn.Linear(3, 3).double()
    norms = [with_statistics(nn.BatchNorm1d(3).double()) for _ in range(2)]
    norms[1].running_mean += 1
    shared = nn.Sequential(layer, norms[0], layer, norms[1]).eval()
    x = drawn(5, 3)
    torch.testing.assert_close(fold_network(shared, pairs)(x), shared(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dims", [1, 3])
def test_folds_in_one_and_three_dimensions(dims):
    layer = (nn.Conv1d, nn.Conv3d)[dims // 2](2, 3, 3, stride=2, padding=1).double()
    norm = with_statistics((nn.BatchNorm1d, nn.BatchNorm3d)[dims // 2](3).double())
    x = drawn(4, 2, *(7,) * dims)
    torch.testing.assert_close(fold(layer, norm.eval())(x), norm(layer(x)), rtol=1e-12, atol=1e-12)


# Moving averages


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.99, 1.0])
def test_closed_form_is_the_loop_and_pytorchs(decay):
    batches = drawn(30, 8, 3)
    theirs = nn.BatchNorm1d(3, momentum=torch_momentum(decay), dtype=torch.float64)
    loop = torch.zeros(3, dtype=torch.float64)
    for batch in batches:
        theirs(batch)
        loop = decay * loop + (1 - decay) * batch.mean(0)
    closed = moving_average(batches.mean(1), torch.zeros(3, dtype=torch.float64), decay)
    torch.testing.assert_close(closed, loop, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(closed, theirs.running_mean, rtol=1e-12, atol=1e-14)
    variance = moving_average(batches.var(1), torch.ones(3, dtype=torch.float64), decay)  # the unbiased one
    torch.testing.assert_close(variance, theirs.running_var, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("steps", [0, 1, 7, 1000])
def test_weights_sum_to_one(steps):
    weights = moving_average_weights(0.93, steps)
    assert len(weights) == steps + 1
    assert weights.sum().item() == pytest.approx(1, rel=1e-13)
    assert weights[0].item() == pytest.approx(0.93**steps, rel=1e-12)


def test_effective_batches_from_the_weights_and_by_drawing():
    assert 1 / moving_average_weights(0.9, 2000)[1:].square().sum().item() == pytest.approx(effective_batches(0.9))
    averages = moving_average(drawn(400, 20_000), torch.zeros(20_000, dtype=torch.float64), 0.9)
    assert averages.var().item() * 19 == pytest.approx(1, abs=0.04)  # 4 standard errors
    assert effective_batches(0.0) == 1
    assert effective_batches(1.0) == float("inf")


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan"), True, "0.9", None])
def test_no_such_decay(decay):
    for call in (torch_momentum, effective_batches, lambda d: moving_average_weights(d, 3)):
        assert "decay" in refusal(call, decay)


def test_no_such_steps_or_shapes():
    for steps in (-1, 2.0, True):
        assert "steps" in refusal(moving_average_weights, 0.9, steps)
    assert "start" in refusal(moving_average, drawn(5, 3), drawn(4), 0.9)
    assert "start" in refusal(moving_average, torch.tensor(1.0), torch.tensor(1.0), 0.9)
    assert "batches: torch.int64" in refusal(moving_average, torch.ones(3).long(), torch.tensor(1.0), 0.9)
    assert "batches: not all" in refusal(moving_average, torch.tensor([torch.nan]), torch.tensor(1.0), 0.9)
