"""LeNet in the setting of Chai et al. 2020 from plain points: which norm, which rates, which part of which spectrum.

A point is a mapping of names to plain values, so that `sweeps` can list it, name its file and put it into a table. Two
points with the same seed start from the same weights and see the same mini-batches, whatever else differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab.checks import is_number, is_whole
from bnlab.datasets import Dataset
from bnlab.measures.preconditioning import GROUPS, ModePreconditioner, matching_factors
from bnlab.measures.probes import PROBE_IMAGES, probe_images
from bnlab.models.norms import find_norm
from bnlab.randomness import generator
from bnlab.records.arithmetic import Arithmetic, fixed
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.first_look import build_lenet, first_look
from bnlab.training.many import fastest, train_many
from bnlab.training.train import Job, Measurement

OTHERS = 0.1  # rate of norms, biases and fc (Chai et al. 2020, Sec. 3.3)
PRECONDITIONER_IMAGES = 256  # on which R is measured again and again while a preconditioned network trains
REFERENCE = "batch"  # whose spectra the matched arms take over

# What a point may say, and what it means if it does not.
DEFAULTS = {
    "norm": "none",  # an entry of NORMS, or two for the two layers: "batch+none"
    "learning_rate": 0.1,  # of the convolution weights
    "seed": 0,
    "batch_size": 64,
    "gain": 1.0,  # factor on the initial convolution weights and biases
    "fc": "paper",
    "conv": "paper",
    "spectrum": "own",
    "cap": 0.0,  # largest eigenvalue that conv2's update may feel; 0: none
    "held": "none",
}
WHOLE = ("seed", "batch_size")
NUMBERS = {
    "learning_rate": " above 0",
    "seed": "",
    "batch_size": " above 0",
    "gain": " above 0",
    "cap": ", not negative",
}
CHOICES = {
    # fc learns at 0.1; not at all; at a rate inverse to lambda_max of its input (0.1 for the plain network); or, in the
    # plain network, at the rate whose product with lambda_max is that of the network with Batch Normalization.
    "fc": ("paper", "frozen", "matched", "as_batch"),
    # Convolution weights learn at the swept rate; or at that times the ratio of lambda_max of R(conv2) with Batch
    # Normalization to its own.
    "conv": ("paper", "as_batch"),
    # Modes of R(conv2) whose pace is raised to that of the network with Batch Normalization.
    "spectrum": ("own", *GROUPS),
    # A convolution that learns at 0.1 like everything else, so that the swept rate is the other one's alone.
    "held": ("none", "conv1", "conv2"),
}


@dataclass(frozen=True)
class Setting:
    """What all points of a sweep share.

    ``measurements`` are handed to every run, and called at the steps of ``record_at`` and at the last.
    """

    dataset: Dataset = field(repr=False)
    steps: int
    record_at: tuple[int, ...] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    images_of_first_look: int = PROBE_IMAGES  # on which a matched network is compared with the one it is matched to

    @property
    def device(self) -> str:
        """Where the data lie, and so everything that is computed from them: "cpu" or "cuda"."""
        return self.dataset.train_images.device.type


def run_points(
    points: Sequence[Mapping[str, object]],
    setting: Setting,
    *,
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train a LeNet at every point: one row a point and recorded step, in one table.

    On a GPU all points train as one batched computation, elsewhere one process a core (or ``executor``).

    Raises:
        ValueError: an empty grid, or a point with an unknown name or value, before anything trains; a measurement
            without a stable key where runs are kept.
    """
    whole = [complete(point) for point in points]
    return sweep_on(whole, run_point, run_batched, setting, folder=folder, executor=executor, progress=progress)


def sweep_on(
    points: Sequence[Mapping[str, object]],
    run: Callable,
    batched: Callable,
    setting: Setting,
    *,
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Sweep ``run(point, setting)``, or on a GPU ``batched(points, setting)``, in full float32, reproducibly."""
    on_gpu = setting.device == "cuda"
    with fixed(setting.device):
        return sweeps.sweep(
            points,
            partial(run, setting=setting),
            folder=folder,
            executor=executor,
            batched=partial(batched, setting=setting) if on_gpu else None,
            arithmetic=Arithmetic.now("cuda", "batched") if on_gpu else None,
            progress=progress,
        )


def complete(point: Mapping[str, object]) -> dict[str, object]:
    """Fill in a point's defaults and check it.

    >>> complete({"norm": "batch"})["learning_rate"]
    0.1

    Raises:
        ValueError: an unknown name or norm, a rate, gain or batch size that is not positive, a seed that is not whole,
            an impossible choice.
    """
    for name in point:
        if name not in DEFAULTS:
            raise ValueError(f"a point has no {name!r}; it may say {', '.join(DEFAULTS)}")
    whole = {**DEFAULTS, **point}
    for name in str(whole["norm"]).split("+"):
        find_norm(name)
    for name, choices in CHOICES.items():
        if whole[name] not in choices:
            raise ValueError(f"{name} = {whole[name]!r} is not one of {', '.join(choices)}")
    return {**whole, **{name: checked(name, whole[name]) for name in NUMBERS}}


def checked(name: str, value: object) -> int | float:
    """Give a number of a point as Python's own, a seed or a batch size as int.

    Raises:
        ValueError: no number, not finite, out of range, or not whole where it must be.
    """
    kind, limit = ("whole" if name in WHOLE else "finite"), NUMBERS.get(name, "")
    usable = (is_whole if name in WHOLE else is_number)(value) and value >= (0 if limit else -math.inf)
    if not usable or (limit == " above 0" and value == 0):
        raise ValueError(f"{name} = {value!r} must be a {kind} number{limit}")
    return int(value) if name in WHOLE else float(value)


def run_point(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train one network; one row a recorded step, with `train`'s columns, ``diverged`` and ``engine``."""
    return run_jobs([prepare(point, setting)], setting, int(point["batch_size"]))[0]


def run_batched(points: Sequence[Mapping[str, object]], setting: Setting) -> list[pd.DataFrame]:
    """Train the networks of many points as one computation; the tables of `run_point`, in order."""
    sizes = sorted({int(point["batch_size"]) for point in points})
    tables: dict[int, pd.DataFrame] = {}
    for size in sizes:
        chosen = [i for i, point in enumerate(points) if int(point["batch_size"]) == size]
        made = run_jobs([prepare(points[i], setting) for i in chosen], setting, size)
        tables |= dict(zip(chosen, made, strict=True))
    return [tables[i] for i in range(len(points))]


def run_jobs(jobs: Sequence[Job], setting: Setting, batch_size: int) -> list[pd.DataFrame]:
    """Train networks here, each by its fastest engine; a table each, `train`'s columns, ``diverged`` and ``engine``."""
    engines = [fastest(job.model, setting.dataset) for job in jobs]
    length = {"steps": setting.steps, "batch_size": batch_size, "record_at": setting.record_at}
    runs = train_many(jobs, setting.dataset, **length)
    return [run.history.assign(diverged=run.diverged, engine=engine) for run, engine in zip(runs, engines, strict=True)]


def prepare(point: Mapping[str, object], setting: Setting) -> Job:
    """Build the network of a point, and everything that training it needs."""
    rate, rates = float(point["learning_rate"]), {}
    if point["held"] != "none" or point["cap"]:
        rates["conv1" if point["cap"] else str(point["held"])] = OTHERS
    if point["fc"] == "frozen":
        rates["fc"] = 0.0
    if point["fc"] in ("matched", "as_batch") or point["conv"] != "paper":
        own, plain, batch = (
            first_look(point, norm, setting.dataset, setting.images_of_first_look) for norm in (None, "none", REFERENCE)
        )
        if point["fc"] in ("matched", "as_batch"):
            rates["fc"] = OTHERS * ((plain.fc if point["fc"] == "matched" else batch.fc) / own.fc)
        if point["conv"] == "as_batch":
            rate *= batch.spectrum[-1].item() / own.spectrum[-1].item()
    return Job(
        model=build_lenet(point, setting.dataset),
        generator=generator(int(point["seed"]), "order of mini-batches"),
        learning_rate=rate,
        other_learning_rate=OTHERS,
        rates=rates,
        adjust=_adjustment(point, setting),
        measurements=setting.measurements,
    )


def _adjustment(point: Mapping[str, object], setting: Setting) -> Callable | None:
    images = probe_images(setting.dataset, PRECONDITIONER_IMAGES)
    if point["cap"]:
        return ModePreconditioner(images, cap=float(point["cap"]))
    if point["spectrum"] == "own":
        return None
    own, batch = (
        first_look(point, norm, setting.dataset, setting.images_of_first_look).spectrum for norm in (None, REFERENCE)
    )
    return ModePreconditioner(images, matching_factors(own, batch, point["spectrum"]))


def epochs_to_steps(epochs: Iterable[float], dataset: Dataset, batch_size: int) -> tuple[int, ...]:
    """Steps at which so many passes over the training images are done, rounded."""
    return tuple(round(epoch * (len(dataset.train_labels) // batch_size)) for epoch in epochs)
