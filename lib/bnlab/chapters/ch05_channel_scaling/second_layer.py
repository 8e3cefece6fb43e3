"""One LeNet's second convolution: R of its input, with its channels left alone, scaled, or normalised (chapter 05).

The views of one and the same network, differing in what is done to the channels that leave its first convolution, are
in `VIEWS`. Everything behind the first convolution is computed in float64, from a fixed set of training images whose
statistics are used throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bnlab.datasets import Dataset
from bnlab.measures.probes import activations
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.theory.channel_scaling import scale_channels
from bnlab.theory.modes import TOLERANCE, dead_channels
from bnlab.theory.patches import unroll
from bnlab.theory.spectra import autocorrelation
from bnlab.training.train import train

CHANNELS, KERNEL = 6, 5  # of the input of LeNet's second convolution
OTHER_RATE = 0.1  # of everything but convolution weights (Chai et al. 2020, section 3.3)

# What is done to the channels that leave the first convolution, ahead of ReLU and pooling.
VIEWS = {
    "plain": "nothing",
    "scaled": "each channel divided by its RMS",
    "amplified": "channels of power below 1 divided by their RMS",
    "suppressed": "channels of power above 1 divided by their RMS",
    "normalised": "Batch Normalization: mean subtracted, divided by the standard deviation",
}


@dataclass(frozen=True)
class Specification:
    """Which weights a network is looked at with: as drawn (rate 0) or trained, with a norm, at a rate."""

    norm: str
    rate: float
    seed: int

    @property
    def name(self) -> str:
        """Say it in the tables."""
        return "as drawn" if not self.rate else f"{'BN' if self.norm == 'batch' else 'plain'}, rate {self.rate:g}"


@dataclass(frozen=True)
class Layer:
    """One network's second convolution, seen through `VIEWS`."""

    power: Tensor  # (C,) mean square of what leaves the first convolution
    R: dict[str, Tensor]  # view -> (K, K)
    mean: Tensor  # (K,) mean of the patches, plain view


def trained_lenet(weights: Specification, dataset: Dataset, steps: int, batch_size: int) -> tuple[LeNet, bool]:
    """LeNet with the weights asked for, trained for ``steps`` unless they are as drawn; and whether it diverged."""
    draw = generator(weights.seed, "initialisation")
    images = dataset.train_images
    model = LeNet(images.shape[1], len(dataset.classes), weights.norm, generator=draw).to(images.device)
    if not weights.rate:
        return model, False
    order = generator(weights.seed, "order of mini-batches")
    settings = {"learning_rate": weights.rate, "other_learning_rate": OTHER_RATE, "generator": order}
    return model, train(model, dataset, steps=steps, batch_size=batch_size, **settings).diverged


@torch.no_grad()
def look(model: LeNet, norm: str, probe: Tensor) -> Layer:
    """R of conv2's input in every view. Where the network has BN, "normalised" is its own, with its gamma and beta.

    ReLU and pooling pass a gain on unchanged, so the views that only scale are D R D of the plain one.
    """
    seen = activations(model, probe, ("conv1", "norm1"))
    z = seen["conv1"][1].double()  # (B, 6, 28, 28)
    normalised = seen["norm1"][1].double() if norm == "batch" else functional.batch_norm(z, None, None, training=True)

    def maps(y: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.relu(y), 2)  # (B, 6, 14, 14)

    power = z.square().mean((0, 2, 3))  # (C,)
    gains, plain = power.rsqrt(), maps(z)
    R = autocorrelation(plain, KERNEL)
    views = {
        "plain": R,
        "scaled": scale_channels(R, gains),
        "amplified": scale_channels(R, gains.clamp(min=1)),
        "suppressed": scale_channels(R, gains.clamp(max=1)),
        "normalised": autocorrelation(maps(normalised), KERNEL),
    }
    mean = unroll(plain, KERNEL).mean((0, 2))  # (K,)
    return Layer(power.cpu(), {view: values.cpu() for view, values in views.items()}, mean.cpu())


def alive(R: Tensor) -> Tensor:
    """R of the channels that have power, (K, K) or less."""
    if not dead_channels(R, CHANNELS):
        return R
    power = channel_power(R)
    kept = (power > TOLERANCE * power.max()).repeat_interleave(KERNEL**2)  # (K,)
    return R[kept][:, kept]


def channel_power(R: Tensor) -> Tensor:
    """Mean square (C,) of each channel of the patches: the mean diagonal of its block."""
    return R.diagonal().unflatten(0, (CHANNELS, -1)).mean(1)
