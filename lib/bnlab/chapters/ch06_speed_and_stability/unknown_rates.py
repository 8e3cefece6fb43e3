"""Which rates the plain network and Batch Normalization survive in settings that Chai et al. 2020 leave open.

They have no threshold, so a setting is one of each of `WITHOUT_THRESHOLDS`; runs and grid are those of ``stability``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import pandas as pd

from bnlab.datasets import Dataset
from bnlab.measures.probes import SplitError
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.points import Setting, complete, prepare, run_jobs
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS, in_setting, settings, swept

NETWORKS = ("none", "batch")
TEST_IMAGES = 500  # enough to tell learning from guessing
UNITS = {
    "batch_size": "images", "initialisation": "name", "gain": "1", "other_rate": "of everything else", "images": "name",
    "norm": "name", "learning_rate": "of the convolution weights", "seed": "index", "step": "gradient steps",
    "test_error": "fraction", "diverged": "bool", "cap": "power", "engine": "name",
}  # fmt: skip


def unknown_rates(
    dataset: Dataset,
    combinations: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    *,
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Runs of ``steps`` of both networks at every rate under every one of `settings`: their last record, a row a run.

    ``cap`` is 0, none, as in the table ``stability``.
    """
    points = [
        {"norm": norm, "learning_rate": rate, "seed": seed, **setting}
        for setting in settings(combinations, 0, WITHOUT_THRESHOLDS)
        for norm in NETWORKS for rate in rates for seed in seeds
    ]  # fmt: skip
    how = {"folder": folder, "executor": executor, "progress": progress}
    made = swept(points, run_point, dataset, steps, few_errors, **how).assign(cap=0.0)[list(UNITS)]
    made.attrs["units"] = dict(UNITS)
    return made


def run_point(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train the network of a point, weights and rates as its setting says; the columns of `points.run_jobs`."""
    named = {name: point[name] for name in ("norm", "learning_rate", "seed", "batch_size", "gain")}
    job = in_setting(prepare(complete(named), setting), point, int(point["seed"]))
    return run_jobs([job], setting, int(point["batch_size"]))[0]


def few_errors(dataset: Dataset) -> dict[str, SplitError]:
    """Errors on few test images."""
    return {"test": SplitError(dataset.subset(test=min(TEST_IMAGES, len(dataset.test_labels))))}
