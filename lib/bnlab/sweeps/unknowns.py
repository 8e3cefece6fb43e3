"""What Chai et al. 2020 leave open, and networks built in other settings than the book's, to see what hangs on them.

One thing at a time is changed from the book's own choice, and a seeded sample changes many at once.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import torch
from torch.nn import functional

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.models.fan_scaling import draw_normal_
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.points import Setting, sweep_on
from bnlab.training.train import Job, Measurement

# The first of each is the book's choice.
UNKNOWNS: dict[str, tuple] = {
    "batch_size": (64, 16, 256),
    "initialisation": ("default", "xavier", "kaiming"),
    "gain": (1.0, 0.3, 3.0),  # on the initial convolution weights
    "threshold": (1.0, 0.25, 4.0),  # of BN_Amplify and BN_Suppress
    "power": ("mean_square", "variance"),  # that is compared with it
    "decay": (0.9, 0.99),  # of its moving average
    "other_rate": (0.1, 0.01),  # of norms, biases and fc
    "images": ("padded", "enlarged"),  # to 32 x 32: with a margin, or without
}
# Of networks that have no threshold.
WITHOUT_THRESHOLDS = {name: UNKNOWNS[name] for name in UNKNOWNS if name not in ("threshold", "power", "decay")}
MARGIN = 2  # pixels of padding on each side


def settings(combinations: int, seed: int, names: Iterable[str] = tuple(UNKNOWNS)) -> list[dict[str, object]]:
    """The book's setting, those that differ from it in one thing, and so many others drawn without repetition.

    >>> len(settings(0, seed=0))
    13

    Args:
        combinations: how many others.
        seed: of their draw.
        names: of `UNKNOWNS`, those that an experiment knows.

    Raises:
        ValueError: a number of combinations that there are not.
    """
    unknowns = {name: UNKNOWNS[name] for name in names}
    book = {name: values[0] for name, values in unknowns.items()}
    listed = [book] + [{**book, name: value} for name, values in unknowns.items() for value in values[1:]]
    every = [dict(zip(unknowns, values, strict=True)) for values in itertools.product(*unknowns.values())]
    others = [setting for setting in every if setting not in listed]
    checks.whole("combinations", combinations, least=0)
    if combinations > len(others):
        raise ValueError(f"combinations = {combinations} is more than the {len(others)} that there are")
    return listed + random.Random(seed).sample(others, combinations)  # noqa: S311  (a sample, no secret)


def enlarged(dataset: Dataset) -> Dataset:
    """The images without their margin of two pixels, enlarged to their old size (bilinear)."""
    size = dataset.train_images.shape[2:]
    inner = slice(MARGIN, -MARGIN)

    def enlarge(images: torch.Tensor) -> torch.Tensor:
        parts = [functional.interpolate(part[..., inner, inner].float(), size=size, mode="bilinear")
                 for part in images.split(1000)]  # fmt: skip
        return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])

    title = f"{dataset.title}, without margins"
    return replace(dataset, train_images=enlarge(dataset.train_images), test_images=enlarge(dataset.test_images),
                   title=title)  # fmt: skip


def in_setting(job: Job, setting: Mapping[str, object], seed: int) -> Job:
    """Give a job the weights, thresholds and rate of everything else that a setting says.

    Args:
        job: of a LeNet drawn by PyTorch's rule, with the setting's gain.
        setting: one of each of `UNKNOWNS`, or of those that matter to the job; more names may stand there.
        seed: of the weights.
    """
    if setting["initialisation"] != "default":
        _draw_again(job.model, setting, seed)
    for layer in job.model.modules():
        if isinstance(layer, ThresholdNorm):
            layer.threshold, layer.power, layer.decay = setting["threshold"], setting["power"], setting["decay"]
    return replace(job, other_learning_rate=setting["other_rate"])


@torch.no_grad()
def _draw_again(model: LeNet, setting: Mapping[str, object], seed: int) -> None:
    draw_normal_(model, generator(seed, "initialisation"), setting["initialisation"])
    for layer in (model.conv1, model.conv2):
        layer.weight.mul_(setting["gain"])


def swept(
    points: Sequence[Mapping[str, object]],
    run: Callable,
    dataset: Dataset,
    steps: int,
    watched: Callable[[Dataset], Mapping[str, Measurement]],
    **how: object,
) -> pd.DataFrame:
    """Sweep points that say a setting each, those of either kind of images on their own.

    Args:
        points: with a value of ``images``.
        run: point and `Setting` to tidy table.
        dataset: 32 x 32 images, with their margin.
        steps: gradient steps, after which a run is looked at.
        watched: what to measure on a data set.
        how: folder, executor and progress, as `sweeps.sweep` takes them.

    Raises:
        FailedRunsError: a run failed.
    """
    found = []
    for images, shown in both_kinds(dataset):
        chosen = [point for point in points if point["images"] == images]
        found.append(swept_on(chosen, run, Setting(shown, steps, (steps,), watched(shown)), **how))
    return pd.concat(found, ignore_index=True)


def both_kinds(dataset: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Either kind of images by its name among `UNKNOWNS`: as they are, with their margin, and enlarged."""
    yield "padded", dataset
    yield "enlarged", enlarged(dataset)


def swept_on(points: Sequence[Mapping[str, object]], run: Callable, setting: Setting, **how: object) -> pd.DataFrame:
    """Sweep points whose networks differ in more than a batched computation knows: on a GPU, one after another.

    Args:
        points: of one kind of images.
        run: point and `Setting` to tidy table.
        setting: what they share.
        how: folder, executor and progress, as `sweeps.sweep` takes them.

    Raises:
        FailedRunsError: a run failed.
    """
    return refuse_failures(sweep_on(points, run, partial(_one_by_one, run), setting, **how))


def _one_by_one(run: Callable, points: Sequence[Mapping[str, object]], setting: Setting) -> list[pd.DataFrame]:
    return [run(point, setting) for point in points]
