"""The networks of chapter 15: a ResNet, and where a normalisation stands in it. At one seed all have equal weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator

# Arm -> placement and norm of `models.resnet.ResNet`.
ARMS = {
    "none": ("nowhere", "batch"),
    "last BN": ("last", "batch"),
    "last centring": ("last", "batch"),
    "last LayerNorm": ("last", "layer"),
    "all but last": ("all but last", "batch"),
    "all": ("everywhere", "batch"),
}
PRINTED_DEPTH = 110


class Centring(nn.Module):
    """Half of Batch Normalization in training: each channel of (B, C, H, W) less its mean over the batch, unscaled."""

    def forward(self, x: Tensor) -> Tensor:
        """Centre the channels."""
        return x - x.mean((0, 2, 3), keepdim=True)


def network(arm: str, depth: int, x: Tensor, classes: int, initialisation: str, seed: int) -> ResNet:
    """The ResNet of an arm, in training, where the images x are.

    Raises:
        ValueError: another arm, or as `ResNet`.
    """
    checks.choice("arm", arm, tuple(ARMS))
    placement, norm = ARMS[arm]
    net = ResNet(
        depth,
        x.shape[1],
        classes,
        norm=norm,
        placement=placement,
        initialisation=initialisation,
        generator=generator(seed, "weights"),
    )
    if arm == "last centring":
        net.last_norm = Centring()
    return net.to(x).to(memory_format=torch.channels_last)


def batch(dataset: Dataset, images: int, seed: int) -> tuple[Tensor, Tensor]:
    """So many training images, stratified by class, and their labels."""
    chosen = dataset.subset(train=images, seed=seed)
    return chosen.normalise(chosen.train_images).contiguous(memory_format=torch.channels_last), chosen.train_labels


def layer_at(printed: int, depth: int) -> int:
    """The convolution of a network of some depth that stands where ``printed`` does among the 109 of the document's.

    >>> layer_at(54, 110), layer_at(54, 20)
    (54, 9)
    """
    return printed * (depth - 1) // (PRINTED_DEPTH - 1)
