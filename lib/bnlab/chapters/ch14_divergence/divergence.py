"""Chapter 14: parameters -> its tables, at the quick scale by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch14_divergence import catapults, looks, runs
from bnlab.chapters.ch14_divergence.networks import BN, NONE
from bnlab.datasets import Dataset
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.limits import distinct, enough_images, rates_of_a_sweep
from bnlab.sweeps.settings import taking
from bnlab.sweeps.sweep import grid, seeds_from, sweep

APART = 36  # layers between those of Figure 4


@dataclass(frozen=True)
class Settings:
    """What decides the tables of chapter 14 besides the data; the defaults are those of the quick run.

    Raises:
        ValueError: a size below 1, a rate that is not positive or there twice, a layer step that does not divide 36, an
            unknown arm or network, or an update that is no step.
    """

    depth: int = 110  # layers of the ResNet that is looked at, 6n + 2, at least 98 so that layer 80 has others after it
    batch_size: int = 64  # images of a mini-batch there
    looks_a_seed: int = 1  # mini-batches on which each seed's networks are looked at
    # Sizes of the steps along the gradient without Batch Normalization.
    plain_steps: Sequence[float] = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
    bn_steps: Sequence[float] = (1e-2, 3e-2, 1e-1, 3e-1)  # and with it
    # Learning rate of the diverging update, one of ``plain_steps``: the smaller ones are on its way.
    update_rate: float = 1e-3
    # Layers from one that is looked at there to the next; it divides 36, so that 8, 44 and 80 are met.
    layer_step: int = 12
    run_rates: Sequence[float] = (1e-3,)  # learning rates of the runs that are to diverge
    run_images: int = 32  # images of a mini-batch there
    run_steps: int = 200  # gradient steps of a run, and after it has diverged
    depths: Sequence[int] = (8, 20, 56)  # of the ResNets whose largest stable rate is looked for
    depth_images: int = 8  # images of a mini-batch there
    depth_steps: int = 5  # gradient steps that a rate has to survive
    depth_arms: Sequence[str] = (NONE,)  # "none", "BN" or both
    factor: float = 2.0  # between the largest rate that survived and the smallest that was lost
    catapult_networks: Sequence[str] = ("MLP",)  # names of `catapults.NETWORKS`
    catapult_images: int = 32  # images that these descend on
    catapult_steps: int = 200  # gradient steps there
    multiples: Sequence[float] = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)  # c of the rates c / lambda_0
    seeds: int = 5  # paired networks, from ``seed`` on
    seed: int = 0  # the first

    def __post_init__(self) -> None:
        counted = ("batch_size", "looks_a_seed", "layer_step", "run_images", "run_steps", "depth_images", "depth_steps",
                   "catapult_images", "catapult_steps")  # fmt: skip
        for name in counted:
            checks.whole(name, getattr(self, name))
        for name in ("plain_steps", "bn_steps", "run_rates"):
            rates_of_a_sweep(name, list(getattr(self, name)))
        for name in ("depths", "multiples"):
            distinct(name, list(getattr(self, name)))
        for name, known in (("depth_arms", (NONE, BN)), ("catapult_networks", catapults.NETWORKS)):
            distinct(name, list(getattr(self, name)))
            for value in getattr(self, name):
                checks.choice(name, value, known)
        if self.update_rate not in self.plain_steps:
            raise ValueError(f"update_rate: {self.update_rate:g} is not one of plain_steps, {list(self.plain_steps)}")
        if APART % self.layer_step:
            raise ValueError(f"layer_step: {self.layer_step} does not divide {APART}, the layers from 8 to 44 and 80")


@taking(Settings)
def parts(dataset: Dataset, settings: Settings, folder: Path | None = None) -> dict[str, Callable[..., pd.DataFrame]]:
    """Tables of chapter 14 by name, each with the function that makes it; it takes `sweep`'s executor and progress.

    Args:
        dataset: 32 x 32 images.
        settings: see `Settings`, whose fields are given by keyword.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: as `Settings`, or fewer images than a mini-batch.
    """
    looked_at = settings.batch_size * settings.looks_a_seed
    enough_images(
        dataset, max(looked_at, *(getattr(settings, f"{name}_images") for name in ("run", "depth", "catapult")))
    )
    every = seeds_from(settings.seed, settings.seeds)
    look = partial(
        looks.look,
        dataset=dataset,
        depth=settings.depth,
        images=settings.batch_size,
        middle=settings.depth // 2,
        layer_step=settings.layer_step,
        plain_steps=tuple(settings.plain_steps),
        bn_steps=tuple(settings.bn_steps),
        rate=settings.update_rate,
    )
    batches = grid(batch=list(range(settings.looks_a_seed)), seed=every, arm=[NONE, BN])
    shared = _Shared(partial(_table, batches, look, folder))
    train = partial(
        runs.run, dataset=dataset, depth=settings.depth, images=settings.run_images, steps=settings.run_steps
    )
    border = partial(
        runs.stable_rate,
        dataset=dataset,
        images=settings.depth_images,
        steps=settings.depth_steps,
        lowest=1e-7,
        highest=100.0,
        factor=settings.factor,
    )
    depths = grid(arm=list(settings.depth_arms), depth=sorted(settings.depths, reverse=True), seed=every)
    fly = partial(
        catapults.phases,
        dataset=dataset,
        images=settings.catapult_images,
        multiples=tuple(settings.multiples),
        steps=settings.catapult_steps,
    )
    flights = grid(network=list(settings.catapult_networks), loss=list(catapults.LOSSES), seed=every)
    return {
        **{name: partial(_only, shared, name) for name in looks.UNITS},
        "runs": partial(_table, grid(rate=list(settings.run_rates), seed=every), train, folder),
        "depths": partial(_table, depths, border, folder),
        "catapults": partial(_table, flights, fly, folder),
    }


class _Shared:
    """A table from which several parts are cut, made once."""

    def __init__(self, make: Callable[..., pd.DataFrame]):
        self._make, self._made = make, None

    def __call__(self, **how: object) -> pd.DataFrame:
        if self._made is None:
            self._made = self._make(**how)
        return self._made


def _only(shared: _Shared, name: str, **how: object) -> pd.DataFrame:
    return looks.only(shared(**how), name)


def _table(
    points: list, run: Callable, folder: Path | None, executor: Executor | None = None, progress: bool = True
) -> pd.DataFrame:
    """Run the points; a table of complete runs, without the column that says so."""
    made = sweep(points, run, folder=folder, executor=executor, progress=progress)
    refuse_failures(made)
    return made.drop(columns="status")
