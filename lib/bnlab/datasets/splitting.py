"""Splits and subsets in which every class keeps its share, drawn by a CPU generator from the labels alone."""

import torch
from torch import Tensor


def stratified_split(labels: Tensor, generator: torch.Generator, test_share: float = 0.2) -> tuple[Tensor, Tensor]:
    """Sorted indices of a training and a test part; each class gives `test_share` of its members to the test part.

    At least one a class. `labels` are int64 `(N,)`; so are both results. A split of our own, because a library's may
    change with its version.

    >>> train, test = stratified_split(torch.tensor([0] * 10 + [1] * 5), torch.Generator().manual_seed(0))
    >>> len(train), len(test), int((test < 10).sum())
    (12, 3, 2)
    """
    train, test = [], []
    for members in _shuffled_classes(labels, generator):
        count = max(1, round(test_share * len(members)))
        test.append(members[:count])
        train.append(members[count:])
    return torch.cat(train).sort().values, torch.cat(test).sort().values


def stratified_sample(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Sorted indices of `count` members, each class in proportion; the largest remainders are rounded up.

    `labels` are int64 `(N,)`, 1 <= count <= N. A larger sample of the same seed holds nearly all of a smaller one.

    >>> labels = torch.tensor([0, 0, 0, 0, 1, 1])
    >>> labels[stratified_sample(labels, 3, torch.Generator().manual_seed(0))]
    tensor([0, 0, 1])
    """
    classes = _shuffled_classes(labels, generator)
    quotas = [divmod(count * len(members), len(labels)) for members in classes]  # in integers: no rounding to differ
    sizes = [whole for whole, _ in quotas]
    by_remainder = sorted(range(len(classes)), key=lambda c: -quotas[c][1])
    for c in by_remainder[: count - sum(sizes)]:
        sizes[c] += 1
    return torch.cat([members[:size] for members, size in zip(classes, sizes, strict=True)]).sort().values


def _shuffled_classes(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
    members = [torch.nonzero(labels == c).flatten() for c in labels.unique().tolist()]
    return [m[torch.randperm(len(m), generator=generator)] for m in members]
