"""The networks of chapter 09, and the fixed batch on which their losses are functions of the weights alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.models.mlp import MLP
from bnlab.models.resnet import ResNet
from bnlab.models.vgg import VGG
from bnlab.randomness import generator

NORMS = ("none", "batch")
LINEAR = "deep linear"
CONVOLUTIONAL = "VGG-like"
LAYERS, WIDTH = 25, 32  # of the deep linear network; Santurkar et al. 2018 have 25 layers
VGG_WIDTHS = (4, 8)


def batch(dataset: Dataset, images: int, seed: int, pooled: int = 1) -> tuple[Tensor, Tensor]:
    """Some training images, stratified by class and averaged over windows of ``pooled`` pixels, and their labels.

    All of them make one batch: its loss is a fixed function of the weights, and its statistics those of training.
    """
    chosen = dataset.subset(train=images, seed=seed)
    x = chosen.normalise(chosen.train_images)
    return (functional.avg_pool2d(x, pooled) if pooled > 1 else x), chosen.train_labels


def build(network: str, norm: str, x: Tensor, classes: int, seed: int) -> nn.Module:
    """Make the deep linear or the VGG-like network for images x, Xavier; at one seed both norms have equal weights.

    Raises:
        ValueError: another network.
    """
    checks.choice("network", network, (LINEAR, CONVOLUTIONAL))
    draw = generator(seed, "weights")
    if network == CONVOLUTIONAL:
        return VGG(x.shape[1], classes, widths=VGG_WIDTHS, norm=norm, generator=draw).to(x)
    shape = {"depth": LAYERS - 1, "width": WIDTH, "activation": "linear", "initialisation": "xavier"}
    return MLP(x[0].numel(), classes, norm=norm, bias=False, generator=draw, **shape).to(x)


def residual(depth: int, width: int, norm: str, x: Tensor, classes: int, seed: int) -> ResNet:
    """Make a ResNet for images x, Xavier, with Batch Normalization everywhere or nowhere."""
    place = "everywhere" if norm == "batch" else "nowhere"
    return ResNet(depth, x.shape[1], classes, placement=place, width=width, generator=generator(seed, "weights")).to(x)


def weight_norm(model: nn.Module) -> float:
    """||w|| over the weights of convolutions and linear layers, without biases and Batch Normalization's own."""
    squares = [p.detach().double().square().sum() for p in model.parameters() if p.ndim > 1]
    return float(torch.stack(squares).sum().sqrt())
