"""The largest eigenvalue of the Hessian where SGD of some rates and batch sizes reaches one training loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.chapters.ch13_learning_rate.networks import mlp
from bnlab.measures.curvature import hessian_ends
from bnlab.measures.surface import LossSurface
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.training.stable_rates import is_diverged

UNITS = {
    "rate": "learning rate",
    "steps": "gradient steps",
    "reached": "bool",
    "train_loss": "nats",
    "test_loss": "nats",
    "test_error": "fraction",
    "largest": "eigenvalue",
    "residual": "of the eigenvalue",
}
TOLERANCE, PRODUCTS = 0.02, 100


@dataclass(frozen=True)
class Setting:
    """Images as vectors (N, F), labels, and what all runs share."""

    inputs: Tensor
    labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    classes: int
    width: int
    level: float  # training loss (nats) at which a run is looked at
    epochs: int  # at most
    look_every: int = 10  # steps from one look at the training loss to the next


def run(point: dict, setting: Setting) -> pd.DataFrame:
    """Train one network by plain SGD to the level, a point of ``ratio`` (rate over batch), ``batch_size`` and ``seed``.

    A run that diverges or does not get there is not ``reached``, and is not looked at.
    """
    model = mlp(setting.inputs.shape[1], setting.classes, point["seed"], width=setting.width, activation="relu")
    rate = point["ratio"] * point["batch_size"]
    steps, loss = _descend(model, rate, point["batch_size"], point["seed"], setting)
    reached = loss <= setting.level
    numbers = (math.nan,) * 4
    if reached:
        surface = LossSurface(model, setting.inputs, setting.labels, functional.cross_entropy)
        ends = hessian_ends(surface, tolerance=TOLERANCE, most=PRODUCTS, generator=generator(point["seed"], "Lanczos"))
        with torch.no_grad():
            logits = model(setting.test_inputs)
        wrong = (logits.argmax(1) != setting.test_labels).double().mean()
        test_loss = functional.cross_entropy(logits, setting.test_labels)
        numbers = (float(test_loss), float(wrong), float(ends.largest[0]), float(ends.residuals[0]))
    return table([(rate, steps, reached, loss, *numbers)], UNITS)


def _descend(model, rate: float, batch_size: int, seed: int, setting: Setting) -> tuple[int, float]:
    """Steps taken, and the training loss then."""
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)
    order, count, step = generator(seed, "order of mini-batches"), len(setting.labels), 0
    first = loss = _loss(model, setting)
    for _ in range(setting.epochs):
        for chosen in torch.randperm(count, generator=order).split(batch_size):
            if len(chosen) < batch_size:
                continue
            optimiser.zero_grad()
            functional.cross_entropy(model(setting.inputs[chosen]), setting.labels[chosen]).backward()
            optimiser.step()
            step += 1
            if step % setting.look_every == 0:
                loss = _loss(model, setting)
                if loss <= setting.level or is_diverged(loss, first):
                    return step, loss
    return step, loss


def _loss(model, setting: Setting) -> float:
    with torch.no_grad():
        return float(functional.cross_entropy(model(setting.inputs), setting.labels))
