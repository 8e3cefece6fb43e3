"""All tables of chapter 13."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
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
from bnlab.sweeps.settings import taking
from bnlab.sweeps.sweep import grid, seeds_from, sweep

VECTOR_POOLED = 4  # pixels a side that are averaged to one for the fully connected networks
VARIANTS = tuple(norm for norm in NORMALISATIONS if norm != "batch")
RATE_SEEDS = 8
RATE_IMAGES = 2048  # that first steps are taken on, at most: a sweep hands them to every run


@dataclass(frozen=True)
class Settings:
    """What decides the tables of chapter 13 besides the data; the defaults are those of the quick run.

    Raises:
        ValueError: what cannot be run with any data, in one line.
    """

    depths: Sequence[int] = (8, 56)  # of the ResNets whose largest rate is looked for, 6n + 2; eight seeds each
    rate_width: int = 4  # channels of their first stage
    rate_pooled: int = 4  # pixels a side that are averaged to one for them
    first_steps: int = 5  # of SGD that a rate must survive; after a warm-up so many at the full rate
    rate_batch: int = 16  # images in each
    rate_factor: float = 2.0  # to which the border is known
    # Lengths (steps) of the linear warm-up of networks without BN; all take as many steps in all.
    warmups: Sequence[int] = (10,)
    warmup_depths: Sequence[int] = (8,)  # of these ResNets
    depth: int = 8  # of the ResNet of the experiment of Figure 1
    width: int = 8  # channels of its first stage
    pooled: int = 4  # pixels a side that are averaged to one for it
    train_images: int = 256  # how many it is trained on; 0: all
    test_images: int = 359  # how many it is tested on; 0: all
    batch_size: int = 32  # images a step
    rates: Sequence[float] = (0.003, 0.01, 0.03, 0.1, 0.3)  # initial learning rates, ascending
    epochs: Sequence[int] = (6, 6, 5, 5, 4)  # passes over the training images, for each of them
    three: Sequence[float] = (0.003, 0.03, 0.3)  # the three of Figure 1 among them, ascending
    evaluations: int = 4  # looks at a training
    augment: bool = False  # whether training images are cropped and mirrored at random
    bfloat16: bool = False  # whether these networks compute under autocast
    sharp_images: int = 500  # on which fully connected networks are trained to one loss
    ratios: Sequence[float] = (0.0008, 0.00125, 0.002, 0.003, 0.004, 0.005)  # of rate to batch size
    batch_sizes: Sequence[int] = (8, 24, 80, 256)  # with each of which every ratio is run
    repeats: int = 1  # runs of each pair, all with seeds of their own
    level: float = 0.05  # training loss (nats) at which they are looked at
    sharp_epochs: int = 600  # passes at most
    plateau_images: int = 100  # of the networks whose batch sharpness is followed
    plateau_rates: Sequence[float] = (0.1, 0.15)  # their learning rates
    plateau_batch: int = 8  # images a step
    plateau_steps: int = 1000  # gradient steps
    seeds: int = 5  # paired runs, from ``seed`` on
    seed: int = 0  # the first

    def __post_init__(self) -> None:
        for name in ("rates", "three", "ratios", "plateau_rates"):
            rates_of_a_sweep(name, list(getattr(self, name)))
        for name in ("depths", "warmup_depths", "warmups", "batch_sizes"):
            distinct(name, list(getattr(self, name)))
            for value in getattr(self, name):
                checks.whole(name, value)
        if len(self.epochs) != len(self.rates):
            raise ValueError(f"epochs = {self.epochs!r} must be one number for each of {len(self.rates)} rates")
        for value in self.epochs:
            checks.whole("epochs", value)
        if sorted(self.rates) != list(self.rates):
            raise ValueError(f"rates = {self.rates!r} must ascend")
        if len(self.three) != 3 or sorted(self.three) != list(self.three):
            raise ValueError(f"three = {self.three!r} must be three rates that ascend")
        if missing := [rate for rate in self.three if rate not in self.rates]:
            raise ValueError(f"three: {missing[0]} is not one of the rates {list(self.rates)}")


@taking(Settings)
def parts(dataset: Dataset, settings: Settings, folder: Path | None = None) -> dict[str, Callable[..., pd.DataFrame]]:
    """Tables of chapter 13 by name, each with the function that makes it; it takes `sweep`'s executor and progress.

    Args:
        dataset: colour images, 32 x 32.
        settings: see `Settings`, whose fields are given by keyword.
        folder: keeps finished runs, and the states of unfinished ones, so that a killed recording goes on.

    Raises:
        ValueError: what cannot be run, in one line.
    """
    for name in ("train_images", "sharp_images", "plateau_images", "batch_size", "rate_batch"):
        enough_images(dataset, getattr(settings, name), name)
    seed = settings.seed
    seeds_here = seeds_from(seed, settings.seeds)
    survive = partial(largest_rates.bracket, setting=_survival(dataset, settings))
    device = dataset.train_images.device.type
    cells = grid(
        ratio=list(settings.ratios), batch_size=list(settings.batch_sizes), repeat=list(range(settings.repeats))
    )
    makers = {
        "largest_rates": (
            grid(
                depth=list(settings.depths),
                norm=["none", "batch"],
                steps=[settings.first_steps],
                warmup=[0],
                seed=seeds_from(seed, RATE_SEEDS),
            ),
            survive,
            device,
        ),
        "warm_up": (
            warm_up_points(settings.warmup_depths, settings.warmups, settings.first_steps, seeds_here),
            survive,
            device,
        ),
        "runs": (
            run_points(settings.rates, settings.epochs, settings.three, seeds_here),
            partial(three_rates.run, setting=_training(dataset, settings, folder)),
            device,
        ),
        "sharpness": (
            [cell | {"seed": seed + number} for number, cell in enumerate(cells)],
            partial(sharpness.run, setting=_to_level(dataset, settings)),
        ),
        "plateau": (
            grid(rate=list(settings.plateau_rates), seed=seeds_here),
            partial(plateau.run, setting=_along(dataset, settings)),
        ),
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


def _survival(dataset: Dataset, settings: Settings) -> largest_rates.Setting:
    images = min(len(dataset.train_labels), max(RATE_IMAGES, settings.rate_batch))
    few = dataset.subset(train=images, test=1, seed=settings.seed)
    return largest_rates.Setting(
        few, settings.rate_batch, settings.rate_width, settings.rate_pooled, settings.rate_factor
    )


def _training(dataset: Dataset, settings: Settings, folder: Path | None) -> three_rates.Setting:
    few = dataset.subset(train=settings.train_images or None, test=settings.test_images or None, seed=settings.seed)
    return three_rates.Setting(
        few,
        settings.depth,
        settings.width,
        settings.pooled,
        settings.batch_size,
        settings.evaluations,
        settings.augment,
        settings.bfloat16,
        None if folder is None else str(folder),
    )


def _to_level(dataset: Dataset, settings: Settings) -> sharpness.Setting:
    vectors = _vectors(dataset, settings.sharp_images, settings.seed)
    return sharpness.Setting(*vectors, len(dataset.classes), 32, settings.level, settings.sharp_epochs)


def _along(dataset: Dataset, settings: Settings) -> plateau.Setting:
    inputs, labels, *_ = _vectors(dataset, settings.plateau_images, settings.seed)
    targets = functional.one_hot(labels, len(dataset.classes)).to(inputs)
    return plateau.Setting(inputs, targets, 32, settings.plateau_batch, settings.plateau_steps, looks=8, batches=25)


def _vectors(dataset: Dataset, images: int, seed: int) -> tuple[Tensor, ...]:
    """Some training images and all test images as vectors on the CPU, each with labels."""
    some = dataset.subset(train=images, seed=seed)

    def flat(maps: Tensor) -> Tensor:
        return functional.avg_pool2d(dataset.normalise(maps), VECTOR_POOLED).flatten(1).cpu()

    tensors = (flat(some.train_images), some.train_labels, flat(dataset.test_images), dataset.test_labels)
    return tuple(tensor.cpu() if isinstance(tensor, torch.Tensor) else tensor for tensor in tensors)


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
