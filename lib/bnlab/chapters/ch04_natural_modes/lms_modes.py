"""The mode law under LMS, one patch a step (Chai et al. 2020, sections 2.1 and 3.1): in the mean, and in the spread.

With patches drawn independently the mean of v_k(n) obeys equation 6 at every rate, because the update is linear in W;
what the rate decides is how far single runs lie from that mean. With patches in the order of a sliding window, as in
figure 1, successive inputs are correlated, and the mean obeys the law only in the limit of small rates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd
import torch
from torch import Tensor

from bnlab.chapters.ch04_natural_modes.linear_layer import LinearProblem, recorded_steps
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.filters import lms_step
from bnlab.theory.modes import decay, project
from bnlab.theory.patches import unroll
from bnlab.theory.stability import mean_square_bound, mean_square_limit, stability_bound

ORDERS = ("independent", "sliding")
_UNITS = {"share": "of 2 / tr R", "mu": "1 / power", "order": "of patches", "seed": "index"}


@dataclass(frozen=True)
class LmsRuns:
    """Runs of LMS from the same weights at one rate, in one order of patches and with one seed."""

    share: float  # mu as a share of 2 / tr R
    mu: float
    order: str
    seed: int
    steps: list[int]  # at which the runs were recorded, from 0
    weight_errors: Tensor  # C (recorded, runs, K)


def parts(
    problem: Callable[[int], LinearProblem], shares: Sequence[float], steps: int, runs: int, seeds: Sequence[int]
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables on LMS by name, each with the function that makes it; rates are shares of 2 / tr R.

    ``problem`` makes a seed's problem: teacher, noise and initial weights differ, the images and so R do not.
    """

    @cache  # two tables of the same runs
    def simulated() -> list[LmsRuns]:
        arms = [(share, order, seed) for share in shares for order in ORDERS for seed in seeds]
        return [simulate(problem(seed), share, order, steps, runs, seed) for share, order, seed in arms]

    return {
        "lms_bounds": lambda: bounds(problem(seeds[0])),
        "lms_modes": lambda: in_the_mean(problem, simulated()),
        "lms_spread": lambda: in_the_spread(simulated()),
    }


def bounds(problem: LinearProblem) -> pd.DataFrame:
    """Rates beyond which something grows: the mean, and the mean square by its textbook and by its sharp bound."""
    rows = [
        ("mean: 2 / lambda_max", stability_bound(problem.R)),
        ("mean square: 2 / tr R", mean_square_bound(problem.R)),
        (
            "mean square: sharp",
            mean_square_limit(unroll(images, problem.kernel_size) for images in problem.images.split(500)),
        ),
    ]
    return table(rows, {"bound": "rule", "mu": "1 / power"})


def simulate(problem: LinearProblem, share: float, order: str, steps: int, runs: int, seed: int) -> LmsRuns:
    """Run LMS many times on the problem's patches and responses, one patch and its noisy response a step.

    Order "independent" draws every patch anew from all; "sliding" starts each run somewhere and then takes the patches
    as the window moves, row by row, image by image.
    """
    desired = problem.desired.flatten()  # (B*M,)
    draws = generator(seed, f"{order} patches of LMS")
    count = steps if order == "independent" else 1
    chosen = torch.randint(len(desired), (count, runs), generator=draws).to(
        desired.device
    )  # (steps, runs) or (1, runs)
    mu = share * mean_square_bound(problem.R)
    weights = problem.initial.expand(runs, -1)  # (runs, K)
    at = recorded_steps(steps, 12)
    recorded = []
    for n in range(steps + 1):
        if n in at:
            recorded.append(weights - problem.solution)
        if n < steps:
            places = chosen[n] if order == "independent" else (chosen[0] + n) % len(desired)
            weights = lms_step(weights, patches_at(problem, places), desired[places], mu)
    return LmsRuns(share, mu, order, seed, at, torch.stack(recorded))


def patches_at(problem: LinearProblem, places: Tensor) -> Tensor:
    """Give the patches (N, K) that the window sees at some places, counted position by position, image by image.

    Only these are unrolled: all of MNIST's would be 47 million.
    """
    height, width = problem.desired.shape[-2:]
    image, position = places.div(height * width, rounding_mode="floor"), places % (height * width)
    offsets = torch.arange(problem.kernel_size, device=places.device)
    rows = position.div(width, rounding_mode="floor").view(-1, 1, 1, 1) + offsets.view(-1, 1)
    columns = (position % width).view(-1, 1, 1, 1) + offsets  # (N, 1, 1, W)
    channels = torch.arange(problem.images.shape[1], device=places.device).view(1, -1, 1, 1)
    return problem.images[image.view(-1, 1, 1, 1), channels, rows, columns].flatten(1)  # (N, C, H, W) -> (N, K)


def in_the_mean(problem: Callable[[int], LinearProblem], simulated: Sequence[LmsRuns]) -> pd.DataFrame:
    """Mean over runs of v_k(n) beside equation 6, with its standard error and the distance in standard errors.

    Runs that have grown past float64 are infinitely far from it.
    """
    rows = []
    for runs in simulated:
        modes = problem(runs.seed).modes
        eigenvalues, start = modes.eigenvalues, project(modes, runs.weight_errors[0, 0])  # (K,), (K,)
        V = project(modes, runs.weight_errors[1:])  # (recorded, runs, K); at step 0 nothing has spread yet
        mean = V.mean(1)
        error = V.std(1) / V.shape[1] ** 0.5
        theory = decay(eigenvalues, runs.mu, torch.tensor(runs.steps[1:])) * start  # (recorded, K)
        for i, n in enumerate(runs.steps[1:]):
            distance = torch.where(mean[i].isfinite(), (mean[i] - theory[i]) / error[i], torch.inf)
            columns = (eigenvalues, mean[i], theory[i], error[i], distance)
            for k, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
                rows.append((runs.share, runs.mu, runs.order, runs.seed, n, k, *values))
    units = _UNITS | {"step": "steps", "mode": "index", "eigenvalue": "power", "mean": "weight", "theory": "weight"}
    return table(rows, units | {"standard_error": "weight", "distance": "standard errors"})


def in_the_spread(simulated: Sequence[LmsRuns]) -> pd.DataFrame:
    """Squared weight error ||C(n)||^2: mean, median and largest over runs; inf past float64."""
    rows = []
    for runs in simulated:
        squares = runs.weight_errors.square().sum(-1).nan_to_num(torch.inf, torch.inf)  # (recorded, runs)
        for n, row in zip(runs.steps, squares, strict=True):
            values = (row.mean().item(), row.median().item(), row.max().item())
            rows.append((runs.share, runs.mu, runs.order, runs.seed, n, *values))
    units = _UNITS | {"step": "steps", "mean_square": "weight^2", "median_square": "weight^2"}
    return table(rows, units | {"largest_square": "weight^2"})
