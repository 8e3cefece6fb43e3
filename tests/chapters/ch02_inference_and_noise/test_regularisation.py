"""The arms of the regularisation experiment differ in what they say they differ in; runs are read off correctly."""

import math

import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch02_inference_and_noise import regularisation
from bnlab.chapters.ch02_inference_and_noise.regularisation import (
    ARMS,
    CURVES,
    Dropout,
    ReferenceNorm,
    at_equal_loss,
    build_regularised,
    curves,
    races,
)
from bnlab.layers.inference import BATCH_NORM_TYPES
from bnlab.tables import table


@pytest.fixture(scope="module")
def data():
    return datasets.load("digits").subset(train=40, test=20)


def images_of(data, count=12):
    return data.normalise(data.train_images[:count])


def test_all_arms_start_with_the_same_weights(data):
    first = {name: p for name, p in build_regularised("none", data, 3).named_parameters() if "linears" in name}
    for arm in ARMS:
        weights = {
            n.removeprefix("network."): p
            for n, p in build_regularised(arm, data, 3).named_parameters()
            if "linears" in n
        }
        assert weights.keys() == first.keys()
        assert all(torch.equal(weights[name], first[name]) for name in first)


def test_noise_free_arm_is_batch_normalisation_of_the_whole_set(data):
    whole = images_of(data, 40)
    batch, free = build_regularised("batch", data, 0).train(), build_regularised("population", data, 0).train()
    torch.testing.assert_close(free(whole[:8]), batch(whole)[:8], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(free(whole[:8])[:3], free(whole[:3]), rtol=1e-4, atol=1e-4)  # no batch-mate matters
    assert (batch(whole[:8])[:3] - batch(whole[:3])).abs().max() > 1e-2


def test_noise_free_arm_has_the_gradient_through_the_statistics(data):
    """Of the mini-batch's loss by the weights: as if the whole set stood in the batch and the others had no loss."""
    whole, labels = images_of(data, 40), data.train_labels
    gradients = []
    for arm, seen in (("batch", whole), ("population", whole[:8])):
        model = build_regularised(arm, data, 0).train()
        torch.nn.functional.cross_entropy(model(seen)[:8], labels[:8]).backward()
        gradients.append(next(p for name, p in model.named_parameters() if name.endswith("linears.0.weight")).grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


def test_reference_norm_in_eval_mode_is_the_layer_itself():
    norm = ReferenceNorm(3, 5).eval()
    x = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(norm(x), x / math.sqrt(1 + 1e-5))


def test_frozen_arm_never_uses_the_batch(data):
    model = build_regularised("frozen", data, 0)
    regularisation.renew(model, images_of(data, 40))
    model.train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    torch.testing.assert_close(model(images_of(data))[:3], model(images_of(data, 3)), rtol=1e-4, atol=1e-4)
    assert not any(module.training for module in model.modules() if isinstance(module, BATCH_NORM_TYPES))
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_dropout_drops_half_keeps_the_mean_and_sleeps_in_eval_mode():
    layer, x = Dropout(0.5, torch.Generator().manual_seed(0)), torch.ones(200, 500)
    dropped = layer.train()(x)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=4 / math.sqrt(x.numel()))
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_learns_and_its_table_is_whole(data, arm):
    found = curves(data, 40, 8, 0.03, 6, 1e-9, [0], arm)
    assert found["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["train_loss"].iloc[-1] < 0.8 * found["train_loss"].iloc[0]
    assert list(found.attrs["units"]) == list(found.columns)
    assert set(found["arm"]) == {ARMS[arm]}


def test_a_run_ends_at_its_target_and_repeats(data):
    once, again = (curves(data, 40, 8, 0.1, 50, 0.5, [1], "batch") for _ in range(2))
    assert once.equals(again)
    assert (once["train_loss"].iloc[:-1] >= 0.5).all()
    assert once["train_loss"].iloc[-1] < 0.5


def test_reading_off_at_equal_loss():
    rows = [("a", 0, 1, 0.4, 0.5, 0.1, 0.2), ("a", 0, 2, 0.1, 0.3, 0.0, 0.1), ("b", 0, 1, 0.4, 0.5, 0.1, 0.2)]
    found = at_equal_loss(table(rows, CURVES), 0.2).set_index("arm")
    assert found.loc["a", "test_loss"] == pytest.approx(0.4)  # halfway in the logarithm
    assert found.loc["a", "gap"] == pytest.approx(0.2)
    assert math.isnan(found.loc["b", "gap"])  # never gets there
    assert at_equal_loss(table(rows, CURVES), 0.41)["gap"].isna().all()  # starts below
    levels = regularisation.at_levels(table(rows, CURVES), 0.2)
    assert levels["train_loss"].nunique() == 25
    assert levels[levels["train_loss"] == 0.2]["gap"].iloc[0] == pytest.approx(0.2)


def test_a_race_ends_at_the_first_look_that_is_good_enough(data):
    rate = races(data, [0.1], 100, 0.5, [0], "batch")
    assert rate["steps"].item() % regularisation.EVERY == 0
    assert races(data, [0.1], 100, 1.0, [0], "batch")["steps"].item() == regularisation.EVERY  # any error will do
    assert math.isinf(races(data, [1e-9], 8, 0.0, [0], "none")["steps"].item())


@pytest.mark.parametrize("size", [6, 44])
def test_a_mini_batch_that_does_not_fit(data, size):
    with pytest.raises(ValueError, match="gap_batch_size"):
        curves(data, 40, size, 0.1, 1, 0.1, [0], "ghost")


def test_a_run_that_diverges_is_in_the_table_and_gets_nowhere(data):
    found = curves(data, 40, 8, 1e12, 3, 0.05, [0], "none")
    assert found["train_loss"].tolist()[-1] == math.inf
    assert found["epoch"].tolist() == [1]
    assert at_equal_loss(found, 0.05)["gap"].isna().all()
    assert at_equal_loss(found, 1e6)["gap"].isna().all()
