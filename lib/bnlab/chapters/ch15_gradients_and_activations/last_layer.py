"""What one normalisation at the end of a ResNet does: to R of the linear layer, to the Fisher information, to rates."""

from __future__ import annotations

import math
from itertools import islice

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.chapters.ch15_gradients_and_activations.arms import batch, network
from bnlab.datasets import Dataset
from bnlab.measures.fisher import LIKELIHOODS, fisher_top
from bnlab.measures.probes import activations
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.modes import EffectiveEigenvalues, effective_eigenvalues
from bnlab.theory.spectra import autocorrelation
from bnlab.training.stable_rates import largest_surviving_rate, survives

LOWEST, HIGHEST = 1e-8, 10.0  # learning rates between which the border is looked for
MOMENTUM, DECAY = 0.9, 1e-4  # He et al. 2016, and so the document
TOLERANCE, PRODUCTS = 0.01, 30  # of the largest eigenvalue


def spectra(point: dict, dataset: Dataset, images: int, fisher_images: int, initialisation: str) -> pd.DataFrame:
    """Largest eigenvalues for one ``arm``, ``depth`` and ``seed``, of R of what enters the linear layer and of F.

    R (uncentred) on ``images``, F on ``fisher_images``, for Gaussian outputs and for the softmax, each with the
    residual of its value.
    """
    x, net = _prepared(point, dataset, images, initialisation)
    found = [_spectrum(_features(net, x)).largest]
    few, _ = batch(dataset, fisher_images, point["seed"])
    for likelihood in LIKELIHOODS:
        draw = generator(point["seed"], "Lanczos")
        top = fisher_top(net, few, likelihood, tolerance=TOLERANCE, most=PRODUCTS, generator=draw)
        found += [top.value, top.residual]
    units = {"features": "largest eigenvalue"}
    for likelihood in LIKELIHOODS:
        units |= {likelihood: "largest eigenvalue", f"{likelihood}_residual": "of the value"}
    return table([tuple(found)], units)


def conditions(point: dict, dataset: Dataset, images: int, initialisation: str) -> pd.DataFrame:
    """R of the linear layer of one ``arm``, ``depth`` and ``seed``: as it is, and behind one BN of the features.

    That BN (Huang et al. 2020) stands between the average pooling and the linear layer. ``condition``: the pseudo
    condition number; ``resolved``: how many eigenvalues are not 0.
    """
    x, net = _prepared(point, dataset, images, initialisation)
    features = _features(net, x)
    normalised = functional.batch_norm(features, None, None, training=True)
    rows = []
    for name, seen in (("without", features), ("with", normalised)):
        spectrum = _spectrum(seen)
        rows.append((name, spectrum.largest, spectrum.condition_number, len(spectrum.eigenvalues)))
    return table(rows, {"norm": "name", "largest": "eigenvalue", "condition": "ratio", "resolved": "eigenvalues"})


def rates(
    point: dict, dataset: Dataset, batch_size: int, steps: int, factor: float, initialisation: str
) -> pd.DataFrame:
    """Bracket the largest rate that one ``arm``, ``depth`` and ``seed`` survives for so many steps of SGD.

    Momentum and weight decay are the document's; every rate meets the same mini-batches. `training.stable_rates` says
    what survives. Where the border is not in [`LOWEST`, `HIGHEST`], ``survived`` is 0, or ``lost`` is inf.
    """
    order = generator(point["seed"], "order of mini-batches")
    batches = [
        (x.contiguous(memory_format=torch.channels_last), labels)
        for x, labels in islice(dataset.batches(batch_size, order), steps)
    ]
    net = network(point["arm"], point["depth"], batches[0][0], len(dataset.classes), initialisation, point["seed"])

    def alive(rate: float) -> bool:
        return survives(net, batches, rate, momentum=MOMENTUM, weight_decay=DECAY)

    found = largest_surviving_rate(alive, LOWEST, HIGHEST, factor)
    survived = 0.0 if math.isnan(found.survived) else found.survived
    return table([(survived, found.lost)], {"survived": "learning rate", "lost": "learning rate"})


def _prepared(point: dict, dataset: Dataset, images: int, initialisation: str) -> tuple[Tensor, ResNet]:
    x, _ = batch(dataset, images, point["seed"])
    return x, network(point["arm"], point["depth"], x, len(dataset.classes), initialisation, point["seed"])


def _features(net: ResNet, x: Tensor) -> Tensor:
    return activations(net, x, ("fc",))["fc"][0].double()  # (B, C)


def _spectrum(features: Tensor) -> EffectiveEigenvalues:
    return effective_eigenvalues(autocorrelation(features[:, :, None, None], 1))
