"""The arrangements of figure 9 of Chai et al. 2020 in a LeNet, from the first step on.

What enters conv2 decides how near a plain gradient step is to NLMS: the power of every patch, which NLMS divides by,
and the angle between the gradient and the direction of NLMS for the same patches and errors. `Conv2Probe` measures both
while networks train.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.datasets import Dataset
from bnlab.layers.nlms import NlmsConv2d, nlms_gradient, patch_power
from bnlab.measures.gradients import local_errors, weight_gradient_from_signals
from bnlab.measures.probes import using_batch_statistics
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.points import Setting, epochs_to_steps, run_points
from bnlab.sweeps.sweep import grid
from bnlab.tables import table

# Figure 9, and its caption's letters; the second is the common placement, section 4.3 normalises conv2 alone.
ARRANGEMENTS = {
    "a: no normalisation": "none",
    "b: BN after conv1 and conv2": "batch",
    "b: BN after conv2": "none+batch",
    "c: NLMS": "none+nlms_l2",
    "d: BN before conv2": "none+batch_prior",
}
BATCH_SIZE, RATE = 64, 0.1
LOOKED_AT = (0, 1, 5, 20, 100, 400)  # steps, besides the middle of the way and its end
REGULARISER = 1e-3  # of the directions that are compared, as in the layer itself
CHANNEL_COLUMNS = ("power", "variation", "lowest", "highest", "zero", "gamma", "beta")


def follow(
    dataset: Dataset,
    seeds: Sequence[int],
    epochs: int,
    probe_size: int,
    folder: Path | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train every arrangement and look at conv2's input at `LOOKED_AT`, halfway and at the end."""
    last = epochs_to_steps((epochs,), dataset, BATCH_SIZE)[0]
    at = sorted({*(step for step in LOOKED_AT if step < last), last // 2, last})
    points = grid(norm=list(ARRANGEMENTS.values()), learning_rate=[RATE], seed=list(seeds), batch_size=[BATCH_SIZE])
    setting = Setting(dataset, last, tuple(at), {"conv2": probe_of(dataset, probe_size)})
    found = run_points(points, setting, folder=folder, executor=executor, progress=progress)
    refuse_failures(found)
    names = {norm: arrangement for arrangement, norm in ARRANGEMENTS.items()}
    return found.assign(arrangement=found["norm"].map(names))


def powers(followed: pd.DataFrame) -> pd.DataFrame:
    """One row an arrangement, seed, recorded step and channel of conv2's input: what `Conv2Probe` tells of it."""
    channels = sorted(int(name.removeprefix("power_")) for name in followed if name.startswith("power_"))
    rows = [
        (row["arrangement"], row["seed"], row["step"], channel, *(row[f"{name}_{channel}"] for name in CHANNEL_COLUMNS))
        for _, row in followed.iterrows()
        for channel in channels
    ]
    keys = {"arrangement": "name", "seed": "index", "step": "gradient steps", "channel": "index"}
    units = {"power": "per pixel", "variation": "1", "lowest": "per pixel", "highest": "per pixel", "zero": "fraction"}
    return table(rows, {**keys, **units, "gamma": "1", "beta": "1"})


def directions(followed: pd.DataFrame) -> pd.DataFrame:
    """One row an arrangement, seed, step and span of the power: cosine and length beside the direction of NLMS."""
    rows = [
        (row["arrangement"], row["seed"], row["step"], span, row[f"cosine_{span}"], row[f"length_{span}"], row["loss"])
        for _, row in followed.iterrows()
        for span in ("channel", "patch")
    ]
    units = {"arrangement": "name", "seed": "index", "step": "gradient steps", "span": "name", "cosine": "1"}
    return table(rows, {**units, "length": "of NLMS at unit power", "loss": "nats"})


@dataclass(frozen=True)
class Conv2Probe:
    """What enters conv2 and how near its update is to NLMS, for a `models.lenet.LeNet`, with batch statistics.

    For each input channel i: ``power_i``, E||X_i||^2 / Z over images and positions; ``variation_i``, the coefficient
    of variation of ||X_i||^2; ``lowest_i``, ``highest_i``, its 1st and 99th percentile / Z; ``zero_i``, the share of
    patches that are zero; ``gamma_i``, ``beta_i`` of a normalisation before conv2 (1 and 0 without). For each span of
    the power ("channel", "patch"): ``cosine_<span>`` of the update and the direction of NLMS, and ``length_<span>``,
    its length over that of NLMS at unit power.
    """

    images: Tensor = field(repr=False)  # (B, C, 32, 32)
    labels: Tensor = field(repr=False)  # (B,)

    def __call__(self, model: LeNet) -> dict[str, float]:
        """Look at the model."""
        with using_batch_statistics(model):
            signals = local_errors(model, self.images, self.labels, functional.cross_entropy, "conv2")
        channels = signals.inputs.shape[1]
        patches = signals.patches  # (B, K, M)
        Z = patches.shape[1] // channels
        errors = signals.errors.flatten(2)  # (B, OC, M)
        plain = weight_gradient_from_signals(signals).flatten(1)  # (OC, K), mean over images
        own = plain
        if isinstance(model.conv2, NlmsConv2d):  # what this network really descends
            rule = model.conv2
            own = nlms_gradient(patches, errors, channels, rule.norm, rule.span, rule.regulariser) / len(errors)
        row = _channels(patches, channels, Z)
        gamma, beta = getattr(model.before2, "weight", None), getattr(model.before2, "bias", None)
        for channel in range(channels):
            row[f"gamma_{channel}"] = 1.0 if gamma is None else gamma[channel].item()
            row[f"beta_{channel}"] = 0.0 if beta is None else beta[channel].item()
        for span, terms in (("channel", Z), ("patch", Z * channels)):
            nlms = nlms_gradient(patches, errors, channels, "l2", span, REGULARISER) / len(errors)  # (OC, K)
            row[f"cosine_{span}"] = functional.cosine_similarity(own.flatten(), nlms.flatten(), 0).item()
            row[f"length_{span}"] = (plain.norm() / (terms * nlms.norm())).item()
        return row


def probe_of(dataset: Dataset, images: int) -> Conv2Probe:
    """A probe that looks at so many training images, always the same."""
    return Conv2Probe(*next(iter(dataset.batches(images, generator(0, "images that probe conv2")))))


def _channels(patches: Tensor, channels: int, Z: int) -> dict[str, float]:
    """Powers of the patches of each channel, as `Conv2Probe` names them."""
    power = patch_power(patches, channels).transpose(0, 1).flatten(1) / Z  # (C, B*M)
    mean = power.mean(1)
    ends = torch.quantile(power, torch.tensor([0.01, 0.99]).to(power), dim=1)  # (2, C)
    columns = {
        "power": mean,
        "variation": power.std(1) / mean,
        "lowest": ends[0],
        "highest": ends[1],
        "zero": (power == 0).float().mean(1),
    }
    return {f"{name}_{i}": value for name, values in columns.items() for i, value in enumerate(values.tolist())}
