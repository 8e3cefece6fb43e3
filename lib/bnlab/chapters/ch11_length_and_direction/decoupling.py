"""Training from scaled initial weights, and the top eigenvalue of the Fisher information by depth; with BN, without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch

from bnlab.datasets import Dataset
from bnlab.layers.population import exact_statistics
from bnlab.measures.kernels import empirical_ntk, fisher_gram, kernel_spectrum, parity_task
from bnlab.models.lenet import LeNet
from bnlab.models.mlp import MLP
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.training.many import evaluate, train_many
from bnlab.training.train import Job

# Arms of `initial_scales`: the norm, and whether the fully connected layer, which no BN follows, is scaled as well.
ARMS = {"none": ("none", False), "BN": ("batch", False), "BN, last layer scaled too": ("batch", True)}

# Images over which Batch Normalization's statistics are taken before testing.
CALIBRATION = 128

# Columns of every training run.
MEASURED = {
    "error": "share of test images",
    "error_running": "share of test images",
    "loss": "nats",
    "turned": "degrees",
    "diverged": "flag",
}

# Arms of `fisher`: what normalises, whether J passes through the batch statistics, and BN after the last nonlinearity.
KERNELS = {
    "none": ("none", True, False),
    "BN": ("batch", True, False),
    "BN, statistics held": ("batch", False, False),
    "BN, also after the last ReLU": ("batch", True, True),
}


def parts(
    dataset: Dataset,
    exponents: Sequence[int] = (-4, -2, 0, 2, 4),
    shifts: Sequence[int] = (-2, 0, 2),
    rate_exponents: Sequence[int] = (-4, 0, 4),
    learning_rate: float = 0.1,
    steps: int = 20,
    batch_size: int = 16,
    depths: Sequence[int] = (2, 5, 10, 20),
    width: int = 128,
    images: int = 16,
    seeds: int = 5,
    trainings: int = 20,
    seed: int = 0,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 11 on networks by name, each with the function that makes it; the defaults are the quick scale.

    Args:
        dataset: 32 x 32 images, for LeNet; the arithmetic runs on its device, the draws are the same everywhere.
        exponents: k, the initial weights of both convolutions being multiplied by 2^k.
        shifts: those k at which the learning rate is varied, too.
        rate_exponents: j, the learning rate of the convolutions being ``learning_rate`` 2^j there.
        learning_rate: of everything else.
        steps: gradient steps.
        batch_size: images a step.
        depths: hidden layers of the networks whose Fisher information is taken.
        width: of those.
        images: how many images the Fisher information averages over, all of which make one batch.
        seeds: how many seeds of these networks, from ``seed`` on.
        trainings: how many seeds of the trained ones, from ``seed`` on.
        seed: of weights, order of batches and choice of images.

    Raises:
        ValueError: if a number of images or seeds is below 1, or two runs would be the same.
    """
    if min(images, seeds, trainings) < 1:
        raise ValueError(f"images {images}, seeds {seeds} and trainings {trainings} must each be at least 1")
    for name, values in (("exponents", exponents), ("shifts", shifts), ("rate_exponents", rate_exponents)):
        if len(set(values)) < len(list(values)):
            raise ValueError(f"{name}: {list(values)!r} has a number twice")
    trained = range(seed, seed + trainings)
    shared = {"learning_rate": learning_rate, "steps": steps, "batch_size": batch_size}
    return {
        "scales": partial(initial_scales, dataset, exponents, trained, **shared),
        "rates": partial(effective_rates, dataset, shifts, rate_exponents, trained, **shared),
        "fisher": partial(fisher, dataset, depths, width, images, range(seed, seed + seeds)),
    }


def initial_scales(
    dataset: Dataset, exponents: Sequence[int], seeds: Sequence[int], *, learning_rate: float, steps: int,
    batch_size: int,
) -> pd.DataFrame:  # fmt: skip
    """Test errors of LeNet after a few steps from convolution weights multiplied by 2^exponent, one rate for all.

    Arms as in `ARMS`; runs of one seed share weights (but for the factor) and batches.
    """
    rows = []
    for seed in seeds:
        for exponent in exponents:
            for arm, (norm, last) in ARMS.items():
                found = scaled_run(dataset, norm, exponent, last, seed, learning_rate, learning_rate, steps, batch_size)
                rows.append((arm, exponent, seed, *found))
    return table(rows, {"arm": "name", "exponent": "powers of 2", "seed": "number"} | MEASURED)


def effective_rates(
    dataset: Dataset, shifts: Sequence[int], rate_exponents: Sequence[int], seeds: Sequence[int], *,
    learning_rate: float, steps: int, batch_size: int, eps: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Test errors of LeNet with BN from scaled convolution weights, by the learning rate of the convolutions.

    ``rate``: of the convolutions, learning_rate 2^j; ``effective``: rate / 4^exponent, which is the rate over the
    squared length of the weights, in units of the squared length at exponent 0. ``eps``: of the normalisation; None:
    that of the layers.
    """
    rows = []
    for seed in seeds:
        for exponent in shifts:
            for j in rate_exponents:
                rate = learning_rate * 2.0**j
                how = (seed, rate, learning_rate, steps, batch_size, eps)
                found = scaled_run(dataset, "batch", exponent, False, *how)
                rows.append((exponent, rate, rate / 4.0**exponent, seed, *found))
    units = {"exponent": "powers of 2", "rate": "1", "effective": "1", "seed": "number"}
    return table(rows, units | MEASURED)


def scaled_run(
    dataset: Dataset, norm: str, exponent: int, scale_last: bool, seed: int, rate: float, other_rate: float,
    steps: int, batch_size: int, eps: float | None = None,
) -> tuple[float, float, float, float, bool]:  # fmt: skip
    """Train LeNet from scaled weights; return what `MEASURED` names.

    Test error and loss are taken with the exact statistics of up to `CALIBRATION` training images: running averages
    still remember their start (mean 0, variance 1) after a few steps, and that start does not scale with the weights.
    ``error_running`` is the error with those averages. ``turned`` is the mean angle between first and last weights over
    the filters of both convolutions. Biases of scaled layers are scaled too, so that 2^exponent multiplies the whole
    preactivation. A diverged run counts as guessing, with an infinite loss. ``eps``: of the normalisation; None: the
    layers' own.
    """
    net = LeNet(dataset.train_images.shape[1], len(dataset.classes), norm, generator=generator(seed, "weights"))
    if eps is not None:
        net.norm1.eps = net.norm2.eps = eps
    with torch.no_grad():
        for layer in (net.conv1, net.conv2, *([net.fc] if scale_last else [])):
            layer.weight *= 2.0**exponent
            layer.bias *= 2.0**exponent
    net = net.to(dataset.train_images.device)
    before = filter_directions(net)
    job = Job(net, generator(seed, "order of mini-batches"), rate, other_rate)
    [run] = train_many([job], dataset, steps=steps, batch_size=batch_size)
    # 2 asin(chord / 2), since acos of a cosine near 1 has no digits left.
    chords = torch.cat([(u - v).norm(dim=1) for u, v in zip(filter_directions(net), before, strict=True)])
    turned = (2 * (chords / 2).clamp(max=1).asin()).rad2deg().mean().item()
    if run.diverged:  # the weights are those of the last step before the loss was lost
        guessing = 1 - 1 / len(dataset.classes)
        return guessing, guessing, float("inf"), turned, True
    running, loss = evaluate(net.eval(), dataset)
    error = running
    if norm == "batch":
        size = min(CALIBRATION, len(dataset.train_images))
        images, _ = next(iter(dataset.batches(size, generator(seed, "calibration"))))  # (size, C, 32, 32)
        exact_statistics(net, lambda: [images])
        error, loss = evaluate(net, dataset)
    return error, running, loss, turned, False


def filter_directions(net: LeNet) -> list[torch.Tensor]:
    """Unit vectors of the filters of each convolution, (OC, IC*H*W) float64."""
    weights = [layer.weight.detach().double().flatten(1) for layer in (net.conv1, net.conv2)]
    return [weight / weight.norm(dim=1, keepdim=True) for weight in weights]


def fisher(dataset: Dataset, depths: Sequence[int], width: int, images: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Spectrum of the Fisher information (one Gaussian output) of fully connected ReLU networks (He) at the start.

    F = J'J / n, whose eigenvalues other than 0 are those of the tangent kernel divided by n. ``largest``: its top
    eigenvalue; ``kappa``: largest over smallest eigenvalue, leaving out the ``dead`` ones. Arms as in `KERNELS`.
    """
    rows = []
    for depth in depths:
        for seed in seeds:
            x, _ = parity_task(dataset, images, seed)
            for arm, (norm, through, last) in KERNELS.items():
                norms = (norm,) * depth + ("batch_prior" if last else "none",)
                net = MLP(x[0].numel(), 1, depth=depth, width=width, norm=norms, generator=generator(seed, "weights"))
                kernel = empirical_ntk(net.to(x), x, through)
                found = kernel_spectrum(fisher_gram(kernel, kernel.new_zeros(images, 1), "gaussian"))
                rows.append((arm, depth, seed, found.largest, found.condition_number, found.dead_modes))
    units = {"arm": "name", "depth": "hidden layers", "seed": "number", "largest": "outputs^2"}
    return table(rows, units | {"kappa": "1", "dead": "eigenvalues"})
