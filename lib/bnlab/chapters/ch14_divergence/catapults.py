"""Full-batch gradient descent at rates c / lambda_0: does the loss fall, rise and come back, or is it lost?

lambda_0 is the top eigenvalue of the Hessian at the start, so that c = 2 is where a quadratic loss stops falling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.datasets import Dataset
from bnlab.measures.curvature import hessian_ends
from bnlab.measures.surface import Loss, LossSurface
from bnlab.models.lenet import LeNet
from bnlab.models.mlp import MLP
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator
from bnlab.tables import table

NETWORKS = ("MLP", "LeNet", "ResNet-8")  # none of them has a normalisation
WIDTH = 256  # hidden units of the MLP, one layer of them: the mechanism is one of wide networks
CHANNELS = 8  # of the ResNet's first stage
POOLED = 4  # pixels a side that are averaged to one for the MLP
NEAR = 0.01  # a loss so near to the constant answer's, relatively, is no better
KINDS = ("monotone", "catapult", "lost")
UNITS = {
    "c": "1", "rate": "1", "start_curvature": "nats or squares", "first": "loss", "highest": "loss", "last": "loss",
    "constant": "loss", "end_curvature": "nats or squares", "kind": "name",
}  # fmt: skip


def squares(outputs: Tensor, labels: Tensor) -> Tensor:
    """Half the squared distance of the outputs (B, classes) from one-hot targets, mean over images."""
    targets = functional.one_hot(labels, outputs.shape[1])
    return (outputs - targets).square().sum(1).mean() / 2


LOSSES: dict[str, Loss] = {"squares": squares, "cross-entropy": functional.cross_entropy}


def network(name: str, images: Tensor, classes: int, seed: int) -> nn.Module:
    """One of `NETWORKS` for images (B, C, H, W), without normalisation."""
    rng, channels = generator(seed, "weights"), images.shape[1]
    if name == "MLP":
        return MLP(images[0].numel(), classes, depth=1, width=WIDTH, generator=rng)
    if name == "LeNet":
        return LeNet(channels, classes, generator=rng)
    return ResNet(8, channels, classes, placement="nowhere", width=CHANNELS, generator=rng)


def batch(dataset: Dataset, name: str, images: int, seed: int) -> tuple[Tensor, Tensor]:
    """The images (images, C, H, W) that a network sees at every step, and their labels."""
    x, labels = next(iter(dataset.batches(images, generator(seed, "order of mini-batches"))))
    return (functional.avg_pool2d(x, POOLED) if name == "MLP" else x), labels


def phases(
    point: dict[str, object], *, dataset: Dataset, images: int, multiples: Sequence[float], steps: int
) -> pd.DataFrame:
    """Descend from one start (network, loss, seed) at every rate c / lambda_0; a row a c, columns as in `UNITS`.

    ``highest``: of the loss on the way, inf where it was lost; ``last``: after the last step; ``constant``: loss of the
    best answer that is the same for every image; ``end_curvature``: nan where the run was lost; ``kind``: see `kind`.
    """
    name, seed = str(point["network"]), int(point["seed"])
    loss = LOSSES[str(point["loss"])]
    x, labels = batch(dataset, name, images, seed)
    net = network(name, x, len(dataset.classes), seed).to(x)
    start = top_curvature(net, x, labels, loss, seed)
    constant = constant_loss(str(point["loss"]), labels)
    rows = []
    for c in multiples:
        losses, end = descent(network(name, x, len(dataset.classes), seed).to(x), x, labels, loss, c / start, steps)
        found = kind(losses, constant)
        curvature = math.nan if found == "lost" else top_curvature(end, x, labels, loss, seed)
        rows.append((c, c / start, start, losses[0], max(losses), losses[-1], constant, curvature, found))
    return table(rows, UNITS)


def top_curvature(net: nn.Module, x: Tensor, labels: Tensor, loss: Loss, seed: int) -> float:
    """Largest eigenvalue of the Hessian of the loss on a batch."""
    ends = hessian_ends(
        LossSurface(net, x, labels, loss), tolerance=0.01, most=20, generator=generator(seed, "Lanczos")
    )
    return float(ends.largest[0])


def descent(
    net: nn.Module, x: Tensor, labels: Tensor, loss: Loss, rate: float, steps: int
) -> tuple[list[float], nn.Module]:
    """Losses before each of so many steps of gradient descent in place, and after the last; to inf where lost."""
    parameters, losses = list(net.parameters()), []
    for _ in range(steps + 1):
        value = loss(net(x), labels)
        losses.append(value.item() if math.isfinite(value.item()) else math.inf)
        if math.isinf(losses[-1]):
            break
        gradients = torch.autograd.grad(value, parameters)
        if len(losses) <= steps:
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=-rate)
    return losses, net


def constant_loss(loss: str, labels: Tensor) -> float:
    """Smallest loss of an answer that is the same for every image: where a network whose units have died ends.

    >>> constant_loss("squares", torch.tensor([0, 1]))  # (1 - sum p^2) / 2
    0.25
    """
    shares = torch.bincount(labels).double() / len(labels)
    if loss == "squares":
        return float((1 - shares.square().sum()) / 2)
    return float(-torch.special.xlogy(shares, shares).sum())


def kind(losses: Sequence[float], constant: float) -> str:
    """Name a run by its losses: "lost" if it ends no better than it began, or than the best constant answer.

    Of the others "catapult" is one whose loss was above the first on the way. A network whose units have died gives a
    constant answer, whose loss may well be below the first: that is no convergence.

    >>> [kind(losses, 0.7) for losses in ([1.0, 0.5], [1.0, 30.0, 0.1], [1.0, 30.0, 2.0], [1.0, 30.0, 0.7])]
    ['monotone', 'catapult', 'lost', 'lost']
    """
    if not losses[-1] < min(losses[0], (1 - NEAR) * constant):
        return "lost"
    return "catapult" if max(losses) > losses[0] else "monotone"
