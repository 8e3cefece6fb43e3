"""The largest learning rate that a residual network survives, by depth, normalisation and warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd

from bnlab.chapters.ch13_learning_rate.networks import first_batches, resnet
from bnlab.datasets import Dataset
from bnlab.tables import table
from bnlab.training.stable_rates import Descent, descend, largest_surviving_rate

LOWEST, HIGHEST = 2.0**-18, 2.0**6  # between which the border is looked for
UNITS = {"survived": "learning rate", "lost": "learning rate", "how": "name", "initial_loss": "nats"}


@dataclass(frozen=True)
class Setting:
    """What all networks share: data, and how steps are taken."""

    dataset: Dataset
    batch_size: int
    width: int
    pooled: int
    factor: float
    momentum: float = 0.9
    weight_decay: float = 1e-4


def bracket(point: dict, setting: Setting) -> pd.DataFrame:
    """Bracket the largest rate that one network survives for some steps, of which the first may be a warm-up.

    A point of ``depth``, ``norm``, ``steps`` (all of them), ``warmup`` (how many of these) and ``seed``. A rate is lost
    where the network has diverged, or in the end gives all images the same answer; ``how`` says which of the two it was
    just above the border.
    """
    model = resnet(
        point["depth"], point["norm"], setting.dataset, point["seed"], width=setting.width, pooled=setting.pooled
    )
    walk = partial(
        descend,
        model,
        first_batches(setting.dataset, point["steps"], setting.batch_size, point["seed"]),
        warmup=point["warmup"],
        momentum=setting.momentum,
        weight_decay=setting.weight_decay,
    )
    seen: dict[float, Descent] = {}

    def lives(rate: float) -> bool:
        seen[rate] = walk(rate)
        return not (seen[rate].diverged or seen[rate].constant)

    found = largest_surviving_rate(lives, LOWEST, HIGHEST, setting.factor)
    above = seen.get(found.lost)
    how = "" if above is None else "diverged" if above.diverged else "constant"
    first = next(iter(seen.values())).losses[0]
    return table([(found.survived, found.lost, how, first)], UNITS)
