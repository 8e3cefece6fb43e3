"""Causes judged in settings that Chai et al. 2020 leave open: parts of the low-rate gain, and caps on an eigenvalue.

As in ``arms`` and ``stability``, conv2's gradient is changed along the eigenvectors of R and the network stays as it
is. These networks have no threshold, so a setting is one of each of `WITHOUT_THRESHOLDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.unknown_rates import UNITS, few_errors
from bnlab.datasets import Dataset
from bnlab.measures.preconditioning import ModePreconditioner, matching_factors
from bnlab.measures.probes import SplitError, input_autocorrelation, probe_images
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.points import PRECONDITIONER_IMAGES, REFERENCE, Setting, complete, prepare, run_jobs
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS, in_setting, settings, swept
from bnlab.theory.modes import natural_modes
from bnlab.training.train import Job

RATE, STEPS = 1e-3, 300  # at which the low-rate gain is taken apart, and for how long
# What each arm changes in the plain network, as in `channel_norms.ARMS`.
ARMS = {
    "baseline": {"norm": "none"},
    "BN after both": {"norm": "batch"},
    "BN after conv2": {"norm": "none+batch"},
    "lower half raised": {"norm": "none", "spectrum": "lower_half"},
}
CAPS = (1.0, 16.0)  # two of those of ``stability``; one over a cap differs by 16

Folder = Path | sweeps.Sample | None


def unknown_arms(
    dataset: Dataset,
    combinations: int,
    seeds: Sequence[int],
    *,
    folder: Folder = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Test errors of the `ARMS` after 300 steps at a low rate in every one of `settings`, a row a run."""
    points = [
        {"arm": arm, "learning_rate": RATE, "seed": seed, **setting}
        for setting in settings(combinations, 0, WITHOUT_THRESHOLDS) for arm in ARMS for seed in seeds
    ]  # fmt: skip
    how = {"folder": folder, "executor": executor, "progress": progress}
    found = swept(points, run_arm, dataset, STEPS, lambda own: {"test": SplitError(own)}, **how).assign(fc_mode="paper")
    units = {name: UNITS[name] for name in WITHOUT_THRESHOLDS} | {"arm": "name", "fc_mode": "name"}
    return _finished(
        found, units | {name: UNITS[name] for name in UNITS if name not in (*WITHOUT_THRESHOLDS, "norm", "cap")}
    )


def unknown_caps(
    dataset: Dataset,
    combinations: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    *,
    folder: Folder = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Runs of ``steps`` of the plain network at every rate under the `CAPS` in every one of `settings`, a row a run."""
    points = [
        {"norm": "none", "learning_rate": rate, "seed": seed, "cap": cap, **setting}
        for setting in settings(combinations, 0, WITHOUT_THRESHOLDS) for cap in CAPS for rate in rates for seed in seeds
    ]  # fmt: skip
    how = {"folder": folder, "executor": executor, "progress": progress}
    return _finished(swept(points, run_capped, dataset, steps, few_errors, **how), UNITS)


def run_arm(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train the network of an arm as its setting says; the columns of `points.run_jobs`."""
    changes = ARMS[str(point["arm"])]
    job = prepared({**point, "norm": changes["norm"]}, setting)
    if "spectrum" in changes:
        twin = prepared({**point, "norm": REFERENCE}, setting)
        looked_at = probe_images(setting.dataset, setting.images_of_first_look)
        own, target = (natural_modes(input_autocorrelation(one.model, looked_at)).eigenvalues for one in (job, twin))
        factors = matching_factors(own, target, changes["spectrum"])
        job = replace(job, adjust=ModePreconditioner(probe_images(setting.dataset, PRECONDITIONER_IMAGES), factors))
    return run_jobs([job], setting, int(point["batch_size"]))[0]


def run_capped(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train the plain network under a cap as its setting says; conv1 learns at the rate of everything else."""
    job = prepared(point, setting)
    job = replace(job, rates={**job.rates, "conv1": float(point["other_rate"])})
    return run_jobs([job], setting, int(point["batch_size"]))[0]


def prepared(point: Mapping[str, object], setting: Setting) -> Job:
    """Build the network of a point: weights and rates as its setting says."""
    named = {name: point[name] for name in ("norm", "learning_rate", "seed", "batch_size", "gain")}
    job = prepare(complete(named | {"cap": point.get("cap", 0.0)}), setting)
    return in_setting(job, point, int(point["seed"]))


def _finished(table: pd.DataFrame, units: Mapping[str, str]) -> pd.DataFrame:
    made = table[list(units)]
    made.attrs["units"] = dict(units)
    return made
