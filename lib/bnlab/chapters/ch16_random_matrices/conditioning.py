"""What conditioning does to gradient descent, and initialisation to conditioning (Bjorck et al. 2018, section 5).

Gradient descent here minimises ||Ax - y||^2 / 2, whose Hessian A^T A has condition number kappa(A)^2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.matrix_products import iid_matrices

_DIMENSION = 6  # of the linear systems: iterations depend on the extreme singular values alone
_TOLERANCE = 1e-6  # of the distance to the solution, relative to the first
_MOST_STEPS = 10_000_000  # a minute


def parts(kappas: Sequence[float], fan_ins: Sequence[int], seed: int) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables on conditioning by name, each with the function that makes it."""
    return {
        "gradient_descent": partial(gradient_descent, kappas, seed),
        "unsquared": partial(unsquared, 10.0, (0.1, 0.01, 0.001), seed),
        "rates": partial(rates, kappas, seed),
        "initialisations": partial(initialisations, fan_ins, seed),
        "zero_or_value": partial(zero_or_value, (1.0, 3.0, 10.0, 100.0), 200, seed),
    }


def linear_system(kappa: float, largest: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A (d, d) with singular values from `largest` down to largest / kappa, x*, y = A x* and its right vectors (d, d).

    x* has the same component, 1, along every right singular vector, so that descent from 0 starts with equal errors.
    Raises ValueError if kappa < 1.
    """
    if not (np.isfinite(kappa) and kappa >= 1):
        raise ValueError(f"kappas must be finite and >= 1, got {kappa!r}")
    draws = iid_matrices(_DIMENSION, 2, generator(seed, "bases of the linear systems")).numpy()
    left, right = (np.linalg.qr(drawn)[0] for drawn in draws)
    A = left * np.geomspace(largest, largest / kappa, _DIMENSION) @ right.T
    solution = right.sum(axis=1)
    return A, solution, A @ solution, right


def iterations_to_converge(
    A: np.ndarray, solution: np.ndarray, y: np.ndarray, learning_rate: float, tolerance: float = _TOLERANCE
) -> int:
    """Steps x <- x - mu A^T (A x - y) from 0 until ||x - x*|| <= tolerance ||x*||.  They must be going to end."""
    x = np.zeros_like(solution)
    target = tolerance**2 * float(solution @ solution)
    steps, error = 0, -solution
    while error @ error > target:
        x = x - learning_rate * (A.T @ (A @ x - y))
        error = x - solution
        steps += 1
    return steps


def gradient_descent(kappas: Sequence[float], seed: int) -> pd.DataFrame:
    """Iterations of gradient descent against kappa(A), at mu = 1 / s_max^2 and at the best constant rate (B-GD1).

    `slowest_mode` is ln(tolerance) / ln(contraction), contraction 1 - 1/kappa^2 and (kappa^2 - 1)/(kappa^2 + 1).
    Raises ValueError for a kappa that would take more than ten million steps.
    """
    rows = []
    for kappa in kappas:
        A, solution, y, _ = linear_system(kappa, 1.0, seed)
        for name, rate, contraction in (
            ("1 / s_max^2", 1.0, 1 - kappa**-2),
            ("2 / (s_max^2 + s_min^2)", 2 / (1 + kappa**-2), (kappa**2 - 1) / (kappa**2 + 1)),
        ):
            theory = np.log(_TOLERANCE) / np.log(contraction) if contraction > 0 else 1.0
            if theory > _MOST_STEPS:
                raise ValueError(f"kappas must be at most some 850 (steps grow as kappa^2), got {kappa!r}")
            rows.append((kappa, name, iterations_to_converge(A, solution, y, rate), theory))
    return table(rows, {"kappa": "1", "learning_rate": "rule", "iterations": "steps", "slowest_mode": "steps"})


def unsquared(kappa: float, learning_rates: Sequence[float], seed: int, steps: int = 20_000) -> pd.DataFrame:
    """Gradient descent on ||Ax - y|| as printed: its gradient keeps its size, so a constant rate stalls at a distance.

    `final_loss` is the median of ||Ax - y|| over the last tenth of the steps.
    """
    A, _, y, _ = linear_system(kappa, 1.0, seed)
    rows = []
    for rate in learning_rates:
        x, losses = np.zeros(_DIMENSION), []
        for _ in range(steps):
            residual = A @ x - y
            losses.append(np.sqrt(residual @ residual))
            x = x - rate * (A.T @ residual) / losses[-1]
        rows.append((kappa, rate, losses[0], float(np.median(losses[-steps // 10 :]))))
    return table(rows, {"kappa": "1", "learning_rate": "1", "first_loss": "norm", "final_loss": "norm"})


def rates(kappas: Sequence[float], seed: int) -> pd.DataFrame:
    """Largest stable learning rate and ratio of gradients between subspaces, at both normalisations (B-GD2).

    The ratio is that of the gradient's components along the first and the last right singular vector, at equal errors.
    With s_min fixed the largest rate falls as 2 / kappa^2; with s_max fixed it is 2 whatever kappa.
    """
    rows = []
    for kappa in kappas:
        for fixed, largest in (("s_min = 1", float(kappa)), ("s_max = 1", 1.0)):
            A, _, y, right = linear_system(kappa, largest, seed)
            components = np.abs(right.T @ (A.T @ y))  # the gradient at 0 is -A^T y
            measured = largest_stable_rate(A, y)
            rows.append((kappa, fixed, measured, 2 / largest**2, components[0] / components[-1], kappa**2))
    units = {"kappa": "1", "normalisation": "what is fixed", "largest_rate": "1", "bound": "1"}
    return table(rows, units | {"gradient_ratio": "1", "kappa_squared": "1"})


def largest_stable_rate(A: np.ndarray, y: np.ndarray, steps: int = 2000, precision: float = 1e-3) -> float:
    """Largest rate for which descent on ||Ax - y||^2 / 2 from 0 has lowered the loss after `steps`, by bisection.

    The runs are of the descent itself; `precision` is relative.
    """
    power = float(np.sum(A**2))
    low, high = 0.1 / power, 10 * A.shape[1] / power  # s_max^2 lies between power / d and power
    while high / low > 1 + precision:
        rate, x, loss = (low * high) ** 0.5, np.zeros(A.shape[1]), np.inf
        for _ in range(steps):
            residual = A @ x - y
            loss = residual @ residual
            if loss > 1e6 * (y @ y):
                break
            x = x - rate * (A.T @ residual)
        low, high = (rate, high) if loss <= y @ y else (low, rate)
    return (low * high) ** 0.5


#: Initialisations by name: torch.nn.init's function, its arguments, and n times the variance it is meant to give.
_SCHEMES = {
    "Theorem 1": (torch.nn.init.normal_, lambda n: {"std": n**-0.5}, 1.0),
    "Xavier normal": (torch.nn.init.xavier_normal_, lambda n: {}, 1.0),
    "Kaiming normal": (torch.nn.init.kaiming_normal_, lambda n: {"nonlinearity": "relu"}, 2.0),
}


def initialisations(fan_ins: Sequence[int], seed: int, layers: int = 3) -> pd.DataFrame:
    """Standard deviation and ln kappa of square layers as torch initialises them, from the same random numbers (B-Xav).

    All are a constant times n^(-1/2), and a constant does not change kappa: of one layer and of the product of three.
    """
    rows = []
    for n in fan_ins:
        for name, (initialise, arguments, variance) in _SCHEMES.items():
            draws = generator(seed, f"layers of {n}")
            empty = (torch.empty(n, n, dtype=torch.float64) for _ in range(layers))
            weights = [initialise(weight, generator=draws, **arguments(n)) for weight in empty]
            deviation = float(torch.stack(weights).square().mean().sqrt())
            log_kappas = [float(torch.linalg.cond(w).log()) for w in (weights[0], torch.linalg.multi_dot(weights))]
            rows.append((name, n, (variance / n) ** 0.5, deviation, *log_kappas))
    units = {"scheme": "name", "n": "fan-in", "standard_deviation": "weight", "measured_deviation": "weight"}
    return table(rows, units | {"log_kappa": "ln(condition number)", "log_kappa_product": "ln(condition number)"})


def zero_or_value(values: Sequence[float], n: int, seed: int, rows_drawn: int = 1_000_000) -> pd.DataFrame:
    """Weights that are `value` with probability p = 1 / (n value^2), else 0: variance kept, information lost (B-0100).

    E y^2 = n p value^2 = 1 for inputs of mean 0 and variance 1, exactly.  For inputs of unit power and mean m it is
    1 + (n - 1) n (p value m)^2; the column takes m^2 = 1/pi, a rectified Gaussian's.  A row is all 0, its output
    constant, with probability (1 - p)^n, the whole n x n matrix with (1 - p)^(n^2).
    """
    made = []
    for value in values:
        p = 1 / (n * value**2)
        draws = generator(seed, f"zero or {value:g}")
        # Given k weights that are not 0, y = value * (sum of k inputs) is Gaussian with variance value^2 k.
        trials = torch.full((rows_drawn,), float(n), dtype=torch.float64)
        counts = torch.binomial(trials, torch.tensor(p, dtype=torch.float64), generator=draws)  # (rows,)
        squares = value**2 * counts * torch.randn(rows_drawn, generator=draws, dtype=torch.float64).square()
        error = float(squares.std()) / rows_drawn**0.5
        with_mean = 1 + n * (n - 1) * (p * value) ** 2 / np.pi
        zero = (float((1 - p) ** n), float((counts == 0).to(trials).mean()), float((1 - p) ** (n * n)))
        made.append((value, n, p, p * value, 1.0, float(squares.mean()), error, with_mean, *zero))
    units = {"value": "weight", "n": "fan-in", "probability": "1", "mean_weight": "weight", "second_moment": "output^2"}
    units |= {"measured_moment": "output^2", "standard_error": "output^2", "second_moment_rectified": "output^2"}
    return table(made, units | dict.fromkeys(("zero_row", "measured_zero_row", "zero_matrix"), "probability"))
