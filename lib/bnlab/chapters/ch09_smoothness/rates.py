"""Which learning rates the VGG-like network survives, with and without Batch Normalization."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.chapters.ch09_smoothness.networks import CONVOLUTIONAL, batch, build
from bnlab.datasets import Dataset
from bnlab.measures.probes import using_batch_statistics
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.training.train import train

BATCH = 32  # images a mini-batch


def survival(point: dict, dataset: Dataset, steps: int, judged: int, batch_size: int = BATCH) -> pd.DataFrame:
    """Train one network, a point of ``norm``, ``rate`` and ``seed``, by SGD for so many steps.

    ``survived``: the loss of ``judged`` fixed images, with batch statistics, is finite and below the one at the start.
    """
    x, labels = batch(dataset, judged, point["seed"])
    model = build(CONVOLUTIONAL, point["norm"], x, len(dataset.classes), point["seed"])
    before = _loss(model, x, labels)
    run = train(
        model,
        dataset,
        learning_rate=point["rate"],
        steps=steps,
        batch_size=batch_size,
        generator=generator(point["seed"], "order of mini-batches"),
    )
    after = _loss(model, x, labels)
    survived = not run.diverged and after < before  # nan is not below
    return table([(before, after, survived)], {"before": "nats", "after": "nats", "survived": "bool"})


def _loss(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    with torch.no_grad(), using_batch_statistics(model):
        return float(functional.cross_entropy(model(x), labels))
