"""Chapter 15: parameters -> the tables of its networks, at the quick scale by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cache, partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch15_gradients_and_activations import arms, last_layer, looks
from bnlab.datasets import Dataset
from bnlab.models.fan_scaling import INITIALISATIONS
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.limits import distinct, enough_images
from bnlab.sweeps.sweep import grid, seeds_from, sweep

MOST_IMAGES = 4096  # of a large data set that are handed to every run


def parts(
    dataset: Dataset,
    depth: int = 110,
    images: int = 128,
    initialisation: str = "xavier",
    last_depths: Sequence[int] = (8,),
    fisher_images: int = 10,
    rate_batch: int = 8,
    rate_steps: int = 5,
    rate_factor: float = 10.0,
    condition_depths: Sequence[int] = (8, 20, 32),
    condition_images: int = 128,
    seeds: int = 5,
    end_seeds: int = 5,
    seed: int = 0,
    folder: Path | None = None,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 15 by name, each with the function that makes it; it takes `sweep`'s executor and progress.

    ``moments``, ``gradients``, ``outputs`` and ``pairs`` are parts of one look (`looks.look`), taken once.

    Args:
        dataset: images of 32 x 32.
        depth: layers of the ResNet that is looked at, 6n + 2.
        images: in its one batch.
        initialisation: "xavier", the document's, or "kaiming"; of all networks.
        last_depths: of the ResNets whose last layer is normalised in different ways.
        fisher_images: on which their Fisher information is taken; R is on ``images``.
        rate_batch: images in a mini-batch, where the largest surviving rate is looked for.
        rate_steps: steps that a rate must survive.
        rate_factor: between the rates that bracket the border.
        condition_depths: of the ResNets whose last layer's condition number is taken.
        condition_images: on which it is.
        seeds: independent draws of weights and images, from ``seed`` on.
        end_seeds: as many where the end of the network is looked at: ``spectra``, ``rates``, ``conditions``.
        seed: the first.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: a size below 1, a list that is empty or holds a depth twice, a depth that is not 6n + 2, another
            initialisation, or fewer images than asked.
    """
    _refuse([depth], last_depths, condition_depths)
    checks.choice("initialisation", initialisation, INITIALISATIONS)
    checks.number("rate_factor", rate_factor, above=1)
    checks.whole("rate_steps", rate_steps)
    wanted = {"images": images, "fisher_images": fisher_images, "rate_batch": rate_batch,
              "condition_images": condition_images}  # fmt: skip
    for name, value in wanted.items():
        enough_images(dataset, checks.whole(name, value), name)
    most = min(len(dataset.train_labels), MOST_IMAGES)
    few = dataset.subset(train=max(most, *wanted.values()), test=len(dataset.classes), seed=seed)
    every, fewer = seeds_from(seed, seeds), seeds_from(seed, end_seeds)
    shared = {"dataset": few, "initialisation": initialisation}
    run = partial(looks.look, **shared, depth=depth, images=images)
    seen = cache(partial(_table, grid(arm=list(looks.ARMS), seed=every), run, folder))
    ends = grid(arm=list(arms.ARMS), depth=list(last_depths), seed=fewer)
    spectra = partial(last_layer.spectra, **shared, images=images, fisher_images=fisher_images)
    rates = partial(last_layer.rates, **shared, batch_size=rate_batch, steps=rate_steps, factor=rate_factor)
    conditions = partial(last_layer.conditions, **shared, images=condition_images)
    deep = grid(arm=["none", "all"], depth=list(condition_depths), seed=fewer)
    found = {name: partial(_selected, seen, name, seed) for name in looks.UNITS}
    return found | {
        "spectra": partial(_table, ends, spectra, folder),
        "rates": partial(_table, ends, rates, folder),
        "conditions": partial(_table, deep, conditions, folder),
    }


def _refuse(*lists: Sequence[int]) -> None:
    for name, depths in zip(("depth", "last_depths", "condition_depths"), lists, strict=True):
        distinct(name, list(depths))
        for depth in depths:
            if checks.whole(name, depth, 8) % 6 != 2:
                raise ValueError(f"{name}: {depth} is not 6n + 2, such as 8, 20, 56 or 110")


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
