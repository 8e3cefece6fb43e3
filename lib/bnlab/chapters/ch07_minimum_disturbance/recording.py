"""All tables of chapter 07 at full scale, by name.

`arrangements` before and during training, the noise in one update (`update_noise`), training under noise for a while
(`noise_sensitivity`) and for the document's forty epochs (`long_runs`), and settings that it leaves open (`unknowns`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch07_minimum_disturbance import arrangements, noise_sensitivity, unknowns, update_noise
from bnlab.chapters.ch07_minimum_disturbance.long_runs import long_runs
from bnlab.chapters.ch07_minimum_disturbance.noise_sensitivity import Grid
from bnlab.datasets import Dataset
from bnlab.sweeps.limits import distinct, enough_images, rates_of_a_sweep
from bnlab.sweeps.sweep import seeds_from
from bnlab.sweeps.unknowns import settings as left_open


def parts(
    dataset: Dataset,
    probe_size: int,
    first_epochs: int,
    first_seeds: int,
    ratio_batch_sizes: list[int],
    ratio_steps: int,
    ratio_seeds: int,
    methods: list[str],
    rates: list[float],
    noises: list[float],
    fc: list[str],
    frontier_steps: int,
    frontier_seeds: int,
    epochs: int,
    seeds: int,
    tuning_seeds: int,
    batch_size: int,
    seed: int,
    unknown_combinations: int = 0,
    unknown_seeds: int = 0,
    folder: Path | None = None,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """The chapter's tables by name, each with the function that makes it.

    Args:
        dataset: 32 x 32 images.
        probe_size: training images on which conv2's input is looked at.
        first_epochs: passes over the training images for which the arrangements are followed.
        first_seeds: seeds of that.
        ratio_batch_sizes: images over which an update averages, for the noise-to-signal ratio.
        ratio_steps: steps after which that ratio is measured again.
        ratio_seeds: seeds of that.
        methods: of `noise_sensitivity.METHODS`, those that are trained under noise.
        rates: of conv2, in units in which all methods agree for patches of unit power.
        noises: noise scales besides 0, in standard deviations of the local error.
        fc: "frozen", "trained", or both, in the short runs under noise; frozen in the long ones.
        frontier_steps: gradient steps of the short runs under noise; 0 leaves them out.
        frontier_seeds: seeds of the short runs under noise.
        epochs: passes over the training images of the long runs; 0 leaves them out.
        seeds: seeds of the long runs.
        tuning_seeds: further seeds, on which rates are chosen.
        batch_size: images a mini-batch of the runs under noise.
        seed: the first seed.
        unknown_combinations: settings that the document leaves open, besides those that differ in one thing.
        unknown_seeds: seeds of the runs in each; 0 leaves them out.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: a value that is unknown, impossible or there twice, or fewer images than a size; before any run.
    """
    _refuse_lists(rates, methods=methods, noises=noises, ratio_batch_sizes=ratio_batch_sizes, fc=fc)
    _refuse_counts(1, first_epochs=first_epochs, ratio_steps=ratio_steps)
    _refuse_counts(0, frontier_steps=frontier_steps, epochs=epochs)
    largest = {"probe_size": probe_size, "ratio_batch_sizes": max(ratio_batch_sizes), "batch_size": batch_size}
    _refuse_sizes(dataset, dataset=arrangements.BATCH_SIZE, **largest)
    followed = seeds_from(seed, first_seeds)
    first = cache(partial(arrangements.follow, dataset, followed, first_epochs, probe_size, folder))
    chosen_on, averaged = tuple(seeds_from(seed + 1000, tuning_seeds)), seeds_from(seed, ratio_seeds)
    wanted = partial(Grid, tuple(methods), tuple(rates), tuple(noises), tuning_seeds=chosen_on, batch_size=batch_size)
    short, long = wanted(seeds=tuple(seeds_from(seed, frontier_seeds))), wanted(seeds=tuple(seeds_from(seed, seeds)))
    made = {
        "powers": lambda: arrangements.powers(first()),
        "directions": lambda: arrangements.directions(first()),
        "noise_ratio": partial(update_noise.noise_ratio, dataset, averaged, ratio_batch_sizes, ratio_steps),
    }
    if frontier_steps:
        made["frontier"] = partial(noise_sensitivity.frontier, dataset, short, frontier_steps, fc, folder)
    if unknown_seeds:
        left_open(unknown_combinations, 0, unknowns.NAMES)  # refuses too many, before anything runs
        few = dataset, unknown_combinations, seeds_from(seed, unknown_seeds)
        made["unknown_looks"] = partial(unknowns.looks, *few, folder)
        made["unknown_noise"] = partial(unknowns.under_noise, *few, chosen_on, folder)
    if epochs:
        made["long_runs"] = partial(long_runs, dataset, long, epochs, folder)
    return made


def _refuse_lists(rates: list[float], **lists: list) -> None:
    """Refuse rates of which one is impossible, values that are there twice, and an unknown treatment of fc."""
    rates_of_a_sweep("rates", rates)
    for name, values in lists.items():
        distinct(name, values)
    for word in lists["fc"]:
        checks.choice("fc", word, noise_sensitivity.FC)


def _refuse_sizes(images: Dataset, /, **sizes: int) -> None:
    """Refuse what is no whole number, or more images than there are."""
    for name, size in sizes.items():
        enough_images(images, checks.whole(name, size), name)


def _refuse_counts(least: int, **counts: int) -> None:
    """Refuse what is no whole number, or less than that."""
    for name, value in counts.items():
        checks.whole(name, value, least=least)
