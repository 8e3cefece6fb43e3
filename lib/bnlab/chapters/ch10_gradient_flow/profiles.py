"""Squared gradients at every layer of fully connected networks at initialisation: activation, weights, norm, skip.

All networks are `models.residual_mlp.ResidualMLP`: a linear stem and blocks W phi(norm(h)), added to h with a skip
connection. ``layer`` l = 0, 1, ... is h ahead of block l, the preactivation of the block's rectifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.datasets import Dataset
from bnlab.measures.jacobians import gradient_profile
from bnlab.models.norms import find_norm
from bnlab.models.residual_mlp import ResidualMLP
from bnlab.randomness import generator
from bnlab.tables import table

FEATURES, CLASSES = 1024, 10  # of random inputs, as many as an image of 32 x 32 has pixels
INDEPENDENT, IMAGES = "independent", "images"
# Gaussian weights of He's gain, and of gain 1 (Xavier's between layers of one width); orthogonal ones of He's gain.
WEIGHTS = {"Gaussian": "he", "Gaussian, gain 1": "xavier", "orthogonal": "orthogonal"}
ARMS = {"none": ("none", False), "BN": ("batch", False), "skip": ("none", True), "skip + BN": ("batch", True)}
ACTIVATIONS = ("linear", "tanh", "relu")
UNITS = {"activation": "name", "weights": "name", "arm": "name", "seed": "number", "layer": "number"}
UNITS |= {"gradient": "squared norm", "parameters": "squared norm", "power": "mean square"}

Batch = tuple[Tensor, Tensor]


def random_inputs(count: int, seed: int) -> Batch:
    """Independent standard normal inputs (count, FEATURES) float64, and labels that mean nothing."""
    x = torch.randn(count, FEATURES, generator=generator(seed, "random inputs"), dtype=torch.float64)
    return x, torch.arange(count) % CLASSES


def image_inputs(dataset: Dataset, count: int, seed: int) -> Batch:
    """Some training images (count, C, H, W) float64 and their labels, stratified by class."""
    chosen = dataset.subset(train=count, seed=seed)
    return dataset.normalise(chosen.train_images, torch.float64), chosen.train_labels


def network(inputs: Tensor, arm: str, activation: str, weights: str, depth: int, width: int, seed: int) -> ResidualMLP:
    """One network of the table, in the inputs' dtype and place, in training; arms of one seed have the same weights."""
    norm, skip = ARMS[arm]
    net = ResidualMLP(
        inputs[0].numel(),
        CLASSES,
        depth=depth,
        width=width,
        norm=norm,
        skip=skip,
        activation=activation,
        initialisation=WEIGHTS[weights],
        generator=generator(seed, "weights"),
    )
    return net.to(inputs)


def become(net: ResidualMLP, arm: str) -> ResidualMLP:
    """Turn a network into another arm's in place: its weights are half of the work of making one."""
    norm, skip = ARMS[arm]
    weight = net.stem.weight
    for block in net.blocks:
        block.norm, block.skip = find_norm(norm).after(len(weight)).to(weight), skip
    return net


def profile_rows(
    batch: Batch, arms: Iterable[str], activation: str, weights: str, depth: int, width: int, seed: int
) -> list:
    """Rows of some arms, from the stem's output to the last block's, cross-entropy on one batch."""
    layers, rows = ["stem", *(f"blocks.{k}" for k in range(depth))], []
    net = network(batch[0], "none", activation, weights, depth, width, seed)
    for arm in arms:
        found = gradient_profile(become(net, arm), *batch, functional.cross_entropy, layers)
        columns = (found.outputs, found.parameters, found.powers)
        rows += [
            (activation, weights, arm, seed, layer, *values)
            for layer, values in enumerate(zip(*(column.tolist() for column in columns), strict=True))
        ]
    return rows


def grid(
    depth: int, width: int, batch: int, seeds: Sequence[int], weights: Iterable[str] = ("Gaussian", "orthogonal")
) -> pd.DataFrame:
    """Profiles on independent inputs: {linear, tanh, ReLU} x ``weights`` x {none, BN, skip, skip + BN} x seeds."""
    rows = []
    for seed in seeds:
        inputs = random_inputs(batch, seed)
        for kind in weights:
            for activation in ACTIVATIONS:
                rows += profile_rows(inputs, ARMS, activation, kind, depth, width, seed)
    return table(rows, UNITS)


def on_images(dataset: Dataset, depth: int, width: int, batch: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Profiles on images with weights of gain 1, with and without BN; and linear + BN with orthogonal weights."""
    rows = []
    for seed in seeds:
        inputs = image_inputs(dataset, batch, seed)
        for activation in ACTIVATIONS:
            rows += profile_rows(inputs, ("none", "BN"), activation, "Gaussian, gain 1", depth, width, seed)
        rows += profile_rows(inputs, ("BN",), "linear", "orthogonal", depth, width, seed)
    return table(rows, UNITS)


def rectifiers(dataset: Dataset, depth: int, width: int, batch: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Profiles of wide ReLU networks on images: no norm with weights of gain 1 and of He's, BN with He's."""
    rows = []
    for seed in seeds:
        inputs = image_inputs(dataset, batch, seed)
        for arms, weights in ((("none",), "Gaussian, gain 1"), (("none", "BN"), "Gaussian")):
            rows += profile_rows(inputs, arms, "relu", weights, depth, width, seed)
    return table(rows, UNITS)


def residual(blocks: int, width: int, batch: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Profiles of deep residual ReLU networks on independent inputs, with and without BN."""
    rows = []
    for seed in seeds:
        inputs = random_inputs(batch, seed)
        rows += profile_rows(inputs, ("skip", "skip + BN"), "relu", "Gaussian", blocks, width, seed)
    return table(rows, UNITS)


def slopes(profiles: pd.DataFrame) -> pd.DataFrame:
    """Fit a line through ln of the squared gradients by layer: a row a network.

    ``slope``: towards the input, nats a layer; ``r_squared``, and ``r_squared_power`` of the line against ln(layer +
    1); ``exponent``: of that line, towards the input; ``total``: first over last.
    """
    rows = []
    for keys, run in profiles.groupby(["activation", "weights", "arm", "seed"], sort=False):
        run = run.sort_values("layer")
        layer = run["layer"].to_numpy(dtype=float)
        with np.errstate(divide="ignore"):
            height = np.log(run["gradient"].to_numpy())
        straight, power = (line(x, height) for x in (layer, np.log(layer + 1)))
        rows.append((*keys, -straight[0], straight[1], -power[0], power[1], float(np.exp(height[0] - height[-1]))))
    units = {name: UNITS[name] for name in ("activation", "weights", "arm", "seed")} | {"slope": "nats a layer"}
    return table(rows, units | {"r_squared": "1", "exponent": "1", "r_squared_power": "1", "total": "ratio"})


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and R^2 of a least-squares line; both nan where a height is not finite (the logarithm of 0, or of none)."""
    if not np.isfinite(y).all():
        return float("nan"), float("nan")
    slope, shift = np.polyfit(x, y, 1)
    spread = np.square(y - y.mean()).sum()
    left = np.square(y - slope * x - shift).sum()
    return float(slope), float(1 - left / spread) if spread > 0 else 1.0
