"""Gradient descent on least squares: plain, and with a normalised output (BNGD).

BNGD normalises the model's output, y = a w'x / sigma with sigma^2 = w'Hw (Cai et al. 2019), and not its features;
`least_squares` has the problem and its notation. Everything is float64, on the device of the arguments, and takes many
runs side by side in leading dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.linalg import vecdot

from bnlab import checks
from bnlab.theory.least_squares import LeastSquares

State = TypeVar("State")


@dataclass(frozen=True)
class Descent:
    """A run, recorded every so many steps: N records of ... runs side by side."""

    steps: Tensor  # (N,)
    excess: Tensor  # (N, ...), J - min J; inf or nan once a run has diverged
    weights: Tensor  # (N, ..., d)
    rates: Tensor  # (N, ...), the rate at which the step is one of plain descent


def excess_loss(problem: LeastSquares, w: Tensor) -> Tensor:
    """J(w) - min J = 1/2 (w - w*)' H (w - w*), (...) for w (..., d); as a square it loses no digits near 0.

    Raises:
        ValueError: if w is no float32 or float64 tensor that fits the problem. (It may be inf or nan: a run that has
            diverged.)
    """
    error = _fitting("w", w, problem, finite=False) - problem.solution
    return vecdot(error, _apply(problem.H, error)) / 2


def descend(
    problem: LeastSquares, rate: float | Tensor, steps: int, w0: Tensor | None = None, *, every: int = 1
) -> Descent:
    """Plain gradient descent w <- w - rate (H w - g) from w0 (0 if None), recorded at 0 and every so many steps.

    rate is a number, or (...) of them for as many runs side by side. Weights beyond float64 stay inf or nan.

    Raises:
        ValueError: a rate that is negative or not finite, steps below 0, every below 1, or w0 that does not fit.
    """
    rate = _rates(rate, problem)
    w = torch.zeros(_side_by_side(rate, problem) + problem.g.shape[-1:]).to(problem.H)
    w = w if w0 is None else w + _fitting("w0", w0, problem, rate)

    def step(w: Tensor) -> tuple[Tensor, Tensor]:
        return w - rate[..., None] * (_apply(problem.H, w) - problem.g), rate.expand(w.shape[:-1])

    return _run(step, lambda w: (w, w), problem, w, steps, every)


def normalised_descend(
    problem: LeastSquares,
    rate: float | Tensor,
    steps: int,
    w0: Tensor,
    *,
    a0: float = 0.0,
    a_rate: float = 1.0,
    every: int = 1,
) -> Descent:
    """BNGD of Cai et al. 2019: descent on J(a, w) of the model y = a w'x / sigma, sigma^2 = w'Hw.

    a <- a + a_rate (w'g / sigma - a), w <- w + rate (a / sigma) (g - (w'g / sigma^2) H w), both from the present a, w.

    w0: (..., d). The ``rates`` recorded are rate a (w'g) / sigma^3: the w step is one of plain descent at that rate
    towards a multiple of the solution. The ``weights`` recorded are w; the excess is that of the model a w / sigma.
    Scaling law: w0 -> c w0 and rate -> c^2 rate give the same model at every step.

    Raises:
        ValueError: if a_rate is not in (0, 1], w0 has no output, w0'H w0 = 0, or as `descend`.
    """
    a_rate = checks.number("a_rate", a_rate, above=0, most=1, hint="the theorem holds there")
    a0, rate = checks.number("a0", a0), _rates(rate, problem)
    w = _fitting("w0", w0, problem, rate).double()
    w = w.expand(_side_by_side(rate, problem, w.shape[:-1]) + w.shape[-1:])
    if not (vecdot(w, _apply(problem.H, w)) > 0).all():
        raise ValueError("w0: w0'H w0 is 0, so that there is no output to normalise")
    a = torch.full_like(w[..., 0], a0)  # (...)

    def step(state: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        a, w = state
        Hw = _apply(problem.H, w)
        sigma, output = vecdot(w, Hw).sqrt(), vecdot(w, problem.g)
        gradient = (problem.g - (output / sigma.square())[..., None] * Hw) / sigma[..., None]
        moved = (a + a_rate * (output / sigma - a), w + (rate * a)[..., None] * gradient)
        return moved, rate * a * output / sigma**3

    def view(state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        a, w = state
        return w, (a / vecdot(w, _apply(problem.H, w)).sqrt())[..., None] * w

    return _run(step, view, problem, (a, w), steps, every)


def effective_hessian(H: Tensor, u: Tensor) -> Tensor:
    """H* = H - H u u'H / (u'Hu), (..., d, d): what decides the last phase of BNGD (Cai et al. 2019), u the solution.

    H* u = 0: the direction of length is not there. The other eigenvalues interlace with those of a positive H, so that
    kappa(H*), that zero left out, is at most kappa(H). Near w = c u the w step is plain descent with H* at rate
    rate / c^2.

    >>> effective_hessian(torch.diag(torch.tensor([1.0, 2.0, 4.0])), torch.tensor([1.0, 0.0, 0.0])).diagonal()
    tensor([0., 2., 4.], dtype=torch.float64)

    Raises:
        ValueError: if u'Hu is not positive, or H (..., d, d) and u (..., d) do not fit or are not finite.
    """
    for name, values in (("H", H), ("u", u)):
        checks.tensor(name, values)
    if u.ndim < 1 or H.shape[-2:] != u.shape[-1:] * 2:
        raise ValueError(f"H, u: shapes {tuple(H.shape)} and {tuple(u.shape)} are not (..., d, d) and (..., d)")
    H, u = H.double(), u.double()
    Hu = _apply(H, u)
    power = vecdot(u, Hu)
    if not (power > 0).all():
        raise ValueError("u: u'Hu is not positive, so there is no direction to take out")
    reduced = H - Hu[..., :, None] * Hu[..., None, :] / power[..., None, None]
    return (reduced + reduced.mT) / 2


def _run(
    step: Callable[[State], tuple[State, Tensor]],
    view: Callable[[State], tuple[Tensor, Tensor]],
    problem: LeastSquares,
    state: State,
    steps: int,
    every: int,
) -> Descent:
    """Iterate a step, which also says its rate; record weights and the model's excess loss, as ``view`` shows them."""
    steps, every, records = checks.whole("steps", steps, 0), checks.whole("every", every), []
    for t in range(steps + 1):
        moved, rate = step(state)
        if t % every == 0:
            weights, model = view(state)
            records.append((torch.tensor(t), excess_loss(problem, model), weights, rate))
        state = moved
    return Descent(*(torch.stack(column) for column in zip(*records, strict=True)))


def _apply(matrix: Tensor, w: Tensor) -> Tensor:
    return (matrix @ w[..., None]).squeeze(-1)


def _rates(rate: float | Tensor, problem: LeastSquares) -> Tensor:
    """Rates (...) float64, none of them negative."""
    if isinstance(rate, Tensor):
        rate = checks.tensor("rate", rate).double()
    else:
        rate = torch.tensor(checks.number("rate", rate), dtype=torch.float64)
    if (rate < 0).any():
        raise ValueError(f"rate: {rate.min().item():.3g} is negative")
    rate = rate.to(problem.H.device)
    _side_by_side(rate, problem)
    return rate


def _side_by_side(rate: Tensor, problem: LeastSquares, *more: torch.Size) -> torch.Size:
    """The leading dimensions (...) of as many runs as rates, problems and starts make."""
    shapes = (rate.shape, problem.g.shape[:-1], *more)
    try:
        return torch.broadcast_shapes(*shapes)
    except RuntimeError:
        raise ValueError(f"rate, w0: leading shapes {', '.join(str(tuple(s)) for s in shapes)} do not fit") from None


def _fitting(name: str, w: Tensor, problem: LeastSquares, rate: Tensor | None = None, *, finite: bool = True) -> Tensor:
    """Weights (..., d) that fit the problem, and the rates where there are some."""
    features = problem.g.shape[-1]
    if checks.tensor(name, w, f"(..., {features})", finite=finite).shape[-1:] != (features,):
        raise ValueError(f"{name}: shape {tuple(w.shape)} is not (..., {features})")
    _side_by_side(problem.power if rate is None else rate, problem, w.shape[:-1])
    return w
