"""Learning halfspaces with overlapping classes: directions, GDNP with its bound and its mini-batches, curvature."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory import gdnp, rayleigh
from bnlab.theory.halfspaces import GaussianHalfspace, SampledHalfspace

INTERVAL = (-16.0, 16.0)  # of the length, for the bisection
MOST_DRAWN = 100  # mini-batches for one step: of 32 points around the minimum, one in 200 has no stationary length


def _draws(seed: int, purpose: str):
    """A function that draws standard normal tensors from one stream."""
    stream = generator(seed, purpose)
    return lambda *shape: torch.randn(*shape, generator=stream, dtype=torch.float64)


def directions(dimension: int, samples: Sequence[int], seeds: Sequence[int]) -> pd.DataFrame:
    """1 - |cos|, in the S norm, between the logistic minimiser of a sample and its S^(-1)u.

    Labels follow a logistic model; inputs are A e, e standard normal ("Gaussian") or exponential less its mean
    ("exponential"), A one random matrix.
    """
    rows = []
    for seed in seeds:
        normal = _draws(seed, "inputs of the logistic model")
        mixing, truth = normal(dimension, dimension), normal(dimension)
        truth = 2 * truth / (mixing.T @ truth).norm()  # w'x has standard deviation 2
        noise = normal(max(samples), dimension)
        uniform = torch.special.ndtr(normal(max(samples)))
        for inputs, e in (("Gaussian", noise), ("exponential", -torch.special.log_ndtr(noise) - 1)):
            x = e @ mixing.T
            labels = 2.0 * (uniform < torch.sigmoid(x @ truth)) - 1
            for n in samples:
                f = SampledHalfspace(-labels[:n, None] * x[:n])
                direction = torch.linalg.solve(f.S, f.u)
                rows.append((seed, inputs, n, _sine_squared(f.S, _newton(f), direction)))
    return table(rows, {"seed": "number", "inputs": "distribution", "samples": "points", "gap": "1 - |cos|"})


def _newton(f: SampledHalfspace, steps: int = 25) -> Tensor:
    """Minimiser of a sample's loss, by Newton's method from 0."""
    w = torch.zeros_like(f.u)
    for _ in range(steps):
        move = torch.linalg.solve(f.hessian(w), f.gradient(w))
        w = w - move
        if move.norm() < 1e-10 * w.norm():
            break
    return w


def _sine_squared(S: Tensor, a: Tensor, b: Tensor) -> float:
    """1 - |cos| of two directions in the S norm, as half the squared distance of unit vectors: no cancellation."""
    a, b = (v / torch.sqrt(v @ S @ v) for v in (a, b))
    return min(float((a - s * b) @ S @ (a - s * b)) / 2 for s in (1, -1))


def population(
    dimension: int, seed: int, units: float = 1.0, aligned: bool = False
) -> tuple[GaussianHalfspace, Tensor]:
    """Two overlapping Gaussian classes, their means two standard deviations apart, and a start (d,).

    The covariance's eigenvalues run from 1 to 10, times the squared ``units`` of the features. ``aligned``: the
    covariance is diagonal and u leaves out its smallest direction, along which the error of the start then decays.
    """
    normal = _draws(seed, "Gaussian classes")
    basis = torch.linalg.qr(normal(dimension, dimension))[0]
    values = torch.logspace(0, 1, dimension, dtype=torch.float64)
    u, start = normal(dimension), normal(dimension)
    if aligned:
        basis, u = torch.eye(dimension, dtype=torch.float64), u * (values > 1)
    covariance = basis * values @ basis.T
    u = u / torch.sqrt(u @ torch.linalg.solve(covariance, u))  # Mahalanobis length 1: the class means are -u and u
    return GaussianHalfspace(units * u, units**2 * covariance), start


def gdnp_run(f: GaussianHalfspace, start: Tensor, steps: int, bisections: int) -> pd.DataFrame:
    """One run of GDNP by steps: gradient norms, loss, and the right sides of the inequalities.

    ``squared``: ||grad f||^2 in the S^(-1) norm; ``bound``: (1 - mu/L)^(2t) Phi^2 (rho - rho*) + ``error``, error =
    (sup phi'' (b - a) / 2^(bisections + 1))^2 of the length; ``printed``: the first summand alone, which the document
    sets, with an error term, against the norm itself, ``euclidean`` or, free of units, the root of ``squared``.
    """
    values = torch.linalg.eigvalsh(f.S)
    shrink, L = (1 - values[0] / values[-1]).item() ** 2, values[-1].item()
    first = f.loss.largest_slope**2 * rayleigh.rayleigh_gap(start, f.S, f.u).item()
    error = (f.loss.largest_curvature * (INTERVAL[1] - INTERVAL[0]) / 2 ** (bisections + 1)) ** 2
    least = minimum(f)
    w, rows = start / torch.sqrt(start @ f.S @ start), []
    for t in range(steps + 1):
        after, g = gdnp.gdnp_step(f, w, L, interval=INTERVAL, steps=bisections)
        squared, printed = gdnp.squared_gradient_norm(f, g * w), shrink**t * first
        norm = f.gradient(g * w).norm().item()
        rows.append((t, squared, norm, (f.value(g * w) - least).item(), printed + error, error, printed))
        w = after
    units = {"step": "steps", "squared": "nats^2", "euclidean": "nats / feature unit", "excess": "nats"}
    return table(rows, units | {"bound": "nats^2", "error": "nats^2", "printed": "as printed"})


def minimum(f: GaussianHalfspace) -> Tensor:
    """The least value of f: along S^(-1)u, at the stationary length."""
    w = torch.linalg.solve(f.S, f.u)
    w = w / torch.sqrt(w @ f.S @ w)
    return f.value(gdnp.stationary_length(f, w, INTERVAL) * w)


def gdnp_runs(dimension: int, steps: int, seeds: Sequence[int], bisections: int = 40) -> pd.DataFrame:
    """`gdnp_run` on random classes by seed, with fewer bisections, in other units, and with u aligned."""
    cases = [("random classes", seed, steps, bisections, {}) for seed in seeds]
    cases += [("few bisections", seeds[0], 60, few, {}) for few in (4, 8, 16)]
    cases += [("features in units of 1/100", seeds[0], steps, bisections, {"units": 100.0})]
    cases += [("slowest direction missing in u", seeds[0], 2 * steps, bisections, {"aligned": True})]
    parts = []
    for case, seed, count, halvings, options in cases:
        f, start = population(dimension, seed, **options)
        parts.append(gdnp_run(f, start, count, halvings).assign(case=case, seed=seed, bisections=halvings))
    return pd.concat(parts, ignore_index=True)


def straightness(steps: np.ndarray, excess: np.ndarray, least: float = 1e-12) -> tuple[float, float]:
    """Slope of ln(excess) by the step, and R^2 of the straight line, from the start to the first value below ``least``.

    Needs a value that is not: with fewer than three of them there is no line, and both are nan.
    """
    below = np.flatnonzero(~(excess > least))
    keep = slice(0, below[0] if len(below) else len(excess))
    x, y = steps[keep], np.log(excess[keep])
    if len(x) < 3:
        return float("nan"), float("nan")
    return float(np.polyfit(x, y, 1)[0]), float(np.corrcoef(x, y)[0, 1] ** 2)


def line_fits(runs: pd.DataFrame) -> pd.Series:
    """R^2 of `straightness` by seed, where the line falls; 0 where it does not."""
    fits = {}
    for seed, run in runs.groupby("seed"):
        slope, r_squared = straightness(run["step"].to_numpy(), run["excess"].to_numpy())
        fits[seed] = r_squared if slope < 0 else 0.0
    return pd.Series(fits, name="R^2")


def stochastic_gdnp(dimension: int, steps: int, batch: int, seeds: Sequence[int]) -> pd.DataFrame:
    """GDNP with a fresh mini-batch's S, u and gradients at each step: the population's excess loss on the way.

    A mini-batch that the present direction separates has no stationary length (`gdnp.stationary_length` refuses it): it
    is passed over, and another is drawn.

    Raises:
        ValueError: a hundred mini-batches in a row have none.
    """
    rows = []
    for seed in seeds:
        f, w = population(dimension, seed)
        normal, root = _draws(seed, "mini-batches"), torch.linalg.cholesky(f.covariance)
        L, least = torch.linalg.eigvalsh(f.S)[-1].item(), minimum(f)
        for t in range(steps + 1):
            for _ in range(MOST_DRAWN):
                sample = SampledHalfspace(f.u + normal(batch, dimension) @ root.T)
                unit = w / torch.sqrt(w @ sample.S @ w)
                with suppress(ValueError):
                    moved, g = gdnp.gdnp_step(sample, unit, L, interval=INTERVAL, steps=40)
                    rows.append((seed, batch, t, (f.value(g * unit) - least).item()))
                    w = moved
                    break
            else:
                raise ValueError(f"batch: {MOST_DRAWN} mini-batches of {batch} in a row have no stationary length")
    return table(rows, {"seed": "number", "batch": "points", "step": "steps", "excess": "nats"})


def curvatures(dimension: int, points: int, seed: int) -> pd.DataFrame:
    """Eigenvalues of the Hessian of the normalised loss at random points, each at its stationary length."""
    f, _ = population(dimension, seed)
    normal, rows = _draws(seed, "random points"), []
    for number in range(points):
        w = normal(dimension)
        H = gdnp.normalised_hessian(f, w, gdnp.stationary_length(f, w, INTERVAL))
        values = torch.linalg.eigvalsh(H)
        along = (w @ H @ w / (w @ w) / values.abs().max()).item()
        rows.append((number, along, values[0].item(), values[-1].item()))
    units = {"point": "number", "along_w": "share of the largest modulus", "smallest": "nats", "largest": "nats"}
    return table(rows, units)
