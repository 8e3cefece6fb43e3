"""Chapter 04, natural modes of a convolution layer (Chai et al. 2020, section 3.1): parameters -> tidy tables.

`parts` names the chapter's tables and what makes each; `run` makes them all. The unit of every column is in
`table.attrs["units"]`. Everything is float64. Rates are given in units that mean the same for every data set:
mu lambda_max, stable below 2, for gradient descent; shares of 2 / tr R for LMS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import pandas as pd
import scipy.stats
import torch
from torch import Tensor, nn

from bnlab.chapters.ch04_natural_modes import lms_modes
from bnlab.chapters.ch04_natural_modes.linear_layer import (
    LinearProblem,
    in_slices,
    linear_problem,
    recorded_steps,
    with_another_teacher,
)
from bnlab.datasets import Dataset
from bnlab.tables import table
from bnlab.theory.modes import decay, effective_eigenvalues, log_decay, natural_modes, project

NOISE_FLOOR = 1e-9  # of the largest |v_k| so far: below it rounding and the error of W_o show
FEWEST_POINTS = 5  # of a line through ln|v_k|


def parts(
    dataset: Dataset,
    kernel_size: int = 5,
    images: int = 32,
    rates: Sequence[float] = (0.2, 1.0, 1.5, 1.9, 2.01),
    steps: int = 300,
    noise: float = 0.1,
    lms_rates: Sequence[float] = (0.02, 0.9),
    lms_steps: int = 300,
    lms_runs: int = 500,
    lms_seeds: int = 5,
    seed: int = 0,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 04 by name, each with the function that makes it. The defaults are the quick scale.

    Args:
        dataset: its first training images are the layer's input.
        kernel_size: height and width of the filter.
        images: how many images, all of which make one batch.
        rates: mu lambda_max of gradient descent.
        steps: of gradient descent.
        noise: standard deviation of the noise in the desired response, over that of the teacher's.
        lms_rates: mu of LMS as shares of 2 / tr R.
        lms_steps: patches that an LMS run takes.
        lms_runs: LMS runs over which to take the mean.
        lms_seeds: how many seeds, from ``seed`` on, to repeat that with.
        seed: of the teacher, the noise, the initial weights and the draws of patches.

    Raises:
        ValueError: for sizes that no image or kernel fits, from here or from the part that meets them.
    """
    first = cache(partial(linear_problem, dataset, kernel_size, images, noise, seed))

    @cache
    def problem(own: int) -> LinearProblem:
        return first() if own == seed else with_another_teacher(first(), noise, own)

    @cache  # two tables of the same training
    def trained() -> dict[float, Tensor]:
        largest = problem(seed).modes.eigenvalues[-1].item()
        return {rate: train(problem(seed), rate / largest, steps) for rate in rates}

    return {
        "spectrum": lambda: spectrum(problem(seed)),
        "trajectories": lambda: trajectories(problem(seed), trained()),
        "fits": lambda: fits(problem(seed), trained()),
        **lms_modes.parts(problem, lms_rates, lms_steps, lms_runs, range(seed, seed + lms_seeds)),
        "convergence": lambda: convergence(problem(seed).R),
        "largest_rate": lambda: largest_stable_rates(problem(seed).R),
    }


def run(dataset: Dataset, **parameters: object) -> dict[str, pd.DataFrame]:
    """Make all tables of `parts` with its parameters."""
    return {name: make() for name, make in parts(dataset, **parameters).items()}


def train(problem: LinearProblem, mu: float, steps: int) -> Tensor:
    """Weight errors C (steps + 1, K) of an nn.Conv2d trained as usual: autograd's gradient, full batch, SGD's step.

    The loss is half the squared error, summed over positions and averaged over images; its gradient is M E[x e], so the
    optimiser is given mu / M.
    """
    channels, kernel_size = problem.images.shape[1], problem.kernel_size
    layer = nn.Conv2d(channels, 1, kernel_size, bias=False, dtype=torch.float64, device=problem.images.device)
    with torch.no_grad():
        layer.weight.copy_(problem.initial.reshape_as(layer.weight))
    optimiser = torch.optim.SGD(layer.parameters(), lr=mu / problem.desired[0].numel())
    errors = [problem.initial - problem.solution]
    for _ in range(steps):
        optimiser.zero_grad()
        for part in in_slices(problem.images):  # whose gradients add up
            error = layer(problem.images[part]) - problem.desired[part]
            (0.5 * error.square().sum() / len(problem.images)).backward()
        optimiser.step()
        errors.append(layer.weight.detach().flatten() - problem.solution)
    return torch.stack(errors)


def spectrum(problem: LinearProblem) -> pd.DataFrame:
    """Eigenvalues of R, and where training starts along each eigenvector."""
    start = project(problem.modes, problem.initial - problem.solution)
    rows = enumerate(zip(problem.modes.eigenvalues.tolist(), start.tolist(), strict=True))
    units = {"mode": "index", "eigenvalue": "power", "start": "weight"}
    return table(((k, *values) for k, values in rows), units)


def trajectories(problem: LinearProblem, trained: dict[float, Tensor]) -> pd.DataFrame:
    """v_k(n) as trained and by equation 6, at some 60 steps."""
    rows = []
    for rate, errors in trained.items():
        steps = recorded_steps(len(errors) - 1, 60)
        V = project(problem.modes, errors[steps])  # (recorded, K)
        mu = rate / problem.modes.eigenvalues[-1].item()
        theory = decay(problem.modes.eigenvalues, mu, torch.tensor(steps)) * V[0]
        for i, n in enumerate(steps):
            pairs = zip(V[i].tolist(), theory[i].tolist(), strict=True)
            rows += [(rate, n, k, *values) for k, values in enumerate(pairs)]
    units = {"rate": "mu lambda_max", "step": "steps", "mode": "index", "weight_error": "weight", "theory": "weight"}
    return table(rows, units)


def fits(problem: LinearProblem, trained: dict[float, Tensor]) -> pd.DataFrame:
    """Straight line through ln|v_k(n)| for each mode, up to the noise floor, beside ln|1 - mu lambda_k|.

    Slope and R^2 are nan for a mode with fewer than five points: gone in a step or two, or never above the floor. Above
    the bound a line ends where the growth of another mode drowns it, or where float64 ends. ``remaining`` is |v_k| at
    the end over the beginning, inf past float64.
    """
    rows = []
    for rate, errors in trained.items():
        mu = rate / problem.modes.eigenvalues[-1].item()
        V = project(problem.modes, errors).abs().cpu().numpy()  # (steps + 1, K)
        theory = log_decay(problem.modes.eigenvalues, mu).tolist()
        floor, finite = NOISE_FLOOR * np.maximum.accumulate(V.max(1)), np.isfinite(V).all(1)  # (steps + 1,)
        for k, eigenvalue in enumerate(problem.modes.eigenvalues.tolist()):
            below = ~finite | (V[:, k] < floor)
            points = int(below.argmax()) if below.any() else len(below)
            remaining = V[-1, k] / V[0, k] if finite[-1] else np.inf
            slope, r_squared = np.nan, np.nan
            if points >= FEWEST_POINTS:
                line = scipy.stats.linregress(np.arange(points), np.log(V[:points, k]))
                slope, r_squared = line.slope, line.rvalue**2
            rows.append((rate, k, eigenvalue, mu * eigenvalue, points, slope, theory[k], r_squared, remaining))
    units = {"rate": "mu lambda_max", "mode": "index", "eigenvalue": "power", "mu_lambda": "1", "points": "steps"}
    return table(rows, units | {"slope": "1 / step", "theory": "1 / step", "r_squared": "1", "remaining": "1"})


def convergence(R: Tensor, tolerance: float = 1e-6) -> pd.DataFrame:
    """Steps until every mode is down to ``tolerance``, with R's small eigenvalues raised to a floor, at one rate.

    Raising lambda_min is what the paper expects of a technique that trains faster. Modes start equal. The rate is
    1 / lambda_max, or less where that would not resolve the shortest run into steps.
    """
    spectrum = effective_eigenvalues(R)
    lowest = max(1 / spectrum.condition_number, 1e-3)
    floors = np.geomspace(lowest, min(30 * lowest, 0.3), 4)
    mu = min(1.0, 0.03 / floors[-1]) / spectrum.largest
    rows = []
    for floor in floors:
        raised, Q = _reshaped(R, lambda eigenvalues, floor=floor: eigenvalues.clamp(min=floor * spectrum.largest))
        errors, steps = Q.sum(1), 0
        while (Q.T @ errors).abs().max() > tolerance:
            errors = errors - mu * (raised @ errors)
            steps += 1
        rows.append((floor * spectrum.largest, mu, steps))
    return table(rows, {"smallest_eigenvalue": "power", "mu": "1 / power", "steps": "steps"})


def largest_stable_rates(R: Tensor, steps: int = 400) -> pd.DataFrame:
    """Largest rate at which descent lowers the loss, by bisection, with R's large eigenvalues lowered to a cap."""
    largest = effective_eigenvalues(R).largest
    rows = []
    for cap in (1.0, 0.3, 0.1, 0.03, 0.01):
        lowered, Q = _reshaped(R, lambda eigenvalues, cap=cap: eigenvalues.clamp(max=cap * largest))
        measured = largest_stable_rate(lowered, Q.sum(1), steps)
        rows.append((cap * largest, measured, 2 / (cap * largest)))
    return table(rows, {"largest_eigenvalue": "power", "largest_rate": "1 / power", "bound": "1 / power"})


def largest_stable_rate(R: Tensor, start: Tensor, steps: int, precision: float = 1e-4) -> float:
    """Largest rate at which ``steps`` of C <- C - mu R C lower C^T R C / 2, found by doubling and bisection."""

    def falls(mu: float) -> bool:
        errors = start
        for _ in range(steps):
            errors = errors - mu * (R @ errors)
        return bool(errors @ R @ errors < start @ R @ start)

    stable, unstable = 0.0, 1 / R.trace().item()
    while falls(unstable):
        stable, unstable = unstable, 2 * unstable
    while unstable - stable > precision * unstable:
        middle = (stable + unstable) / 2
        stable, unstable = (middle, unstable) if falls(middle) else (stable, middle)
    return (stable + unstable) / 2


def _reshaped(R: Tensor, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """R with other eigenvalues, (K, K), and its eigenvectors (K, K)."""
    modes = natural_modes(R)
    Q = modes.eigenvectors
    return Q * change(modes.eigenvalues) @ Q.T, Q
