"""The published probe of smoothness along training paths (Santurkar et al. 2018, Fig. 4), at common and own rates.

Two networks, each with and without Batch Normalization and with the same weights at the start, descend on one batch.
At some steps the probe walks along the gradient: by multiples of the learning rate, as published, and by equal
distances. ``rule`` says how the rate is chosen: a number, the same for both networks; or "own", a share of what the
curvature allows, measured anew at every probe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.chapters.ch09_smoothness.networks import LINEAR, batch, build, weight_norm
from bnlab.chapters.ch09_smoothness.paths import small_rate
from bnlab.datasets import Dataset
from bnlab.measures.landscape import along_gradient
from bnlab.measures.surface import LossSurface
from bnlab.tables import table

MULTIPLES = (0.5, 2.0, 4.0)  # of the learning rate: the published [1/2, 4]
DISTANCES = (0.1, 1.0)  # at which both networks are probed alike
RELATIVE = (0.01,)  # distances as shares of ||w||: for weights without a scale of their own
OWN = "own"
UNITS = {
    "step": "gradient steps",
    "kind": "multiples, distance or share of ||w||",
    "length": "as kind says",
    "loss": "nats",
    "range": "nats",
    "change": "||dg||",
    "beta": "||dg|| / distance",
    "gradient_norm": "nats",
    "weight_norm": "1",
}


def probes(point: dict, dataset: Dataset, images: int, pooled: int, steps: int, every: int) -> pd.DataFrame:
    """Train one network, a point of ``network``, ``norm``, ``rule`` and ``seed``, and probe it every so many steps.

    A row a walk: "multiples" of the rate are one walk (length 0), equal distances one each. ``range``: largest minus
    smallest loss; ``change``: largest change of the gradient; ``beta``: largest change by distance. A network whose
    loss is no longer a number has inf in all of them from then on.
    """
    pooled = pooled if point["network"] == LINEAR else 1
    x, labels = batch(dataset, images, point["seed"], pooled)
    model = build(point["network"], point["norm"], x, len(dataset.classes), point["seed"]).train()
    parameters, rows, rate = list(model.parameters()), [], math.nan
    for step in range(steps + 1):
        loss = functional.cross_entropy(model(x), labels)
        finite = math.isfinite(float(loss.detach()))
        if step % every == 0:
            if finite:
                own = point["rule"] == OWN
                rate = small_rate(model, x, labels, point["seed"]) if own else float(point["rule"])
            rows += _walks(model, x, labels, rate, step) if finite else _lost(step)
        if finite:
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter -= rate * gradient
    return table(rows, UNITS)


def _walks(model: torch.nn.Module, x: Tensor, labels: Tensor, rate: float, step: int) -> list[tuple]:
    surface, length = LossSurface(model, x, labels, functional.cross_entropy), weight_norm(model)
    walks = {("multiples", 0.0): along_gradient(surface, [rate * a for a in MULTIPLES])}
    every = [*DISTANCES, *(share * length for share in RELATIVE)]
    names = [*(("distance", d) for d in DISTANCES), *(("share of ||w||", s) for s in RELATIVE)]
    along = along_gradient(surface, distances=every)
    rows = []
    for (kind, value), walk in walks.items():
        change, beta = float(walk.changes.max()), walk.effective_beta
        rows.append((step, kind, value, walk.loss, walk.loss_range, change, beta, walk.gradient_norm, length))
    for number, (kind, value) in enumerate(names):
        change = float(along.changes[number])
        beta = change / float(along.distances[number])
        moved = abs(float(along.losses[number]) - along.loss)
        rows.append((step, kind, value, along.loss, moved, change, beta, along.gradient_norm, length))
    return rows


def _lost(step: int) -> list[tuple]:
    kinds = [("multiples", 0.0), *(("distance", d) for d in DISTANCES), *(("share of ||w||", s) for s in RELATIVE)]
    return [(step, kind, value, *(math.inf,) * 6) for kind, value in kinds]


def rules(rates: Sequence[float]) -> list[str]:
    """Name every way in which the rate is chosen: the common rates as text, and "own"."""
    return [*(f"{rate:g}" for rate in rates), OWN]
