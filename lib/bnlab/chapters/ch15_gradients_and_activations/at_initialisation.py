"""Chapter 15: parameters -> the tables of its networks, at the quick scale by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch15_gradients_and_activations import arms, last_layer, looks
from bnlab.datasets import Dataset
from bnlab.models.fan_scaling import INITIALISATIONS
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.limits import distinct, enough_images
from bnlab.sweeps.settings import taking
from bnlab.sweeps.sweep import grid, seeds_from, sweep

MOST_IMAGES = 4096  # of a large data set that are handed to every run


@dataclass(frozen=True)
class Settings:
    """What decides the tables of chapter 15 besides the data; the defaults are those of the quick run.

    Raises:
        ValueError: a size below 1, a list that is empty or holds a depth twice, a depth that is not 6n + 2, or another
            initialisation.
    """

    depth: int = 110  # layers of the ResNet that is looked at, 6n + 2
    images: int = 128  # in its one batch
    initialisation: str = "xavier"  # "xavier", the document's, or "kaiming"; of all networks
    last_depths: Sequence[int] = (8,)  # of the ResNets whose last layer is normalised in different ways
    fisher_images: int = 10  # on which their Fisher information is taken; R is on ``images``
    rate_batch: int = 8  # images in a mini-batch, where the largest surviving rate is looked for
    rate_steps: int = 5  # steps that a rate must survive
    rate_factor: float = 10.0  # between the rates that bracket the border
    condition_depths: Sequence[int] = (8, 20, 32)  # of the ResNets whose last layer's condition number is taken
    condition_images: int = 128  # on which it is
    seeds: int = 5  # independent draws of weights and images, from ``seed`` on
    end_seeds: int = 5  # as many where the end of the network is looked at: ``spectra``, ``rates``, ``conditions``
    seed: int = 0  # the first

    def __post_init__(self) -> None:
        named = {"depth": [self.depth], "last_depths": self.last_depths, "condition_depths": self.condition_depths}
        for name, depths in named.items():
            distinct(name, list(depths))
            for depth in depths:
                if checks.whole(name, depth, 8) % 6 != 2:
                    raise ValueError(f"{name}: {depth} is not 6n + 2, such as 8, 20, 56 or 110")
        checks.choice("initialisation", self.initialisation, INITIALISATIONS)
        checks.number("rate_factor", self.rate_factor, above=1)
        checks.whole("rate_steps", self.rate_steps)


@taking(Settings)
def parts(dataset: Dataset, settings: Settings, folder: Path | None = None) -> dict[str, Callable[..., pd.DataFrame]]:
    """Tables of chapter 15 by name, each with the function that makes it; it takes `sweep`'s executor and progress.

    ``moments``, ``gradients``, ``outputs`` and ``pairs`` are parts of one look (`looks.look`), taken once.

    Args:
        dataset: images of 32 x 32.
        settings: see `Settings`, whose fields are given by keyword.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: as `Settings`, or fewer images than asked.
    """
    wanted = {name: getattr(settings, name) for name in ("images", "fisher_images", "rate_batch", "condition_images")}
    for name, value in wanted.items():
        enough_images(dataset, checks.whole(name, value), name)
    most = min(len(dataset.train_labels), MOST_IMAGES)
    few = dataset.subset(train=max(most, *wanted.values()), test=len(dataset.classes), seed=settings.seed)
    every, fewer = seeds_from(settings.seed, settings.seeds), seeds_from(settings.seed, settings.end_seeds)
    shared = {"dataset": few, "initialisation": settings.initialisation}
    run = partial(looks.look, **shared, depth=settings.depth, images=settings.images)
    seen = cache(partial(_table, grid(arm=list(looks.ARMS), seed=every), run, folder))
    ends = grid(arm=list(arms.ARMS), depth=list(settings.last_depths), seed=fewer)
    spectra = partial(last_layer.spectra, **shared, images=settings.images, fisher_images=settings.fisher_images)
    rates = partial(
        last_layer.rates,
        **shared,
        batch_size=settings.rate_batch,
        steps=settings.rate_steps,
        factor=settings.rate_factor,
    )
    conditions = partial(last_layer.conditions, **shared, images=settings.condition_images)
    deep = grid(arm=["none", "all"], depth=list(settings.condition_depths), seed=fewer)
    found = {name: partial(_selected, seen, name, settings.seed) for name in looks.UNITS}
    return found | {
        "spectra": partial(_table, ends, spectra, folder),
        "rates": partial(_table, ends, rates, folder),
        "conditions": partial(_table, deep, conditions, folder),
    }


def _selected(
    seen: Callable, name: str, first: int, executor: Executor | None = None, progress: bool = True
) -> pd.DataFrame:
    """One table of the looks; pairs of channels, of which there are many, of the first seed alone."""
    made = looks.select(seen(executor, progress), name)
    if name != "pairs":
        return made
    units, made = made.attrs["units"], made[made["seed"] == first].reset_index(drop=True)
    made.attrs["units"] = units
    return made


def _table(
    points: list, run: Callable, folder: Path | None, executor: Executor | None = None, progress: bool = True
) -> pd.DataFrame:
    """Run the points; a table of complete runs, without the column that says so."""
    made = sweep(points, run, folder=folder, executor=executor, progress=progress)
    refuse_failures(made)
    return made.drop(columns="status")
