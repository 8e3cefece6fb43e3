"""All tables of chapter 07 at full scale, by name.

`arrangements` before and during training, the noise in one update (`update_noise`), training under noise for a while
(`noise_sensitivity`) and for the document's forty epochs (`long_runs`), and settings that it leaves open (`unknowns`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch07_minimum_disturbance import arrangements, noise_sensitivity, unknowns, update_noise
from bnlab.chapters.ch07_minimum_disturbance.long_runs import long_runs
from bnlab.chapters.ch07_minimum_disturbance.noise_sensitivity import Grid
from bnlab.datasets import Dataset
from bnlab.sweeps.limits import distinct, enough_images, rates_of_a_sweep
from bnlab.sweeps.settings import taking
from bnlab.sweeps.sweep import seeds_from
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS
from bnlab.sweeps.unknowns import settings as left_open

NEEDED = ("first_epochs", "first_seeds", "ratio_steps", "ratio_seeds", "frontier_seeds", "seeds", "tuning_seeds")
LEFT_OUT_BY_ZERO = ("frontier_steps", "epochs", "unknown_seeds")


@dataclass(frozen=True)
class Settings:
    """What is recorded, and how much of it.

    Raises:
        ValueError: a value that is unknown, impossible, or there twice.
    """

    probe_size: int  # training images on which conv2's input is looked at
    first_epochs: int  # passes over the training images for which the arrangements are followed
    first_seeds: int  # seeds of that
    ratio_batch_sizes: list[int]  # images over which an update averages, for the noise-to-signal ratio
    ratio_steps: int  # steps after which that ratio is measured again
    ratio_seeds: int  # seeds of that
    methods: list[str]  # of `noise_sensitivity.METHODS`, those that are trained under noise
    rates: list[float]  # of conv2, in units in which all methods agree for patches of unit power
    noises: list[float]  # noise scales besides 0, in standard deviations of the local error
    fc: list[str]  # "frozen", "trained", or both, in the short runs under noise; frozen in the long ones
    frontier_steps: int  # gradient steps of the short runs under noise; 0 leaves them out
    frontier_seeds: int  # seeds of the short runs
    epochs: int  # passes over the training images of the long runs; 0 leaves them out
    seeds: int  # seeds of the long runs
    tuning_seeds: int  # further seeds, on which rates are chosen
    batch_size: int  # images a mini-batch of the runs under noise
    seed: int  # the first seed
    unknown_combinations: int = 0  # settings that the document leaves open, besides those that differ in one thing
    unknown_seeds: int = 0  # seeds of the runs in each; 0 leaves them out

    def __post_init__(self):
        """Refuse, before any run."""
        rates_of_a_sweep("rates", self.rates)
        for name in ("methods", "noises", "ratio_batch_sizes", "fc"):
            distinct(name, getattr(self, name))
        for word in self.fc:
            checks.choice("fc", word, noise_sensitivity.FC)
        for name in NEEDED:
            checks.whole(name, getattr(self, name), least=1)
        for name in LEFT_OUT_BY_ZERO:
            checks.whole(name, getattr(self, name), least=0)
        left_open(self.unknown_combinations, 0, WITHOUT_THRESHOLDS)  # refuses too many

    def grid(self, seeds: int) -> Grid:
        """The runs under noise, on so many reported seeds."""
        lists = (tuple(self.methods), tuple(self.rates), tuple(self.noises))
        chosen_on = tuple(seeds_from(self.seed + 1000, self.tuning_seeds))
        return Grid(*lists, tuple(seeds_from(self.seed, seeds)), chosen_on, self.batch_size)


@taking(Settings)
def parts(dataset: Dataset, settings: Settings, folder: Path | None = None) -> dict[str, Callable[..., pd.DataFrame]]:
    """The chapter's tables by name, each with the function that makes it.

    Args:
        dataset: 32 x 32 images.
        settings: see `Settings`, whose fields are given by keyword.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: as `Settings`, or fewer images than a size; before any run.
    """
    some = partial(seeds_from, settings.seed)
    sizes = {"probe_size": settings.probe_size, "batch_size": settings.batch_size, "dataset": arrangements.BATCH_SIZE}
    for name, size in {**sizes, "ratio_batch_sizes": max(settings.ratio_batch_sizes)}.items():
        enough_images(dataset, checks.whole(name, size), name)
    followed = some(settings.first_seeds), settings.first_epochs, settings.probe_size, folder
    first = cache(partial(arrangements.follow, dataset, *followed))
    of_ratio = some(settings.ratio_seeds), settings.ratio_batch_sizes, settings.ratio_steps
    short, long = settings.grid(settings.frontier_seeds), settings.grid(settings.seeds)
    made = {
        "powers": lambda: arrangements.powers(first()),
        "directions": lambda: arrangements.directions(first()),
        "noise_ratio": partial(update_noise.noise_ratio, dataset, *of_ratio),
    }
    if settings.frontier_steps:
        of_short = short, settings.frontier_steps, settings.fc, folder
        made["frontier"] = partial(noise_sensitivity.frontier, dataset, *of_short)
    if settings.unknown_seeds:
        few = dataset, settings.unknown_combinations, some(settings.unknown_seeds)
        made["unknown_looks"] = partial(unknowns.looks, *few, folder)
        made["unknown_noise"] = partial(unknowns.under_noise, *few, long.tuning_seeds, folder)
    if settings.epochs:
        made["long_runs"] = partial(long_runs, dataset, long, settings.epochs, folder)
    return made
