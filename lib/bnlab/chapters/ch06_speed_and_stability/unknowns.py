"""The four networks again in settings that Chai et al. 2020 leave open, to see which verdicts hang on them.

A point of the sweep says a setting (one of each of `UNKNOWNS`) besides norm, learning rate and seed; all of one seed
are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bnlab.datasets import Dataset
from bnlab.measures.probes import LeNetProbe, SplitError, probe_images
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.points import Setting, complete, prepare, run_jobs, sweep_on
from bnlab.sweeps.unknowns import UNKNOWNS, enlarged, in_setting, settings
from bnlab.training.train import Job

NETWORKS = ("none", "batch", "amplify", "suppress")
FIRST_ONLY, RATES = 1e-4, (1e-3, 1e-2, 0.1, 3.0)  # the first is watched for five steps
FIFTH, STEPS = 5, 300  # after which eigenvalues and errors are read
TEST_IMAGES = 1000  # on which errors are taken
DIGITS = 4  # more than is known of an eigenvalue, and the table has to stay small


def unknowns(
    dataset: Dataset,
    combinations: int,
    seeds: Sequence[int],
    *,
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Spectra, powers and errors of the four networks under every one of `settings`: one row a run and recorded step.

    At rates below the largest only initialisation, the fifth step and the last are looked at.
    """
    asked = settings(combinations, seed=0)
    found = []
    for images in UNKNOWNS["images"]:
        points = [
            {"norm": norm, "learning_rate": rate, "seed": seed, **setting}
            for setting in asked if setting["images"] == images
            for norm in NETWORKS for rate in (FIRST_ONLY, *RATES) for seed in seeds
        ]  # fmt: skip
        own = _setting(enlarged(dataset) if images == "enlarged" else dataset)
        how = {"folder": folder, "executor": executor, "progress": progress}
        found.append(refuse_failures(sweep_on(points, run_point, run_batched, own, **how)))
    return _finished(pd.concat(found, ignore_index=True))


def run_point(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train the network of a point; the columns of `points.run_jobs`."""
    return run_batched([point], setting)[0]


def run_batched(points: Sequence[Mapping[str, object]], setting: Setting) -> list[pd.DataFrame]:
    """Train the networks of many points, those read at the same steps and of one mini-batch together; in order."""
    kinds = [(read_at(point), int(point["batch_size"])) for point in points]
    tables: dict[int, pd.DataFrame] = {}
    for steps, size in sorted(set(kinds)):
        chosen = [n for n, kind in enumerate(kinds) if kind == (steps, size)]
        own = replace(setting, steps=steps[-1], record_at=steps)
        jobs = [prepared(points[n], own) for n in chosen]
        tables |= dict(zip(chosen, run_jobs(jobs, own, size), strict=True))
    return [tables[n] for n in range(len(points))]


def prepared(point: Mapping[str, object], setting: Setting) -> Job:
    """Build the network of a point: weights, thresholds and rates as its setting says."""
    named = {name: point[name] for name in ("norm", "learning_rate", "seed", "batch_size", "gain")}
    return in_setting(prepare(complete(named), setting), point, int(point["seed"]))


def read_at(point: Mapping[str, object]) -> tuple[int, ...]:
    """Steps after which a run is looked at, no more than verdicts read: a look costs as much as a hundred steps.

    >>> read_at({"learning_rate": 0.1})
    (0, 5, 300)
    """
    if point["learning_rate"] == FIRST_ONLY:
        return (0, FIFTH)
    first = range(FIFTH + 1) if point["learning_rate"] == RATES[-1] else (0, FIFTH)
    return (*first, STEPS)


def _setting(dataset: Dataset) -> Setting:
    few = dataset.subset(test=min(TEST_IMAGES, len(dataset.test_labels)))
    watched = {"probe": LeNetProbe(probe_images(dataset)), "test": SplitError(few)}
    return Setting(dataset, STEPS, (STEPS,), watched)


def _finished(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that verdicts read, in few digits; units of every column."""
    powers = [name for name in table if name.startswith("power") and name != "power"]
    read = ["loss", "lambda_min", "lambda_max", "test_error", *powers]
    table = table[[*UNKNOWNS, "norm", "learning_rate", "seed", "step", *read, "diverged", "engine"]]
    # Only the plain network's powers are judged.
    table[powers] = table[powers].where(table["norm"] == "none")
    table = table.assign(**{name: table[name].map(lambda value: float(f"{value:.{DIGITS}g}")) for name in read})
    units = {"learning_rate": "of the convolution weights", "step": "gradient steps", "loss": "nats",
             "batch_size": "images", "gain": "1", "threshold": "power", "decay": "1",
             "other_rate": "of everything else", "test_error": "fraction", "diverged": "bool"}  # fmt: skip
    table.attrs["units"] = {
        name: units.get(name, "power" if name.startswith(("power_", "power1", "power2", "lambda")) else "name")
        for name in table
    }
    return table
