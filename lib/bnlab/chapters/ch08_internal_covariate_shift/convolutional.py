"""The shift in a small VGG-like network, with Batch Normalization and without: the kind Santurkar et al. measured.

One table, ``vgg``: as ``arms`` of `factorial`, for what enters each convolution but the first, and the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab.chapters.ch08_internal_covariate_shift.arms import BN, NONE
from bnlab.chapters.ch08_internal_covariate_shift.runs import BATCH_SIZE, PROBE, follow, swept
from bnlab.datasets import Dataset
from bnlab.models.vgg import SIZE, VGG
from bnlab.randomness import generator
from bnlab.sweeps.sweep import grid

NORMS = {NONE: "none", BN: "batch"}


def vgg_runs(
    dataset: Dataset, rates: Sequence[float], seeds: Sequence[int], *, widths: Sequence[int], steps: int, every: int,
    levels: Sequence[float], folder: Path | None = None, executor: Executor | None = None, progress: bool = True,
    probe: int = PROBE,
) -> pd.DataFrame:  # fmt: skip
    """Run the plain network and that with Batch Normalization at every rate and seed; columns as `factorial.arm_runs`.

    Images are 32 x 32. Weights (Glorot) and mini-batches of both are the same at one seed.

    Raises:
        SweepError: a run failed.
    """
    one = partial(
        vgg_run, dataset=dataset, widths=list(widths), steps=steps, every=every, batch_size=BATCH_SIZE,
        levels=list(levels), probe=probe,
    )  # fmt: skip
    points = grid(arm=list(NORMS), learning_rate=list(rates), seed=list(seeds))
    return swept(one, points, dataset, folder=folder, executor=executor, progress=progress)


def check_vgg(dataset: Dataset, widths: Sequence[int]) -> None:
    """Refuse widths, or images, of which no network can be made.

    Raises:
        ValueError: as `models.vgg.VGG`; images that are not 32 x 32.
    """
    if dataset.train_images.shape[2:] != (SIZE, SIZE):
        raise ValueError(
            f"vgg_widths: these networks take images of {SIZE} x {SIZE}, and {dataset.name} has "
            f"{' x '.join(str(side) for side in dataset.train_images.shape[2:])}: give size {SIZE}"
        )
    try:
        VGG(1, widths=widths, generator=generator(0, "a network to try the widths on"))
    except ValueError as error:
        raise ValueError(f"vgg_{error}") from None  # that class calls them widths, the chapter vgg_widths


def vgg_run(
    point: dict[str, object], *, dataset: Dataset, widths: Sequence[int], **how: int | Sequence[float]
) -> pd.DataFrame:
    """Train at a point (arm, learning_rate, seed); the other arguments and the table are those of `runs.follow`."""
    arm, rate, seed = str(point["arm"]), float(point["learning_rate"]), int(point["seed"])
    channels = dataset.train_images.shape[1]
    net = VGG(channels, len(dataset.classes), widths=widths, norm=NORMS[arm], generator=generator(seed, "weights"))
    net = net.to(dataset.mean)
    return follow(net, layers(net), arm, rate, seed, dataset=dataset, **how)


def layers(net: VGG) -> list[tuple[str, ...]]:
    """Layers in order for `gradient_shifts`: each convolution with its normalisation, if that has parameters."""
    names = []
    for k, norm in enumerate(net.norms):
        own = (f"norms.{k}",) if any(True for _ in norm.parameters()) else ()
        names.append((f"convolutions.{k}", *own))
    return [*names, ("fc",)]
