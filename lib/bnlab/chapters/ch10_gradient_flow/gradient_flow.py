"""All tables of chapter 10."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from bnlab.chapters.ch10_gradient_flow import profiles, shattering, spectra, streams
from bnlab.datasets import Dataset


def parts(
    dataset: Dataset,
    depth: int = 90,
    width: int = 128,
    batch: int = 128,
    rectifier_depth: int = 40,
    rectifier_width: int = 256,
    residual_blocks: int = 120,
    jacobian_depth: int = 10,
    jacobian_units: int = 32,
    jacobian_batch: int = 8,
    points: int = 256,
    line_depth: int = 50,
    line_width: int = 200,
    resnet_depth: int = 110,
    resnet_images: int = 8,
    seeds: int = 5,
    seed: int = 0,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 10 by name, each with the function that makes it; the defaults are the quick scale.

    Args:
        dataset: images of ``images``, ``rectifiers`` and ``streams``; the arithmetic on them runs on its device.
        depth: blocks of the networks of ``profiles`` and ``images``.
        width: units of a layer there, and in ``residual``.
        batch: inputs in each batch of fully connected networks.
        rectifier_depth: blocks of the wide networks of ``rectifiers``.
        rectifier_width: their units; their batch is as large.
        residual_blocks: of ``residual``.
        jacobian_depth: hidden layers of the deeper networks of ``spectra``, beside those of one.
        jacobian_units: units of every layer there.
        jacobian_batch: inputs there.
        points: of the grid of ``shattering``.
        line_depth: blocks there.
        line_width: units there.
        resnet_depth: layers of the ResNet of ``streams``, 6n + 2.
        resnet_images: images in its batch.
        seeds: how many seeds, from ``seed`` on.
        seed: of inputs and weights.

    Raises:
        ValueError: if there is no seed.
    """
    if seeds < 1:
        raise ValueError(f"seeds {seeds} must be at least 1")
    every = range(seed, seed + seeds)
    return {
        "profiles": partial(profiles.grid, depth, width, batch, every),
        "images": partial(profiles.on_images, dataset, depth, width, batch, every),
        "rectifiers": partial(profiles.rectifiers, dataset, rectifier_depth, rectifier_width, rectifier_width, every),
        "residual": partial(profiles.residual, residual_blocks, width, batch, every),
        "spectra": partial(
            spectra.jacobian_spectra, sorted({1, jacobian_depth}), jacobian_units, jacobian_batch, every
        ),
        "shattering": partial(shattering.correlations, line_depth, line_width, points, every),
        "streams": partial(streams.streams, dataset, resnet_depth, resnet_images, every),
    }
