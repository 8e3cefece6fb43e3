"""Figure 10 of Chai et al. 2020: training with noise injected into conv2's local error, by every way of updating it.

The same network is trained with and without noise over a range of rates, so that methods can be compared at equal
error without noise (`noise_matching`). What noise does to a single update needs no rate: `update_noise`.

As in the document, only conv2 is normalised and fc stays untrained. The swept rate is conv2's; conv1 learns at 0.1
like everything else, because a rate that suits the normalised update of one layer says nothing about the plain update
of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from bnlab.datasets import Dataset
from bnlab.layers.nlms import NlmsConv2d
from bnlab.measures.probes import SplitError
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.first_look import build_lenet
from bnlab.sweeps.points import OTHERS, Setting, checked, run_jobs, sweep_on
from bnlab.sweeps.sweep import grid
from bnlab.training.train import Job

# Norm of conv2 -> the sum of squares that its update divides by, for a patch of unit power. A rate r means r times that
# number, so that equal rates are equal steps for such patches.
METHODS = {
    "none": 1,
    "batch": 1,
    "batch_prior": 1,
    "nlms_l1": 25,
    "nlms_l1_squared": 25,
    "nlms_l2": 25,
    "nlms_l2_patch": 150,
}
FC = ("frozen", "trained")
TEST_IMAGES = 2000  # at most, on which the many short runs are compared
UNITS = {
    "norm": "name",
    "noise": "of the local error",
    "rate": "at unit power",
    "seed": "index",
    "fc": "name",
    "role": "name",
    "step": "gradient steps",
    "loss": "nats",
    "test_error": "fraction",
    "test_loss": "nats",
    "diverged": "bool",
    "engine": "name",
}


@dataclass(frozen=True)
class Grid:
    """Which runs are made: every method at every rate; clean, and with each noise; tuning seeds clean only."""

    methods: tuple[str, ...]
    rates: tuple[float, ...]
    noises: tuple[float, ...]
    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    batch_size: int = 64

    def __post_init__(self):
        """Refuse what could not run."""
        for name in self.methods:
            if name not in METHODS:
                raise ValueError(f"methods: {name!r} is not one of {', '.join(METHODS)}")
        for name, values in (("seed", (*self.seeds, *self.tuning_seeds)), ("batch_size", (self.batch_size,))):
            for value in values:
                checked(name, value)
        if not all(checked("noise", noise) > 0 for noise in self.noises):
            raise ValueError(f"noises = {list(self.noises)!r} must be above 0; the clean runs are always made")
        if set(self.seeds) & set(self.tuning_seeds):
            raise ValueError(f"tuning_seeds: {sorted(set(self.seeds) & set(self.tuning_seeds))} are reported seeds too")

    def points(self, fc: str = "frozen") -> list[dict[str, object]]:
        """List the runs, as plain points."""
        return self.reported(fc) + self.tuning(fc)

    def reported(self, fc: str = "frozen") -> list[dict[str, object]]:
        """Those of the reported seeds, without noise and with each."""
        return grid(**self._common(fc), noise=[0.0, *self.noises], seed=list(self.seeds))

    def tuning(self, fc: str = "frozen") -> list[dict[str, object]]:
        """Those of the tuning seeds, without noise."""
        return grid(**self._common(fc), noise=[0.0], seed=list(self.tuning_seeds)) if self.tuning_seeds else []

    def _common(self, fc: str) -> dict[str, list]:
        return {"norm": list(self.methods), "rate": list(self.rates), "fc": [fc], "batch_size": [self.batch_size]}


def inject_noise(model: LeNet, noise: float, draws: torch.Generator | None = None) -> NlmsConv2d:
    """Put a conv2 into the model whose weights, and nothing else, see a noisy local error; give it back.

    The weights (the very tensors) and the rule of the update stay: an NLMS layer remains one, a plain convolution gets
    the plain gradient. ``noise`` is in standard deviations of the local error, ``draws`` a CPU generator.
    """
    old = model.conv2
    rule = {"norm": "none"}
    if isinstance(old, NlmsConv2d):
        rule = {"norm": old.norm, "span": old.span, "regulariser": old.regulariser}
    sizes = (old.in_channels, old.out_channels, *old.kernel_size[:1], *old.stride[:1], *old.padding[:1])
    layer = nn.utils.skip_init(NlmsConv2d, *sizes, noise=noise, generator=draws, **rule)
    layer.weight, layer.bias = old.weight, old.bias
    model.conv2 = layer
    return layer


def prepare(point: Mapping[str, object], setting: Setting) -> Job:
    """Build the network of a point, and everything that training it needs.

    A point may name another ``gain`` of the initial convolution weights, and another ``other_rate`` of everything else.
    """
    seed, others = int(point["seed"]), float(point.get("other_rate", OTHERS))
    gain = float(point.get("gain", 1.0))
    model = build_lenet({"norm": f"none+{point['norm']}", "seed": seed, "gain": gain}, setting.dataset)
    inject_noise(model, float(point["noise"]), generator(seed, "noise in conv2's local error"))
    return Job(
        model=model,
        generator=generator(seed, "order of mini-batches"),
        learning_rate=float(point["rate"]) * METHODS[str(point["norm"])],
        other_learning_rate=others,
        rates={"conv1.weight": others, **({"fc": 0.0} if point["fc"] == "frozen" else {})},
        measurements=setting.measurements,
    )


def run_point(point: Mapping[str, object], setting: Setting) -> pd.DataFrame:
    """Train one network; one row a recorded step."""
    return run_jobs([prepare(point, setting)], setting, int(point["batch_size"]))[0]


def run_batched(points: Sequence[Mapping[str, object]], setting: Setting) -> list[pd.DataFrame]:
    """Train the networks of many points as one computation; the tables of `run_point`, in order."""
    jobs, size = [prepare(point, setting) for point in points], int(points[0]["batch_size"])  # a grid has one
    return run_jobs(jobs, setting, size)


def run_grid(
    points: Sequence[Mapping[str, object]],
    setting: Setting,
    tuning: Sequence[int],
    folder: Path | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run points, on a GPU as one computation; tidy, with the ``role`` of a run's seed: "tuning" or "reported"."""
    found = sweep_on(points, run_point, run_batched, setting, folder=folder, executor=executor, progress=progress)
    refuse_failures(found)
    found["role"] = found["seed"].isin(tuning).map({True: "tuning", False: "reported"})
    found = found[list(UNITS)]
    found.attrs["units"] = dict(UNITS)
    return found


def frontier(
    dataset: Dataset,
    wanted: Grid,
    steps: int,
    fc: Sequence[str] = ("frozen",),
    folder: Path | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Test error and loss after some steps, with and without noise, at every rate; on at most 2,000 test images.

    ``fc``: "frozen" as in the document, "trained" at 0.1 like everything else, or both.
    """
    for word in fc:
        if word not in FC:
            raise ValueError(f"fc: {word!r} is not one of {', '.join(FC)}")
    fewer = dataset.subset(test=min(TEST_IMAGES, len(dataset.test_labels)))
    setting = Setting(dataset, steps, (steps,), {"test": SplitError(fewer)})
    points = [point for word in fc for point in wanted.points(word)]
    return run_grid(points, setting, wanted.tuning_seeds, folder, executor, progress)
