"""One training run: stochastic gradient descent on a classification network, watched by measurements handed in."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab import checks
from bnlab.datasets import Dataset

# A loss that is not a number, or this many times the loss of guessing, is not coming back (Bjorck et al. 2018, Sec. 3,
# call a mini-batch loss above 1e3 diverged; our small networks guess at ln 10 = 2.3).
DIVERGED = 1e3

# A number, or several by name that one look at the model gives together.
Measurement = Callable[[nn.Module], float | Mapping[str, float]]


@dataclass(frozen=True)
class Job:
    """One network and what training needs to know of it alone: the arguments of `train` by the same names."""

    model: nn.Module
    generator: torch.Generator
    learning_rate: float
    other_learning_rate: float | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    adjust: Callable[[nn.Module, int], None] | None = None
    measurements: Mapping[str, Measurement] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingRun:
    """What a run leaves besides the trained model.

    ``history``: one row a recorded step: step (gradient steps done), loss (nats, of the batch of that step; at step 0
    of the first batch before any step), one column a measurement. ``diverged``: stopped early because the loss was.
    """

    history: pd.DataFrame
    diverged: bool


def train(
    model: nn.Module,
    dataset: Dataset,
    *,
    learning_rate: float,
    steps: int,
    batch_size: int,
    generator: torch.Generator,
    other_learning_rate: float | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    rates: Mapping[str, float] | None = None,
    adjust: Callable[[nn.Module, int], None] | None = None,
    record_at: Iterable[int] = (),
    measurements: Mapping[str, Measurement] | None = None,
) -> TrainingRun:
    """Train in place by SGD on the cross-entropy, for a number of steps, in train mode.

    Args:
        model: images (B, C, H, W) to logits (B, classes), on the data set's device.
        dataset: its training split is drawn batch by batch, epoch after epoch.
        learning_rate: of the convolution weights; of everything if ``other_learning_rate`` is None.
        steps: gradient steps.
        batch_size: images a step.
        generator: CPU generator that draws the order, so that paired runs see the same batches.
        other_learning_rate: of all parameters but convolution weights (Chai et al. 2020, Sec. 3.3: 0.1).
        momentum: heavy-ball momentum, PyTorch's form.
        weight_decay: L2 coefficient, PyTorch's form.
        rates: rates of their own for the parameters whose names begin so, {"fc": 0.01}; 0 freezes them.
        adjust: called as ``adjust(model, step)`` after each backward pass, before the update; may change gradients.
        record_at: steps after which to record; the last step is always recorded.
        measurements: named functions of the model, called at every recorded step in eval mode, without gradients; one
            that returns a mapping adds a column for each of its names.

    Raises:
        ValueError: a rate, a number of steps or a batch size that is not positive; a momentum or weight decay that is
            negative; in ``rates`` a beginning that no parameter's name has.
    """
    check_rates(learning_rate, other_learning_rate, momentum, weight_decay)
    check_length(steps, batch_size)
    groups = parameter_groups(model, learning_rate, other_learning_rate, rates)
    optimiser = torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, weight_decay=weight_decay)
    wanted, rows, diverged = {*record_at, steps}, [], False
    model.train()
    for step, (images, labels) in zip(range(1, steps + 1), _endless(dataset, batch_size, generator), strict=False):
        loss = functional.cross_entropy(model(images), labels)  # (B, C, H, W), (B,)
        if step == 1 and 0 in wanted:
            rows.append({"step": 0, "loss": loss.item(), **measure(model, measurements)})
        diverged = not math.isfinite(loss.item()) or loss.item() > DIVERGED
        if not diverged:
            model.zero_grad(set_to_none=True)  # not the optimiser's: frozen parameters are in none of its groups
            loss.backward()
            if adjust is not None:
                adjust(model, step)
            optimiser.step()
        if diverged or step in wanted:
            rows.append({"step": step, "loss": loss.item(), **measure(model, measurements)})
        if diverged:
            break
    return TrainingRun(pd.DataFrame(rows), diverged)


def train_job(job: Job, dataset: Dataset, *, steps: int, batch_size: int, record_at: Iterable[int] = ()) -> TrainingRun:
    """Train a job's network in place, alone, as `train` does."""
    return train(
        job.model,
        dataset,
        learning_rate=job.learning_rate,
        steps=steps,
        batch_size=batch_size,
        generator=job.generator,
        other_learning_rate=job.other_learning_rate,
        momentum=job.momentum,
        weight_decay=job.weight_decay,
        rates=job.rates,
        adjust=job.adjust,
        record_at=record_at,
        measurements=job.measurements,
    )


def check_rates(learning_rate: float, other_learning_rate: float | None, momentum: float, weight_decay: float) -> None:
    """Raise ValueError, naming it, for a rate that is not positive, or a momentum or weight decay that is negative."""
    checks.number("learning_rate", learning_rate, above=0)
    if other_learning_rate is not None:
        checks.number("other_learning_rate", other_learning_rate, above=0)
    checks.number("momentum", momentum, least=0)
    checks.number("weight_decay", weight_decay, least=0)


def check_length(steps: int, batch_size: int) -> None:
    """Raise ValueError, naming it, for a number of steps or a batch size that is no whole number of at least 1."""
    checks.whole("steps", steps)
    checks.whole("batch_size", batch_size)


def parameter_groups(
    model: nn.Module, learning_rate: float, others: float | None = None, rates: Mapping[str, float] | None = None
) -> list[dict]:
    """Split parameters by their rate, as an optimiser of torch takes them; those of rate 0 are in no group."""
    by_rate: dict[float, list] = {}
    for name, rate in parameter_rates(model, learning_rate, others, rates).items():
        if rate > 0:
            by_rate.setdefault(rate, []).append(model.get_parameter(name))
    return [{"params": params, "lr": rate} for rate, params in by_rate.items()]


def parameter_rates(
    model: nn.Module, learning_rate: float, others: float | None = None, rates: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Give every parameter's learning rate by its name.

    Convolution weights have ``learning_rate``, all the rest ``others`` (the same rate if None), except where a name
    begins with one of ``rates``.

    Raises:
        ValueError: a rate that is negative or not finite, or a beginning that no parameter's name has.
    """
    swept = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    own, rest = float(learning_rate), float(learning_rate if others is None else others)
    found = {name: own if name in swept else rest for name, _ in model.named_parameters()}
    for beginning, rate in (rates or {}).items():
        names = [name for name in found if name.startswith(beginning)]
        if not names:
            raise ValueError(f"rates: no parameter's name begins with {beginning!r}; there are {', '.join(found)}.")
        found.update(dict.fromkeys(names, checks.number(f"rates[{beginning!r}]", rate, least=0, hint="0 freezes")))
    return found


@torch.no_grad()
def measure(model: nn.Module, measurements: Mapping[str, Measurement] | None) -> dict[str, float]:
    """Call each measurement in eval mode, then give the model back in the mode it was in."""
    if not measurements:
        return {}
    training = model.training
    model.eval()
    found: dict[str, float] = {}
    try:
        for name, function in measurements.items():
            value = function(model)
            found.update(
                {key: float(v) for key, v in value.items()} if isinstance(value, Mapping) else {name: float(value)}
            )
    finally:
        model.train(training)
    return found


@torch.no_grad()
def error_rate(model: nn.Module, dataset: Dataset, split: str = "test", batch_size: int = 256) -> float:
    """Share of wrongly classified images of a split, in [0, 1], in the model's present mode."""
    return evaluate(model, dataset, split, batch_size)[0]


@torch.no_grad()
def evaluate(model: nn.Module, dataset: Dataset, split: str = "test", batch_size: int = 256) -> tuple[float, float]:
    """Error rate in [0, 1] and mean cross-entropy in nats over a split, in the model's present mode."""
    wrong, loss, count = 0, 0.0, 0
    size = min(batch_size, len(dataset.test_labels if split == "test" else dataset.train_labels))
    for images, labels in dataset.batches(size, None, split=split, drop_last=False):
        logits = model(images)  # (B, classes)
        wrong += int((logits.argmax(1) != labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
        count += len(labels)
    return wrong / count, loss / count


def _endless(dataset: Dataset, batch_size: int, generator: torch.Generator) -> Iterable[tuple[Tensor, Tensor]]:
    while True:
        yield from dataset.batches(batch_size, generator)
