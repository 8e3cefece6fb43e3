"""The networks of chapter 14: ResNets with Batch Normalization everywhere and nowhere, from the same weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bnlab.datasets import Dataset
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator

NONE, BN = "none", "BN"
PLACEMENTS = {NONE: "nowhere", BN: "everywhere"}


def network(arm: str, depth: int, dataset: Dataset, seed: int, initialisation: str = "xavier") -> ResNet:
    """The ResNet of an arm in training, on the data's device; both arms of a seed have the same convolutions."""
    rng = generator(seed, "weights")
    channels, classes = dataset.train_images.shape[1], len(dataset.classes)
    net = ResNet(depth, channels, classes, placement=PLACEMENTS[arm], initialisation=initialisation, generator=rng)
    return net.to(dataset.train_images.device, memory_format=torch.channels_last)


def batches(dataset: Dataset, images: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Mini-batches without end, pass after pass, the same for every arm of a seed."""
    rng = generator(seed, "order of mini-batches")
    while True:
        for x, labels in dataset.batches(images, rng):
            yield x.contiguous(memory_format=torch.channels_last), labels
