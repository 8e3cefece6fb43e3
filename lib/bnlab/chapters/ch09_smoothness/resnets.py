"""Ends of the Hessian's spectrum of ResNets with and without BN, by depth, whose statistics, start and equal losses."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import pandas as pd
from torch import Tensor, nn
from torch.nn import functional

from bnlab.chapters.ch09_smoothness.networks import batch, residual, weight_norm
from bnlab.chapters.ch09_smoothness.paths import descend
from bnlab.datasets import Dataset
from bnlab.measures.curvature import hessian_ends, share_in
from bnlab.measures.surface import STATISTICS, LossSurface
from bnlab.randomness import generator
from bnlab.tables import table

TOP = 10  # eigenvectors whose share of the gradient is taken
TOLERANCE, PRODUCTS = 0.05, 80
START = math.inf  # the level of the network before training
UNITS = {
    "what": "spectrum or path",
    "step": "gradient steps",
    "level": "nats",
    "statistics": "whose",
    "loss": "nats",
    "largest": "eigenvalue",
    "smallest": "eigenvalue",
    "residual": "of the largest modulus",
    "share": "of the squared gradient",
    "gradient_norm": "nats",
    "weight_norm": "1",
}


def curvatures(
    point: dict, dataset: Dataset, images: int, pooled: int, width: int, levels: Sequence[float], most: int
) -> pd.DataFrame:
    """Train one ResNet, a point of ``depth``, ``norm`` and ``seed``, at the small rate, and look at its Hessian.

    Rows "spectrum": at the start (level inf) and where the loss first fell to each level, the largest and smallest
    eigenvalue with the statistics of the batch, of the same images held still ("population") and as running averages
    ("running"; a network without BN has one Hessian, "none"); at the lowest level, for those of batch and population,
    the gradient's share in the top ten eigenspace. Rows "path": loss, ||g|| and ||w|| at every step.
    """
    x, labels = batch(dataset, images, point["seed"], pooled)
    model = residual(point["depth"], width, point["norm"], x, len(dataset.classes), point["seed"])
    start = copy.deepcopy(model)
    path = descend(model, x, labels, levels=levels, most=most, seed=point["seed"])
    rows = [
        ("path", step, math.nan, "batch", loss, math.nan, math.nan, math.nan, math.nan, norm, length)
        for step, loss, norm, length, _ in path.steps
    ]
    for level, network in {START: start, **path.at_level}.items():
        for statistics in STATISTICS if point["norm"] == "batch" else ("none",):
            rows.append(_spectrum(network, x, labels, level, statistics, level == min(levels), point["seed"]))
    return table(rows, UNITS)


def _spectrum(
    network: nn.Module, x: Tensor, labels: Tensor, level: float, statistics: str, last: bool, seed: int
) -> tuple:
    mode = "batch" if statistics == "none" else statistics
    surface = LossSurface(network, x, labels, functional.cross_entropy, statistics=mode)
    wide = last and statistics != "running"
    ends = hessian_ends(
        surface, TOP if wide else 1, tolerance=TOLERANCE, most=PRODUCTS, generator=generator(seed, "Lanczos")
    )
    loss, gradient = surface.value_and_gradient()
    share = share_in(ends.vectors, gradient) if wide else math.nan
    facts = (float(ends.largest[0]), ends.smallest, float(ends.residuals[[0, -1]].max()), share)
    return ("spectrum", -1, level, statistics, loss, *facts, float(gradient.norm()), weight_norm(network))
