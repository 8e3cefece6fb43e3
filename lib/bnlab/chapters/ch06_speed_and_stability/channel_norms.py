"""Figures 6, 7 and 8 of Chai et al. 2020, and the experiment the paper lacks: which layer, which part of the spectrum?

Six tables of LeNet runs. ``first_steps``: spectra and powers in the first twenty steps, where figures 6 and 8b are
read; ``sensitivity``: the same from smaller and larger initial weights, with other mini-batches, and with the variance
as power. ``long_runs``: errors over whole trainings, figures 7 and 8a. ``arms``: the low-rate gain taken apart (errata,
ERR-18): Batch Normalization after one layer or the other, constant gains, matched rates, a frozen fc, and single parts
of conv2's spectrum raised by preconditioning. ``stability``: which rates the plain network, the others, and the plain
network with a cap on conv2's largest eigenvalue survive; ``held``: which rates of one convolution alone are survived.
``survival`` and ``warm_up`` are those of `survival_arms`, ``unknowns`` that of `unknowns`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch06_speed_and_stability import survival_arms
from bnlab.chapters.ch06_speed_and_stability.survival_arms import SURVIVAL_IMAGES
from bnlab.chapters.ch06_speed_and_stability.unknown_causes import unknown_arms, unknown_caps
from bnlab.chapters.ch06_speed_and_stability.unknown_rates import NAMES, unknown_rates
from bnlab.chapters.ch06_speed_and_stability.unknown_warm_up import unknown_warm_up
from bnlab.chapters.ch06_speed_and_stability.unknowns import unknowns
from bnlab.datasets import Dataset
from bnlab.measures.probes import LeNetProbe, SplitError, probe_images
from bnlab.sweeps.limits import enough_images, rates_of_a_sweep
from bnlab.sweeps.points import DEFAULTS, Setting, epochs_to_steps, run_points
from bnlab.sweeps.settings import taking
from bnlab.sweeps.sweep import grid, seeds_from
from bnlab.sweeps.unknowns import settings as left_open

NETWORKS = ("none", "batch", "amplify", "suppress")  # the four networks of the document
FIRST_STEPS = (0, 1, 2, 3, 4, 5, 10, 20)
RATED_AT = 64  # images a mini-batch
SENSITIVITY_RATES = (1e-3, 3.0)
GAINS = (0.3, 3.0)  # on the initial convolution weights: powers then straddle the threshold
BATCH_SIZES = (16, 256)
EPOCHS_TOLD = (1, 2, 3, 5, 7, 10, 14, 20, 28)  # after which errors are measured, besides the last
# Eigenvalues that conv2's update may feel, in the stability test; the last is never reached before a run is lost.
CAPS = (1.0, 4.0, 16.0, 64.0, 1e6)
UNITS = {
    "loss": "nats",
    "learning_rate": "of the convolution weights",
    "batch_size": "images",
    "step": "gradient steps",
    "test_error": "fraction",
    "train_error": "fraction",
    "test_loss": "nats",
    "train_loss": "nats",
    "diverged": "bool",
    "engine": "name",
}

# The arms: what each changes in a plain LeNet at the same learning rate of the convolution weights.
ARMS: dict[str, dict[str, str]] = {
    "baseline": {},
    "BN after both": {"norm": "batch"},
    "BN after conv1": {"norm": "batch+none"},
    "BN after conv2": {"norm": "none+batch"},
    "BN_Amplify": {"norm": "amplify"},
    "scaling only, no centring": {"norm": "rms"},
    "constant gain, each channel": {"norm": "gain_channel"},
    "constant gain, each layer": {"norm": "gain_layer"},
    "conv rate matched to BN": {"conv": "as_batch"},
    "FC rate matched to BN": {"fc": "as_batch"},
    "smallest mode raised": {"spectrum": "smallest"},
    "lower half raised": {"spectrum": "lower_half"},
    "all but top five raised": {"spectrum": "all_but_top_five"},
    "top five raised": {"spectrum": "top_five"},
    "whole spectrum raised": {"spectrum": "all"},
}
FC_ARMS = ("baseline", "BN after both", "BN after conv1", "BN after conv2", "constant gain, each channel",
           "lower half raised", "whole spectrum raised")  # fmt: skip
FC_MODES = ("frozen", "matched")  # besides the paper's
CHANGED = ("norm", "fc", "conv", "spectrum")  # names of a point by which arms differ


@dataclass(frozen=True)
class Settings:
    """What decides the tables of chapter 06 besides the data.

    Raises:
        ValueError: an argument out of its range, or a grid of survival that does not double.
    """

    first_rates: list[float]  # learning rates of the first steps
    first_seeds: int  # seeds of the first steps
    sensitivity_seeds: int  # seeds of the sensitivity arms; 0 leaves them out
    arm_rates: list[float]  # learning rates of the arms
    arm_epochs: int  # passes over the training images in the arms
    arm_seeds: int  # seeds of the arms
    stability_rates: list[float]  # learning rates, each twice the one before, at which runs are watched for divergence
    stability_steps: int  # gradient steps that a rate must survive
    stability_seeds: int  # seeds of that
    rates: list[float]  # learning rates of the long runs, in the order in which they are run
    epochs: int  # passes over the training images in the long runs; 0 leaves them out
    seeds: int  # seeds of the long runs
    seed: int  # the first seed
    survival_octaves: Sequence[int] = ()  # logarithms to base 2 of the rates of ``survival``, one after the other
    survival_seeds: int = 0  # seeds of that; 0 leaves it out
    survival_long_steps: int = 0  # gradient steps of its long runs
    warm_up_octaves: Sequence[int] = ()  # as survival_octaves, of ``warm_up``
    warm_up_lengths: Sequence[int] = ()  # gradient steps of the warm-ups
    warm_up_seeds: int = 0  # seeds of that; 0 leaves it out
    unknown_combinations: int = 0  # settings of ``unknowns`` besides those that differ in one thing from the book's own
    unknown_seeds: int = 0  # seeds of that; 0 leaves it out

    def __post_init__(self) -> None:
        lists = {"first_rates": self.first_rates, "arm_rates": self.arm_rates, "stability_rates": self.stability_rates}
        for name, values in (lists | ({"rates": self.rates} if self.epochs else {})).items():
            rates_of_a_sweep(name, values)
        if any(high != 2 * low for low, high in pairwise(self.stability_rates)):
            raise ValueError(
                f"stability_rates = {self.stability_rates!r} must be a grid in factors of 2, from low to high"
            )
        checks.whole("arm_epochs", self.arm_epochs)
        checks.whole("stability_steps", self.stability_steps)
        checks.whole("epochs", self.epochs, least=0)


@taking(Settings)
def parts(dataset: Dataset, settings: Settings, folder: Path | None = None) -> dict[str, Callable[..., pd.DataFrame]]:
    """The chapter's tables by name, each with the function that makes it; 0 epochs leaves the long runs out.

    Args:
        dataset: 32 x 32 images.
        settings: see `Settings`, whose fields are given by keyword.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: as `Settings`, or fewer images than a mini-batch has; before anything runs.
    """
    enough_images(dataset, RATED_AT)
    some = partial(seeds_from, settings.seed)
    watched = settings.stability_rates, some(settings.stability_seeds), settings.stability_steps
    made = {
        "first_steps": partial(first_steps, dataset, NETWORKS, settings.first_rates, some(settings.first_seeds)),
        "arms": partial(arms, dataset, settings.arm_rates, some(settings.arm_seeds), settings.arm_epochs),
        "stability": partial(stability, dataset, NETWORKS, *watched),
        "held": partial(held, dataset, NETWORKS, *watched),
    }
    if settings.sensitivity_seeds:
        made["sensitivity"] = partial(sensitivity, dataset, SENSITIVITY_RATES, some(settings.sensitivity_seeds))
    if settings.epochs:
        made["long_runs"] = partial(long_runs, dataset, NETWORKS, settings.rates, some(settings.seeds), settings.epochs)
    of_survival = (settings.survival_octaves, settings.survival_seeds, settings.survival_long_steps,
                   settings.warm_up_octaves, settings.warm_up_lengths, settings.warm_up_seeds)  # fmt: skip
    made |= survival_arms.parts(dataset, settings.seed, settings.stability_steps, *of_survival)
    if settings.unknown_seeds:
        left_open(settings.unknown_combinations, settings.seed, NAMES)  # refuses too many, before anything runs
        few = some(settings.unknown_seeds)
        of_settings = dataset, settings.unknown_combinations
        watched = settings.stability_rates, few, settings.stability_steps
        made["unknowns"] = partial(unknowns, *of_settings, few)
        made["unknown_rates"] = partial(unknown_rates, *of_settings, *watched)
        made["unknown_arms"] = partial(unknown_arms, *of_settings, few)
        made["unknown_caps"] = partial(unknown_caps, *of_settings, *watched)
        if settings.warm_up_seeds:
            lengths = settings.warm_up_lengths
            made["unknown_warm_up"] = partial(unknown_warm_up, *of_settings, settings.warm_up_octaves, few,
                                              settings.stability_steps, lengths)  # fmt: skip
    return {name: partial(make, folder=folder) for name, make in made.items()}


def first_steps(dataset, norms, rates, seeds, folder: Path | None = None, progress=True) -> pd.DataFrame:
    """Spectra, powers and masks at `FIRST_STEPS`, for every norm, rate and seed."""
    points = grid(norm=list(norms), learning_rate=list(rates), seed=list(seeds))
    table = run_points(points, _beginning(dataset), folder=folder, progress=progress)
    return finished(table, drop=("batch_size", "gain", "fc", "conv", "spectrum", "cap", "held"))


def sensitivity(dataset, rates, seeds, folder: Path | None = None, progress=True) -> pd.DataFrame:
    """First steps at other initial gains, mini-batches and measures of power."""
    common = {"learning_rate": list(rates), "seed": list(seeds)}
    points = grid(norm=list(NETWORKS), gain=list(GAINS), **common)
    points += grid(norm=list(NETWORKS), batch_size=list(BATCH_SIZES), **common)
    points += grid(norm=["amplify_variance", "suppress_variance"], **common)
    table = run_points(points, _beginning(dataset), folder=folder, progress=progress)
    return finished(table, drop=("fc", "conv", "spectrum", "cap", "held"))


def _beginning(dataset: Dataset) -> Setting:
    return Setting(dataset, FIRST_STEPS[-1], FIRST_STEPS, {"probe": LeNetProbe(probe_images(dataset))})


def long_runs(dataset, norms, rates, seeds, epochs, folder: Path | None = None, progress=True) -> pd.DataFrame:
    """Errors on the test split and spectra after each of ``epochs`` passes, for every norm, rate and seed."""
    points = grid(learning_rate=list(rates), seed=list(seeds), norm=list(norms))
    setting = _training(dataset, epochs, parts_of_an_epoch=(0, 0.1, 0.3))
    table = run_points(points, setting, folder=folder, progress=progress)
    return finished(table, drop=("batch_size", "gain", "fc", "conv", "spectrum", "cap", "held"))


def arms(dataset, rates, seeds, epochs, folder: Path | None = None, names=tuple(ARMS), progress=True) -> pd.DataFrame:
    """Errors of the arms named, fc as in the paper, and frozen and matched for those of `FC_ARMS`."""
    points = arm_points(names, rates, seeds)
    table = run_points(points, _training(dataset, epochs, (0, 0.3)), folder=folder, progress=progress)
    return finished(named_arms(table), drop=("batch_size", "gain", "cap", "held", *CHANGED))


def arm_points(names, rates, seeds, fc_names=FC_ARMS) -> list[dict[str, object]]:
    """Points of the arms named: fc as in the paper, and in every way of `FC_MODES` where ``fc_names`` has the arm."""
    points = [{**ARMS[name], "fc": mode} for name in names if name in fc_names for mode in FC_MODES]
    points = [ARMS[name] for name in names] + points
    return [{"learning_rate": rate, "seed": n, **point} for point in points for rate in rates for n in seeds]


def named_arms(table: pd.DataFrame) -> pd.DataFrame:
    """Name the arm and the treatment of fc (``fc_mode``) of every row of runs at `arm_points`."""
    kinds = {tuple({**DEFAULTS, **changes}[key] for key in CHANGED): name for name, changes in ARMS.items()}
    own = table.assign(fc=table["fc"].where(~table["fc"].isin(FC_MODES), "paper"))
    table = table.assign(fc_mode=table["fc"].where(table["fc"].isin(FC_MODES), "paper"))
    table["arm"] = [kinds[tuple(row)] for row in own[list(CHANGED)].itertuples(index=False)]
    leading = ["arm", "fc_mode"]
    return table[leading + [name for name in table if name not in leading]]


def stability(dataset, norms, rates, seeds, steps, folder: Path | None = None, progress=True) -> pd.DataFrame:
    """Which rates are survived: by every norm, and by the plain network under every cap of `CAPS` on conv2.

    Under a cap conv1 learns at 0.1, so that conv2's largest eigenvalue alone is in question.
    """
    points = grid(norm=list(norms), learning_rate=list(rates), seed=list(seeds))
    points += grid(norm=["none"], learning_rate=list(rates), seed=list(seeds), cap=list(CAPS))
    return finished(
        run_points(points, _survival(dataset, steps), folder=folder, progress=progress),
        drop=("batch_size", "gain", "fc", "conv", "spectrum", "held"),
    )


def held(dataset, norms, rates, seeds, steps, folder: Path | None = None, progress=True) -> pd.DataFrame:
    """Which rates of one convolution are survived while the other learns at 0.1: the name of the other is ``held``."""
    points = grid(held=["conv1", "conv2"], norm=list(norms), learning_rate=list(rates), seed=list(seeds))
    return finished(
        run_points(points, _survival(dataset, steps), folder=folder, progress=progress),
        drop=("batch_size", "gain", "fc", "conv", "spectrum", "cap"),
    )


def _survival(dataset: Dataset, steps: int) -> Setting:
    few = dataset.subset(test=min(SURVIVAL_IMAGES, len(dataset.test_labels)))  # enough to tell learning from guessing
    watched = {"probe": LeNetProbe(probe_images(dataset, SURVIVAL_IMAGES)), "test": SplitError(few)}
    return Setting(dataset, steps, FIRST_STEPS, watched)


def _training(dataset: Dataset, epochs: int, parts_of_an_epoch: tuple[float, ...]) -> Setting:
    whole = (*parts_of_an_epoch, *(epoch for epoch in EPOCHS_TOLD if epoch < epochs), epochs)
    at = epochs_to_steps(whole, dataset, RATED_AT)
    watched = {"probe": LeNetProbe(probe_images(dataset)), "test": SplitError(dataset)}
    return Setting(dataset, at[-1], at, watched)


def finished(table: pd.DataFrame, drop: tuple[str, ...]) -> pd.DataFrame:
    """Leave out columns that say the same in every row, and give every column its unit."""
    table = table.drop(columns=list(drop))
    powers = {column: "power" for column in table if column.startswith(("lambda_", "power"))}
    shares = {column: "fraction" for column in table if column.startswith(("occupancy", "disagreement"))}
    # Six digits are far more than is known of them, and a recorded table has to stay small.
    table = table.assign(**{name: table[name].map(lambda value: float(f"{value:.6g}")) for name in powers})
    units = {**dict.fromkeys(table.columns, "name or count"), **powers, **shares, **UNITS}
    table.attrs["units"] = {column: units[column] for column in table.columns}
    return table
