"""Test error against the size of the mini-batch, which Batch Normalization wants "sufficiently large" (encyclopedia).

A larger mini-batch changes two things at once: how many images the statistics see, and how many steps of what noise an
epoch has. So there are two kinds of arms. LeNet learns from mini-batches of m, with and without Batch Normalization, at
the same epochs and a learning rate proportional to m. And mini-batches have one size, but statistics are taken over
groups of m images, everything else being equal: in LeNet, where a channel has m H W values, and in a network of fully
connected layers, where it has m.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import scipy.stats
from torch import nn

from bnlab.datasets import Dataset
from bnlab.layers.grouped_batchnorm import GroupedBatchNorm
from bnlab.models.initialisation import draw_default_
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.training.train import error_rate, train

ARMS = {
    "batch_norm": "BN, mini-batches of m",
    "no_norm": "no BN, mini-batches of m",
    "groups": "BN, statistics over groups of m",
    "dense_groups": "the same, fully connected layers",
}
GROUPED = ("groups", "dense_groups")
WIDTH = 128  # of the two hidden fully connected layers
RATED_AT = 32  # images: the mini-batch at which the learning rate is the one given
UNITS = {"arm": "name", "m": "images", "seed": "index", "steps": "gradient steps", "test_error": "fraction",
         "diverged": "bool"}  # fmt: skip


def parts(
    dataset: Dataset,
    batch_sizes: list[int],
    epochs: int,
    group_epochs: int,
    learning_rate: float,
    training_images: int,
    seeds: int,
    seed: int,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """One table an arm, by name, each with the function that makes it.

    Raises ValueError where one of the `limits` is not kept, before anything runs.
    """
    for kept, name, value, right in limits(dataset, batch_sizes, training_images):
        if not kept:
            raise ValueError(f"{name} = {value!r} cannot be used: it must be {right}")
    data = dataset.subset(train=training_images, seed=seed)
    run = partial(sweep, dataset=data, batch_sizes=batch_sizes, learning_rate=learning_rate, seeds=seeds, seed=seed)
    return {arm: partial(run, arm, epochs=group_epochs if arm in GROUPED else epochs) for arm in ARMS}


def limits(dataset: Dataset, batch_sizes: Sequence[int], training_images: int) -> list[tuple[bool, str, object, str]]:
    """Limits that lie in the data or in other parameters: whether one is kept, its parameter, its value, what is right.

    Mini-batches are of at least two images, of no more than there are, and divide the largest, to be groups of it.
    """
    most, largest = len(dataset.train_labels), max(batch_sizes)
    within = min(batch_sizes) >= 2 and largest <= training_images
    return [
        (training_images <= most, "training_images", training_images, f"at most {most}, all of {dataset.title}"),
        (within, "batch_sizes", batch_sizes, f"of at least 2 and at most {training_images} images, training_images"),
        (all(largest % m == 0 for m in batch_sizes), "batch_sizes", batch_sizes, f"divisors of the largest, {largest}"),
    ]


def sweep(
    arm: str,
    *,
    dataset: Dataset,
    batch_sizes: Sequence[int],
    epochs: int,
    learning_rate: float,
    seeds: int,
    seed: int,
) -> pd.DataFrame:
    """Train once for each m and seed; one row a run, with the error on the test split in eval mode.

    Mini-batches are of m images, and of the largest m for the arms of groups. Seeds are paired: the same initial
    weights and, for mini-batches of one size, the same order of images in every arm.
    Raises ValueError for mini-batches of one image or of more than there are, or that groups do not divide.
    """
    largest = max(batch_sizes)
    if min(batch_sizes) < 2 or largest > len(dataset.train_labels):
        most = len(dataset.train_labels)
        raise ValueError(f"batch_sizes: {list(batch_sizes)} must lie between 2 and {most}, the training images")
    if arm in GROUPED and any(largest % m for m in batch_sizes):
        raise ValueError(f"batch_sizes: {list(batch_sizes)} must divide the largest, {largest}, to be groups of it")
    rows = []
    for number in range(seed, seed + seeds):
        for m in batch_sizes:
            size = largest if arm in GROUPED else m
            model = build_arm(arm, m, dataset, number)
            run = train(
                model,
                dataset,
                learning_rate=learning_rate * size / RATED_AT,
                steps=epochs * (len(dataset.train_labels) // size),
                batch_size=size,
                generator=generator(number, "order of mini-batches"),
            )
            model.eval()
            steps = int(run.history["step"].iloc[-1])
            rows.append((ARMS[arm], m, number, steps, error_rate(model, dataset), run.diverged))
    return table(rows, UNITS)


def build_arm(arm: str, m: int, dataset: Dataset, seed: int) -> nn.Module:
    """Network of one arm on the data's device; the three arms of LeNet start from the same weights."""
    draw = generator(seed, "initialisation")
    images, classes = dataset.train_images, len(dataset.classes)
    if arm == "dense_groups":
        model = nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(images[0].numel(), WIDTH), GroupedBatchNorm(WIDTH, m), nn.ReLU()),
            *(nn.Linear(WIDTH, WIDTH), GroupedBatchNorm(WIDTH, m), nn.ReLU()),
            nn.Linear(WIDTH, classes),
        )
        draw_default_(model, draw)
        return model.to(images.device)
    model = LeNet(images.shape[1], classes, "none" if arm == "no_norm" else "batch", generator=draw)
    if arm == "groups":
        model.norm1, model.norm2 = GroupedBatchNorm(6, m), GroupedBatchNorm(16, m)
    return model.to(images.device)


def rank_correlations(runs: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of test error with m, one row an arm and seed; 0 where the error never changes."""
    rows = []
    for (arm, seed), part in runs.groupby(["arm", "seed"], sort=False):
        errors = part["test_error"].to_numpy()
        rho = float(scipy.stats.spearmanr(part["m"], errors).statistic) if errors.min() < errors.max() else 0.0
        rows.append((arm, seed, rho))
    return table(rows, {"arm": "name", "seed": "index", "spearman": "correlation"})
