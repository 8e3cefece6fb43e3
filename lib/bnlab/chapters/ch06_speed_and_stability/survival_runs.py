"""One run whose survival is in question: a LeNet whose convolutions learn at the swept rate, or one of them, or none.

A point says norm, gain (of the initial weights), warm_up (steps; 0: none), swept ("both", "conv1", "conv2", "neither"),
learns ("all", or "weights": the convolutions' biases, gamma and beta stay as they begin), learning_rate (of what is
swept; all else that learns does so at 0.1), seed and steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from torch import nn

from bnlab.chapters.ch06_speed_and_stability.filter_steps import FilterSteps
from bnlab.sweeps.points import DEFAULTS, Setting, complete, prepare, run_jobs
from bnlab.training.train import Job, parameter_rates

HELD = {"both": "none", "neither": "none", "conv1": "conv2", "conv2": "conv1"}  # what then learns at 0.1
UNITS = {
    "learning_rate": "of the swept weights", "seed": "name", "warm_up": "gradient steps", "steps": "gradient steps",
    "gain": "1", "step": "gradient steps", "loss": "nats", "test_error": "fraction", "test_loss": "nats",
    **{f"{name}{n}": unit for n in (1, 2) for name, unit in
       (("length", "weight"), ("gradient", "nats / weight"), ("turn", "degrees a step"), ("radial", "cosine"))},
    "power2": "power", "power_fc": "power", "lambda_max": "power", "diverged": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class WarmUp:
    """Scales the gradients of the convolution weights by step / ``steps`` up to that step: a linear warm-up."""

    steps: int

    def __call__(self, model: nn.Module, step: int) -> None:
        """Change the gradients before the update of that step."""
        if step < self.steps:
            for layer in (model.conv1, model.conv2):
                layer.weight.grad.mul_(step / self.steps)


def point(group: Mapping[str, object], rate: float, seed: int, steps: int) -> dict[str, object]:
    """Give the point of a group, which says what is not the plain network's, all of it learning, at a rate."""
    plain = {"norm": "none", "gain": DEFAULTS["gain"], "warm_up": 0, "swept": "both", "learns": "all"}
    return {**plain, **group, "learning_rate": rate, "seed": seed, "steps": steps}


def run_point(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train the network of a point; the columns of `points.run_jobs`."""
    return run_batched([point], setting)[0]


def run_batched(points: Sequence[Mapping[str, object]], setting: Setting) -> list[pd.DataFrame]:
    """Train the networks of many points, those of one length together; their tables in order."""
    tables: dict[int, pd.DataFrame] = {}
    for length in sorted({int(point["steps"]) for point in points}):
        chosen = [place for place, point in enumerate(points) if point["steps"] == length]
        own = replace(setting, steps=length, record_at=tuple(step for step in setting.record_at if step <= length))
        jobs = [prepared(points[place], own) for place in chosen]
        tables |= dict(zip(chosen, run_jobs(jobs, own, DEFAULTS["batch_size"]), strict=True))
    return [tables[place] for place in range(len(points))]


def prepared(point: Mapping[str, object], setting: Setting) -> Job:
    """Build the network of a point, with the rates of its convolutions and a look at their steps."""
    named = {name: point[name] for name in ("norm", "gain", "learning_rate", "seed")}
    job = prepare(complete({**named, "held": HELD[point["swept"]]}), setting)
    rates = {**job.rates, **_held_still(job.model, point)}
    own = parameter_rates(job.model, job.learning_rate, job.other_learning_rate, rates)
    steps = FilterSteps((own["conv1.weight"], own["conv2.weight"]))
    adjust = WarmUp(point["warm_up"]) if point["warm_up"] else None
    return replace(job, rates=rates, adjust=adjust, measurements={"steps": steps, **job.measurements})


def _held_still(model: nn.Module, point: Mapping[str, object]) -> dict[str, float]:
    """Rates of 0 for what a point does not let learn."""
    weights = {"conv1.weight", "conv2.weight"}
    still = sorted(weights) if point["swept"] == "neither" else []
    if point["learns"] == "weights":
        still += [name for name, _ in model.named_parameters() if not name.startswith("fc.") and name not in weights]
    return dict.fromkeys(still, 0.0)


def finished(table: pd.DataFrame, drop: Sequence[str]) -> pd.DataFrame:
    """Leave out what says the same in every row, round to five digits, and give every column its unit."""
    table = table.drop(columns=list(drop))
    # Five digits are more than is known of any of them, and a recorded table has to stay small.
    measured = [name for name in table.columns[table.columns.get_loc("step") + 1 :] if table[name].dtype.kind == "f"]
    table = table.assign(**{name: table[name].map(lambda value: float(f"{value:.5g}")) for name in measured})
    table.attrs["units"] = {name: UNITS.get(name, "name") for name in table}
    return table
