"""How much of one update is noise: the part of figure 10 of Chai et al. 2020 that needs no learning rate.

At equal weights, the noise in the local error goes through the same update rule on the same patches as the local error
itself; what both do to the layer's outputs is compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.chapters.ch07_minimum_disturbance.noise_sensitivity import METHODS, inject_noise
from bnlab.datasets import Dataset
from bnlab.measures.gradients import local_errors
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.sweeps.first_look import build_lenet
from bnlab.sweeps.points import OTHERS
from bnlab.tables import table
from bnlab.training.train import train

DRAWS = 4  # of the noise, for its mean effect on the outputs


def noise_ratio(
    dataset: Dataset,
    seeds: Sequence[int],
    batch_sizes: Sequence[int] = (16, 64),
    steps: int = 50,
    noises: Sequence[float] = (1.0, 3.0, 10.0),
) -> pd.DataFrame:
    """E||X^T dW_noise||^2 / E||X^T dW_signal||^2 of one update, at equal weights, for every method.

    What noise of scale s in the local error does to conv2's outputs, over what the local error itself does: both
    through the same update rule on the same patches, mean over images, positions and output channels. Weights: as
    drawn, and of the plain network trained for ``steps`` at rate 0.1.
    """
    rows = []
    for seed in seeds:
        plain = build_lenet({"norm": "none", "seed": seed, "gain": 1.0}, dataset)
        for weights, after in (("initial", 0), ("trained", steps)):
            if after:
                order = generator(seed, "order of mini-batches")
                train(plain, dataset, learning_rate=OTHERS, steps=after, batch_size=64, generator=order)
            for batch_size in batch_sizes:
                images, labels = next(iter(dataset.batches(batch_size, generator(seed, "batch under noise"))))
                for norm in METHODS:
                    once = one_ratio(_twin(plain, norm, dataset), images, labels, generator(seed, "noise"))
                    rows += [(weights, norm, seed, batch_size, noise, noise**2 * once) for noise in noises]
    keys = {"weights": "name", "norm": "name", "seed": "index", "batch_size": "images", "noise": "of the local error"}
    return table(rows, {**keys, "ratio": "1"})


def _twin(plain: LeNet, norm: str, dataset: Dataset) -> LeNet:
    """A network with another update of conv2 and the same weights; what normalisations add stays as initialised."""
    model = build_lenet({"norm": f"none+{norm}", "seed": 0, "gain": 1.0}, dataset)
    model.load_state_dict(plain.state_dict(), strict=False)
    return model


def one_ratio(model: LeNet, images: Tensor, labels: Tensor, draws: torch.Generator) -> float:
    """Measure the ratio of `noise_ratio` in one network on one batch, at noise scale 1 (it grows as its square)."""
    rule = inject_noise(model, 0.0)
    signals = local_errors(model.train(), images, labels, functional.cross_entropy, "conv2")

    def effect(errors: Tensor) -> float:
        """Mean square of the change that an update makes in the outputs."""
        change = functional.conv2d(signals.inputs, rule.weight_gradient(signals.inputs, errors))
        return change.double().square().mean().item()  # of (B, OC, OH, OW)

    spread = signals.errors.std()
    drawn = (torch.randn(signals.errors.shape, generator=draws) for _ in range(DRAWS))
    noisy = sum(effect(spread * noise.to(signals.errors)) for noise in drawn) / DRAWS
    return noisy / effect(signals.errors)
