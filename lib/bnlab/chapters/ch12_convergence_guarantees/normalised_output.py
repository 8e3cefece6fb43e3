"""Descent with a normalised output: its last phase, the highest loss on the way, length and effective rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from bnlab.chapters.ch12_convergence_guarantees.least_squares import AFTER, BEFORE, design, feature_scales, normal
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory import convergence
from bnlab.theory.least_squares import LeastSquares, least_squares, standardise

DISPLACED = 1e-5  # from the solution, as a share of its length: what is not linear shows in the fifth digit
PEAK_RATES = np.geomspace(0.1, 1e6, 15).tolist()  # learning rates at which the highest loss is looked for


def last_phase(dimension: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Contraction of one step near the solution, mode by mode of H*, for the two places of a normalisation.

    The start is the solution, displaced along an eigenvector of H* other than u (the direction of length). ``off``: the
    largest distance over the modes of the factor by which the step shrinks the root of the excess loss from
    |1 - r lambda*|, r the (effective) rate. ``BEFORE`` is plain descent on standardised features with an H* of their
    own; ``AFTER`` descent with a normalised output on the raw ones. Rates are those of 1 / lambda_max(H*).
    """
    rows = []
    for seed in seeds:
        X, y = design(dimension, feature_scales(dimension), seed)
        for method, columns in ((BEFORE, standardise(X)[0]), (AFTER, X - X.mean(0))):
            problem = least_squares(columns, y - y.mean())
            star = convergence.effective_hessian(problem.H, problem.solution)
            values, vectors = torch.linalg.eigh(star)
            values, vectors = values[1:], vectors[:, 1:]  # the first is 0, along the solution
            size = problem.solution.norm()
            starts = problem.solution + DISPLACED * size * vectors.T  # (d - 1, d)
            if method == BEFORE:
                run = convergence.descend(problem, 1 / values[-1], 1, starts)
            else:
                a = (problem.solution @ problem.g).sqrt()  # the best length
                run = convergence.normalised_descend(problem, 1 / values[-1], 1, starts, a0=a.item())
            factor = (run.excess[1] / run.excess[0]).sqrt()  # (d - 1,)
            off = (factor - (1 - run.rates[0] * values).abs()).abs().max().item()
            rows.append((seed, method, off))
    return table(rows, {"seed": "number", "method": "name", "off": "factor a step"})


def loss_peaks(dimension: int, seed: int, problems: int = 500, steps: int = 50) -> pd.DataFrame:
    """Highest loss of descent with a normalised output on random problems without noise, in units of 1/2 E y^2.

    H is a sample covariance, the solution and the start are random, and a starts at 0: ``highest`` is at least 1, the
    loss at the start, and at most 4, as the chapter proves. One row a problem: the highest of all steps and rates.
    """
    draws = generator(seed, "random problems of the highest loss")
    A = torch.randn(problems, 2 * dimension, dimension, generator=draws, dtype=torch.float64)
    solution, start = torch.randn(2, problems, dimension, generator=draws, dtype=torch.float64)
    H = A.mT @ A / (2 * dimension)
    g = (H @ solution[..., None]).squeeze(-1)
    many = LeastSquares(H, g, torch.linalg.vecdot(solution, g), solution)  # the least loss is 0
    peaks = torch.zeros(problems, dtype=torch.float64)
    for rate in PEAK_RATES:
        run = convergence.normalised_descend(many, rate, steps, start)
        peaks = torch.maximum(peaks, (run.excess / (many.power / 2)).amax(0))
    return table(list(enumerate(peaks.tolist())), {"problem": "draw", "highest": "1/2 E y^2"})


def normalised_traces(dimension: int, rates: Sequence[float], steps: int, seed: int) -> pd.DataFrame:
    """Length and effective rate on the way, at some learning rates; ``times_bound`` in units of 2 / lambda_max(H*)."""
    X, y = design(dimension, feature_scales(dimension), seed)
    problem = least_squares(X - X.mean(0), y - y.mean())
    start = normal(dimension, seed=seed, purpose="start")
    tried = torch.tensor(rates, dtype=torch.float64)
    run = convergence.normalised_descend(problem, tried, steps, start / start.norm())
    bound = 2 / torch.linalg.eigvalsh(convergence.effective_hessian(problem.H, problem.solution))[-1]
    keep = np.unique(np.geomspace(1, steps, 60).astype(int))
    rows = [
        (rate, int(t), (run.excess[t, r] / run.excess[0, r]).item(), run.weights[t, r].norm().item(),
         (run.rates[t, r] / bound).item())
        for r, rate in enumerate(rates) for t in keep
    ]  # fmt: skip
    units = {"rate": "1", "step": "steps", "excess": "share of the first loss", "length": "norm of w"}
    return table(rows, units | {"times_bound": "2 / lambda_max(H*)"})
