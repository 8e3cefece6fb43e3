"""Whole Hessian blocks of single layers, and level lines between the flattest and the steepest direction."""

from __future__ import annotations

import pandas as pd
from torch.nn import functional

from bnlab.chapters.ch09_smoothness.networks import LINEAR, batch, build, residual
from bnlab.chapters.ch09_smoothness.paths import descend
from bnlab.datasets import Dataset
from bnlab.measures.curvature import hessian_ends, pseudo_condition
from bnlab.measures.landscape import distance_to_change
from bnlab.measures.surface import LossSurface
from bnlab.models.mlp import MLP
from bnlab.randomness import generator
from bnlab.tables import table

DEPTH, WIDTH = 3, 8  # of the small fully connected network
RESIDUAL_DEPTH, RESIDUAL_WIDTH, RESIDUAL_LAYER = 8, 4, "convolutions.1."
CHANGE = 0.05  # of the loss: which level line is looked at
LIMIT = 100.0  # in units of ||w||: further than any level line that matters


def layer_conditions(point: dict, dataset: Dataset, images: int, pooled: int) -> pd.DataFrame:
    """Condition numbers of the Hessian blocks of the hidden layers after the first, at the start.

    A point is of ``network`` ("MLP", three hidden layers of eight; or "ResNet-8", the first convolution of its first
    block), ``norm`` and ``seed``. In float64, so that what is null can be told; null eigenvalues are left out.
    """
    x, labels = batch(dataset, images, point["seed"], pooled)
    x, classes, draw = x.double(), len(dataset.classes), generator(point["seed"], "weights")
    if point["network"] == "MLP":
        model = MLP(x[0].numel(), classes, depth=DEPTH, width=WIDTH, norm=point["norm"], generator=draw)
        layers = [f"linears.{k}.weight" for k in range(1, DEPTH)]
    else:
        model = residual(RESIDUAL_DEPTH, RESIDUAL_WIDTH, point["norm"], x, classes, point["seed"])
        layers = [RESIDUAL_LAYER]
    model, rows = model.to(x), []
    for layer in layers:
        surface = LossSurface(model, x, labels, functional.cross_entropy, parameters=(layer,))
        hessian = surface.hessian()
        rows.append((layer.rstrip("."), len(hessian), pseudo_condition(hessian)))
    return table(rows, {"layer": "name", "size": "parameters", "kappa": "1"})


def level_lines(point: dict, dataset: Dataset, images: int, pooled: int, most: int) -> pd.DataFrame:
    """Half-widths of the level line at which the deep linear network's loss has changed by `CHANGE` of itself.

    Along the top and the bottom eigenvector of the Hessian, at the start and after ``most`` steps at the small rate; a
    point is of ``norm`` and ``seed``. ``aspect``: the longer over the shorter.
    """
    x, labels = batch(dataset, images, point["seed"], pooled)
    model, rows = build(LINEAR, point["norm"], x, len(dataset.classes), point["seed"]), []
    for place in ("start", "later"):
        if place == "later":
            descend(model, x, labels, levels=(0.0,), most=most, seed=point["seed"])
        surface = LossSurface(model, x, labels, functional.cross_entropy)
        ends = hessian_ends(surface, tolerance=0.01, generator=generator(point["seed"], "Lanczos"))
        change = CHANGE * surface.value()
        limit = LIMIT * float(surface.theta.norm())
        steep, flat = (
            distance_to_change(surface, v, change, limit=limit) for v in (ends.vectors[0], ends.smallest_vector)
        )
        aspect = max(steep, flat) / min(steep, flat)
        rows.append((place, surface.value(), float(ends.largest[0]), ends.smallest, steep, flat, aspect))
    units = {"place": "name", "loss": "nats", "largest": "eigenvalue", "smallest": "eigenvalue"}
    return table(rows, units | {"steep": "distance", "flat": "distance", "aspect": "1"})
