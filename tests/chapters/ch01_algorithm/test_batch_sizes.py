"""The arms of the batch-size experiment: alike in all but what they are to compare."""

import pytest
import torch
from torch.nn import functional

from bnlab import datasets
from bnlab.chapters.ch01_algorithm import batch_sizes
from bnlab.layers.batchnorm import BatchNorm

DIGITS = datasets.load("digits").subset(train=64, test=40)
IMAGES = DIGITS.normalise(DIGITS.train_images)[:8]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 4, 2)])
@pytest.mark.parametrize("group", [2, 4, 8])
def test_groups_are_normalised_each_by_itself(shape, group):
    layer = batch_sizes.GroupedBatchNorm(3, group)
    with torch.no_grad():
        layer.weight.copy_(normal(3, seed=1))
        layer.bias.copy_(normal(3, seed=2))
    x = normal(*shape)
    expected = [functional.batch_norm(part, None, None, layer.weight, layer.bias, True) for part in x.split(group)]
    torch.testing.assert_close(layer(x), torch.cat(expected), rtol=1e-5, atol=1e-5)
    means = torch.stack([part.transpose(0, 1).flatten(1).mean(1) for part in x.split(group)])
    variances = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in x.split(group)])
    torch.testing.assert_close(layer.running_mean, 0.1 * means.mean(0))
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * variances.mean(0))


def test_one_group_is_plain_batch_normalization():
    x = normal(8, 3, 4, 2)
    grouped, plain = batch_sizes.GroupedBatchNorm(3, 8), BatchNorm(3)
    assert torch.equal(grouped(x), plain(x))
    assert torch.equal(grouped.eval()(x), plain.eval()(x))
    with pytest.raises(ValueError, match="8 images do not split into groups of 3"):
        batch_sizes.GroupedBatchNorm(3, 3)(x)


def test_arms_of_lenet_start_from_the_same_weights_and_use_every_parameter():
    networks = {arm: batch_sizes.build_arm(arm, 4, DIGITS, seed=1) for arm in batch_sizes.ARMS}
    for arm in ("no_norm", "groups"):
        for name in ("conv1.weight", "conv2.weight", "fc.weight"):
            assert torch.equal(networks[arm].get_parameter(name), networks["batch_norm"].get_parameter(name))
    for network in networks.values():
        functional.cross_entropy(network(IMAGES), DIGITS.train_labels[:8]).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_sweep_has_one_row_a_run_and_the_steps_of_its_epochs():
    settings = {"dataset": DIGITS, "batch_sizes": [4, 16], "epochs": 2, "learning_rate": 0.1, "seeds": 2, "seed": 3}
    runs = batch_sizes.sweep("batch_norm", **settings)
    assert runs["m"].tolist() == [4, 16] * 2
    assert runs["seed"].tolist() == [3, 3, 4, 4]
    assert runs["steps"].tolist() == [32, 8] * 2  # 2 epochs of 64 images
    assert runs["test_error"].between(0, 1).all()
    assert set(runs.attrs["units"]) == set(runs.columns)
    grouped = batch_sizes.sweep("groups", **settings)
    assert grouped["steps"].tolist() == [8] * 4  # mini-batches of the largest m
    again = batch_sizes.sweep("groups", **settings)
    assert grouped.equals(again)
    # One group of 16 in mini-batches of 16 is plain Batch Normalization; rounding alone may tell them apart.
    pairs = zip(grouped[grouped["m"] == 16]["test_error"], runs[runs["m"] == 16]["test_error"], strict=True)
    assert all(abs(mine - other) <= 0.05 for mine, other in pairs)


def test_rank_correlation_of_a_known_table():
    runs = batch_sizes.table(
        [("a", m, seed, 1, error, False) for seed, errors in enumerate([(4, 3, 2), (1, 2, 3), (5, 5, 5)])
         for m, error in zip((2, 4, 8), errors, strict=True)],
        batch_sizes.UNITS,
    )  # fmt: skip
    assert batch_sizes.rank_correlations(runs)["spearman"].round(12).tolist() == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize("sizes", [[1, 4], [2, 128]])
def test_mini_batches_that_cannot_be_are_refused(sizes):
    with pytest.raises(ValueError, match="must lie between 2 and 64"):
        batch_sizes.sweep("groups", dataset=DIGITS, batch_sizes=sizes, epochs=1, learning_rate=0.1, seeds=1, seed=0)


def test_parts_are_the_arms():
    made = batch_sizes.parts(DIGITS, [4, 8], 1, 1, 0.1, 64, 1, 0)
    assert list(made) == list(batch_sizes.ARMS)
    assert made["dense_groups"]()["m"].tolist() == [4, 8]


@pytest.mark.parametrize(
    ("sizes", "images", "words"),
    [
        ([4, 8], 65, r"training_images = 65 cannot be used: it must be at most 64, all of "),
        ([4, 128], 64, r"batch_sizes = \[4, 128\] cannot be used: it must be of at least 2 and at most 64 images"),
        ([4, 64], 63, r"at most 63 images"),
        ([1, 4], 64, r"of at least 2"),
        ([3, 8], 64, r"batch_sizes = \[3, 8\] cannot be used: it must be divisors of the largest, 8"),
    ],
)
def test_limits_are_told_before_the_first_part(sizes, images, words):
    with pytest.raises(ValueError, match=words):
        batch_sizes.parts(DIGITS, sizes, 1, 1, 0.1, images, 1, 0)


def test_limits_that_are_kept():
    assert all(kept for kept, *_ in batch_sizes.limits(DIGITS, [2, 64], 64))


def test_groups_that_do_not_divide_the_mini_batch_are_refused():
    with pytest.raises(ValueError, match="must divide the largest, 8"):
        batch_sizes.sweep("groups", dataset=DIGITS, batch_sizes=[3, 8], epochs=1, learning_rate=0.1, seeds=1, seed=0)
