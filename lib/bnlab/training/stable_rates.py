"""The largest learning rate that a network survives for some steps, and how to find it by bisection."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab import checks
from bnlab.training.train import DIVERGED, check_rates

GROWTH = 10.0  # times the initial loss: Xavier's ResNet-110 without BN starts at about 500, and has not diverged there
SAME = 1e-6  # relative distance below which the outputs of two images are one


@dataclass(frozen=True)
class Descent:
    """What some steps of SGD came to.

    ``losses``: of each batch as it was reached and, if it was, of the last one after the last step. ``diverged``: the
    last of them is not finite, or above max(1e3, 10 x the first). ``constant``: the network then gives all images of
    the last batch the same outputs, as one does whose rectifiers are all off: it has not diverged, and learns no more.
    """

    losses: tuple[float, ...]
    diverged: bool
    constant: bool


def descend(
    model: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    rate: float,
    *,
    warmup: int = 0,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> Descent:
    """Take one step of SGD on each batch, with a copy of the model in train mode, until it diverges.

    Bjorck et al. 2018, Sec. 3, call a mini-batch loss above 1e3 diverged; networks without normalisation may begin
    there, hence ten times the initial loss where that is more.

    Args:
        model: images to outputs; it is not touched.
        batches: (images, labels) of each step, kept, so that every rate meets the same ones.
        rate: of all parameters.
        warmup: the first so many steps have rates t / (warmup + 1) times the rate, t = 1, 2, ...
        momentum: heavy-ball momentum, PyTorch's form.
        weight_decay: L2 coefficient, PyTorch's form.
        loss: mean loss of (outputs, labels).

    Raises:
        ValueError: a rate that is not positive, a momentum, weight decay or warm-up that is negative, or no batch.
    """
    check_rates(rate, None, momentum, weight_decay)
    checks.whole("warmup", warmup, 0)
    if not len(batches):
        raise ValueError("batches: there is none; give (images, labels) for one step at least")
    trained = copy.deepcopy(model).train()
    optimiser = torch.optim.SGD(trained.parameters(), lr=rate, momentum=momentum, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / (warmup + 1), total_iters=warmup)
    losses: list[float] = []
    for images, labels in batches:
        value = loss(trained(images), labels)
        losses.append(value.item())
        if is_diverged(losses[-1], losses[0]):
            return Descent(tuple(losses), diverged=True, constant=False)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        outputs = trained(images)
        losses.append(loss(outputs, labels).item())
    alike = bool((outputs - outputs[0]).abs().max() <= SAME * outputs.abs().max())
    diverged = is_diverged(losses[-1], losses[0])
    return Descent(tuple(losses), diverged, alike and not diverged)


def is_diverged(loss: float, first: float) -> bool:
    """Whether a loss is not finite, or above max(1e3, 10 x the first loss of its run).

    >>> is_diverged(4000, 450), is_diverged(4000, 2.3), is_diverged(math.nan, 2.3)
    (False, True, True)
    """
    return not math.isfinite(loss) or loss > max(DIVERGED, GROWTH * first)


def survives(
    model: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    rate: float,
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> bool:
    """Whether SGD at a rate takes one step on each batch without diverging; arguments and errors as of `descend`."""
    return not descend(model, batches, rate, momentum=momentum, weight_decay=weight_decay, loss=loss).diverged


@dataclass(frozen=True)
class Bracket:
    """Two rates with the border of stability between them.

    ``survived`` is nan where the lowest rate tried was ``lost``; ``lost`` is inf where the highest ``survived``.
    """

    survived: float
    lost: float


def largest_surviving_rate(
    survives: Callable[[float], bool], lowest: float, highest: float, factor: float = 2**0.5
) -> Bracket:
    """Bracket the largest rate that survives, by bisection of its logarithm until lost / survived <= factor.

    Survival is taken to be lost once and for good as the rate grows: of several borders, one is found.

    >>> found = largest_surviving_rate(lambda rate: rate < 2 / 5, 1e-3, 10, factor=1.01)  # of x -> 5 x**2 / 2
    >>> found.survived < 0.4 <= found.lost <= 1.01 * found.survived
    True

    Raises:
        ValueError: a lowest rate that is not positive, a highest that is not above it, or a factor that is not above 1.
    """
    lost = checks.number("highest", highest, above=checks.number("lowest", lowest, above=0))
    checks.number("factor", factor, above=1)
    if not survives(float(lowest)):
        return Bracket(math.nan, float(lowest))
    if survives(lost):
        return Bracket(lost, math.inf)
    survived = float(lowest)
    while lost / survived > factor:
        between = math.sqrt(survived * lost)
        if survives(between):
            survived = between
        else:
            lost = between
    return Bracket(survived, lost)
