"""The residual stream of a ResNet at initialisation: its power, its gradient, and the branches' share, block by block.

The arms have the same weights but for a factor on the last convolution of every branch, which without normalisation is
a factor on the branch: 1 for "BN" and "none", n^(-1/2) over n blocks for "SkipInit", 0 for "zero" (Fixup's remedy).
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.datasets import Dataset
from bnlab.measures.jacobians import gradient_profile
from bnlab.measures.probes import activations
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator
from bnlab.tables import table

ARMS = ("BN", "none", "SkipInit", "zero")
STAGES = 3


def streams(dataset: Dataset, depth: int, images: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Look at one batch of images in every arm: a row a block, block 0 being what enters the first.

    ``power``: mean square of the stream after the block; ``gradient``: squared norm of the loss's gradient there;
    ``share``: variance of the branch over that of the sum with the shortcut, ahead of the ReLU, both averaged over
    channels (nan for block 0); ``stage`` and ``place``, 1, 2, ... in it.
    """
    rows = []
    blocks = (depth - 2) // 2
    names = [f"relus.{2 * block}" for block in range(blocks + 1)]
    for seed in seeds:
        chosen = dataset.subset(train=images, seed=seed)
        x = dataset.normalise(chosen.train_images).contiguous(memory_format=torch.channels_last)
        for arm in ARMS:
            net = network(arm, depth, x, seed)
            found = gradient_profile(net, x, chosen.train_labels, functional.cross_entropy, names)
            shares = [float("nan")] + [0.0] * blocks if arm == "zero" else branch_shares(net, x, blocks)
            for block in range(blocks + 1):
                stage, place = divmod(block - 1, blocks // STAGES) if block else (0, -1)
                numbers = (found.powers[block].item(), found.outputs[block].item(), shares[block])
                rows.append((arm, seed, block, stage + 1, place + 1, *numbers))
    units = {"arm": "name", "seed": "number", "block": "number", "stage": "number", "place": "number"}
    return table(rows, units | {"power": "mean square", "gradient": "squared norm", "share": "of the variance"})


def network(arm: str, depth: int, images: Tensor, seed: int) -> ResNet:
    """The network of an arm in training, where the images are, Kaiming's weights."""
    placement = "everywhere" if arm == "BN" else "nowhere"
    rng = generator(seed, "weights")
    net = ResNet(depth, images.shape[1], placement=placement, initialisation="kaiming", generator=rng)
    factor = {"SkipInit": ((depth - 2) // 2) ** -0.5, "zero": 0.0}.get(arm, 1.0)
    with torch.no_grad():
        for convolution in net.convolutions[2::2]:
            convolution.weight.mul_(factor)
    return net.to(images).to(memory_format=torch.channels_last)


def branch_shares(net: ResNet, images: Tensor, blocks: int) -> list[float]:
    """Share of each block's branch in the variance of the sum, nan for block 0."""
    pairs = [(f"norms.{2 * block}", f"relus.{2 * block}") for block in range(1, blocks + 1)]
    seen = activations(net, images, tuple(name for pair in pairs for name in pair))
    return [float("nan"), *(_variance(seen[norm][1]) / _variance(seen[relu][0]) for norm, relu in pairs)]


def _variance(maps: Tensor) -> float:
    """Variance over images and positions, averaged over channels."""
    return maps.double().var((0, 2, 3), unbiased=False).mean().item()
