"""Error rate and loss over a split by the compiled step, where PyTorch takes longer than some epochs of training."""

from __future__ import annotations

from torch import nn

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.training.compiled.machine_code import make_ready
from bnlab.training.compiled.network import Arrays, unsupported
from bnlab.training.compiled.step import count_errors

BATCH = 64  # images at once: any number gives the same up to rounding


def evaluate_compiled(model: nn.Module, dataset: Dataset, split: str = "test") -> tuple[float, float]:
    """Error rate in [0, 1] and mean cross-entropy in nats over a split, of a network in eval mode.

    As `training.evaluate`, up to rounding.

    Raises:
        ValueError: a network in train mode or that the compiled step cannot compute, an unknown split, images that the
            network does not take.
    """
    checks.choice("split", split, ("train", "test"))
    if (reason := unsupported(model)) is not None:
        raise ValueError(f"the compiled step cannot compute this network: {reason}")
    if model.training:
        raise ValueError("model: it is in train mode; model.eval() first")
    make_ready()
    arrays = Arrays(model, dataset, split, BATCH, training=False)
    wrong, loss = count_errors(arrays.bound(), BATCH)
    count = len(arrays.images.labels)
    return wrong / count, loss / count
