"""The networks of chapter 07 again in settings that Chai et al. 2020 leave open, to see which verdicts hang on them.

The chapter's networks have no threshold, so a setting is one of each of `WITHOUT_THRESHOLDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance import noise_sensitivity
from bnlab.chapters.ch07_minimum_disturbance.arrangements import ARRANGEMENTS, RATE, probe_of
from bnlab.datasets import Dataset
from bnlab.measures.probes import SplitError
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.points import Setting, complete, epochs_to_steps, run_jobs
from bnlab.sweeps.points import prepare as prepare_lenet
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS, in_setting, settings, swept
from bnlab.training.train import Job

PROBE_SIZE = 64  # images on which conv2's input is looked at
STEPS, LOOKED_AT = 300, (0, 20, 100, 300)  # of these, those within an epoch
FIRST_STEP = (0, 1)  # where only the beginning is judged
METHODS, RATES, NOISE = ("none", "batch", "batch_prior", "nlms_l2"), (0.003, 0.03, 0.1, 0.3), 10.0
TEST_IMAGES = 1000  # on which errors are taken

Folder = Path | sweeps.Sample | None


def looks(
    dataset: Dataset,
    combinations: int,
    seeds: Sequence[int],
    folder: Folder = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """What enters conv2, by `Conv2Probe`, in every setting: before the first step, and with BN before conv2 to 300."""
    points = [
        {"norm": norm, "seed": seed, **setting}
        for setting in settings(combinations, 0, WITHOUT_THRESHOLDS)
        for norm in ARRANGEMENTS.values() if "nlms" not in norm  # which descends its own direction
        for seed in seeds
    ]  # fmt: skip
    how = {"folder": folder, "executor": executor, "progress": progress}
    found = swept(points, look, dataset, STEPS, lambda own: {"conv2": probe_of(own, PROBE_SIZE)}, **how)
    names = {norm: arrangement for arrangement, norm in ARRANGEMENTS.items()}
    found = found[found["step"] != FIRST_STEP[-1]].reset_index(drop=True)
    found = found.assign(arrangement=found["norm"].map(names)).drop(columns="status")
    found.attrs["units"] = {name: _unit(name) for name in found}
    return found


def under_noise(
    dataset: Dataset,
    combinations: int,
    seeds: Sequence[int],
    tuning_seeds: Sequence[int],
    folder: Folder = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Test error after 300 steps with and without noise in every setting, as `noise_sensitivity.frontier`."""
    wanted = noise_sensitivity.Grid(METHODS, RATES, (NOISE,), tuple(seeds), tuple(tuning_seeds))
    points = [
        {**point, **setting} for setting in settings(combinations, 0, WITHOUT_THRESHOLDS) for point in wanted.points()
    ]
    few = min(TEST_IMAGES, len(dataset.test_labels))

    how = {"folder": folder, "executor": executor, "progress": progress}
    found = swept(points, train, dataset, STEPS, lambda own: {"test": SplitError(own.subset(test=few))}, **how)
    found["role"] = found["seed"].isin(tuning_seeds).map({True: "tuning", False: "reported"})
    found = found[[*WITHOUT_THRESHOLDS, *noise_sensitivity.UNITS]]
    found.attrs["units"] = {name: noise_sensitivity.UNITS.get(name) or _unit(name) for name in found}
    return found


def look(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Follow one arrangement; with BN before conv2 for 300 steps, elsewhere from the beginning on for one."""
    named = {name: point[name] for name in ("norm", "seed", "batch_size", "gain")}
    job = in_setting(prepare_lenet(complete(named | {"learning_rate": RATE}), setting), point, int(point["seed"]))
    followed = point["norm"] == ARRANGEMENTS["d: BN before conv2"]
    epoch = epochs_to_steps((1,), setting.dataset, int(point["batch_size"]))[0]
    within = tuple(step for step in LOOKED_AT if step <= epoch)
    at = within if followed and len(within) > 1 else FIRST_STEP
    return run_jobs([job], replace(setting, steps=at[-1], record_at=at), int(point["batch_size"]))[0]


def train(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train one network of `noise_sensitivity` as its setting says."""
    return run_jobs([prepared(point, setting)], setting, int(point["batch_size"]))[0]


def prepared(point: Mapping[str, object], setting: Setting) -> Job:
    """Build it: initial weights and rates of its setting."""
    return in_setting(noise_sensitivity.prepare(point, setting), point, int(point["seed"]))


def _unit(name: str) -> str:
    units = {"batch_size": "images", "gain": "1", "other_rate": "of everything else", "seed": "index",
             "step": "gradient steps", "diverged": "bool", "loss": "nats"}  # fmt: skip
    powers = name.startswith(("power_", "lowest_", "highest_"))
    return units.get(name, "per pixel" if powers else "1" if "_" in name else "name")
