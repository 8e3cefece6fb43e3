"""One door to training many networks: which engine makes the runs, in which processes, is one argument.

"torch" is `train.train_job`, which takes any network. "numba" is the compiled step, for a LeNet on a CPU core, several
times as fast. "cuda" is one batched computation for a GPU. All see the same mini-batches and differ by rounding.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.models.lenet import LeNet
from bnlab.training.memory import is_out_of_memory
from bnlab.training.train import Job, TrainingRun, check_length, train_job
from bnlab.training.train import evaluate as evaluate_by_torch

ENGINES = ("torch", "numba", "cuda")
MOST_AT_ONCE = 64  # networks in one batched computation


def train_many(
    jobs: Sequence[Job],
    dataset: Dataset,
    *,
    steps: int,
    batch_size: int,
    record_at: Iterable[int] = (),
    engine: str = "auto",
    executor: Executor | None = None,
) -> list[TrainingRun]:
    """Train the networks of all jobs in place; the runs come back in order.

    Args:
        jobs: each with a network of its own, on the data set's device.
        dataset: its training split is drawn batch by batch, for each network by its own generator.
        steps: gradient steps.
        batch_size: images a step.
        record_at: steps after which to record; the last step is always recorded.
        engine: one of `ENGINES`; "auto" takes `fastest` for each network.
        executor: where the runs of "torch" and "numba" go, one task a network; without one, they run here, one after
            another. Tasks in other processes are handed copies, whose state is then taken over.

    Raises:
        ValueError: an unknown engine, or one that cannot train a network where its data lie, in one line that says
            why, before anything trains; a network that is in two jobs; what `train` refuses.
    """
    checks.choice("engine", engine, ("auto", *ENGINES))
    check_length(steps, batch_size)
    if len({id(job.model) for job in jobs}) < len(jobs):
        raise ValueError(f"jobs: {len(jobs)} must each have a network of its own")
    engines = [fastest(job.model, dataset) if engine == "auto" else engine for job in jobs]
    for job, chosen in zip(jobs, engines, strict=True):
        if (reason := refusal(chosen, job.model, dataset)) is not None:
            raise ValueError(f"engine: {chosen!r} cannot train this network: {reason}")
    length = {"steps": steps, "batch_size": batch_size, "record_at": tuple(record_at)}
    together = [place for place, chosen in enumerate(engines) if chosen == "cuda"]
    runs = dict(zip(together, _batched([jobs[place] for place in together], dataset, length), strict=True))
    alone = [place for place in range(len(jobs)) if place not in runs]
    tasks = [(_trainer(engines[place]), jobs[place]) for place in alone]
    runs |= dict(zip(alone, _one_by_one(tasks, dataset, length, executor), strict=True))
    return [runs[place] for place in range(len(jobs))]


def evaluate(model: nn.Module, dataset: Dataset, split: str = "test") -> tuple[float, float]:
    """Error rate in [0, 1] and mean cross-entropy in nats over a split, as `train.evaluate`, by the fastest engine."""
    if not model.training and fastest(model, dataset) == "numba":
        from bnlab.training.compiled.evaluation import evaluate_compiled

        return evaluate_compiled(model, dataset, split)
    return evaluate_by_torch(model, dataset, split)


def fastest(model: nn.Module, dataset: Dataset) -> str:
    """Name the engine that "auto" takes: "cuda" on a GPU and "numba" elsewhere, if they can; "torch" can always."""
    first = "cuda" if dataset.train_images.is_cuda else "numba"
    return first if refusal(first, model, dataset) is None else "torch"


def refusal(engine: str, model: nn.Module, dataset: Dataset) -> str | None:
    """Say in a few words why an engine cannot train a network on a data set; None if it can."""
    on_gpu = dataset.train_images.is_cuda
    if engine == "cuda":
        if not on_gpu:
            return "the data set is not on a GPU"
        return None if isinstance(model, LeNet) else f"{type(model).__name__} is no models.lenet.LeNet"
    if engine == "numba":
        from bnlab.training.compiled.network import unsupported  # late: numba takes a second to import

        return "the data set is on a GPU" if on_gpu else unsupported(model)
    return None


def _trainer(engine: str) -> Callable:
    if engine == "numba":
        from bnlab.training.compiled.train import train_compiled

        return train_compiled
    return train_job


def _one_by_one(tasks: Sequence, dataset: Dataset, length: dict, executor: Executor | None) -> list[TrainingRun]:
    if executor is None:
        return [trainer(job, dataset, **length) for trainer, job in tasks]
    shared = (dataset, length)  # first, and one object: pools that can send it once do so
    futures = [executor.submit(_elsewhere, shared, trainer, job) for trainer, job in tasks]
    runs = []
    try:
        for (_, job), future in zip(tasks, futures, strict=True):
            run, state = future.result()
            _restore(job, state)
            runs.append(run)
    finally:
        for future in futures:
            future.cancel()
    return runs


def _elsewhere(shared: tuple[Dataset, dict], trainer: Callable, job: Job) -> tuple[TrainingRun, tuple]:
    """Train in a worker; what is sent back is the run and the job's state."""
    dataset, length = shared
    return trainer(job, dataset, **length), _state(job)


def _batched(jobs: Sequence[Job], dataset: Dataset, length: dict) -> list[TrainingRun]:
    """Train as many at once as memory holds, at most `MOST_AT_ONCE`; what is finished is kept."""
    from bnlab.training.batched import train_batched  # late: only a GPU takes this way

    runs: list[TrainingRun] = []
    for start in range(0, len(jobs), MOST_AT_ONCE):
        runs += _halved(jobs[start : start + MOST_AT_ONCE], dataset, length, train_batched)
    return runs


def _halved(jobs: Sequence[Job], dataset: Dataset, length: dict, train_batched: Callable) -> list[TrainingRun]:
    """Train as one computation, from the start again in halves where memory does not hold it."""
    states, adjustments = [_state(job) for job in jobs], [copy.deepcopy(job.adjust) for job in jobs]
    try:
        return train_batched(jobs, dataset, **length)
    except Exception as error:
        if len(jobs) == 1 or not is_out_of_memory(error):
            raise
    if dataset.train_images.is_cuda:
        torch.cuda.empty_cache()
    for job, state in zip(jobs, states, strict=True):
        _restore(job, state)
    again = [dataclasses.replace(job, adjust=adjust) for job, adjust in zip(jobs, adjustments, strict=True)]
    middle = len(jobs) // 2
    return [run for half in (again[:middle], again[middle:]) for run in _halved(half, dataset, length, train_batched)]


def _state(job: Job) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Copies of a network's tensors, on the CPU, and of the states of all generators that a run draws from."""
    tensors = {name: tensor.detach().to("cpu", copy=True) for name, tensor in job.model.state_dict().items()}
    return tensors, [draw.get_state() for draw in _generators(job)]


def _restore(job: Job, state: tuple[dict[str, Tensor], list[Tensor]]) -> None:
    tensors, drawn = state
    for parameter in job.model.parameters():  # tensors of its own again, in place of views of a stack
        parameter.data, parameter.grad = parameter.detach().clone(), None
    job.model.load_state_dict(tensors)
    job.model.train()
    for draw, place in zip(_generators(job), drawn, strict=True):
        draw.set_state(place)


def _generators(job: Job) -> list[torch.Generator]:
    held = [getattr(module, "generator", None) for module in job.model.modules()]
    return [job.generator, *(draw for draw in held if draw is not None)]
