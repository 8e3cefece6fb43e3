"""What of Batch Normalization speeds training up: every arm of `arms` at every rate, and both tables of the chapter.

Arms are compared at the best of the same rates each, since they need different ones, or at the rate at which the plain
network is fastest. The tables: ``trajectories`` (of `trajectories`), ``arms``, and ``vgg`` (of `convolutional`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch08_internal_covariate_shift.arms import ARMS, NONE
from bnlab.chapters.ch08_internal_covariate_shift.convolutional import check_vgg, vgg_runs
from bnlab.chapters.ch08_internal_covariate_shift.runs import BATCH_SIZE, PROBE, run, swept
from bnlab.chapters.ch08_internal_covariate_shift.trajectories import trajectories
from bnlab.datasets import Dataset
from bnlab.sweeps.limits import enough_images, rates_of_a_sweep
from bnlab.sweeps.sweep import grid, seeds_from


def parts(
    dataset: Dataset, *, sigmoid_rate: float, sigmoid_steps: int, looks: int, arms: Sequence[str],
    rates: Sequence[float], depth: int, width: int, activation: str, steps: int, every: int, levels: Sequence[float],
    seeds: int, seed: int, vgg_widths: Sequence[int] = (), vgg_rates: Sequence[float] = (), vgg_steps: int = 0,
    vgg_levels: Sequence[float] = (), vgg_dataset: Dataset | None = None, folder: Path | None = None,
) -> dict[str, Callable[[], pd.DataFrame]]:  # fmt: skip
    """The chapter's tables by name, each with the function that makes it.

    Args:
        dataset: images of any size, on the CPU or a GPU.
        sigmoid_rate: learning rate of the sigmoid networks.
        sigmoid_steps: their gradient steps.
        looks: how often their distributions are looked at.
        arms: names of `arms.ARMS`; those that a claim needs and that are not there leave it unjudged.
        rates: learning rates at which every arm is run.
        depth: hidden layers of the arms.
        width: of those.
        activation: "relu", "tanh" or "sigmoid".
        steps: gradient steps of the arms.
        every: steps between two looks at loss, accuracy and drift.
        levels: losses, from high to low, at which arms are compared.
        seeds: how many, of weights, batches and noise.
        seed: the first.
        vgg_widths: channels of the VGG-like networks (images of 32 x 32), two convolutions each; none: no such table.
        vgg_rates: learning rates at which they are run.
        vgg_steps: their gradient steps.
        vgg_levels: as ``levels``, of these networks; none: the same.
        vgg_dataset: their images; None: ``dataset``.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: before anything runs: an unknown arm, rates or levels that are not usable, too few images.
    """
    for name in arms:
        checks.choice("arms", name, tuple(ARMS))
    rates_of_a_sweep("rates", list(rates))
    enough_images(dataset, BATCH_SIZE)
    if vgg_widths:
        rates_of_a_sweep("vgg_rates", list(vgg_rates))
        checks.whole("vgg_steps", vgg_steps)
        vgg_dataset, vgg_levels = vgg_dataset or dataset, list(vgg_levels or levels)
        check_vgg(vgg_dataset, vgg_widths)
        _falling("vgg_levels", vgg_levels)
    _falling("levels", levels)
    every_seed = seeds_from(seed, seeds)
    shared = {
        "depth": depth, "width": width, "activation": activation, "steps": steps, "every": every,
        "levels": list(levels),
    }  # fmt: skip
    made = {
        "trajectories": partial(
            trajectories, dataset, every_seed, rate=sigmoid_rate, steps=sigmoid_steps, looks=looks, width=width
        ),
        "arms": partial(arm_runs, dataset, arms, rates, every_seed, folder=folder, **shared),
    }
    if vgg_widths:
        made["vgg"] = partial(
            vgg_runs, vgg_dataset, vgg_rates, every_seed, widths=vgg_widths, steps=vgg_steps, every=every,
            levels=vgg_levels, folder=folder,
        )  # fmt: skip
    return made


def _falling(name: str, levels: Sequence[float]) -> None:
    if list(levels) != sorted(levels, reverse=True) or not all(level > 0 for level in levels) or not len(levels):
        raise ValueError(f"{name}: {list(levels)!r} do not fall from high to low, all above 0")


def arm_runs(
    dataset: Dataset, arms: Sequence[str], rates: Sequence[float], seeds: Sequence[int], *, depth: int, width: int,
    activation: str, steps: int, every: int, levels: Sequence[float], folder: Path | None = None,
    executor: Executor | None = None, progress: bool = True, probe: int = PROBE,
) -> pd.DataFrame:  # fmt: skip
    """Run every arm at every rate and seed; columns arm, learning_rate, seed and those of `runs.UNITS`.

    Raises:
        SweepError: a run failed.
    """
    one = partial(
        run, dataset=dataset, depth=depth, width=width, activation=activation, steps=steps, every=every,
        batch_size=BATCH_SIZE, levels=list(levels), probe=probe,
    )  # fmt: skip
    points = grid(arm=list(arms), learning_rate=list(rates), seed=list(seeds))
    return swept(one, points, dataset, folder=folder, executor=executor, progress=progress)


def ends(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a run: arm, learning_rate, seed, steps_to_loss, steps_to_good, test_error, loss, drift and travelled.

    The last two are means over the hidden layers.
    """
    last = runs[runs["at"] == "end"]
    how = dict.fromkeys(("steps_to_loss", "steps_to_good", "test_error", "loss"), "first")
    found = last.groupby(["arm", "learning_rate", "seed"], sort=False)
    return found.agg(how | {"drift": "mean", "travelled": "mean", "diverged": "first"}).reset_index()


def at_best_rate(runs: pd.DataFrame, goal: str = "steps_to_loss") -> pd.DataFrame:
    """Of every arm and seed the run with the smallest ``goal``, among equals that with the lowest loss at the end.

    ``goal``: a column of `ends`. An arm that never gets there in any run of a seed is left with infinite steps.
    """
    ordered = ends(runs).sort_values([goal, "loss", "learning_rate"], kind="stable")
    best = ordered.groupby(["arm", "seed"], sort=False).head(1)
    names = list(dict.fromkeys(runs["arm"]))
    return best.sort_values(["arm", "seed"], key=lambda c: c.map(names.index) if c.name == "arm" else c)


def at_plain_rate(runs: pd.DataFrame, goal: str = "steps_to_good") -> pd.DataFrame:
    """Rows of ``runs`` at the rate at which, with the same seed, the plain network reaches ``goal`` first."""
    best = at_best_rate(runs[runs["arm"] == NONE], goal)[["seed", "learning_rate"]]
    return runs.merge(best, on=["seed", "learning_rate"])
