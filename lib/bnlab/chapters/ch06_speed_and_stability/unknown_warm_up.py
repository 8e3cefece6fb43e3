"""Which rates a warm-up lets the plain network survive in settings that Chai et al. 2020 leave open, beside BN's.

As in ``warm_up``: both convolutions learn at the rate, which goes up in octaves until all seeds are lost at one. These
networks have no threshold, so a setting is one of each of `NAMES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.survival_arms import upwards
from bnlab.chapters.ch06_speed_and_stability.survival_runs import WarmUp
from bnlab.chapters.ch06_speed_and_stability.unknown_rates import NAMES, TEST_IMAGES, UNITS
from bnlab.datasets import Dataset
from bnlab.measures.probes import SplitError
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.points import Setting, complete, prepare, run_jobs, sweep_on
from bnlab.sweeps.unknowns import UNKNOWNS, enlarged, in_setting, settings

NETWORKS = ("none", "batch")  # that run without a warm-up


def unknown_warm_up(
    dataset: Dataset,
    combinations: int,
    octaves: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    lengths: Sequence[int],
    *,
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """The plain network after warm-ups of these ``lengths``, then ``steps`` at the full rate, in every of `settings`.

    Beside it both `NETWORKS` without one, recorded where each of the warmed-up ones ends. One row a run and recorded
    step.
    """
    asked, ends = settings(combinations, 0, NAMES), sorted(steps + length for length in lengths)
    found = []
    for images in UNKNOWNS["images"]:
        shown = enlarged(dataset) if images == "enlarged" else dataset
        few = shown.subset(test=min(TEST_IMAGES, len(shown.test_labels)))
        watched = Setting(shown, ends[-1], tuple(ends), {"test": SplitError(few)})
        run = partial(_sweep, setting=watched, folder=folder, executor=executor, progress=progress)
        here = [setting for setting in asked if setting["images"] == images]
        plain = [{**setting, "norm": norm} for setting in here for norm in NETWORKS]
        found.append(upwards(plain, octaves, seeds, ends[-1], run))
        for length in lengths:
            warmed = [{**setting, "warm_up": length} for setting in here]
            found.append(upwards(warmed, octaves, seeds, steps + length, run))
    units = UNITS | {"warm_up": "gradient steps", "steps": "gradient steps"}
    made = pd.concat(found, ignore_index=True)[[name for name in units if name != "cap"]]
    made.attrs["units"] = {name: units[name] for name in made}
    return made


def run_point(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train the network of a point as its setting says; the columns of `points.run_jobs`."""
    length = int(point["steps"])
    own = replace(setting, steps=length, record_at=tuple(step for step in setting.record_at if step <= length))
    named = {name: point[name] for name in ("norm", "learning_rate", "seed", "batch_size", "gain")}
    job = in_setting(prepare(complete(named), own), point, int(point["seed"]))
    job = replace(job, adjust=WarmUp(int(point["warm_up"])) if point["warm_up"] else None)
    return run_jobs([job], own, int(point["batch_size"]))[0]


def _sweep(points: Sequence[Mapping[str, object]], *, setting: Setting, **how: object) -> pd.DataFrame:
    return refuse_failures(sweep_on(points, run_point, _one_by_one, setting, **how))


def _one_by_one(points: Sequence[Mapping[str, object]], setting: Setting) -> list[pd.DataFrame]:
    return [run_point(point, setting) for point in points]
