"""Many LeNets trained as one batched computation: what a GPU wants, where one process a core is slow.

Each network keeps its own learning rates, mini-batches, norms and seeds; what is shared is the launch of the kernels.
`train_batched` does what `training.train` does for each, up to rounding; a measurement or an adjustment of gradients
sees the single network.

>>> from bnlab import datasets
>>> from bnlab.models.lenet import LeNet
>>> from bnlab.randomness import generator
>>> def job(norm, rate):
...     return Job(LeNet(norm=norm, generator=generator(0, "initialisation")), generator(0, "order"), rate)
>>> jobs = [job("none", 0.1), job("batch", 0.1), job("none", 1e20)]
>>> runs = train_batched(jobs, datasets.load("digits"), steps=3, batch_size=8)
>>> [(run.diverged, int(run.history["step"].iloc[-1])) for run in runs]
[(False, 3), (False, 3), (True, 2)]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from bnlab.datasets import Dataset
from bnlab.models.batched_lenet import BatchedLeNets
from bnlab.training.train import DIVERGED, Job, TrainingRun, check_length, check_rates, measure, parameter_rates


def train_batched(
    jobs: Sequence[Job],
    dataset: Dataset,
    *,
    steps: int,
    batch_size: int,
    record_at: Iterable[int] = (),
) -> list[TrainingRun]:
    """Train the networks of all jobs in place; the runs come back in order, as `training.train` would give them.

    A network whose loss diverges is taken out, as `train` would stop; the others go on untouched.

    Args:
        jobs: at least one, each with a `models.lenet.LeNet` of its own, all on the data set's device.
        dataset: its training split is drawn batch by batch, for each network by its own generator.
        steps: gradient steps.
        batch_size: images a step.
        record_at: steps after which to record; the last step is always recorded.

    Raises:
        ValueError: no jobs, a network that is in two of them or no LeNet, networks of different input channels or
            classes, or what `train` refuses.
    """
    if not jobs or len({id(job.model) for job in jobs}) < len(jobs):
        raise ValueError(f"jobs: {len(jobs)} must be at least one, each with a network of its own")
    check_length(steps, batch_size)
    for job in jobs:
        check_rates(job.learning_rate, job.other_learning_rate, job.momentum, job.weight_decay)
    wanted, members = {*record_at, steps}, [_Member(place, job) for place, job in enumerate(jobs)]
    batches = _Batches(dataset, batch_size, [job.generator for job in jobs])
    descent = _Descent(members)
    for step in range(1, steps + 1):
        images, labels = batches.next([member.number for member in descent.members])  # (n, B, C, H, W), (n, B)
        losses = _losses(descent.nets(images), labels)  # (n,)
        values, everyone = losses.tolist(), range(len(losses))
        if step == 1 and 0 in wanted:
            descent.note(0, values, everyone)
        sound = [place for place in everyone if math.isfinite(values[place]) and values[place] <= DIVERGED]
        lost = [place for place in everyone if place not in sound]
        descent.step(losses, sound, step)
        descent.note(step, values, everyone if step in wanted else lost)
        for place in lost:
            descent.members[place].diverged = True
        if lost:
            descent.keep(sound)
        if not sound:
            break
    descent.keep([])
    return [TrainingRun(pd.DataFrame(member.rows), member.diverged) for member in members]


@dataclass
class _Member:
    """One network of the computation and what it leaves."""

    number: int  # among the jobs
    job: Job
    rows: list[dict[str, float]] = field(default_factory=list)
    diverged: bool = False


class _Batches:
    """Every network's mini-batches in its own order, one gather a step for all of them."""

    def __init__(self, dataset: Dataset, batch_size: int, generators: Sequence[torch.Generator]):
        next(iter(dataset.batches(batch_size, None)))  # refuses a size that the data cannot fill
        self.dataset, self.size, self.generators = dataset, batch_size, list(generators)
        self.count = len(dataset.train_labels)
        self.start, self.orders = self.count, None

    def next(self, running: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images (n, B, C, H, W) and labels (n, B) of the networks that still run."""
        images, labels = self.dataset.train_images, self.dataset.train_labels
        if self.start + self.size > self.count:
            orders = [torch.randperm(self.count, generator=draw) for draw in self.generators]
            self.orders, self.start = torch.stack(orders).to(images.device), 0  # (N, count)
        chosen = self.orders[list(running), self.start : self.start + self.size].flatten()  # (n B,)
        self.start += self.size
        shape = (len(running), self.size)
        return self.dataset.normalise(images[chosen]).unflatten(0, shape), labels[chosen].unflatten(0, shape)


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each network, (n,), of logits (n, B, classes)."""
    each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view_as(labels).mean(1)


class _Descent:
    """Stochastic gradient descent on the networks of some jobs, PyTorch's form, each network with its own settings."""

    def __init__(self, members: Sequence[_Member]):
        self.velocity: dict[str, Tensor] = {}  # stacked as the parameters
        self._take(members)

    def _take(self, members: Sequence[_Member]) -> None:
        jobs = [member.job for member in members]
        self.members, self.nets = list(members), BatchedLeNets([job.model for job in jobs])
        own = [parameter_rates(j.model, j.learning_rate, j.other_learning_rate, j.rates) for j in jobs]
        self.rates = {name: self._by_network(name, [rates.get(name) for rates in own]) for name in self.nets.parameters}
        self.momentum = {name: self._by_network(name, [j.momentum for j in jobs]) for name in self.nets.parameters}
        self.decay = {name: self._by_network(name, [j.weight_decay for j in jobs]) for name in self.nets.parameters}
        self.with_momentum = any(job.momentum for job in jobs)
        self.with_decay = any(job.weight_decay for job in jobs)

    def _by_network(self, name: str, values: Sequence[float | None]) -> Tensor:
        """One number for each network that has the parameter, (n, 1, ...), to multiply its stack."""
        stack = self.nets.parameters[name]
        return stack.new_tensor([values[i] for i in self.nets.holders[name]]).view(-1, *[1] * (stack.ndim - 1))

    def step(self, losses: Tensor, sound: Sequence[int], number: int) -> None:
        """Descend one step in the networks at the ``sound`` places; the others stay as they are."""
        if not sound:
            return
        self.nets.zero_gradients()
        losses[list(sound)].sum().backward()
        for place in sound:
            adjust = self.members[place].job.adjust
            if adjust is not None:
                self.nets.unstack(place)
                adjust(self.nets.models[place], number)
                self.nets.take_gradients(place)
        for name in self.nets.parameters:
            self._move(name, set(sound))

    @torch.no_grad()
    def _move(self, name: str, sound: set[int]) -> None:
        stack, rates = self.nets.parameters[name], self.rates[name]
        direction = stack.grad
        if self.with_decay:
            direction = direction + self.decay[name] * stack
        if self.with_momentum:
            direction = direction + self.momentum[name] * self.velocity.get(name, torch.zeros_like(stack))
            self.velocity[name] = direction
        moves = torch.tensor([i in sound for i in self.nets.holders[name]], device=stack.device).view_as(rates)
        # A product with rate 0 would not do: 0 times a gradient that is not finite is not 0.
        stack.sub_(torch.where(moves & (rates > 0), rates * direction, 0.0))

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the networks at these places alone."""
        self.nets.release()
        self.velocity = {
            name: velocity[[i in places for i in self.nets.holders[name]]] for name, velocity in self.velocity.items()
        }
        if places:
            self._take([self.members[place] for place in places])

    def note(self, step: int, losses: Sequence[float], places: Iterable[int]) -> None:
        """Record a step of the networks at these places, with their measurements."""
        for place in places:
            self.nets.unstack(place)
            job = self.members[place].job
            measured = measure(job.model, job.measurements)
            self.members[place].rows.append({"step": step, "loss": losses[place], **measured})
