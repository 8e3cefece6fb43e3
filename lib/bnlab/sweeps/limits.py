"""Limits of what a recording was given, checked before its first part: lists of rates, images beside mini-batches.

What a grid or a data set would refuse hours later is refused at once, by the name of the parameter that was given.
"""

from __future__ import annotations

from collections.abc import Sequence

from bnlab import checks
from bnlab.datasets import Dataset


def distinct(name: str, values: Sequence) -> None:
    """Refuse a list that is empty or holds a value twice.

    >>> distinct("methods", ["none", "none"])
    Traceback (most recent call last):
        ...
    ValueError: methods = ['none', 'none'] holds a value twice

    Raises:
        ValueError: in one line.
    """
    if len(values) == 0:
        raise ValueError(f"{name} = {values!r} must be a list of at least one value")
    if len(set(values)) < len(values):
        raise ValueError(f"{name} = {values!r} holds a value twice")


def rates_of_a_sweep(name: str, values: Sequence[float]) -> None:
    """Refuse a list of rates that is empty, holds one twice, or one that is not positive and finite.

    Raises:
        ValueError: in one line.
    """
    distinct(name, values)
    for value in values:
        checks.number(name, value, above=0)


def enough_images(dataset: Dataset, size: int, name: str = "dataset") -> None:
    """Refuse a data set with fewer training images than a mini-batch, or a probe, of so many takes.

    Raises:
        ValueError: it names ``name``, the parameter that asks for them.
    """
    there = len(dataset.train_labels)
    if there < size:
        raise ValueError(f"{name}: {size} images are more than the {there} that {dataset.title} has to train on")
