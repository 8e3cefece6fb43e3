"""Descent at a small share of the rate that the curvature allows, which every network can be compared along.

At one large rate every network ends at the edge of stability, where the largest eigenvalue is 2 over the rate whatever
the network; that says nothing about the network. So the rate here is a fixed share of 1/|lambda|, for the eigenvalue of
largest modulus, estimated anew every so many steps.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.chapters.ch09_smoothness.networks import weight_norm
from bnlab.measures.curvature import hessian_ends
from bnlab.measures.surface import LossSurface
from bnlab.randomness import generator

SHARE = 0.2  # of 1/|lambda|
REFRESHED = 40  # steps after which lambda is estimated anew
ROUGH, PRODUCTS = 0.2, 15  # tolerance and most products of that estimate


@dataclass(frozen=True)
class Path:
    """A run: what was seen at every step, and the network as it stood where its loss first fell to each level."""

    steps: list[tuple[int, float, float, float, float]]  # step, loss, gradient norm, ||w||, rate
    at_level: dict[float, nn.Module]


def small_rate(model: nn.Module, x: Tensor, labels: Tensor, seed: int) -> float:
    """`SHARE` of 1/|lambda| of the loss with batch statistics, lambda the eigenvalue of largest modulus, roughly."""
    surface = LossSurface(model, x, labels, functional.cross_entropy)
    ends = hessian_ends(surface, tolerance=ROUGH, most=PRODUCTS, generator=generator(seed, "Lanczos"))
    return SHARE / max(float(ends.largest[0]), -ends.smallest)


def descend(model: nn.Module, x: Tensor, labels: Tensor, *, levels: Sequence[float], most: int, seed: int) -> Path:
    """Full-batch descent in place, in train mode, at the small rate, until the lowest level or ``most`` steps.

    Running averages of Batch Normalization follow as in any training.
    """
    waiting, reached, seen = sorted(levels, reverse=True), {}, []
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    for step in range(most + 1):
        if step % REFRESHED == 0:
            rate = small_rate(model, x, labels, seed)
        loss = functional.cross_entropy(model(x), labels)
        gradients = torch.autograd.grad(loss, parameters)
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
        value = float(loss.detach())
        seen.append((step, value, norm, weight_norm(model), rate))
        while waiting and value <= waiting[0]:
            reached[waiting.pop(0)] = copy.deepcopy(model)
        if not waiting or step == most or not math.isfinite(value):
            break
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= rate * gradient
    return Path(seen, reached)
