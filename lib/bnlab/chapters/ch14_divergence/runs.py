"""Training without Batch Normalization at rates at which it diverges: when, and whether it ever comes back."""

from __future__ import annotations

import math

import pandas as pd
import torch
from torch.nn import functional

from bnlab.chapters.ch14_divergence.networks import NONE, batches, network
from bnlab.datasets import Dataset
from bnlab.tables import table
from bnlab.training.stable_rates import GROWTH, largest_surviving_rate, survives
from bnlab.training.train import DIVERGED

MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4  # of He et al., whose settings Bjorck et al. take over
LAST = 20  # mini-batches, at the end of a run, whose accuracy is told
RECOVERED = 2.0  # times guessing
RUN_UNITS = {
    "step": "gradient steps", "loss": "nats", "accuracy": "share of the mini-batch", "guessing": "share",
}  # fmt: skip
DEPTH_UNITS = {"survived": "learning rate", "lost": "learning rate"}


def run(point: dict[str, object], *, dataset: Dataset, depth: int, images: int, steps: int) -> pd.DataFrame:
    """Train at a point (rate, seed), until the loss is not finite or ``steps`` are over; a row a step, before it.

    A run that diverges, its loss beyond max(1e3, 10 x the first), goes on for ``steps`` more.
    """
    rate, seed = float(point["rate"]), int(point["seed"])
    net = network(NONE, depth, dataset, seed)
    optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    rows, last, crossed, guessing = [], steps, False, 1 / len(dataset.classes)
    for step, (x, labels) in enumerate(batches(dataset, images, seed)):
        logits = net(x)
        loss = functional.cross_entropy(logits, labels)
        value = loss.item() if math.isfinite(loss.item()) else math.inf
        rows.append((step, value, (logits.argmax(1) == labels).double().mean().item(), guessing))
        if not crossed and value > max(DIVERGED, GROWTH * rows[0][1]):
            crossed, last = True, step + steps
        if math.isinf(value) or step >= last:
            return table(rows, RUN_UNITS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    raise AssertionError("mini-batches do not end")


def crossings(runs: pd.DataFrame) -> pd.DataFrame:
    """When each run passes 1e3, as printed, and max(1e3, 10 x its first loss): a row a run, inf if never.

    ``recovered``: after the latter, the mean accuracy of its last mini-batches is `RECOVERED` times guessing's or more;
    a run that has become infinite has not.
    """
    rows = []
    for (rate, seed), one in runs.groupby(["rate", "seed"], sort=False):
        one = one.sort_values("step")
        first, end = one["loss"].iloc[0], one["loss"].iloc[-1]
        passes = [one.loc[one["loss"] > limit, "step"].min() for limit in (DIVERGED, max(DIVERGED, GROWTH * first))]
        accuracy = one["accuracy"].tail(LAST).mean()
        recovered = math.isfinite(end) and accuracy >= RECOVERED * one["guessing"].iloc[0]
        printed, corrected = (math.inf if math.isnan(step) else float(step) for step in passes)
        rows.append((rate, seed, first, printed, corrected, float(one["step"].max()), end, accuracy, recovered))
    units = {
        "rate": "learning rate", "seed": "number", "first": "nats", "printed": "gradient steps",
        "corrected": "gradient steps", "steps": "gradient steps", "end": "nats", "accuracy": "share",
        "recovered": "bool",
    }  # fmt: skip
    return table(rows, units)


def stable_rate(
    point: dict[str, object], *, dataset: Dataset, images: int, steps: int, lowest: float, highest: float, factor: float
) -> pd.DataFrame:
    """Bracket the largest rate that a ResNet (arm, depth, seed) survives for some steps of plain descent: one row.

    ``survived`` is 0 where ``lowest`` was lost, ``lost`` inf where ``highest`` survived.
    """
    arm, depth, seed = str(point["arm"]), int(point["depth"]), int(point["seed"])
    net, endless = network(arm, depth, dataset, seed), batches(dataset, images, seed)
    met = [next(endless) for _ in range(steps)]
    found = largest_surviving_rate(lambda rate: survives(net, met, rate), lowest, highest, factor)
    survived = 0.0 if math.isnan(found.survived) else found.survived
    return table([(survived, found.lost)], DEPTH_UNITS)
