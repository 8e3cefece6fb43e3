"""Distributions inside a small sigmoid network while it trains, with and without Batch Normalization.

The network of Ioffe and Szegedy (2015, figure 1): three hidden layers of 100 sigmoids, mini-batches of 60. Looked at on
fixed training images, in three places of every hidden layer: "normalised", before gamma and beta; "sigmoid's input",
after them; "next layer's input", after the sigmoid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.chapters.ch08_internal_covariate_shift.arms import BN, NONE, network
from bnlab.chapters.ch08_internal_covariate_shift.runs import endless, probe_labels, update
from bnlab.datasets import Dataset
from bnlab.layers.batchnorm import batch_norm
from bnlab.measures.probes import activations, probe_images
from bnlab.measures.shift import moments, percentiles
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.divergences import histogram_kl

UNIT = 0  # whose percentiles are told
FIELDS = ("normalised", "entering", "leaving")  # of a look, place by place
PLACES = ("normalised", "sigmoid's input", "next layer's input")
UNITS = {
    "arm": "name", "seed": "number", "layer": "number", "step": "gradient steps", "loss": "nats", "error": "fraction",
    "p15": "value of one unit", "p50": "value of one unit", "p85": "value of one unit",
    "moved": "value, a look", "moved_own": "deviations, a look", "moved_next": "value, a look",
    "kl_normalised": "nats", "kl_input": "nats", "kl_next": "nats", "kl_input_back": "nats",
}  # fmt: skip


@dataclass(frozen=True)
class _Look:
    """Values of every hidden layer on the fixed images, (images, width), by place."""

    normalised: list[Tensor]
    entering: list[Tensor]
    leaving: list[Tensor]
    loss: float
    error: float


def trajectories(
    dataset: Dataset, seeds: Sequence[int], *, rate: float, steps: int, looks: int, depth: int = 3, width: int = 100,
    batch_size: int = 60, probe: int = 500, bins: int = 100,
) -> pd.DataFrame:  # fmt: skip
    """Train the plain network and the one with BN, the same rate for both; one row an arm, seed, layer and look.

    ``p15``, ``p50``, ``p85``: percentiles of one unit of the sigmoid's input. ``moved``: of the median from look to
    look, the mean modulus over units, there; ``moved_own`` in units of each unit's deviation then; ``moved_next`` at
    the next layer's input. ``kl_…``: D(p_1 || p_k) from the first look to this one, histograms of ``bins`` bins with
    one count added to each, median over units; ``kl_input_back``: D(p_k || p_1). ``error`` and ``loss``: on the fixed
    images, with their batch statistics.

    Raises:
        ValueError: fewer than two looks, or more than steps.
    """
    if not 2 <= looks <= steps + 1:
        raise ValueError(f"looks: {looks} is not from 2 to steps + 1 = {steps + 1}")
    images, labels = probe_images(dataset, probe), probe_labels(dataset, probe)
    at = set(np.linspace(0, steps, looks).round().astype(int).tolist())
    rows = []
    for arm in (NONE, BN):
        for seed in seeds:
            batches = endless(dataset, batch_size, generator(seed, "order of mini-batches"))
            net = network(arm, images[0].numel(), len(dataset.classes), depth=depth, width=width,
                          activation="sigmoid", seed=seed, images=images)  # fmt: skip
            first = before = _look(net, images, labels)
            for step in range(steps + 1):
                if step in at:
                    now = _look(net, images, labels)
                    rows += [(arm, seed, *_row(layer, step, first, before, now, bins)) for layer in range(depth)]
                    before = now
                if step < steps:
                    update(net, arm, rate, *next(batches))
    return table(rows, UNITS)


def _look(net: nn.Module, images: Tensor, labels: Tensor) -> _Look:
    depth = len(net.linears) - 1
    names = [f"linears.{layer}" for layer in range(depth + 1)]
    # Without BN an identity stands there, which the network does not call.
    after = [f"after.{layer}" for layer in range(depth) if not isinstance(net.after[layer], nn.Identity)]
    seen = activations(net, images, (*names, *after))
    ones = torch.ones(seen[names[0]][1].shape[1], dtype=images.dtype, device=images.device)
    plain = [seen[name][1] for name in names[:-1]]  # what leaves the linear maps
    normalised = [batch_norm(z, ones, 0 * ones) for z in plain]
    entering = [seen[name][1].flatten(1) for name in after] or plain
    leaving = [seen[name][0] for name in names[1:]]
    logits = seen[names[-1]][1]
    loss = functional.cross_entropy(logits, labels).item()
    return _Look(normalised, entering, leaving, loss, (logits.argmax(1) != labels).double().mean().item())


def _row(layer: int, step: int, first: _Look, before: _Look, now: _Look, bins: int) -> tuple:
    here, there = percentiles(now.entering[layer]), percentiles(before.entering[layer])
    next_here, next_there = percentiles(now.leaving[layer])[1], percentiles(before.leaving[layer])[1]
    moved = (here[1] - there[1]).abs()
    deviation = moments(before.entering[layer]).deviation.clamp_min(1e-12)
    kl = [math.nan] * 4
    if layer == len(now.entering) - 1:  # told for the last hidden layer, as in the original figure
        pairs = [(getattr(first, place)[layer], getattr(now, place)[layer]) for place in FIELDS]
        pairs.append((now.entering[layer], first.entering[layer]))
        kl = [histogram_kl(one, other, bins).median().item() for one, other in pairs]
    return (layer + 1, step, now.loss, now.error, *here[:, UNIT].tolist(), moved.mean().item(),
            (moved / deviation).mean().item(), (next_here - next_there).abs().mean().item(), *kl)  # fmt: skip


def drifts(runs: pd.DataFrame) -> pd.DataFrame:
    """Total variation of the median over training: ``moved``, ``moved_own``, ``moved_next`` by arm, seed and layer."""
    return runs.groupby(["arm", "seed", "layer"], sort=False)[["moved", "moved_own", "moved_next"]].sum().reset_index()


def divergences(runs: pd.DataFrame, level: float) -> pd.DataFrame:
    """D(p_1 || p_k) of the last hidden layer by arm, seed and place, at equal steps and at equal loss.

    ``end``: at the last look; ``level``: where the loss first is at ``level`` or below (nan where it never is);
    ``back``: D(p_k || p_1) of the sigmoid's input at the end.
    """
    rows = []
    columns = dict(zip(PLACES, ("kl_normalised", "kl_input", "kl_next"), strict=True))
    last = runs[runs["layer"] == runs["layer"].max()]
    for (arm, seed), one in last.groupby(["arm", "seed"], sort=False):
        reached = one[one["loss"] <= level]
        for place, column in columns.items():
            at_level = reached[column].iloc[0] if len(reached) else float("nan")
            back = one["kl_input_back"].iloc[-1] if column == "kl_input" else float("nan")
            rows.append((arm, seed, place, one[column].iloc[-1], at_level, back))
    units = {"arm": "name", "seed": "number", "place": "name", "end": "nats", "level": "nats", "back": "nats"}
    return table(rows, units)
