"""The compiled step's door: a job trained as `training.train` trains it, on the same images in the same order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import torch

from bnlab.datasets import Dataset
from bnlab.layers.nlms import NlmsConv2d
from bnlab.training.compiled.machine_code import NO_NOISE, make_ready
from bnlab.training.compiled.network import Arrays, unsupported
from bnlab.training.compiled.step import BACKWARD, DESCEND, FORWARD, Network, advance
from bnlab.training.train import DIVERGED, Job, TrainingRun, check_length, check_rates, measure, parameter_rates


def train_compiled(
    job: Job, dataset: Dataset, *, steps: int, batch_size: int, record_at: Iterable[int] = ()
) -> TrainingRun:
    """Train a job's network in place, as `training.train_job` does up to rounding, on one core.

    Mini-batches and noise come from the same generators, image for image; the network's own tensors are updated in
    place, where PyTorch's layers replace some of them. Steps run in chunks up to the next that is recorded; where
    gradients are adjusted or noise is drawn, one by one.

    Args:
        job: a network that `network.unsupported` has nothing against, and how it learns.
        dataset: 32 x 32 images on the CPU.
        steps: gradient steps.
        batch_size: images a step.
        record_at: steps after which to record; the last step is always recorded.

    Raises:
        ValueError: a network that the compiled step cannot train, in one line that says why; or what `train` refuses.
    """
    check_rates(job.learning_rate, job.other_learning_rate, job.momentum, job.weight_decay)
    check_length(steps, batch_size)
    if (reason := unsupported(job.model)) is not None:
        raise ValueError(f"the compiled step cannot train this network: {reason}")
    rates = parameter_rates(job.model, job.learning_rate, job.other_learning_rate, job.rates)
    dataset.batches(batch_size, job.generator)  # refuses a size that the data cannot fill, a generator of a GPU
    make_ready()
    run = _Run(job, Arrays(job.model, dataset, "train", batch_size), {*record_at, steps})
    run.arrays.descent(rates, job.momentum, job.weight_decay)
    job.model.train()
    left = steps
    for order in _epochs(len(dataset.train_labels), batch_size, job.generator):
        run.go(order[:left])
        left -= len(order[:left])
        if not left or run.diverged:
            return TrainingRun(pd.DataFrame(run.rows), run.diverged)
    raise AssertionError("epochs do not end")


def _epochs(count: int, batch_size: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Mini-batches (steps, B) of one pass after another, drawn when it begins, as `Dataset.batches` draws them."""
    steps = count // batch_size
    while True:
        order = torch.randperm(count, generator=generator)
        yield order[: steps * batch_size].view(steps, batch_size).numpy()


class _Run:
    """A job on its way."""

    def __init__(self, job: Job, arrays: Arrays, wanted: set[int]):
        self.job, self.arrays, self.wanted = job, arrays, wanted
        self.rows, self.done, self.diverged = [], 0, False
        layers = (job.model.conv1, job.model.conv2)
        self.network = None  # the arrays, until somebody else may have replaced a tensor
        self.noisy = [layer if isinstance(layer, NlmsConv2d) and layer.noise > 0 else None for layer in layers]

    def go(self, order: np.ndarray) -> None:
        """Train on mini-batches (steps, B), in chunks up to the next recorded step."""
        while len(order) and not self.diverged:
            by_one = self.job.adjust is not None or any(self.noisy) or (self.done == 0 and 0 in self.wanted)
            ahead = 1 if by_one else min(step for step in self.wanted if step > self.done) - self.done
            chunk, order = order[:ahead], order[ahead:]
            loss, taken = self._one(chunk) if by_one else self._many(chunk)
            self.done += taken
            self.diverged = not math.isfinite(loss) or loss > DIVERGED
            if self.diverged or self.done in self.wanted:
                self._note(self.done, loss)

    def _note(self, step: int, loss: float) -> None:
        self.rows.append({"step": step, "loss": loss, **measure(self.job.model, self.job.measurements)})
        self.network = None

    def _bound(self) -> Network:
        if self.network is None:
            self.network = self.arrays.bound()
        return self.network

    def _many(self, order: np.ndarray) -> tuple[float, int]:
        losses = np.zeros(len(order))
        phases = FORWARD | BACKWARD | DESCEND
        taken = advance(self._bound(), order, phases, (NO_NOISE, NO_NOISE), losses, DIVERGED)
        self.arrays.count(taken)
        return float(losses[taken - 1]), taken

    def _one(self, order: np.ndarray) -> tuple[float, int]:
        losses, network, quiet = np.zeros(1), self._bound(), (NO_NOISE, NO_NOISE)
        advance(network, order, FORWARD, quiet, losses, DIVERGED)
        self.arrays.count(1)
        if self.done == 0 and 0 in self.wanted:
            self._note(0, float(losses[0]))
        if losses[0] <= DIVERGED:
            # What the measurements replaced, a mask say, is not what the forward pass computed with.
            noises, adjust = self._noises(order.shape[1]), self.job.adjust
            advance(network, order, BACKWARD | (DESCEND if adjust is None else 0), noises, losses, DIVERGED)
            if adjust is not None:
                adjust(self.job.model, self.done + 1)
                self.network = None
                advance(self._bound(), order, DESCEND, quiet, losses, DIVERGED)
        return float(losses[0]), 1

    def _noises(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = [NO_NOISE, NO_NOISE]
        for place in (1, 0):  # the order in which a backward pass draws
            if (layer := self.noisy[place]) is not None:
                shape = (batch, *self.arrays.made[place].shape[:3])
                drawn[place] = torch.randn(shape, generator=layer.generator, dtype=torch.float32).numpy()
        return drawn[0], drawn[1]
