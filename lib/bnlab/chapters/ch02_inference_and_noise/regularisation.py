"""Does the noise of mini-batch statistics regularise, and does BN reach an accuracy in fewer steps? (Chapter 02.)

Regularisation: fully connected networks on few images, each trained until its loss on all training images, in eval mode
with exact statistics, falls to a target; there the losses on test images are compared. Of the arms, "population"
isolates the noise: it is Batch Normalization, gradients through the statistics included, except that these are taken
over the whole training set at each step. "frozen" also drops the gradient: constants, renewed once an epoch. "ghost"
is noisier than BN: statistics over groups of four of the mini-batch (Hoffer et al. 2017).

Speed: steps until the test error first falls to a level, with BN and without, at each of several rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from bnlab.datasets import Dataset
from bnlab.layers.batchnorm import BatchNorm, batch_statistics, by_channel
from bnlab.layers.grouped_batchnorm import GroupedBatchNorm
from bnlab.layers.inference import BATCH_NORM_TYPES
from bnlab.layers.population import exact_statistics
from bnlab.models.mlp import MLP
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.training.train import error_rate, evaluate, train

ARMS = {
    "none": "neither",
    "dropout": "dropout",
    "batch": "BN, batch statistics",
    "population": "BN, noise-free statistics",
    "frozen": "BN, frozen statistics",
    "ghost": "BN, groups of four",
    "both": "BN and dropout",
}
DEPTH, WIDTH, DROPPED = 2, 100, 0.5  # hidden layers, their units, share dropped (the usual p)
GROUP = 4  # images whose statistics the noisiest arm takes
POPULATION = 500  # training images whose exact statistics a network in a race is looked at with
EVERY = 4  # gradient steps between two looks at the test error in a race
CURVES = {"arm": "name", "seed": "index", "epoch": "passes", "train_loss": "nats", "test_loss": "nats",
          "train_error": "fraction", "test_error": "fraction"}  # fmt: skip
EQUAL = {"arm": "name", "seed": "index", "epoch": "passes", "gap": "nats", "test_loss": "nats",
         "test_error": "fraction"}  # fmt: skip
RACES = {"arm": "name", "rate": "learning rate", "seed": "index", "steps": "gradient steps"}


def parts(
    dataset: Dataset, images: int, batch_size: int, rate: float, epochs: int, target_loss: float,
    rates: Sequence[float], steps: int, error: float, seeds: Sequence[int],
) -> dict[str, Callable[[], pd.DataFrame]]:  # fmt: skip
    """One table an arm of regularisation, and one a side of the race, each with the function that makes it."""
    learn = partial(curves, dataset, images, batch_size, rate, epochs, target_loss, seeds)
    run = partial(races, dataset, rates, steps, error, seeds)
    race = {f"race_{arm}": partial(run, arm) for arm in ("none", "batch")}
    return {f"curves_{arm}": partial(learn, arm) for arm in ARMS} | race


def curves(
    dataset: Dataset, images: int, batch_size: int, rate: float, epochs: int, target_loss: float,
    seeds: Sequence[int], arm: str,
) -> pd.DataFrame:  # fmt: skip
    """Losses and errors after every epoch of one arm, until the training loss is below the target.

    Seeds are paired: each has its own training images, initial weights and order, the same in every arm.
    Raises ValueError if the images do not fill a mini-batch, or this does not split into groups.
    """
    if batch_size > images or batch_size % GROUP:
        raise ValueError(f"gap_batch_size: {batch_size} is not a multiple of {GROUP} and at most {images}, gap_images")
    rows = []
    for seed in seeds:
        data = dataset.subset(train=images, seed=seed)
        model, order = build_regularised(arm, data, seed), generator(seed, "order of mini-batches")
        all_images = data.normalise(data.train_images)  # (N, C, H, W)
        renew(model, all_images)
        for epoch in range(1, epochs + 1):
            run = train(
                model, data, learning_rate=rate, steps=images // batch_size, batch_size=batch_size, generator=order
            )
            if run.diverged:  # it never gets to a loss, which is not the same as not having run
                rows.append((ARMS[arm], seed, epoch, math.inf, math.inf, math.nan, math.nan))
                break
            renew(model, all_images)
            model.eval()
            (train_error, train_loss), (test_error, test_loss) = (evaluate(model, data, s) for s in ("train", "test"))
            rows.append((ARMS[arm], seed, epoch, train_loss, test_loss, train_error, test_error))
            if train_loss < target_loss:
                break
    return table(rows, CURVES)


def at_equal_loss(curves: pd.DataFrame, target_loss: float) -> pd.DataFrame:
    """Read every run off where its training loss first crosses the target, by interpolation in its logarithm.

    ``gap`` is test loss minus training loss. A run that does not get there, or starts below, has nan.

    >>> course = [("a", 0, 1, 0.4, 0.5, 0.1, 0.2), ("a", 0, 2, 0.1, 0.3, 0.0, 0.1)]
    >>> row = at_equal_loss(table(course, CURVES), 0.2).iloc[0]
    >>> [round(float(row[name]), 12) for name in ("test_loss", "gap", "epoch")]
    [0.4, 0.2, 1.5]
    """
    rows = []
    for (arm, seed), run in curves.groupby(["arm", "seed"], sort=False):
        losses = run["train_loss"].to_numpy()
        after = int(np.argmax(losses <= target_loss))
        if losses[after] > target_loss or after == 0:
            rows.append((arm, seed, *[math.nan] * 4))
            continue
        ends = np.log(losses[after - 1 : after + 1])
        share = (math.log(target_loss) - ends[0]) / (ends[1] - ends[0])
        pair = run.iloc[after - 1 : after + 1][["epoch", "test_loss", "test_error"]].to_numpy(dtype=float)
        epoch, test_loss, test_error = (1 - share) * pair[0] + share * pair[1]
        rows.append((arm, seed, epoch, test_loss - target_loss, test_loss, test_error))
    return table(rows, EQUAL)


def at_levels(curves: pd.DataFrame, target_loss: float) -> pd.DataFrame:
    """`at_equal_loss` at the target and at 24 higher training losses, up to 30 times it, with column ``train_loss``."""
    levels = [target_loss, *np.geomspace(target_loss, 30 * target_loss, 25)[1:]]
    return pd.concat([at_equal_loss(curves, level).assign(train_loss=level) for level in levels], ignore_index=True)


def races(
    dataset: Dataset, rates: Sequence[float], steps: int, error: float, seeds: Sequence[int], arm: str
) -> pd.DataFrame:
    """Steps until the test error first is at most ``error``, looked at every few steps; inf if it never is."""
    rows, some_images = [], dataset.normalise(dataset.train_images[:POPULATION])  # (N, C, H, W)
    for rate in rates:
        for seed in seeds:
            model, looks = build_regularised(arm, dataset, seed), []

            def look(model, looks=looks):
                renew(model, some_images)
                looks.append(error_rate(model.eval(), dataset))
                if looks[-1] <= error:
                    raise _FinishedError
                return looks[-1]

            try:
                train(
                    model, dataset, learning_rate=rate, steps=steps, batch_size=32,
                    generator=generator(seed, "order of mini-batches"), record_at=range(EVERY, steps + 1, EVERY),
                    measurements={"error": look},
                )  # fmt: skip
                needed = math.inf
            except _FinishedError:
                needed = min(EVERY * len(looks), steps)
            rows.append((ARMS[arm], rate, seed, needed))
    return table(rows, RACES)


def build_regularised(arm: str, data: Dataset, seed: int) -> nn.Module:
    """Fully connected network of one arm on the data's device, with the same initial weights in every arm."""
    features = data.train_images[0].numel()
    norm = "none" if arm in ("none", "dropout") else "batch"
    draw = generator(seed, "initialisation")
    model = MLP(features, len(data.classes), depth=DEPTH, width=WIDTH, norm=norm, generator=draw)
    if arm in ("dropout", "both"):
        model.activation = nn.Sequential(model.activation, Dropout(DROPPED, generator(seed, "dropped units")))
    if arm == "ghost":
        for layer in range(DEPTH):
            model.after[layer] = GroupedBatchNorm(WIDTH, GROUP)
    if arm == "population":
        count = len(data.train_labels)
        for layer in range(DEPTH):
            model.after[layer] = ReferenceNorm(WIDTH, count)
        model = WithReference(model, data.normalise(data.train_images))
    return (FrozenStatistics(model) if arm == "frozen" else model).to(data.train_images.device)


def renew(model: nn.Module, images: Tensor) -> None:
    """Give a model's Batch Normalization layers, if any, the exact statistics of these images (N, C, H, W)."""
    if any(isinstance(module, BATCH_NORM_TYPES) for module in model.modules()):
        exact_statistics(model, lambda: [images])


class ReferenceNorm(BatchNorm):
    """Batch Normalization in train mode by the statistics of the last ``count`` images of the input alone."""

    def __init__(self, channels: int, count: int):
        super().__init__(channels, decay=1.0)
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (B + count, C, H, W); in eval mode as `BatchNorm`."""
        if not self.training:
            return super().forward(x)
        statistics = batch_statistics(x[-self.count :])
        scale = self.weight * (statistics.variance + self.eps).rsqrt()  # (C,)
        return by_channel(scale, x) * (x - by_channel(statistics.mean, x)) + by_channel(self.bias, x)


class WithReference(nn.Module):
    """A network that in train mode sees a reference set behind each mini-batch, for `ReferenceNorm`."""

    def __init__(self, network: nn.Module, reference: Tensor):
        super().__init__()
        self.network = network
        self.register_buffer("reference", reference)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        if not self.training:
            return self.network(images)
        return self.network(torch.cat([images, self.reference]))[: len(images)]


class FrozenStatistics(nn.Module):
    """A network whose Batch Normalization layers stay in eval mode, in training too."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def train(self, mode: bool = True) -> FrozenStatistics:
        """Switch all modules but the Batch Normalization layers."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, BATCH_NORM_TYPES):
                module.training = False
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W)."""
        return self.network(images)


class Dropout(nn.Module):
    """Dropout whose masks come from a CPU generator: each unit is 0 with probability p, else divided by 1 - p."""

    def __init__(self, p: float, generator: torch.Generator):
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of x, any shape; in eval mode give x back."""
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator).to(x.device) >= self.p
        return x * kept / (1 - self.p)


class _FinishedError(Exception):
    """The race is over; training need not go on."""
