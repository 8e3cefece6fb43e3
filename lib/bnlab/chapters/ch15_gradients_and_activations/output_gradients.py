"""The loss's derivative by the outputs, softmax minus one-hot, without the cancellation that hides its signs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bnlab import checks


def output_gradients(logits: Tensor, labels: Tensor) -> Tensor:
    """dJ_b/dO_bj = p_bj - [j = label_b] for each image's own cross-entropy, (B, C) float64.

    The entry of the label is minus the sum of the others, which is exact where 1 - p is not; entries below 1e-308 are
    0. What is not finite in the logits is not finite here.

    >>> output_gradients(torch.tensor([[40.0, 0.0]]), torch.tensor([0])).tolist()[0][1] > 0
    True

    Raises:
        ValueError: logits that are not (B, C) of at least two classes, or labels that are not theirs.
    """
    own = _own(logits, labels)
    p = logits.double().softmax(1).masked_fill(own, 0)
    return p - own * p.sum(1, keepdim=True)


def log_misplaced(logits: Tensor, labels: Tensor) -> Tensor:
    """ln(1 - p_b,label), (B,) float64: the logarithm of the modulus of the label's derivative, however small.

    Finite for finite logits: in exact arithmetic the derivative is never 0.

    >>> log_misplaced(torch.tensor([[2000.0, 0.0]]), torch.tensor([0])).tolist()
    [-2000.0]

    Raises:
        ValueError: as `output_gradients`.
    """
    own = _own(logits, labels)
    wide = logits.double()
    return wide.masked_fill(own, -torch.inf).logsumexp(1) - wide.logsumexp(1)


def _own(logits: Tensor, labels: Tensor) -> Tensor:
    checks.tensor("logits", logits, "(B, C)", 2, finite=False)
    if logits.shape[1] < 2:
        raise ValueError(f"logits: shape {tuple(logits.shape)} has no second class")
    if labels.shape != logits.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(f"labels: {labels.dtype} of shape {tuple(labels.shape)} are not int64 of ({len(logits)},)")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise ValueError(f"labels: they are not all of 0 to {logits.shape[1] - 1}")
    return functional.one_hot(labels, logits.shape[1]).bool()
