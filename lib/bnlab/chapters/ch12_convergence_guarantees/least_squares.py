"""Least squares by descent: contraction, feature scaling, the effective Hessian, learning rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory import convergence, modes, stability
from bnlab.theory.least_squares import LeastSquares, least_squares, standardise, steps_to

SAMPLES = 200  # rows of a design: enough that H is well determined, few enough that it is not the identity
BEFORE, AFTER = "features standardised", "output normalised"  # where the normalisation stands: before or after w
PLAIN = "plain"


def normal(*shape: int, seed: int, purpose: str) -> Tensor:
    """Draw standard normal numbers, float64, from the stream of a seed and a purpose."""
    return torch.randn(*shape, generator=generator(seed, purpose), dtype=torch.float64)


def feature_scales(dimension: int) -> Tensor:
    """Standard deviations of the features, from 1 to sqrt(10)."""
    return torch.logspace(0, 0.5, dimension, dtype=torch.float64)


def design(dimension: int, scales: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Features (SAMPLES, d), Gaussian with the given standard deviations (d,), and noisy linear targets (SAMPLES,).

    The weights of the target weigh all features alike once they have unit variance.
    """
    z = normal(SAMPLES, dimension, seed=seed, purpose="design")
    weights = normal(dimension, seed=seed, purpose="true weights")
    return z * scales, z @ weights + 0.1 * normal(SAMPLES, seed=seed, purpose="noise of the targets")


def contraction(dimension: int, seeds: Sequence[int], steps: int = 20) -> pd.DataFrame:
    """Factor by which a step of plain descent shrinks the distance to the solution, measured beside its formula.

    ``slowest``: the factor from a start along the slowest mode, ``deviation`` its largest difference from the formula
    over the steps; ``random``: the worst factor of a step from 100 random starts.
    """
    rows = []
    for seed in seeds:
        problem = least_squares(*design(dimension, feature_scales(dimension), seed))
        found = modes.natural_modes(problem.H)
        spectrum = modes.effective_eigenvalues(found.eigenvalues)
        kappa = spectrum.condition_number
        best, factor = stability.best_rate(found.eigenvalues)
        for rule, rate, predicted, mode in (
            ("1 / lambda_max", 1 / spectrum.largest, 1 - 1 / kappa, 0),
            ("2 / (lambda_min + lambda_max)", best, factor, 0),
            ("2.02 / lambda_max", 2.02 / spectrum.largest, 1.02, -1),
        ):
            ratios = []
            for start in (found.eigenvectors[:, mode], normal(100, dimension, seed=seed, purpose="starts")):
                rates = torch.full(start.shape[:-1], rate, dtype=torch.float64)
                run = convergence.descend(problem, rates, steps, problem.solution + start)
                lengths = (run.weights - problem.solution).norm(dim=-1)
                ratios.append(lengths[1:] / lengths[:-1])
            deviation = (ratios[0] - predicted).abs().max().item()
            rows.append((seed, rule, kappa, predicted, ratios[0].max().item(), deviation, ratios[1].max().item()))
    units = {"seed": "number", "rule": "rate", "kappa": "1", "predicted": "factor a step", "slowest": "factor a step"}
    return table(rows, units | {"deviation": "factor a step", "random": "factor a step"})


def feature_scaling(bases: Sequence[float], dimension: int, tolerance: float, seeds: Sequence[int]) -> pd.DataFrame:
    """Steps of full-batch descent (epochs) at 1 / lambda_max until the excess loss is at most tolerance of the first.

    Feature k has standard deviation base^k; counted in closed form, with raw and with standardised features.
    """
    rows = []
    for base in bases:
        for seed in seeds:
            X, y = design(dimension, base ** torch.arange(dimension, dtype=torch.float64), seed)
            for features, columns in (("raw", X - X.mean(0)), ("standardised", standardise(X)[0])):
                problem = least_squares(columns, y - y.mean())
                found = modes.natural_modes(problem.H)
                spectrum = modes.effective_eigenvalues(found.eigenvalues)
                start = modes.project(found, -problem.solution)
                epochs = steps_to(found.eigenvalues, start, 1 / spectrum.largest, tolerance)
                rows.append((base, seed, features, spectrum.condition_number, epochs))
    units = {"base": "ratio of neighbouring scales", "seed": "number", "features": "kind", "kappa": "1"}
    return table(rows, units | {"epochs": "passes"})


def effective_conditioning(dimension: int, problems: int, seed: int) -> pd.DataFrame:
    """Condition numbers of H and H* for random H and u, and whether the eigenvalues interlace.

    ``H`` is positive (a sample covariance) or indefinite (signs drawn for its eigenvalues), where nothing is promised:
    condition numbers are then taken over moduli. ``zeros``: eigenvalues of H* below 1e-10 of the largest modulus.
    """
    rows = []
    draws = generator(seed, "random matrices")
    for number in range(problems):
        A = torch.randn(2 * dimension, dimension, generator=draws, dtype=torch.float64)
        u = torch.randn(dimension, generator=draws, dtype=torch.float64)
        positive = A.T @ A / (2 * dimension)
        values, vectors = torch.linalg.eigh(positive)
        signs = 2.0 * torch.randint(2, (dimension,), generator=draws) - 1
        for kind, H in (("positive", positive), ("indefinite", vectors * (signs * values) @ vectors.T)):
            if kind == "indefinite" and (signs.min() > 0 or not u @ H @ u > 0):  # not indefinite, or no H*
                continue
            before, after = torch.linalg.eigvalsh(H), torch.linalg.eigvalsh(convergence.effective_hessian(H, u))
            slack = 1e-9 * before[-1]
            interlaced = bool((after <= before + slack).all() and (after[1:] >= before[:-1] - slack).all())
            sizes = [spectrum.abs().sort().values for spectrum in (before, after)]
            zeros = int((sizes[1] < 1e-10 * sizes[1][-1]).sum())
            kappas = [(sizes[0][-1] / sizes[0][0]).item(), (sizes[1][-1] / sizes[1][1]).item()]
            rows.append((number, kind, *kappas, interlaced, zeros))
    units = {"number": "draw", "H": "kind", "kappa": "1", "kappa_star": "1", "interlaced": "truth value"}
    return table(rows, units | {"zeros": "eigenvalues"})


def _stack(problems: Sequence[LeastSquares]) -> LeastSquares:
    """Several problems as one, (S, 1, ...): the 1 is for the rates tried side by side."""
    fields = ("H", "g", "power", "solution")
    return LeastSquares(*(torch.stack([getattr(p, name) for p in problems]).unsqueeze(1) for name in fields))


def rate_sweep(
    dimension: int, rates: Sequence[float], steps: int, seeds: Sequence[int], tolerance: float = 1e-8, every: int = 10
) -> pd.DataFrame:
    """Plain descent, raw and on standardised features, and descent with a normalised output, over learning rates.

    The features' scales run from 1 to sqrt(10). ``iterations`` until the excess loss is ``tolerance`` of the first, to
    the next multiple of ``every`` (inf: not reached); ``last`` and ``half``: excess at the end and at half time, in
    units of the first; ``times_bound``: the (effective) rate at the end over 2 / lambda_max, of H or of H*.
    """
    designs = [design(dimension, feature_scales(dimension), seed) for seed in seeds]
    raw = _stack([least_squares(X - X.mean(0), y - y.mean()) for X, y in designs])
    standard = _stack([least_squares(standardise(X)[0], y - y.mean()) for X, y in designs])
    starts = torch.stack([normal(dimension, seed=seed, purpose="start") for seed in seeds])
    starts = (starts / starts.norm(dim=-1, keepdim=True)).unsqueeze(1)  # (S, 1, d), of length 1
    tried = torch.tensor(rates, dtype=torch.float64).expand(len(seeds), -1)  # (S, R)
    runs = {
        PLAIN: (raw, convergence.descend(raw, tried, steps, every=every)),
        BEFORE: (standard, convergence.descend(standard, tried, steps, every=every)),
        AFTER: (raw, convergence.normalised_descend(raw, tried, steps, starts, every=every)),
    }
    rows = []
    for method, (problem, run) in runs.items():
        H = convergence.effective_hessian(raw.H, raw.solution) if method == AFTER else problem.H
        bounds = 2 / torch.linalg.eigvalsh(H)[..., -1].expand(tried.shape)
        share = run.excess / run.excess[0]  # (N, S, R)
        reached = share <= tolerance
        first = run.steps[reached.int().argmax(0)].double()  # (S, R), the first record that is there
        iterations = torch.where(reached.any(0), first, torch.inf)
        for s, seed in enumerate(seeds):
            for r, rate in enumerate(rates):
                facts = (iterations, share[-1], share[len(share) // 2], run.rates[-1] / bounds)
                rows.append((seed, method, rate, *(fact[s, r].item() for fact in facts)))
    units = {"seed": "number", "method": "name", "rate": "1", "iterations": "steps", "last": "share of the first loss"}
    return table(rows, units | {"half": "share of the first loss", "times_bound": "2 / lambda_max"})


def usable_decades(sweep: pd.DataFrame, within: float = 10.0) -> pd.DataFrame:
    """Decades of rates at which a method needs at most ``within`` times the iterations of its best rate, each seed."""
    rows = []
    for (method, seed), runs in sweep.groupby(["method", "seed"], sort=False):
        best = runs["iterations"].min()
        usable = runs[runs["iterations"] <= within * best] if np.isfinite(best) else runs.head(0)
        decades = np.log10(usable["rate"].max() / usable["rate"].min()) if len(usable) else 0.0
        rows.append((method, seed, best, decades))
    return table(rows, {"method": "name", "seed": "number", "best": "steps", "decades": "factors of ten"})
