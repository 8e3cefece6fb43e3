"""Whole trainings by the epoch: momentum, a rate that falls in steps, augmentation, checkpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.datasets.augmentation import crop_and_flip
from bnlab.randomness import generator
from bnlab.training.stable_rates import is_diverged
from bnlab.training.train import TrainingRun, check_rates, evaluate

FALL = 0.1  # factor of the rate at each drop


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are those of He et al. 2016 for CIFAR-10, which Bjorck et al. 2018 take.

    ``drops``: shares of the training after which the rate falls tenfold (their 32,000 and 48,000 of 64,000 steps).
    ``augment``: crops of images padded by 4 pixels, mirrored at random. ``bfloat16``: the network computes under
    autocast. ``channels_last``: memory layout.
    """

    learning_rate: float
    epochs: int
    batch_size: int = 128
    momentum: float = 0.9
    weight_decay: float = 1e-4
    drops: tuple[float, ...] = (0.5, 0.75)
    augment: bool = True
    bfloat16: bool = False
    channels_last: bool = True

    def __post_init__(self):
        """Refuse what cannot be trained with, in one line."""
        check_rates(self.learning_rate, None, self.momentum, self.weight_decay)
        checks.whole("epochs", self.epochs)
        checks.whole("batch_size", self.batch_size)
        for share in self.drops:
            checks.number("drops", share, above=0, below=1, hint="a share of the training")


def train_epochs(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    evaluations: int = 10,
    checkpoint: Path | None = None,
) -> TrainingRun:
    """Train in place by SGD on the cross-entropy, for a number of epochs, until it diverges (`stable_rates.descend`).

    Args:
        model: images (B, C, H, W) to logits (B, classes), on the data set's device.
        dataset: its training split is drawn batch by batch, epoch after epoch.
        recipe: rate, length and the rest.
        seed: of the order of mini-batches and of the augmentation.
        evaluations: looks at the whole of both splits, in eval mode and without augmentation, equally far apart; the
            last one is at the end.
        checkpoint: file that keeps the state after every epoch; a run that finds it goes on from there, on a CPU to the
            same bits. It is left where it is: a finished run is not repeated.

    Returns:
        ``history``: a row a look: epoch, learning_rate (of that epoch), loss (nats, mean of that epoch's batches as
        they were trained on), train_accuracy and test_accuracy, train_loss and test_loss (nats). A run that diverges
        ends with a row of its own: the loss that did it, accuracies and losses of the splits nan.

    Raises:
        ValueError: fewer than one look, or a checkpoint that is damaged or another run's.
    """
    checks.whole("evaluations", evaluations)
    run = _Run(model, dataset, recipe, seed)
    looks = {math.ceil(recipe.epochs * k / evaluations) for k in range(1, evaluations + 1)}
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    while run.epoch < recipe.epochs and not run.diverged:
        run.train_one_epoch(look_after=run.epoch + 1 in looks)
        if checkpoint is not None:
            run.save(checkpoint)
    return TrainingRun(pd.DataFrame(run.rows), run.diverged)


@dataclass
class _Run:
    """A training under way: all that decides how it goes on."""

    model: nn.Module
    dataset: Dataset
    recipe: Recipe
    seed: int
    epoch: int = 0  # finished ones
    first_loss: float = math.nan
    diverged: bool = False
    rows: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self):
        recipe = self.recipe
        if recipe.channels_last:
            self.model.to(memory_format=torch.channels_last)
        settings = {"momentum": recipe.momentum, "weight_decay": recipe.weight_decay}
        self.optimiser = torch.optim.SGD(self.model.parameters(), lr=recipe.learning_rate, **settings)
        self.schedule = torch.optim.lr_scheduler.MultiStepLR(
            self.optimiser, [round(recipe.epochs * share) for share in recipe.drops], FALL
        )
        drops = {**asdict(recipe), "drops": list(recipe.drops)}  # as a checkpoint gives it back
        self.identity = {"recipe": drops, "seed": self.seed, "data": self.dataset.checksum}
        self.generators = {name: generator(self.seed, name) for name in ("order of mini-batches", "augmentation")}

    def train_one_epoch(self, look_after: bool) -> None:
        """One pass over the training images, cut short by a loss that diverged."""
        rate, losses = self.schedule.get_last_lr()[0], []
        self.model.train()
        for images, labels in self.dataset.batches(self.recipe.batch_size, self.generators["order of mini-batches"]):
            if self.recipe.augment:
                images = crop_and_flip(images, self.generators["augmentation"])
            with self._precision():
                loss = functional.cross_entropy(self.model(images), labels)  # (B, C, H, W), (B,)
            losses.append(loss.item())
            self.first_loss = losses[0] if math.isnan(self.first_loss) else self.first_loss
            if is_diverged(losses[-1], self.first_loss):
                self.diverged = True
                self.rows.append(self._row(rate, losses[-1], (math.nan,) * 4))
                return
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        self.schedule.step()
        self.epoch += 1
        if look_after:
            self.rows.append(self._row(rate, sum(losses) / len(losses), self._look()))

    def _row(self, rate: float, loss: float, look: tuple[float, ...]) -> dict[str, float]:
        names = ("train_accuracy", "train_loss", "test_accuracy", "test_loss")
        epoch = self.epoch + 1 if self.diverged else self.epoch
        return {"epoch": epoch, "learning_rate": rate, "loss": loss, **dict(zip(names, look, strict=True))}

    def _look(self) -> tuple[float, ...]:
        self.model.eval()
        with self._precision():
            (train, train_loss), (test, test_loss) = (evaluate(self.model, self.dataset, s) for s in ("train", "test"))
        return 1 - train, train_loss, 1 - test, test_loss

    def _precision(self) -> torch.autocast:
        device = self.dataset.train_images.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.recipe.bfloat16)

    def save(self, path: Path) -> None:
        """Write the state in one step: a kill at any moment leaves the earlier file or this one."""
        state = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generators": {name: rng.get_state() for name, rng in self.generators.items()},
            "progress": {name: getattr(self, name) for name in PROGRESS},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def restore(self, path: Path) -> None:
        """Take the state of a checkpoint over."""
        try:
            state = torch.load(path, map_location=self.dataset.train_images.device, weights_only=True)
            identity = state["identity"]
        except Exception as error:
            raise ValueError(f"checkpoint: {path} cannot be read ({type(error).__name__}); delete it") from error
        if identity != self.identity:
            raise ValueError(f"checkpoint: {path} is another run's; delete it, or name another file")
        self._take(state)

    def _take(self, state: Mapping) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        for name, rng in self.generators.items():
            rng.set_state(state["generators"][name].cpu())
        for name in PROGRESS:
            setattr(self, name, state["progress"][name])


PROGRESS = ("epoch", "first_loss", "diverged", "rows")
