"""Tangent kernels of fully connected networks: how still they stand in training by width, what BN does to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch

from bnlab.datasets import Dataset
from bnlab.measures.kernels import empirical_ntk, kernel_spectrum, parity_task
from bnlab.models.mlp import MLP
from bnlab.randomness import generator
from bnlab.tables import table


def parts(
    dataset: Dataset,
    widths: Sequence[int] = (64, 128, 256, 512),
    kernel_steps: int = 50,
    depths: Sequence[int] = (5, 10),
    width: int = 128,
    images: int = 32,
    seeds: int = 5,
    seed: int = 0,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 12 on networks by name, each with the function that makes it; the defaults are the quick scale.

    Args:
        dataset: its training images, stratified by class, are the kernel's; the arithmetic runs on its device.
        widths: of the networks that are trained.
        kernel_steps: gradient steps of that training.
        depths: hidden layers of the networks looked at before training.
        width: of those.
        images: how many images, all of which make one batch.
        seeds: how many seeds, from ``seed`` on.
        seed: of images and weights.

    Raises:
        ValueError: if a number of images, steps or seeds is below 1.
    """
    if min(images, kernel_steps, seeds) < 1:
        raise ValueError(f"images {images}, kernel_steps {kernel_steps} and seeds {seeds} must each be at least 1")
    every = range(seed, seed + seeds)
    return {
        "widths": partial(width_runs, dataset, widths, images, kernel_steps, every),
        "spectra": partial(spectra, dataset, depths, width, images, every),
    }


def width_runs(dataset: Dataset, widths: Sequence[int], images: int, steps: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Train networks of two hidden layers (NTK parameterisation, one output) on parity, and look at kernels after it.

    Full-batch descent on 1/2 ||f - d||^2 at 1 / lambda_max(K_0). ``kernel_change``: ||K_T - K_0|| / ||K_0||, Frobenius;
    ``forecast_error``: distance of the trained outputs from d + (I - mu K_0)^T (f_0 - d), what the kernel at the start
    alone predicts, in units of ||f_0 - d||; ``loss_left``: of the first loss.
    """
    rows = []
    for width in widths:
        for seed in seeds:
            x, d = parity_task(dataset, images, seed)
            net = MLP(x[0].numel(), 1, depth=2, width=width, initialisation="ntk", generator=generator(seed, "weights"))
            net = net.to(x)
            before = empirical_ntk(net, x)
            top = kernel_spectrum(before).largest
            first = net(x).flatten().detach() - d
            optimiser = torch.optim.SGD(net.parameters(), lr=1 / top)
            for _ in range(steps):
                optimiser.zero_grad()
                ((net(x).flatten() - d).square().sum() / 2).backward()
                optimiser.step()
            last = net(x).flatten().detach() - d
            forecast = torch.linalg.matrix_power(torch.eye(images).to(x) - before / top, steps) @ first
            change = (empirical_ntk(net, x) - before).norm() / before.norm()
            shares = ((last - forecast).norm() / first.norm(), last.square().sum() / first.square().sum())
            rows.append((width, seed, change.item(), *(share.item() for share in shares)))
    units = {"width": "units", "seed": "number", "kernel_change": "1", "forecast_error": "of the first error"}
    return table(rows, units | {"loss_left": "of the first loss"})


def spectra(dataset: Dataset, depths: Sequence[int], width: int, images: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Tangent kernels at initialisation (He, ReLU, one output), with and without BN before every nonlinearity.

    ``top_share``: lambda_max / trace; ``correlation``: mean of |K_ij| / sqrt(K_ii K_jj) off the diagonal;
    ``statistics``: whether the Jacobian passes through the batch statistics or holds them.
    """
    rows = []
    for depth in depths:
        for seed in seeds:
            x, _ = parity_task(dataset, images, seed)
            for norm, through in (("none", True), ("batch", True), ("batch", False)):
                net = MLP(x[0].numel(), 1, depth=depth, width=width, norm=norm, generator=generator(seed, "weights"))
                kernel = empirical_ntk(net.to(x), x, through)
                found, scale = kernel_spectrum(kernel), kernel.diagonal().sqrt()
                correlations = (kernel / scale[:, None] / scale).abs()
                off = (correlations.sum() - images) / (images * (images - 1))
                statistics = "none" if norm == "none" else "passed through" if through else "held"
                share = found.largest / kernel.trace().item()
                kappa, dead = found.condition_number, found.dead_modes
                rows.append((depth, seed, norm, statistics, found.largest, share, off.item(), kappa, dead))
    units = {"depth": "hidden layers", "seed": "number", "norm": "name", "statistics": "kind", "largest": "outputs^2"}
    return table(rows, units | {"top_share": "1", "correlation": "1", "kappa": "1", "dead": "eigenvalues"})
