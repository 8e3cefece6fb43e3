"""The loss along the gradient and around a point: the published probe of smoothness (Santurkar et al. 2018, Fig. 4).

At a point of the training path the probe walks along the gradient, evaluating only: how the loss varies, how far the
gradient turns, and the *effective beta*, the largest ||g(theta) - g(theta')|| / ||theta - theta'|| met on the way. The
published step lengths are multiples of the learning rate, so that a network with longer gradients is probed further
away; at equal distances the same probe compares what lies equally near.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bnlab import checks
from bnlab.measures.surface import LossSurface


@dataclass(frozen=True)
class GradientWalk:
    """Loss and gradient at points theta - a g; what overflows is inf there, and so is what follows from it."""

    loss: float  # at theta
    gradient_norm: float
    distances: Tensor  # (k,), ||theta - theta'||
    losses: Tensor  # (k,), float64
    changes: Tensor  # (k,), ||g(theta) - g(theta')||, float64

    @property
    def loss_range(self) -> float:
        """Largest minus smallest loss on the way."""
        highest = float(self.losses.max())
        return highest if math.isinf(highest) else highest - float(self.losses.min())

    @property
    def effective_beta(self) -> float:
        """Largest change of the gradient by distance."""
        return float((self.changes / self.distances).max())


def along_gradient(
    surface: LossSurface, steps: Sequence[float] | None = None, *, distances: Sequence[float] | None = None
) -> GradientWalk:
    """Walk along the negative gradient from the model's own parameters, and back.

    Args:
        surface: what is walked on.
        steps: multiples a of the gradient: theta' = theta - a g, as published with a around the learning rate.
        distances: lengths d: theta' = theta - d g / ||g||. Give these or ``steps``.

    >>> line = torch.nn.Linear(1, 1, bias=False).double()
    >>> _ = torch.nn.init.ones_(line.weight)
    >>> x = torch.ones(1, 1, dtype=torch.float64)
    >>> walk = along_gradient(LossSurface(line, x, 0 * x, torch.nn.functional.mse_loss), [0.5, 1.0])
    >>> walk.losses.tolist(), walk.loss_range, walk.effective_beta  # L = w^2, g = 2, w' = 0 and -1
    ([0.0, 1.0], 1.0, 2.0)

    Raises:
        ValueError: both or neither of ``steps`` and ``distances``, one that is not positive, or a gradient of zero.
    """
    if (steps is None) == (distances is None):
        raise ValueError("steps, distances: give one of the two")
    name, given = ("steps", steps) if distances is None else ("distances", distances)
    lengths = checks.tensor(name, torch.as_tensor(given, dtype=torch.float64), "(k,)", 1)
    if not (lengths > 0).all():
        raise ValueError(f"{name}: {lengths.min().item():g} is not positive")
    value, gradient = surface.value_and_gradient()
    norm = float(gradient.double().norm())
    if norm == 0:
        raise ValueError("surface: its gradient is zero, so there is no way along it")
    lengths = lengths / norm if distances is not None else lengths  # now multiples of g
    losses, changes = [], []
    for length in lengths.tolist():
        there, turned = surface.value_and_gradient(surface.theta - length * gradient)
        losses.append(there)
        changes.append(float((turned - gradient).double().norm()))
    found = (torch.tensor(column, dtype=torch.float64).nan_to_num(torch.inf, torch.inf) for column in (losses, changes))
    return GradientWalk(value, norm, lengths * norm, *found)


def distance_to_change(
    surface: LossSurface, direction: Tensor, change: float, *, limit: float, steps: int = 40
) -> float:
    """Distance along a direction (P,), either way, at which the loss first differs by ``change``, or ``limit``.

    The nearer of the two ways; found by doubling from ``limit`` / 2^``steps`` on, then halving the last interval, so
    that it is the first crossing if the loss is monotone up to there. A level line's half-width in this direction.

    Raises:
        ValueError: a direction that is not (P,) or zero; a change or a limit that is not positive; no steps.
    """
    checks.number("change", change, above=0)
    checks.number("limit", limit, above=0)
    checks.whole("steps", steps)
    checks.tensor("direction", direction, "(P,)", 1)
    if direction.shape != surface.theta.shape or not direction.any():
        raise ValueError(
            f"direction: shape {tuple(direction.shape)} or all of it zero, not {tuple(surface.theta.shape)}"
        )
    unit, here = direction / direction.norm(), surface.value()

    def differs(distance: float) -> bool:
        values = [surface.value(surface.theta + way * distance * unit.to(surface.theta)) for way in (1, -1)]
        return not all(abs(value - here) < change for value in values)

    inner, outer = 0.0, limit / 2.0**steps
    while outer < limit and not differs(outer):
        inner, outer = outer, 2 * outer
    if outer >= limit and not differs(limit):
        return limit
    outer = min(outer, limit)
    for _ in range(12):
        middle = (inner + outer) / 2
        inner, outer = (inner, middle) if differs(middle) else (middle, outer)
    return outer


def plane(surface: LossSurface, first: Tensor, second: Tensor, reach: tuple[float, float], points: int = 21) -> Tensor:
    """Losses (points, points) on a plane around the model's own parameters: entry (i, j) at second i, first j.

    first and second (P,) are its directions, taken as they are; ``reach`` how far it goes along each, either way.

    Raises:
        ValueError: directions that are not (P,) of finite numbers, a reach that is not positive, fewer than 3 points.
    """
    checks.whole("points", points, 3)
    for name, direction in (("first", first), ("second", second)):
        checks.tensor(name, direction, "(P,)", 1)
        if direction.shape != surface.theta.shape:
            raise ValueError(f"{name}: shape {tuple(direction.shape)} is not {tuple(surface.theta.shape)}")
    across, up = (torch.linspace(-1, 1, points) * checks.number("reach", r, above=0) for r in reach)
    rows = [[surface.value(surface.theta + float(b) * second + float(a) * first) for a in across] for b in up]
    return torch.tensor(rows, dtype=torch.float64)
