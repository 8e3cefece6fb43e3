"""Train one arm at one rate and one seed, and look at it at the start, at given losses, and along the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.chapters.ch08_internal_covariate_shift.arms import (
    PENALTY,
    PINNED,
    groups,
    moment_penalty,
    network,
    restandardise_,
    watch_hidden,
)
from bnlab.datasets import Dataset
from bnlab.layers.step_noise import StepNoise
from bnlab.measures.gradient_shift import gradient_shifts
from bnlab.measures.probes import probe_images, using_batch_statistics
from bnlab.measures.shift import layer_moments, moment_drift
from bnlab.randomness import generator
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.sweep import sweep
from bnlab.tables import table
from bnlab.training.train import DIVERGED

TURN = 0.01  # radians that every earlier weight matrix turns where angular updates are matched
TEST_IMAGES = 500
GRADIENT_IMAGES = 128  # of the fixed ones
LOOKS_A_DRIFT = 4  # looks between two at which the moments are looked at again one step later
BATCH_SIZE = 64
PROBE = 256  # fixed images that are looked at
GOOD = 0.9  # accuracy that counts as learned
UNITS = {
    "at": "name", "layer": "number", "step": "gradient steps", "loss": "nats", "drift": "deviations a step",
    "travelled": "deviations", "difference": "gradient norm", "share": "of the gradient norm", "cosine": "1",
    "cosine_matched": "1", "steps_to_loss": "gradient steps", "steps_to_good": "gradient steps",
    "test_error": "fraction", "diverged": "bool",
}  # fmt: skip


def run(
    point: dict[str, object], *, dataset: Dataset, depth: int, width: int, activation: str, steps: int, every: int,
    batch_size: int, levels: Sequence[float], probe: int,
) -> pd.DataFrame:  # fmt: skip
    """Train at a point (arm, learning_rate, seed) and tell, for each hidden layer's output, what `follow` tells."""
    arm, rate, seed = str(point["arm"]), float(point["learning_rate"]), int(point["seed"])
    images = probe_images(dataset, probe)
    first, _ = next(endless(dataset, batch_size, generator(seed, "order of mini-batches")))
    sizes = (images[0].numel(), len(dataset.classes))
    fixed = images if arm == PINNED else first  # LSUV is set on a mini-batch
    net = network(arm, *sizes, depth=depth, width=width, activation=activation, seed=seed, images=fixed)
    return follow(
        net, groups(net), arm, rate, seed, dataset=dataset, steps=steps, every=every, batch_size=batch_size,
        levels=levels, probe=probe,
    )  # fmt: skip


def follow(
    net: nn.Module, layers: Sequence[tuple[str, ...]], arm: str, rate: float, seed: int, *, dataset: Dataset,
    steps: int, every: int, batch_size: int, levels: Sequence[float], probe: int,
) -> pd.DataFrame:  # fmt: skip
    """Train a network in place and tell, for what enters each of its layers but the first, what `UNITS` names.

    Rows: ``at`` is each level of the loss, at the first look at which it is reached, and "end": there ``drift`` is the
    median over the run. ``drift``: of the moments of what enters the layer, from one step to the next; ``travelled``:
    since the start. ``difference``, ``share`` and ``cosine``: between the gradients of the layer's weights, before and
    after the step of the layers below at the run's rate; ``cosine_matched``: if each weight matrix turned by `TURN`.
    ``steps_to_loss`` and ``steps_to_good``: to the last level, and to `GOOD` accuracy on test images; infinite if
    never. Loss and accuracy are those of evaluation, on fixed images.

    Args:
        net: in any mode.
        layers: as `gradient_shifts` takes them.
        arm: a name of `arms.ARMS`; the penalty and the restandardised weights act on an `MLP` alone.
        rate: learning rate.
        seed: of the order of mini-batches.
        dataset: images that the network takes.
        steps: gradient steps.
        every: steps between two looks.
        batch_size: images of a step.
        levels: losses, from high to low.
        probe: fixed images that are looked at.
    """
    images = probe_images(dataset, probe)
    labels = probe_labels(dataset, probe)
    test = dataset.subset(test=min(TEST_IMAGES, len(dataset.test_labels)))
    batches = endless(dataset, batch_size, generator(seed, "order of mini-batches"))
    look = _Looks(net, images, labels, test, layers, rate, list(levels), steps, every)
    for step in range(steps + 1):
        looking = step % every == 0 or step == steps
        if looking and not look(step):
            break
        if step == steps:
            break
        if not update(net, arm, rate, *next(batches)):
            look.diverged = True
            break
        if arm == PINNED:
            restandardise_(net, images)
        if (look.drifts_now(step) or look.pending) and not look.after_one_step():
            break
    return look.rows()


def update(net: nn.Module, arm: str, rate: float, images: Tensor, labels: Tensor) -> bool:
    """Make one step of plain descent in place; False if the loss is lost."""
    seen, stop = watch_hidden(net) if arm == PENALTY else ([], lambda: None)
    loss = functional.cross_entropy(net(images), labels)
    stop()
    if not loss.item() < DIVERGED:  # nan is not below either
        return False
    total = loss + moment_penalty(seen) if arm == PENALTY else loss
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(total, parameters)
    with torch.no_grad():
        torch._foreach_add_(parameters, gradients, alpha=-rate)
    return all(bool(p.isfinite().all()) for p in parameters)


class _Looks:
    """What is measured along one run."""

    def __init__(
        self, net: nn.Module, images: Tensor, labels: Tensor, test: Dataset, layers: Sequence[tuple[str, ...]],
        rate: float, levels: list[float], steps: int, every: int,
    ):  # fmt: skip
        self.net, self.images, self.labels, self.rate = net, images, labels, rate
        self.steps, self.every = steps, every
        self.test_images, self.test_labels = test.normalise(test.test_images), test.test_labels
        self.layers, self.entered = list(layers), [first for first, *_ in layers[1:]]
        self.levels, self.left = levels, list(levels)
        self.found: list[dict[str, object]] = []
        self.drifts: list[list[float]] = []
        self.diverged, self.loss, self.step = False, math.nan, 0
        self.steps_to_loss = self.steps_to_good = math.inf
        self.error = 1.0
        self.pending: list[dict[str, object]] = []
        self.start = self.before = layer_moments(net.train(), images, self.entered)

    def __call__(self, step: int) -> bool:
        """Look at loss and accuracy, and at the gradients where a level is reached; False if the network is lost."""
        self.step = step
        with torch.no_grad(), using_batch_statistics(self.net):
            for module in self.net.modules():
                module.training = not isinstance(module, StepNoise)
            self.loss = functional.cross_entropy(self.net(self.images), self.labels).item()
            self.error = (self.net(self.test_images).argmax(1) != self.test_labels).double().mean().item()
        if 1 - self.error >= GOOD:
            self.steps_to_good = min(self.steps_to_good, step)
        if self.loss <= self.levels[-1]:
            self.steps_to_loss = min(self.steps_to_loss, step)
        reached = [level for level in self.left if self.loss <= level]
        self.left = self.left[len(reached) :]
        try:
            if self.drifts_now(step) or reached:
                self.before = layer_moments(self.net, self.images, self.entered)
            for level in reached:
                self.pending += self._shifts(f"loss {level:g}")
        except ValueError:  # not finite
            self.diverged = True
        return not self.diverged

    def drifts_now(self, step: int) -> bool:
        """Whether the drift from this step to the next is looked at in any case, or what the last step left."""
        return step % (LOOKS_A_DRIFT * self.every) == 0 or step == self.steps

    def after_one_step(self) -> bool:
        """Look at the moments once more, one step later."""
        try:
            now = layer_moments(self.net, self.images, self.entered)
        except ValueError:
            self.diverged = True
            return False
        drift = [moment_drift(self.before[name], now[name]) for name in self.entered]
        self.drifts.append(drift)
        for row in self.pending:
            row["drift"] = drift[row["layer"] - 1]
        self.found += self.pending
        self.pending = []
        return True

    def _shifts(self, at: str) -> list[dict[str, object]]:
        loss = functional.cross_entropy
        batch = (self.images[:GRADIENT_IMAGES], self.labels[:GRADIENT_IMAGES])
        taken = [gradient_shifts(self.net, *batch, loss, self.layers, **step)
                 for step in ({"rate": self.rate}, {"turn": TURN})]  # fmt: skip
        rows = []
        for layer, name in enumerate(self.entered, 1):
            own, matched = (shifts[name] for shifts in taken)
            rows.append({
                "at": at, "layer": layer, "step": self.step, "loss": self.loss, "drift": math.nan,
                "travelled": moment_drift(self.start[name], self.before[name]), "difference": own.difference,
                "share": own.difference / own.before if own.before else math.nan, "cosine": own.cosine,
                "cosine_matched": matched.cosine,
            })  # fmt: skip
        return rows

    def rows(self) -> pd.DataFrame:
        """Give all that was found; the last rows are those of the end."""
        drifts = np.median(self.drifts, axis=0) if self.drifts else [math.nan] * len(self.entered)
        lost = {key: math.nan for key in ("difference", "share", "cosine", "cosine_matched")}
        for layer, name in enumerate(self.entered, 1):
            travelled = math.inf if self.diverged else moment_drift(self.start[name], self.before[name])
            self.found.append({
                "at": "end", "layer": layer, "step": self.step, "loss": math.inf if self.diverged else self.loss,
                "drift": float(drifts[layer - 1]), "travelled": travelled, **lost,
            })  # fmt: skip
        ends = {"steps_to_loss": self.steps_to_loss, "steps_to_good": self.steps_to_good,
                "test_error": 1.0 if self.diverged else self.error, "diverged": self.diverged}  # fmt: skip
        return table([tuple((row | ends)[name] for name in UNITS) for row in self.found], UNITS)


def swept(
    one: Callable[[dict[str, object]], pd.DataFrame], points: list[dict[str, object]], dataset: Dataset, *,
    folder: Path | None, executor: Executor | None, progress: bool,
) -> pd.DataFrame:  # fmt: skip
    """Run ``one`` at every point; give one table with columns arm, learning_rate, seed and those of `runs.UNITS`.

    Raises:
        SweepError: a run failed.
    """
    # Worker processes cannot share a GPU's tensors: there the runs follow each other.
    on_gpu = dataset.train_images.is_cuda
    batched = (lambda some: [one(point) for point in some]) if on_gpu else None
    table = sweep(points, one, folder=folder, executor=executor, batched=batched, progress=progress)
    refuse_failures(table)
    table = table.drop(columns="status")
    units = {"arm": "name", "learning_rate": "1", "seed": "number"} | UNITS
    table.attrs["units"] = {column: units[column] for column in table}
    return table


def endless(dataset: Dataset, batch_size: int, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw mini-batches, epoch after epoch."""
    while True:
        yield from dataset.batches(batch_size, order)


def probe_labels(dataset: Dataset, count: int) -> Tensor:
    """Labels of `measures.probes.probe_images`."""
    total = len(dataset.train_labels)
    chosen = torch.randperm(total, generator=generator(0, "probe images"))[: min(count, total)]
    return dataset.train_labels[chosen.to(dataset.train_labels.device)]
