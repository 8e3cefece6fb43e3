"""The tables of `channel_norms` in under a minute: fewer rates, caps and images, and one run may serve two tables.

Columns are those of the recorded tables, as far as something was measured, so that the same functions summarise, judge
and draw both.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch06_speed_and_stability import survival_arms
from bnlab.chapters.ch06_speed_and_stability.channel_norms import (
    ARMS,
    CHANGED,
    NETWORKS,
    RATED_AT,
    arm_points,
    finished,
    named_arms,
)
from bnlab.datasets import Dataset
from bnlab.measures.probes import LeNetProbe, SplitError, probe_images
from bnlab.sweeps.points import Setting, complete, epochs_to_steps, run_points
from bnlab.sweeps.sweep import grid, seeds_from

PROBE_IMAGES = 128
PARTS_OF_AN_EPOCH = (0.5,)  # after which errors are measured, besides whole ones
FIRST_STEPS = (0, 1, 2, 3, 4, 5)
SAME = ("batch_size", "gain", "fc", "conv", "spectrum", "held", "cap")  # what runs that differ in their norm share


def tables(
    dataset: Dataset,
    *,
    first_rates: Sequence[float],
    rates: Sequence[float],
    epochs: int,
    arms: Sequence[str],
    arm_rate: float,
    fc_arms: Sequence[str],
    stability_norms: Sequence[str],
    stability_rates: Sequence[float],
    stability_steps: int,
    caps: Sequence[float],
    seeds: int,
    seed: int = 0,
    executor: Executor,
) -> dict[str, pd.DataFrame]:
    """Make ``first_steps``, ``long_runs``, ``arms`` and ``stability``.

    Args:
        dataset: 32 x 32 images.
        first_rates: learning rates of the first five steps.
        rates: learning rates of whole trainings.
        epochs: passes over the training images in these and in the arms.
        arms: entries of `channel_norms.ARMS`.
        arm_rate: their learning rate.
        fc_arms: those that are trained with fc frozen and matched as well.
        stability_norms: networks watched for divergence.
        stability_rates: learning rates at which they are.
        stability_steps: gradient steps that a rate must survive.
        caps: of conv2's largest eigenvalue, in the plain network; may be empty.
        seeds: how many.
        seed: the first.
        executor: makes the runs.

    Raises:
        ValueError: a grid is empty or a value not usable, before anything trains; or a run failed.
    """
    for name in arms:
        checks.choice("arms", name, ARMS)
    all_seeds = seeds_from(seed, seeds)
    first = grid(norm=NETWORKS, learning_rate=first_rates, seed=all_seeds)
    long = _whole(grid(learning_rate=rates, seed=all_seeds, norm=NETWORKS))
    taken_apart = _whole(arm_points(arms, [arm_rate], all_seeds, fc_arms))
    survival = {"learning_rate": stability_rates, "seed": all_seeds}
    stability = _whole(grid(norm=stability_norms, **survival) + (grid(cap=caps, **survival) if len(caps) else []))

    probe = LeNetProbe(probe_images(dataset, PROBE_IMAGES))
    error = {"test": SplitError(dataset)}
    at = epochs_to_steps((*PARTS_OF_AN_EPOCH, *range(1, epochs + 1)), dataset, RATED_AT)
    first_runs = _run(first, Setting(dataset, FIRST_STEPS[-1], FIRST_STEPS, {"probe": probe}), executor)
    # Baseline and Batch Normalization at the arms' rate belong to both.
    both = long + [point for point in taken_apart if point not in long]
    runs = _run(both, Setting(dataset, at[-1], at, error, PROBE_IMAGES), executor)
    survived = _run(stability, Setting(dataset, stability_steps, (), error), executor)
    return {
        "first_steps": finished(first_runs, drop=SAME),
        "long_runs": finished(_at(runs, long), drop=SAME),
        "arms": finished(named_arms(_at(runs, taken_apart)), drop=("batch_size", "gain", "cap", "held", *CHANGED)),
        "stability": finished(survived, drop=SAME[:-1]),
    }


def survival_tables(
    dataset: Dataset,
    *,
    octaves: Sequence[int],
    steps: int,
    seeds: int,
    warm_up_octaves: Sequence[int],
    warm_ups: Sequence[int],
    warm_up_seeds: int,
    seed: int = 0,
    executor: Executor,
) -> dict[str, pd.DataFrame]:
    """Make ``survival``, of both convolutions, and ``warm_up``, against Batch Normalization.

    With biases, gamma and beta fixed only the arm runs again whose backward gain is frozen.

    Args:
        dataset: 32 x 32 images.
        octaves: logarithms to base 2 of the rates of the arms.
        steps: gradient steps that a rate must survive, after a warm-up at the full rate.
        seeds: of the arms.
        warm_up_octaves: as ``octaves``.
        warm_ups: gradient steps of the warm-ups.
        warm_up_seeds: of these.
        seed: the first.
        executor: makes the runs.

    Raises:
        ValueError: a value not usable, before anything trains; or a run failed.
    """
    how = {"executor": executor, "progress": False}
    arms = survival_arms.survival(dataset, octaves, seeds_from(seed, seeds), steps, swept=("both",),
                                   fixed=("batch_frozen_gain",), **how)  # fmt: skip
    warmed = survival_arms.warm_up(
        dataset, warm_up_octaves, seeds_from(seed, warm_up_seeds), steps, warm_ups, others=("batch",), **how
    )
    return {"survival": arms, "warm_up": warmed}


def _whole(points: list[dict[str, object]]) -> list[dict[str, object]]:
    return [complete(point) for point in points]


def _run(points: list[dict[str, object]], setting: Setting, executor: Executor) -> pd.DataFrame:
    table = run_points(points, setting, executor=executor, progress=False)
    failed = table[table["status"] != "ok"]
    if len(failed):
        raise ValueError(f"{len(failed)} of {len(points)} runs: {failed['status'].iloc[0]}")
    return table


def _at(runs: pd.DataFrame, points: list[dict[str, object]]) -> pd.DataFrame:
    """Rows of the runs at these points, in their order."""
    names = list(points[0])
    return pd.DataFrame(points).merge(runs, on=names, how="left")[list(runs.columns)]
