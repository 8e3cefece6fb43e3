"""One look at a ResNet as it is initialised: its gradients, the loss along them, and what a diverging update does.

All that one seed's network shows on one mini-batch, from one gradient, in one long table whose column ``table`` says
which rows are whose; `only` gives one of the tables back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.chapters.ch14_divergence.networks import BN, NONE, batches, network
from bnlab.datasets import Dataset
from bnlab.measures.update_path import ChannelMoments, Waypoint, along_update
from bnlab.models.resnet import ResNet
from bnlab.tables import table
from bnlab.theory.tails import excess_kurtosis, share_carrying, tail_index

FIGURE_4 = (8, 44, 80)  # layers of Bjorck et al.'s Figure 4
EDGES = np.linspace(-10, 10, 81)  # of the histogram, in standard deviations
CARRIED = 0.9  # of the power, whose smallest share of channels is told
PLAIN, WITH_BN = "none", "BN, the same update"  # networks of ``updates``
UNITS = {
    "gradients": {"layer": "number", "loss": "nats", "scale": "standard deviation", "kurtosis": "excess",
                  "tail": "Hill's index"},
    "histogram": {"layer": "number", "left": "standard deviations", "share": "of the gradients"},
    "walks": {"step_size": "1", "loss": "nats", "ratio": "to the loss before"},
    "updates": {"network": "name", "fraction": "of the update", "layer": "number", "loss": "nats", "mean": "modulus",
                "variance": "square", "share": "of the channels", "off_mean": "modulus", "off_variance": "modulus"},
    "channels": {"layer": "number", "channel": "number", "fraction": "of the update", "mean": "1",
                 "variance": "square"},
}  # fmt: skip
POINT = {"arm": "name", "seed": "number", "batch": "number"}
WHOLE = ("seed", "batch", "layer", "channel")


def only(looks: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows and columns of one of `UNITS` from the long table of looks."""
    units = POINT | UNITS[name]
    made = looks.loc[looks["table"] == name, list(units)].reset_index(drop=True)
    made = made.astype({column: int for column in WHOLE if column in units})
    made.attrs["units"] = units
    return made


def look(
    point: dict[str, object], *, dataset: Dataset, depth: int, images: int, middle: int, layer_step: int,
    plain_steps: Sequence[float], bn_steps: Sequence[float], rate: float,
) -> pd.DataFrame:  # fmt: skip
    """Look at an arm of a seed on one of its mini-batches: the tables of `UNITS`, long.

    ``gradients``: of every convolution's weights; ``histogram``: of layer ``middle``. ``walks``: loss after a step of
    each size along the mini-batch's own gradient, on the same mini-batch. ``updates``, in the arm without Batch
    Normalization and on the first mini-batch: on the way of the update at ``rate``, every ``layer_step``-th
    convolution's output, median over channels of the mean's modulus and of the variance, and the share of channels
    that carry `CARRIED` of the power; then what the very same update does to the network with Batch Normalization,
    there of the normalised outputs, with their largest distances from mean 0 and variance 1. ``channels``: of the
    layers of `FIGURE_4`, channel by channel.
    """
    arm, seed, batch = str(point["arm"]), int(point["seed"]), int(point["batch"])
    net = network(arm, depth, dataset, seed)
    x, labels = next(islice(batches(dataset, images, seed), batch, None))
    value, gradient = loss_and_gradient(net, x, labels)
    down = {name: -g for name, g in gradient.items()}
    updated = arm == NONE and batch == 0
    layers = range(FIGURE_4[0] % layer_step, depth - 1, layer_step) if updated else ()
    steps = sorted(plain_steps if arm == NONE else bn_steps)
    sizes = [0.0, *steps] if updated else steps
    way = along_update(net, x, labels, functional.cross_entropy, down, sizes, outputs(NONE, layers))
    found = {
        "gradients": [(layer, value, *statistics(gradient, layer)) for layer in range(depth - 1)],
        "histogram": histogram(gradient[f"convolutions.{middle}.weight"], middle),
        "walks": [(one.fraction, finite(one.loss), finite(one.loss / value)) for one in way if one.fraction > 0],
    }
    if updated:
        update = [replace(one, fraction=one.fraction / rate) for one in way if one.fraction <= rate]
        twin = network(BN, depth, dataset, seed)
        normalised = along_update(twin, x, labels, functional.cross_entropy, down, [rate], outputs(BN, layers))
        found["updates"] = summaries(PLAIN, update) + summaries(WITH_BN, [replace(normalised[0], fraction=1.0)])
        found["channels"] = by_channel(update)
    return pd.concat([table(rows, UNITS[name]).assign(table=name) for name, rows in found.items()], ignore_index=True)


def loss_and_gradient(net: ResNet, x: Tensor, labels: Tensor) -> tuple[float, dict[str, Tensor]]:
    """Cross-entropy on a mini-batch and its gradient by the parameters' names; running averages may move."""
    named = dict(net.named_parameters())
    value = functional.cross_entropy(net(x), labels)
    return value.item(), dict(zip(named, torch.autograd.grad(value, list(named.values())), strict=True))


def outputs(arm: str, layers: Sequence[int]) -> list[str]:
    """Names of what is looked at: a convolution's output, normalised where there is Batch Normalization."""
    return [f"{'norms' if arm == BN else 'convolutions'}.{layer}" for layer in layers]


def statistics(gradient: dict[str, Tensor], layer: int) -> tuple[float, float, float]:
    """Standard deviation, excess kurtosis and tail index of a layer's gradient; inf where it overflows or is 0."""
    values = gradient[f"convolutions.{layer}.weight"].flatten().double()
    if not values.isfinite().all() or not values.any():
        return math.inf, math.inf, math.inf
    return float(values.std(correction=0)), excess_kurtosis(values), tail_index(values)


def histogram(gradient: Tensor, layer: int) -> list[tuple]:
    """Share of a layer's gradients between the `EDGES`, in standard deviations; those outside are in the last bins."""
    values = gradient.double().flatten()
    scaled = ((values - values.mean()) / values.std(correction=0)).cpu().numpy()
    counts, _ = np.histogram(np.clip(np.nan_to_num(scaled), EDGES[0], EDGES[-1]), EDGES)
    shares = (counts / len(scaled)).tolist()
    return [(layer, left, share) for left, share in zip(EDGES[:-1].tolist(), shares, strict=True)]


def finite(value: float) -> float:
    """Tell of an overflow, nan among them, as inf: the loss is lost."""
    return math.inf if math.isnan(value) else value


def summaries(name: str, way: Sequence[Waypoint]) -> list[tuple]:
    """Rows of ``updates``: a fraction and a layer each."""
    return [
        (name, one.fraction, _number(layer), finite(one.loss), *_summary(moments))
        for one in way
        for layer, moments in one.moments.items()
    ]


def _summary(moments: ChannelMoments) -> tuple[float, ...]:
    """Median modulus of the mean and median variance over channels, share, largest distances from 0 and 1.

    Inf where they overflow.
    """
    mean, variance = moments.mean.abs(), moments.variance
    sound = bool(moments.power.isfinite().all()) and bool(moments.power.any())
    share = share_carrying(moments.power, CARRIED) if sound else math.inf
    return (
        finite(mean.median().item()), finite(variance.median().item()), share,
        finite(mean.max().item()), finite((variance - 1).abs().max().item()),
    )  # fmt: skip


def by_channel(way: Sequence[Waypoint]) -> list[tuple]:
    """Rows of ``channels``: a layer of `FIGURE_4`, a channel and a fraction each."""
    return [
        (_number(name), channel, one.fraction, mean, variance)
        for one in way
        for name, moments in one.moments.items()
        if _number(name) in FIGURE_4
        for channel, (mean, variance) in enumerate(zip(moments.mean.tolist(), moments.variance.tolist(), strict=True))
    ]


def _number(layer: str) -> int:
    return int(layer.rpartition(".")[2])
