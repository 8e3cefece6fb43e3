"""The compiled step's loss, gradients and running statistics against autograd in float64, for every norm."""

import copy

import numpy as np
import pytest
import torch
from compiled_lenets import COMPILED, lenet
from torch.nn import functional

from bnlab import datasets
from bnlab.layers.frozen_gain import FrozenGainBatchNorm
from bnlab.layers.split_batchnorm import DetachedBatchNorm
from bnlab.randomness import generator
from bnlab.training.compiled import activation, normalisation, step
from bnlab.training.compiled.network import Arrays
from bnlab.training.compiled.train import NO_NOISE

PAIRS = [("none", "batch"), ("batch_prior", "suppress"), ("weight_norm", "batch_frozen_gain")]
TOLERANCE = 1e-5  # of a gradient's length


@pytest.fixture(scope="module")
def data():
    return {1: datasets.load("digits").subset(train=200, test=50), 3: datasets.load("digits-rgb").subset(200, 50)}


def compiled_gradients(model, dataset, batch, noises=(NO_NOISE, NO_NOISE)):
    """Fill the gradients on the first images; give the loss."""
    losses = np.zeros(1)
    network = Arrays(model, dataset, "train", batch).bound()
    step.advance(network, np.arange(batch)[None], step.FORWARD | step.BACKWARD, noises, losses, 1e3)
    return float(losses[0])


def assert_same_gradients(model, dataset, batch, noises=(NO_NOISE, NO_NOISE)):
    """Compare with a float64 copy of the network, buffers too."""
    wide = copy.deepcopy(model).double()
    images = dataset.normalise(dataset.train_images[:batch]).double()
    expected = functional.cross_entropy(wide(images), dataset.train_labels[:batch])
    expected.backward()
    assert compiled_gradients(model, dataset, batch, noises) == pytest.approx(expected.item(), rel=1e-6)
    for (name, parameter), other in zip(model.named_parameters(), wide.parameters(), strict=True):
        error = (parameter.grad.double() - other.grad).norm()
        assert error <= TOLERANCE * other.grad.norm().clamp_min(1e-9), name
    for (name, buffer), other in zip(model.named_buffers(), wide.buffers(), strict=True):
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(buffer.to(other), other, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(("channels", "batch"), [(1, 64), (1, 5), (3, 16), (3, 100)])
@pytest.mark.parametrize("norm", [*COMPILED, *PAIRS], ids=str)
def test_every_norm(norm, channels, batch, data):
    model = lenet(norm, channels)
    assert_same_gradients(model, data[channels], batch)
    masks = [module.mask for module in (model.norm1, model.norm2) if hasattr(module, "mask")]
    assert all(mask.any() and not mask.all() for mask in masks)


@pytest.mark.parametrize("batch", [16, 5])
def test_without_a_norm_the_shorter_loop_backward_is_the_general_one(batch, data):
    layer = Arrays(lenet("none", 1), data[1], "train", batch).bound().one
    draws = np.random.default_rng(0)
    errors = draws.normal(size=layer.pooled.shape).astype(np.float32)
    layer.y[...] = draws.normal(size=layer.y.shape)
    normalisation.choose(layer.after, layer.y, batch, True)
    layer.y[..., batch:] = np.nan  # to be cleared
    found, sums = [layer.y.copy() for _ in range(2)], np.zeros((2, len(layer.y)), np.float32)
    activation.rectify_backward(found[0], errors, sums[0], batch)
    activation.activate_backward(layer.after, found[1], errors, sums[1], batch)
    assert found[0][..., :batch].any()
    np.testing.assert_array_equal(*found, strict=True)
    np.testing.assert_array_equal(*sums, strict=True)


@pytest.mark.parametrize("norm", ["amplify", "suppress_variance", "gain_layer", "rms"])
def test_the_very_first_step(norm, data):
    model = lenet(norm)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_power", "gain")):
            buffer.fill_(torch.nan if norm != "rms" else 1.0)
    assert_same_gradients(model, data[1], 64)


@pytest.mark.parametrize("norm", ["weight_norm", "batch_frozen_gain", "gain_channel"])
def test_gains_that_an_earlier_batch_set(norm, data):
    model = lenet(norm)
    for name, buffer in model.named_buffers():
        if name.endswith("gain"):
            buffer.copy_(torch.linspace(0.2, 3.0, len(buffer)))
    assert_same_gradients(model, data[1], 20)


@pytest.mark.parametrize("kind", [DetachedBatchNorm, FrozenGainBatchNorm])
def test_before_a_convolution(kind, data):
    model = lenet("none")
    model.before1, model.before2 = kind(1), kind(6)
    model.before2(torch.randn(4, 6, 3, 3, generator=generator(0, "maps")) * 5)
    with torch.no_grad():
        model.before2.weight.copy_(torch.linspace(-1, 2, 6))
    assert_same_gradients(model, data[1], 20)


@pytest.mark.parametrize("classes", [10, 11, 13])
def test_any_number_of_classes(classes, data):
    assert_same_gradients(lenet("batch", classes=classes), data[1], 20)


@pytest.mark.parametrize("span", ["channel", "patch"])
@pytest.mark.parametrize("norm", ["l1", "l1_squared", "l2", "none"])
def test_nlms_with_noise(norm, span, data):
    model = lenet("nlms_l2", 3)
    for layer in (model.conv1, model.conv2):
        layer.norm, layer.span, layer.regulariser, layer.noise = norm, span, 0.05, 0.7
        layer.generator = torch.Generator().manual_seed(4)
    draws = [copy.deepcopy(layer.generator) for layer in (model.conv1, model.conv2)]
    shapes = [(16, 6, 28, 28), (16, 16, 10, 10)]
    noises = tuple(torch.randn(s, generator=draw).numpy() for s, draw in zip(shapes, draws, strict=True))
    assert_same_gradients(model, data[3], 16, noises)


def test_what_is_no_image_leaves_no_trace(data):
    """Work space is used again: lanes beyond the batch must not remember a larger one."""
    model = lenet("batch_prior")
    arrays, losses = Arrays(model, data[1], "train", 20), np.zeros(1)
    for batch in (20, 5):
        network = arrays.bound()
        step.advance(network, np.arange(batch)[None], step.FORWARD | step.BACKWARD, (NO_NOISE,) * 2, losses, 1e3)
        fresh = copy.deepcopy(model)
        if batch == 20:
            assert compiled_gradients(fresh, data[1], batch) == losses[0]


def test_one_set_of_machine_code_does_all():
    assert len(step.advance.signatures) == 1


def test_maps_begin_where_a_line_of_the_cache_does(data):
    arrays = Arrays(lenet("nlms_l2", noise=1.0), data[1], "train", 5)
    maps = [arrays.images.given, *arrays.pooled, *arrays.seen, *arrays.made, arrays.logits]
    maps += [array for powers in arrays.powers for array in (powers.errors, powers.divided) if array.size]
    assert [array.ctypes.data % 64 for array in maps] == [0] * 12
