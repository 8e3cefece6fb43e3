"""Whole runs by the compiled step against `training.train`: the same records, the network left in the same state."""

import copy
import dataclasses

import pandas as pd
import pytest
import torch
from compiled_lenets import COMPILED, lenet

from bnlab import datasets
from bnlab.layers.split_batchnorm import DetachedBatchNorm
from bnlab.randomness import generator
from bnlab.training.compiled.evaluation import evaluate_compiled
from bnlab.training.compiled.network import unsupported
from bnlab.training.compiled.train import train_compiled
from bnlab.training.train import Job, evaluate, train_job

BATCH = 15  # does not fill the lanes: what stands in the others must not come into any sum


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=100, test=70)  # six batches an epoch


def job(norm="none", rate=0.05, noise=0.0, seed=0, **more):
    return Job(lenet(norm, noise=noise, seed=seed), generator(seed, "order"), rate, other_learning_rate=0.05, **more)


def pair(make):
    """Give the same job twice: measurements and adjustments keep no state between the two."""
    return make(), make()


def assert_same(make, data, steps=30, record_at=(), tolerance=2e-3):
    """Train by both; compare histories, tensors and the generators' states."""
    ours, theirs = pair(make)
    run = train_compiled(ours, data, steps=steps, batch_size=BATCH, record_at=record_at)
    expected = train_job(theirs, data, steps=steps, batch_size=BATCH, record_at=record_at)
    assert run.diverged == expected.diverged
    pd.testing.assert_frame_equal(run.history, expected.history, rtol=tolerance, check_exact=False)
    state, other = ours.model.state_dict(), theirs.model.state_dict()
    for name in state:
        if not run.diverged or name.endswith(("num_batches_tracked", "mask")):
            torch.testing.assert_close(state[name], other[name], rtol=0.01, atol=tolerance, equal_nan=True, msg=name)
    assert torch.equal(ours.generator.get_state(), theirs.generator.get_state())
    assert ours.model.training
    return run


@pytest.mark.parametrize("norm", [*COMPILED, ("none", "batch")], ids=str)
def test_every_norm_follows_the_same_trajectory(norm, digits):
    run = assert_same(lambda: job(norm), digits, record_at=range(0, 30, 7))
    assert run.history["loss"].iloc[-1] < run.history["loss"].iloc[0]


@pytest.mark.parametrize("norm", ["nlms_l2", ("nlms_l1", "batch")], ids=str)
def test_noise_is_drawn_from_the_layers_generators(norm, digits):
    made = []

    def make():
        made.append(job(norm, noise=1.0))
        return made[-1]

    assert_same(make, digits, steps=9, record_at=[4])
    first, second = (made_job.model.conv1.generator.get_state() for made_job in made)
    assert torch.equal(first, second)


def test_momentum_weight_decay_and_rates_of_their_own(digits):
    more = {"momentum": 0.9, "weight_decay": 0.01, "rates": {"fc": 0.0, "conv1.bias": 0.2}}
    assert_same(lambda: job("batch", 0.01, **more), digits)
    frozen = job("none", rates={"fc": 0.0})
    before = frozen.model.fc.weight.clone()
    train_compiled(frozen, digits, steps=3, batch_size=BATCH)
    assert torch.equal(frozen.model.fc.weight, before)


def test_adjustments_see_and_change_each_gradient(digits):
    def halve_and_replace(model, step):
        model.conv2.weight.grad.mul_(0.5 / step)
        model.fc.weight.grad = model.fc.weight.grad.sign() * 0.01

    assert_same(lambda: job("batch", adjust=halve_and_replace), digits, steps=8, record_at=[0, 3])


def test_measurements_see_eval_mode_and_the_network_of_that_step(digits):
    measurements = {"mode": lambda model: model.training, "out": lambda model: model(torch.ones(1, 1, 32, 32)).sum()}
    run = assert_same(lambda: job("suppress", measurements=measurements), digits, steps=7, record_at=[0, 2, 3])
    assert run.history["mode"].eq(0).all()
    assert list(run.history["step"]) == [0, 2, 3, 7]


WITH_STATISTICS = ("batch", "amplify", "suppress", "rms", "weight_norm", "batch_detached")
WITHOUT = ("none", "gain_channel", "nlms_l2")


# Far beyond, a variance overflows float32, and what a loss is then is rounding noise in either; with a frozen gain,
# whose gradient does not shrink as weights grow, it does so at 1e3 already.
@pytest.mark.parametrize(
    ("norm", "rate"),
    [("batch_frozen_gain", 3.0),
     *((norm, rate) for norm in WITH_STATISTICS for rate in (3.0, 1e3)),
     *((norm, rate) for norm in WITHOUT for rate in (3.0, 1e3, 1e20))],
)  # fmt: skip
def test_divergence_at_the_same_step(norm, rate, digits):
    runs = [train(job(norm, rate), digits, steps=25, batch_size=BATCH) for train in (train_compiled, train_job)]
    assert runs[0].diverged == runs[1].diverged
    assert runs[0].history["step"].tolist() == runs[1].history["step"].tolist()
    if rate > 10 and norm in WITHOUT:
        assert runs[0].diverged


@pytest.mark.parametrize("norm", ["amplify", "rms", "batch", "weight_norm", "batch_detached", "batch_frozen_gain"])
def test_a_channel_that_is_not_finite_leaves_its_averages(norm, digits):
    def make():
        made = job(norm)
        with torch.no_grad():
            made.model.conv1.weight[2] = torch.inf
        return made

    run = assert_same(make, digits, steps=2)
    assert run.diverged


def test_the_networks_own_tensors_are_the_arrays(digits):
    made = job("amplify")
    places = {name: tensor.data_ptr() for name, tensor in made.model.state_dict().items()}
    train_compiled(made, digits, steps=4, batch_size=BATCH)
    assert {name: tensor.data_ptr() for name, tensor in made.model.state_dict().items()} == places
    assert all(parameter.grad is not None for parameter in made.model.parameters())


def test_same_numbers_again(digits):
    runs = [train_compiled(job("batch"), digits, steps=9, batch_size=BATCH, record_at=range(9)) for _ in range(2)]
    assert runs[0].history.equals(runs[1].history)


@pytest.mark.parametrize("norm", COMPILED)
def test_evaluation(norm, digits):
    model = lenet(norm)
    model(digits.normalise(digits.train_images[:50]))
    model.eval()
    for split in ("test", "train"):
        ours, theirs = evaluate_compiled(copy.deepcopy(model), digits, split), evaluate(model, digits, split)
        assert ours[0] == theirs[0]
        assert ours[1] == pytest.approx(theirs[1], rel=1e-5)


def test_evaluation_of_a_network_that_is_lost(digits):
    model = lenet("none").eval()
    with torch.no_grad():
        model.fc.bias[3] = torch.nan  # torch.argmax takes nan for the largest
    ours, theirs = evaluate_compiled(model, digits), evaluate(model, digits)
    assert ours[0] == theirs[0]
    assert str(ours[1]) == str(theirs[1]) == "nan"


def changed(**replaced):
    model = lenet("batch")
    for name, value in replaced.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: torch.nn.Linear(1, 1), "Linear is no models.lenet.LeNet"),
        (lambda: lenet("batch").double(), "is torch.float64"),
        (lambda: lenet("layer"), "norm1: GroupNorm"),
        (lambda: changed(norm1=DetachedBatchNorm(6, affine=False)), "norm1: DetachedBatchNorm without parameters"),
        (lambda: changed(norm1=torch.nn.BatchNorm2d(6, affine=False)), "norm1: BatchNorm2d without parameters"),
        (lambda: changed(norm1=torch.nn.BatchNorm2d(6, momentum=None)), "norm1: BatchNorm2d with a cumulative average"),
        (lambda: changed(conv2=torch.nn.Conv2d(6, 16, 5, padding=2)), "conv2: its geometry"),
        (lambda: changed(relu=torch.nn.GELU()), "relu: GELU"),
        (lambda: lenet("batch").to(memory_format=torch.channels_last), "is not contiguous on the CPU"),
        (lambda: lenet("batch").requires_grad_(False), "asks for no gradient"),
    ],
)
def test_what_it_cannot_do_it_says(make, words, digits):
    model = make()
    assert words in unsupported(model)
    with pytest.raises(ValueError, match="the compiled step cannot train this network: "):
        train_compiled(Job(model, generator(0, "order"), 0.1), digits, steps=1, batch_size=4)


def test_hooks_are_told(digits):
    model = lenet("batch")
    model.conv1.register_forward_hook(lambda *_: None)
    assert unsupported(model) == "hooks on conv1"


def test_refusals(digits):
    one = job()
    for changes, words in (({"learning_rate": 0}, "learning_rate: 0 is not"), ({"momentum": -1}, "momentum: -1 is")):
        with pytest.raises(ValueError, match=words):
            train_compiled(dataclasses.replace(one, **changes), digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="steps: 0 is not a whole number"):
        train_compiled(one, digits, steps=0, batch_size=4)
    with pytest.raises(ValueError, match="batch_size=101 must be an integer of 1 to 100"):
        train_compiled(one, digits, steps=1, batch_size=101)
    with pytest.raises(ValueError, match=r"is not \(B, 3, 32, 32\)"):
        train_compiled(dataclasses.replace(one, model=lenet("none", 3)), digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="labels from 0 to 9 for 4 classes"):
        train_compiled(dataclasses.replace(one, model=lenet("none", classes=4)), digits, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="model: it is in train mode"):
        evaluate_compiled(one.model, digits)
    with pytest.raises(ValueError, match="split: 'val' is not one of"):
        evaluate_compiled(one.model.eval(), digits, "val")
