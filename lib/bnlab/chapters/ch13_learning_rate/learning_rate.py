"""All tables of chapter 13."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab import checks
from bnlab.chapters.ch13_learning_rate import largest_rates, plateau, sharpness, three_rates
from bnlab.datasets import Dataset
from bnlab.models.resnet import NORMALISATIONS
from bnlab.records.arithmetic import Arithmetic
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.limits import distinct, enough_images, rates_of_a_sweep
from bnlab.sweeps.sweep import grid, seeds_from, sweep

VECTOR_POOLED = 4  # pixels a side that are averaged to one for the fully connected networks
VARIANTS = tuple(norm for norm in NORMALISATIONS if norm != "batch")
RATE_SEEDS = 8
RATE_IMAGES = 2048  # that first steps are taken on, at most: a sweep hands them to every run


def parts(
    dataset: Dataset,
    depths: Sequence[int] = (8, 56),
    rate_width: int = 4,
    rate_pooled: int = 4,
    first_steps: int = 6,
    rate_batch: int = 16,
    rate_factor: float = 2.0,
    warmups: Sequence[int] = (12,),
    warmup_depths: Sequence[int] = (8,),
    depth: int = 8,
    width: int = 8,
    pooled: int = 4,
    train_images: int = 256,
    test_images: int = 359,
    batch_size: int = 32,
    rates: Sequence[float] = (0.003, 0.01, 0.03, 0.1, 0.3),
    epochs: Sequence[int] = (6, 6, 5, 5, 4),
    three: Sequence[float] = (0.003, 0.03, 0.3),
    evaluations: int = 4,
    augment: bool = False,
    bfloat16: bool = False,
    sharp_images: int = 500,
    ratios: Sequence[float] = (0.0008, 0.00125, 0.002, 0.003, 0.004, 0.005),
    batch_sizes: Sequence[int] = (16, 40, 100, 256),
    repeats: int = 1,
    level: float = 0.05,
    sharp_epochs: int = 600,
    plateau_images: int = 100,
    plateau_rates: Sequence[float] = (0.1, 0.15),
    plateau_batch: int = 8,
    plateau_steps: int = 1000,
    seeds: int = 5,
    seed: int = 0,
    folder: Path | None = None,
) -> dict[str, Callable[..., pd.DataFrame]]:
    """Tables of chapter 13 by name, each with the function that makes it; it takes `sweep`'s executor and progress.

    Args:
        dataset: colour images, 32 x 32.
        depths: of the ResNets whose largest rate is looked for, 6n + 2; eight seeds each.
        rate_width: channels of their first stage.
        rate_pooled: pixels a side that are averaged to one for them.
        first_steps: of SGD that a rate must survive; after a warm-up so many at the full rate.
        rate_batch: images in each.
        rate_factor: to which the border is known.
        warmups: lengths (steps) of the linear warm-up of networks without BN; all take as many steps in all.
        warmup_depths: of these ResNets.
        depth: of the ResNet of the experiment of Figure 1.
        width: channels of its first stage.
        pooled: pixels a side that are averaged to one for it.
        train_images: how many it is trained on; 0: all.
        test_images: how many it is tested on; 0: all.
        batch_size: images a step.
        rates: initial learning rates, ascending.
        epochs: passes over the training images, for each of them.
        three: the three of Figure 1 among them, ascending.
        evaluations: looks at a training.
        augment: whether training images are cropped and mirrored at random.
        bfloat16: whether these networks compute under autocast.
        sharp_images: on which fully connected networks are trained to one loss.
        ratios: of rate to batch size.
        batch_sizes: with each of which every ratio is run.
        repeats: runs of each pair, all with seeds of their own.
        level: training loss (nats) at which they are looked at.
        sharp_epochs: passes at most.
        plateau_images: of the networks whose batch sharpness is followed.
        plateau_rates: their learning rates.
        plateau_batch: images a step.
        plateau_steps: gradient steps.
        seeds: paired runs, from ``seed`` on.
        seed: the first.
        folder: keeps finished runs, and the states of unfinished ones, so that a killed recording goes on.

    Raises:
        ValueError: what cannot be run, in one line.
    """
    given = dict(locals())
    _refuse(given)
    seeds_here = seeds_from(seed, seeds)
    fewer = dataset.subset(train=min(len(dataset.train_labels), max(RATE_IMAGES, rate_batch)), test=1, seed=seed)
    survival = largest_rates.Setting(fewer, rate_batch, rate_width, rate_pooled, rate_factor)
    few = dataset.subset(train=train_images or None, test=test_images or None, seed=seed)
    training = three_rates.Setting(
        few, depth, width, pooled, batch_size, evaluations, augment, bfloat16, None if folder is None else str(folder)
    )
    to_level = _vectors(dataset, sharp_images, seed)
    to_level = sharpness.Setting(*to_level, len(dataset.classes), 32, level, sharp_epochs)
    along = _vectors(dataset, plateau_images, seed)
    targets = functional.one_hot(along[1], len(dataset.classes)).to(along[0])
    along = plateau.Setting(along[0], targets, 32, plateau_batch, plateau_steps, looks=8, batches=25)
    device = dataset.train_images.device.type
    cells = grid(ratio=list(ratios), batch_size=list(batch_sizes), repeat=list(range(repeats)))
    makers = {
        "largest_rates": (
            grid(
                depth=list(depths),
                norm=["none", "batch"],
                steps=[first_steps],
                warmup=[0],
                seed=seeds_from(seed, RATE_SEEDS),
            ),
            partial(largest_rates.bracket, setting=survival),
            device,
        ),
        "warm_up": (
            warm_up_points(warmup_depths, warmups, first_steps, seeds_here),
            partial(largest_rates.bracket, setting=survival),
            device,
        ),
        "runs": (run_points(rates, epochs, three, seeds_here), partial(three_rates.run, setting=training), device),
        "sharpness": (
            [cell | {"seed": seed + number} for number, cell in enumerate(cells)],
            partial(sharpness.run, setting=to_level),
        ),
        "plateau": (grid(rate=list(plateau_rates), seed=seeds_here), partial(plateau.run, setting=along)),
    }
    return {name: partial(_table, folder, *made) for name, made in makers.items()}


def run_points(rates: Sequence[float], epochs: Sequence[int], three: Sequence[float], seeds: Sequence[int]) -> list:
    """Runs of Figure 1 and around it: BN at every rate, networks without and with its variants at the three."""
    length = dict(zip(rates, epochs, strict=True))
    arms = [("batch", rate) for rate in rates] + [(norm, rate) for norm in ("none", *VARIANTS) for rate in three]
    return [{"norm": norm, "rate": rate, "epochs": length[rate], "seed": seed} for seed in seeds for norm, rate in arms]


def warm_up_points(depths: Sequence[int], warmups: Sequence[int], steps: int, seeds: Sequence[int]) -> list:
    """Networks without BN with each warm-up and with none, and with BN and none; all take equally many steps.

    These are so many more than the longest warm-up.
    """
    shared = {"steps": [max(warmups) + steps], "seed": list(seeds), "depth": list(depths)}
    return grid(norm=["none"], warmup=[0, *warmups], **shared) + grid(norm=["batch"], warmup=[0], **shared)


def in_turn(run: Callable[[dict], pd.DataFrame], points: Sequence[dict]) -> list[pd.DataFrame]:
    """Tables of runs that one GPU makes one after another; a finished training is taken from its checkpoint."""
    return [run(point) for point in points]


def _vectors(dataset: Dataset, images: int, seed: int) -> tuple[Tensor, ...]:
    """Some training images and all test images as vectors on the CPU, each with labels."""
    some = dataset.subset(train=images, seed=seed)

    def flat(maps: Tensor) -> Tensor:
        return functional.avg_pool2d(dataset.normalise(maps), VECTOR_POOLED).flatten(1).cpu()

    tensors = (flat(some.train_images), some.train_labels, flat(dataset.test_images), dataset.test_labels)
    return tuple(tensor.cpu() if isinstance(tensor, torch.Tensor) else tensor for tensor in tensors)


def _refuse(given: dict) -> None:
    for name in ("rates", "three", "ratios", "plateau_rates"):
        rates_of_a_sweep(name, list(given[name]))
    for name in ("depths", "warmup_depths", "warmups", "batch_sizes"):
        distinct(name, list(given[name]))
        for value in given[name]:
            checks.whole(name, value)
    if len(given["epochs"]) != len(given["rates"]):
        raise ValueError(f"epochs = {given['epochs']!r} must be one number for each of {len(given['rates'])} rates")
    for value in given["epochs"]:
        checks.whole("epochs", value)
    if sorted(given["rates"]) != list(given["rates"]):
        raise ValueError(f"rates = {given['rates']!r} must ascend")
    if len(given["three"]) != 3 or sorted(given["three"]) != list(given["three"]):
        raise ValueError(f"three = {given['three']!r} must be three rates that ascend")
    if missing := [rate for rate in given["three"] if rate not in given["rates"]]:
        raise ValueError(f"three: {missing[0]} is not one of the rates {list(given['rates'])}")
    for name in ("train_images", "sharp_images", "plateau_images", "batch_size", "rate_batch"):
        enough_images(given["dataset"], given[name], name)


def _table(
    folder: Path | None,
    points: list,
    run: Callable,
    device: str = "cpu",
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the points, on a GPU one after another; a table of complete runs, without the column that says so."""
    how = {"executor": executor}
    if device != "cpu":
        how = {"batched": partial(in_turn, run), "arithmetic": Arithmetic.now(device, "batched")}
    made = sweep(points, run, folder=folder, progress=progress, **how)
    refuse_failures(made)
    return made.drop(columns="status")
