"""The error of a mini-batch gradient (Bjorck et al. 2018, Sec. 2.1): its size by the formula, and drawn.

The gradient of a mini-batch of B images differs from that of all N by an error of mean zero, whose mean square is C/B
for images drawn with replacement, C = mean ||g_i - g||^2, and (N - B)/(N - 1) times that for B different ones. Float64.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from bnlab import checks

MOST = 10**5  # batches that are enumerated


def noise_constant(gradients: Tensor) -> float:
    """C, the mean of ||g_i - g||^2 over the rows g_i of gradients (N, P) with mean g.

    >>> noise_constant(torch.tensor([[0.0], [2.0]]))
    1.0

    Raises:
        ValueError: no (N, P) of finite numbers.
    """
    return _centred(gradients).square().sum(1).mean().item()


def step_noise(constant: float, rate: float, batch_size: int, images: int | None = None) -> float:
    """E||alpha (g_B - g)||^2 of one step at the rate alpha: alpha^2 C / B.

    With ``images`` = N the B images of the batch are different ones: times (N - B)/(N - 1), which is 0 for all of them.

    >>> step_noise(1.0, 0.5, 2), step_noise(1.0, 0.5, 2, images=3)
    (0.125, 0.0625)

    Raises:
        ValueError: a constant or a rate below 0, a batch below 1 or above N, or N below 2.
    """
    checks.number("constant", constant, least=0)
    checks.number("rate", rate, least=0)
    noise = rate**2 * constant / checks.whole("batch_size", batch_size)
    if images is None:
        return noise
    _fitting(batch_size, checks.whole("images", images, 2), replacement=False)
    return noise * (images - batch_size) / (images - 1)


def all_errors(gradients: Tensor, batch_size: int, replacement: bool) -> Tensor:
    """Errors g_B - g of all mini-batches, each as likely as any other, (batches, P), float64.

    With replacement these are the N^B sequences, without it the sets of B different images.

    >>> all_errors(torch.tensor([[0.0], [2.0]]), 2, replacement=True).flatten().tolist()
    [-1.0, 0.0, 0.0, 1.0]

    Raises:
        ValueError: no (N, P) of finite numbers, more than 10^5 batches, or a batch below 1, or above N without
            replacement.
    """
    centred = _centred(gradients)
    count, size = len(centred), _fitting(batch_size, len(centred), replacement)
    batches = count**size if replacement else math.comb(count, size)
    if batches > MOST:
        raise ValueError(f"batch_size: {size} of {count} images makes {batches} batches, more than {MOST}")
    ways = itertools.product(range(count), repeat=size) if replacement else itertools.combinations(range(count), size)
    return centred[torch.tensor(list(ways), device=centred.device)].mean(1)  # (batches, B, P) -> (batches, P)


def drawn_errors(
    gradients: Tensor, batch_size: int, draws: int, replacement: bool, generator: torch.Generator
) -> Tensor:
    """Squared lengths ||g_B - g||^2 of so many mini-batches' errors, (draws,), float64.

    Raises:
        ValueError: no (N, P) of finite numbers, fewer than one draw, a batch below 1, or above N without replacement.
    """
    centred = _centred(gradients)
    count, size = len(centred), _fitting(batch_size, len(centred), replacement)
    gram = centred @ centred.T  # (N, N): the error of a batch is a mean of rows, so its square needs no more
    shares = torch.zeros(checks.whole("draws", draws), count, dtype=torch.float64)  # of each image in each batch
    for row in shares:
        order = torch.randint(count, (size,), generator=generator) if replacement else None
        order = torch.randperm(count, generator=generator)[:size] if order is None else order
        row.index_add_(0, order, torch.full((size,), 1 / size, dtype=torch.float64))
    return ((shares @ gram.cpu()) * shares).sum(1)


def _fitting(batch_size: int, images: int, replacement: bool) -> int:
    if checks.whole("batch_size", batch_size) > images and not replacement:
        raise ValueError(f"batch_size: {batch_size} different images of {images}")
    return batch_size


def _centred(gradients: Tensor) -> Tensor:
    wide = checks.tensor("gradients", gradients, "(N, P)", 2).detach().double()
    return wide - wide.mean(0)
