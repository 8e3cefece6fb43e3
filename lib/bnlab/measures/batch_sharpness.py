"""Curvature that mini-batch gradients meet along themselves: the batch sharpness of Andreyev and Beneventano 2024."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from bnlab.measures.surface import Loss, LossSurface


def batch_sharpness(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss) -> float:
    """E[g' H g] / E||g||^2 over mini-batches, g and H the gradient and Hessian of each batch's own loss.

    One step of SGD of rate eta on a batch lowers the loss of that batch to second order if g' H g < (2 / eta) ||g||^2.
    The network is in train mode; nothing of it is changed.

    Args:
        model: inputs to outputs.
        batches: (inputs, targets).
        loss: ``loss(outputs, targets)`` is a single number.

    >>> from torch.nn import functional
    >>> import torch
    >>> line = nn.Linear(1, 1, bias=False)  # of (w x)^2 the second derivative is 2 x^2
    >>> round(batch_sharpness(line, [(torch.full((1, 1), 3.0), torch.zeros(1, 1))], functional.mse_loss), 4)
    18.0

    Raises:
        ValueError: no batch, all gradients zero, or what `surface.LossSurface` refuses.
    """
    along, squares = 0.0, 0.0
    for inputs, targets in batches:
        surface = LossSurface(model, inputs, targets, loss)
        gradient = surface.gradient()
        along += float(gradient.double() @ surface.product(gradient).double())
        squares += float(gradient.double().square().sum())
    if not squares:
        raise ValueError("batches: there is none, or all their gradients are zero")
    return along / squares
