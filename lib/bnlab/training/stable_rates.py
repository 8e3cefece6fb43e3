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


def survives(
    model: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    rate: float,
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> bool:
    """Whether SGD at a rate takes one step on each batch without diverging; the model itself is not touched.

    Diverged is a loss that is not finite or is above max(1e3, 10 x the initial loss), as a batch is reached or, of the
    last batch, after the last step. Bjorck et al. 2018, Sec. 3, say 1e3 alone, where networks without normalisation may
    begin. A network whose initial loss is not finite survives no rate.

    Args:
        model: images to outputs; a copy in train mode is trained.
        batches: (images, labels) of each step, kept, so that every rate meets the same ones.
        rate: of all parameters.
        momentum: heavy-ball momentum, PyTorch's form.
        weight_decay: L2 coefficient, PyTorch's form.
        loss: mean loss of (outputs, labels).

    Raises:
        ValueError: a rate that is not positive, a momentum or weight decay that is negative, or no batch.
    """
    check_rates(rate, None, momentum, weight_decay)
    if not len(batches):
        raise ValueError("batches: there is none; give (images, labels) for one step at least")
    trained = copy.deepcopy(model).train()
    optimiser = torch.optim.SGD(trained.parameters(), lr=rate, momentum=momentum, weight_decay=weight_decay)
    limit = math.inf
    for images, labels in batches:
        value = loss(trained(images), labels)
        if not value.item() <= limit or not math.isfinite(value.item()):
            return False
        limit = max(DIVERGED, GROWTH * value.item()) if math.isinf(limit) else limit
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    with torch.no_grad():
        last = loss(trained(images), labels).item()
    return math.isfinite(last) and last <= limit


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
