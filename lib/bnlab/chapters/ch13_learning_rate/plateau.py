"""Batch sharpness and the largest eigenvalue of the Hessian along SGD at a constant rate, on squared errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from bnlab.chapters.ch13_learning_rate.networks import mlp
from bnlab.measures.batch_sharpness import batch_sharpness
from bnlab.measures.curvature import hessian_ends
from bnlab.measures.surface import LossSurface
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.training.train import DIVERGED

UNITS = {"step": "gradient steps", "loss": "squared error", "batch": "eigenvalue", "largest": "eigenvalue"}
TOLERANCE, PRODUCTS = 0.02, 60
WARMUP = 200  # steps up to the rate: the first weights' curvature may lie beyond 2 / rate


@dataclass(frozen=True)
class Setting:
    """Images as vectors (N, F), one-hot targets (N, classes), and what all runs share."""

    inputs: Tensor
    targets: Tensor
    width: int
    batch_size: int
    steps: int
    looks: int  # equally far apart, the last at the end
    batches: int  # in each look at the batch sharpness


def run(point: dict, setting: Setting) -> pd.DataFrame:
    """Train one network by plain SGD, a point of ``rate`` and ``seed``: a row a look."""
    model = mlp(
        setting.inputs.shape[1], setting.targets.shape[1], point["seed"], width=setting.width, activation="tanh"
    )
    optimiser = torch.optim.SGD(model.parameters(), lr=point["rate"])
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / WARMUP, total_iters=WARMUP)
    order, probe = generator(point["seed"], "order of mini-batches"), generator(point["seed"], "probe")
    rows, every = [], setting.steps // setting.looks
    for step in range(1, setting.steps + 1):
        inputs, targets = _batch(setting, order)
        optimiser.zero_grad()
        squared_error(model(inputs), targets).backward()
        optimiser.step()
        schedule.step()
        if step % every == 0:
            rows.append((step, *_look(model, setting, probe)))
    return table(rows, UNITS)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance, mean over images: (B, classes) to a number."""
    return (outputs - targets).square().sum(1).mean() / 2


def _batch(setting: Setting, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images drawn with replacement, as in the document."""
    chosen = torch.randint(len(setting.inputs), (setting.batch_size,), generator=rng)
    return setting.inputs[chosen], setting.targets[chosen]


def _look(model, setting: Setting, rng: torch.Generator) -> tuple[float, float, float]:
    """Loss, batch sharpness and largest eigenvalue; infinite where the network has diverged."""
    with torch.no_grad():
        loss = float(squared_error(model(setting.inputs), setting.targets))
    if not loss < DIVERGED:
        return (math.inf,) * 3
    surface = LossSurface(model, setting.inputs, setting.targets, squared_error)
    ends = hessian_ends(surface, tolerance=TOLERANCE, most=PRODUCTS, generator=generator(0, "Lanczos"))
    some = [_batch(setting, rng) for _ in range(setting.batches)]
    return loss, batch_sharpness(model, some, squared_error), float(ends.largest[0])
