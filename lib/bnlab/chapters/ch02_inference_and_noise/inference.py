"""Chapter 02, statistics at inference (encyclopedia article, "Inference Phase"): parameters -> tidy tables.

How far are the logits that a LeNet computes with moving averages from those with the exact statistics of its training
set, while the learning rate is decayed in stages? A moving average is wrong in three ways: it remembers its start, it
lags behind weights that move (drift), and it averages few mini-batches (noise). The rate governs the second alone.

The moving averages are computed after the run from a log of the batch statistics (`layers.inference.moving_average`),
so that one run serves every decay. What of the chapter concerns regularisation and speed is in `regularisation`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from bnlab.chapters.ch02_inference_and_noise import limits, regularisation
from bnlab.datasets import Dataset
from bnlab.layers.inference import moving_average
from bnlab.layers.population import exact_statistics
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.training.train import train

SCHEDULES = {"decayed": "decayed in stages", "constant": "constant"}
UNITS = {"schedule": "name", "m": "images", "seed": "index", "stage": "index", "rate": "learning rate",
         "decay": "weight of the old", "mismatch": "standard deviations of the logits", "error": "fraction",
         "exact_error": "fraction", "diverged": "bool"}  # fmt: skip
EXACT = "exact, over the training set"
TRACK_UNITS = {"step": "gradient steps", "series": "name", "value": "standard deviations of the input"}


def parts(
    dataset: Dataset,
    training_images: int = 256,
    compared_images: int = 64,
    stage_rates: Sequence[float] = (0.3, 0.03, 0.003),
    stage_steps: int = 40,
    batch_sizes: Sequence[int] = (4, 16, 48),
    decays: Sequence[float] = (0.9, 0.99),
    gap_images: int = 200,
    gap_batch_size: int = 16,
    gap_rate: float = 0.03,
    gap_epochs: int = 60,
    target_loss: float = 0.05,
    race_rates: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0),
    race_steps: int = 200,
    race_error: float = 0.1,
    seeds: int = 5,
    seed: int = 0,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 02 by name, each with the function that makes it. The defaults are the quick scale.

    Args:
        dataset: 32 x 32 images.
        training_images: of which statistics at inference are the population.
        compared_images: test images whose logits are compared.
        stage_rates: learning rates of the stages, in order.
        stage_steps: gradient steps a stage.
        batch_sizes: of the training; the middle one also runs at the first rate throughout.
        decays: of the moving averages.
        gap_images: training images where regularisation is measured.
        gap_batch_size: images a mini-batch there, a multiple of `regularisation.GROUP`.
        gap_rate: learning rate there.
        gap_epochs: passes over them, at most.
        target_loss: the training loss (nats) at which arms are compared.
        race_rates: learning rates of the race with and without BN.
        race_steps: gradient steps, at most.
        race_error: share of wrong test images that ends a race.
        seeds: paired runs, from ``seed`` on.
        seed: the first.

    Raises:
        ValueError: one of the `limits` is not kept, before anything runs.
    """
    asked = training_images, compared_images, batch_sizes, gap_images, gap_batch_size
    for kept, name, value, right in limits.of(dataset, *asked):
        if not kept:
            raise ValueError(f"{name} = {value!r} cannot be used: it must be {right}")
    numbers = range(seed, seed + seeds)
    runs = partial(staged_runs, dataset, training_images, compared_images, stage_rates, stage_steps)
    middle = sorted(batch_sizes)[len(batch_sizes) // 2]
    return {
        "mismatch_decayed": lambda: runs(batch_sizes, decays, numbers, "decayed"),
        "mismatch_constant": lambda: runs([middle], decays, numbers, "constant"),
        "tracks": lambda: tracks(dataset, training_images, stage_rates, stage_steps, middle, decays, seed),
        **regularisation.parts(
            *(dataset, gap_images, gap_batch_size, gap_rate, gap_epochs, target_loss),
            *(race_rates, race_steps, race_error, numbers),
        ),
    }


def staged_runs(
    dataset: Dataset,
    training_images: int,
    compared_images: int,
    rates: Sequence[float],
    steps: int,
    batch_sizes: Sequence[int],
    decays: Sequence[float],
    seeds: Sequence[int],
    schedule: str,
) -> pd.DataFrame:
    """Train in stages and compare at the end of each; one row a mini-batch size, seed, stage and decay.

    ``mismatch`` is the mean of |logit by moving averages - logit by exact statistics| over test images and classes, in
    units of the standard deviation of the latter; nan once a run has diverged.
    """
    rows = []
    for seed in seeds:
        data = dataset.subset(training_images, compared_images, seed)
        for m in batch_sizes:
            for stage, (rate, model, log, diverged) in enumerate(stages(data, rates, steps, m, seed, schedule)):
                exact, averages = _logits_of(model, log, decays, data, diverged)
                for decay, logits in zip(decays, averages, strict=True):
                    off = ((logits - exact).abs().mean() / exact.std()).item()
                    errors = [_error(values, data) for values in (logits, exact)]
                    rows.append((SCHEDULES[schedule], m, seed, stage, rate, decay, off, *errors, diverged))
    return table(rows, UNITS)


def stages(
    data: Dataset, rates: Sequence[float], steps: int, m: int, seed: int, schedule: str
) -> Iterator[tuple[float, LeNet, dict[str, list[Tensor]], bool]]:
    """Train a LeNet stage by stage; after each: the rate, the model, the log of its batch statistics, whether it broke.

    The log has, by the name of the buffer ("norm1.running_mean"), what each mini-batch would have added to it.
    """
    model = LeNet(data.train_images.shape[1], len(data.classes), "batch", generator=generator(seed, "initialisation"))
    model = model.to(data.train_images.device)
    log = log_batch_statistics(model)
    order, diverged = generator(seed, "order of mini-batches"), False
    for rate in rates if schedule == "decayed" else [rates[0]] * len(rates):
        if not diverged:
            run = train(model, data, learning_rate=rate, steps=steps, batch_size=m, generator=order)
            diverged = run.diverged
        yield rate, model, log, diverged


def log_batch_statistics(model: nn.Module) -> dict[str, list[Tensor]]:
    """Log the mean and unbiased variance of every mini-batch at every `nn.BatchNorm2d`, by the name of its buffer.

    With momentum 1 (decay 0) the running statistics *are* those of the last mini-batch, which costs nothing to read.
    """
    log: dict[str, list[Tensor]] = {}
    for name, norm in model.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
            means, variances = log.setdefault(f"{name}.running_mean", []), log.setdefault(f"{name}.running_var", [])

            def note(norm, _, output, means=means, variances=variances):
                if norm.training:
                    means.append(norm.running_mean.clone())
                    variances.append(norm.running_var.clone())

            norm.register_forward_hook(note)
    return log


def with_moving_averages(model: nn.Module, log: dict[str, list[Tensor]], decay: float) -> nn.Module:
    """Copy of the model with the moving averages of the log as its running statistics, from PyTorch's start of 0, 1."""
    averaged = copy.deepcopy(model)
    for name, batches in log.items():
        buffer = averaged.get_buffer(name)
        start = torch.zeros_like(buffer) if name.endswith("mean") else torch.ones_like(buffer)
        buffer.copy_(moving_average(torch.stack(batches), start, decay))
    return averaged


def with_exact_statistics(model: nn.Module, data: Dataset) -> nn.Module:
    """Copy of the model with the exact statistics of the training split."""
    exact = copy.deepcopy(model)
    exact_statistics(exact, partial(passes, data))
    return exact


def passes(data: Dataset, batch_size: int = 1024) -> Iterator[Tensor]:
    """One pass over all training images in their stored order, batch by batch."""
    size = min(batch_size, len(data.train_labels))
    return (images for images, _ in data.batches(size, None, drop_last=False))


@torch.no_grad()
def test_logits(model: nn.Module, data: Dataset) -> Tensor:
    """Logits of all test images in eval mode, (N, classes)."""
    model.eval()
    size = min(1024, len(data.test_labels))
    return torch.cat([model(images) for images, _ in data.batches(size, None, split="test", drop_last=False)])


def tracks(
    dataset: Dataset,
    training_images: int,
    rates: Sequence[float],
    steps: int,
    m: int,
    decays: Sequence[float],
    seed: int,
) -> pd.DataFrame:
    """One channel's mean during a decayed run: of each mini-batch, by each moving average, and exactly at stage ends.

    The channel is the first of the second convolution. ``value`` is in units of the channel's final exact deviation.
    """
    data, rows = dataset.subset(train=training_images, seed=seed), []
    deviation, log = 1.0, {}
    for stage, (_, model, log, diverged) in enumerate(stages(data, rates, steps, m, seed, "decayed"), 1):  # noqa: B007
        if not diverged:
            exact = with_exact_statistics(model, data).norm2
            rows.append((stage * steps, EXACT, exact.running_mean[0].item()))
            deviation = exact.running_var[0].sqrt().item()
    batches = torch.stack(log["norm2.running_mean"])[:, :1]  # (T, 1)
    rows += [(step, "mini-batch", value) for step, value in enumerate(batches[:, 0].tolist(), 1)]
    for decay in decays:
        for step in range(1, len(batches) + 1):
            average = moving_average(batches[:step], torch.zeros_like(batches[0]), decay)
            rows.append((step, f"moving average, decay {decay:g}", average.item()))
    return table([(step, series, value / deviation) for step, series, value in rows], TRACK_UNITS)


def _logits_of(model, log, decays, data, diverged):
    if diverged:
        lost = torch.full((len(data.test_labels), len(data.classes)), torch.nan, device=data.test_labels.device)
        return lost, [lost] * len(decays)
    averages = [test_logits(with_moving_averages(model, log, decay), data) for decay in decays]
    return test_logits(with_exact_statistics(model, data), data), averages


def _error(logits: Tensor, data: Dataset) -> float:
    return (logits.argmax(1) != data.test_labels).double().mean().item()
