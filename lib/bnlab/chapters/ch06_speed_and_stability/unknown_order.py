"""BN beside BN_Suppress after whole epochs at rate 3, in settings that Chai et al. 2020 leave open.

The criterion begins after the fifth epoch; two epochs beyond it are looked at. A setting is one of each of `UNKNOWNS`,
and both networks of a seed are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.unknown_rates import UNITS
from bnlab.chapters.ch06_speed_and_stability.unknowns import prepared
from bnlab.datasets import Dataset
from bnlab.measures.probes import SplitError
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.points import Setting, epochs_to_steps, run_jobs
from bnlab.sweeps.unknowns import UNKNOWNS, settings, swept

NETWORKS, RATE = ("batch", "suppress"), 3.0
EPOCHS = (6, 7)  # passes over the training images after which errors are read


def unknown_order(
    dataset: Dataset,
    combinations: int,
    seeds: Sequence[int],
    *,
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Test errors of both `NETWORKS` after each of `EPOCHS` under every one of `settings`: a row a run and epoch."""
    points = [
        {"norm": norm, "learning_rate": RATE, "seed": seed, **setting}
        for setting in settings(combinations, seed=0) for norm in NETWORKS for seed in seeds
    ]  # fmt: skip
    how = {"folder": folder, "executor": executor, "progress": progress}
    nobodys = 0  # steps: `run_point` counts them by the mini-batches of its point
    table = swept(points, run_point, dataset, nobodys, lambda own: {"test": SplitError(own)}, **how)
    units = {"threshold": "power", "power": "name", "decay": "1", **UNITS}
    units = {name: units[name] for name in (*UNKNOWNS, *units) if name != "cap"}
    made = table[list(units)]
    made.attrs["units"] = units
    return made


def run_point(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train the network of a point through the `EPOCHS`; the columns of `points.run_jobs`."""
    size = int(point["batch_size"])
    at = epochs_to_steps(EPOCHS, setting.dataset, size)
    own = replace(setting, steps=at[-1], record_at=at)
    return run_jobs([prepared(point, own)], own, size)[0]
