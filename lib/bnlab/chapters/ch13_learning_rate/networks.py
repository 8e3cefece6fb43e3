"""The networks of chapter 13, and the mini-batches that they meet first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice, repeat

from torch import Tensor, nn

from bnlab.datasets import Dataset
from bnlab.models.mlp import MLP
from bnlab.models.resnet import NORMALISATIONS, ResNet
from bnlab.randomness import generator

NORMS = ("none", *NORMALISATIONS)


def resnet(depth: int, norm: str, dataset: Dataset, seed: int, *, width: int, pooled: int) -> nn.Sequential:
    """Make Bjorck et al.'s network, Xavier's weights, behind an average over windows of ``pooled`` pixels a side.

    At one seed networks of all ``norm`` have the same weights; "none" has no normalisation.
    """
    network = ResNet(
        depth,
        dataset.train_images.shape[1],
        len(dataset.classes),
        norm="batch" if norm == "none" else norm,
        placement="nowhere" if norm == "none" else "everywhere",
        width=width,
        generator=generator(seed, "weights"),
    )
    return nn.Sequential(nn.AvgPool2d(pooled), network).to(dataset.train_images.device)


def mlp(features: int, classes: int, seed: int, *, width: int, activation: str) -> MLP:
    """Make a network of two hidden layers, without normalisation, Xavier's weights."""
    shape = {"depth": 2, "width": width, "activation": activation, "initialisation": "xavier"}
    return MLP(features, classes, generator=generator(seed, "weights"), **shape)


def first_batches(dataset: Dataset, count: int, batch_size: int, seed: int) -> Sequence[tuple[Tensor, Tensor]]:
    """The first mini-batches of a training, epoch after epoch."""
    order = generator(seed, "order of mini-batches")
    epochs = (dataset.batches(batch_size, order) for _ in repeat(None))
    return list(islice(chain.from_iterable(epochs), count))
