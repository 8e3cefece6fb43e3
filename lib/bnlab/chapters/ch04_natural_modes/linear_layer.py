"""One linear convolution layer with a desired response: the learning problem of which chapter 04 knows everything."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.datasets import Dataset
from bnlab.models.initialisation import draw_default_
from bnlab.randomness import generator
from bnlab.theory.filters import wiener_solution
from bnlab.theory.modes import NaturalModes, natural_modes
from bnlab.theory.spectra import autocorrelation, cross_correlation


@dataclass(frozen=True)
class LinearProblem:
    """Images, the response wanted of one filter, and what follows from them; all float64."""

    images: Tensor  # (B, C, H, W), normalised
    desired: Tensor  # (B, 1, OH, OW): a fixed teacher filter's response, plus noise
    kernel_size: int
    R: Tensor  # (K, K), mean over images and positions
    P: Tensor  # (K,)
    solution: Tensor  # W_o (K,): the Wiener-Hopf solution, which the noise moves away from the teacher
    initial: Tensor  # W(0) (K,), PyTorch's default initialisation of a convolution
    modes: NaturalModes  # of R


def linear_problem(dataset: Dataset, kernel_size: int, images: int, noise: float, seed: int) -> LinearProblem:
    """Draw a teacher filter and its noisy response to the first images of the training split.

    The teacher's weights are N(0, 1/K); the noise has ``noise`` times the standard deviation of its response.

    Raises:
        ValueError: if there are not so many images, the kernel does not fit, or the noise is negative.
    """
    available = len(dataset.train_images)
    if not 1 <= images <= available:
        raise ValueError(f"images: {images} is not between 1 and the {available} of {dataset.name}")
    if not noise >= 0:
        raise ValueError(f"noise: {noise} is negative")
    x = dataset.normalise(dataset.train_images[:images], torch.float64)
    R = autocorrelation(x, kernel_size)  # refuses a kernel that does not fit
    return _taught(x, R, kernel_size, noise, seed)


def with_another_teacher(problem: LinearProblem, noise: float, seed: int) -> LinearProblem:
    """What `linear_problem` gives for another seed; the images and R are the same, and are not held twice."""
    return _taught(problem.images, problem.R, problem.kernel_size, noise, seed)


def in_slices(images: Tensor, size: int = 100) -> list[slice]:
    """Slices of so many images: PyTorch's float64 convolution unfolds all that it is given, 9 GB of 60,000 images."""
    return [slice(start, start + size) for start in range(0, len(images), size)]


def _taught(x: Tensor, R: Tensor, kernel_size: int, noise: float, seed: int) -> LinearProblem:
    channels = x.shape[1]
    shape = (1, channels, kernel_size, kernel_size)
    teacher = torch.randn(shape, dtype=torch.float64, generator=generator(seed, "teacher"))
    weight = teacher.to(x.device) / teacher.numel() ** 0.5
    response = torch.cat([functional.conv2d(x[part], weight) for part in in_slices(x)])  # (B, 1, OH, OW)
    drawn = torch.randn(response.shape, dtype=torch.float64, generator=generator(seed, "noise of the response"))
    desired = response + noise * response.std() * drawn.to(x.device)
    P = cross_correlation(x, desired, kernel_size)[:, 0]
    layer = nn.Conv2d(channels, 1, kernel_size, bias=False, dtype=torch.float64)
    draw_default_(layer, generator(seed, "initialisation"))
    initial = layer.weight.detach().flatten().to(x.device)
    return LinearProblem(x, desired, kernel_size, R, P, wiener_solution(R, P), initial, natural_modes(R))


def recorded_steps(steps: int, count: int) -> list[int]:
    """Some ``count`` steps between 0 and ``steps``, both included, evenly spaced in the logarithm.

    >>> recorded_steps(100, 5)
    [0, 1, 5, 22, 100]

    Raises:
        ValueError: if there is no step.
    """
    if steps < 1:
        raise ValueError(f"steps: {steps} is not at least 1")
    return sorted({0} | {round(steps ** (i / (count - 2))) for i in range(count - 1)})
