"""The network of a point, and what it looks like before its first step: what matched networks are matched to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bnlab.datasets import Dataset
from bnlab.measures.probes import activations, input_autocorrelation, probe_images
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.theory.modes import largest_eigenvalue, natural_modes


def build_lenet(point: Mapping[str, object], dataset: Dataset) -> LeNet:
    """Initialise the network of a point on the data's device."""
    names = tuple(str(point["norm"]).split("+"))
    model = LeNet(
        dataset.train_images.shape[1],
        len(dataset.classes),
        norm=names[0] if len(names) == 1 else names,
        generator=generator(int(point["seed"]), "initialisation"),
    )
    with torch.no_grad():
        for layer in (model.conv1, model.conv2):
            layer.weight.mul_(point["gain"])
            layer.bias.mul_(point["gain"])
    return model.to(dataset.train_images.device)


@dataclass(frozen=True)
class FirstLook:
    """What a matched network is matched to."""

    spectrum: torch.Tensor  # eigenvalues of R(conv2), (K,) float64, ascending
    fc: float  # lambda_max of fc's input


def first_look(point: Mapping[str, object], norm: str | None, dataset: Dataset, count: int) -> FirstLook:
    """Spectra of a point's network, or of its twin with another norm, before the first step, on ``count`` images."""
    model = build_lenet({**point, "norm": norm or point["norm"]}, dataset)
    order = generator(int(point["seed"]), "order of mini-batches")
    images, _ = next(iter(dataset.batches(int(point["batch_size"]), order)))
    with torch.no_grad():
        model.train()(images)  # constant gains are set by the first batch
    looked_at = probe_images(dataset, count)
    features, _ = activations(model, looked_at, ("fc",))["fc"]  # (B, F)
    spectrum = natural_modes(input_autocorrelation(model, looked_at)).eigenvalues
    return FirstLook(spectrum, largest_eigenvalue(features))
