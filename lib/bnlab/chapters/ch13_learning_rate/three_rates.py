"""Bjorck et al.'s experiment of Figure 1: networks with and without normalisation at several initial learning rates."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bnlab.chapters.ch13_learning_rate.networks import resnet
from bnlab.datasets import Dataset
from bnlab.records import keys
from bnlab.records.content import content
from bnlab.training.epochs import Recipe, train_epochs

UNITS = {
    "epoch": "passes",
    "learning_rate": "of this epoch",
    "loss": "nats",
    "train_accuracy": "fraction",
    "train_loss": "nats",
    "test_accuracy": "fraction",
    "test_loss": "nats",
    "progress": "of the training",
    "diverged": "bool",
}


@dataclass(frozen=True)
class Setting:
    """What all runs share: data, network, and how it is trained; ``folder`` keeps the states of unfinished runs."""

    dataset: Dataset
    depth: int
    width: int
    pooled: int
    batch_size: int
    evaluations: int
    augment: bool
    bfloat16: bool
    folder: str | None = field(default=None, compare=False)  # no part of what decides a number

    def checkpoint(self, point: dict) -> Path | None:
        """File of the state of one run, named by what decides it."""
        if self.folder is None:
            return None
        facts = {"point": point, "setting": content(self), "sources": keys.sources(__name__)}
        return Path(self.folder) / f"{keys.digest(facts)[:24]}.pt"


def run(point: dict, setting: Setting) -> pd.DataFrame:
    """Train one network, a point of ``norm``, ``rate``, ``epochs`` and ``seed``: a row a look at both splits."""
    model = resnet(
        setting.depth, point["norm"], setting.dataset, point["seed"], width=setting.width, pooled=setting.pooled
    )
    recipe = Recipe(
        point["rate"],
        point["epochs"],
        setting.batch_size,
        augment=setting.augment,
        bfloat16=setting.bfloat16,
    )
    made = train_epochs(
        model,
        setting.dataset,
        recipe,
        seed=point["seed"],
        evaluations=min(setting.evaluations, point["epochs"]),
        checkpoint=setting.checkpoint(point),
    )
    history = made.history.assign(progress=made.history["epoch"] / point["epochs"], diverged=made.diverged)
    history.attrs["units"] = UNITS
    return history[list(UNITS)]
