"""A fully connected layer whose gradient is preconditioned as a normalised input would do it, its output untouched.

Lange, Helfrich and Ye (2022, "Batch Normalization Preconditioning"): descent on the weights of a layer whose *input*
h is normalised, xhat = (h - mu) / s, is descent on the plain layer's weights with a preconditioned gradient. So one can
have the one without the other: the same step, and no normalisation in the forward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab import checks
from bnlab.layers.batchnorm import batch_statistics


def preconditioned_gradients(errors: Tensor, inputs: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """P P^T times the gradient of (bias, weights), P = [[1, -mu^T D], [0, D]], D = diag(1 / sqrt(s2 + eps)).

    With the normalised input, y = V D (h - mu) + c; the plain layer has W = V D and b = c - W mu. A step of descent on
    (V, c), the statistics held, moves (W, b) by what this gives: G = sum_b e (h - mu)^T D^2, and sum_b e - G mu.

    >>> weights, bias = preconditioned_gradients(torch.tensor([[1.0], [0.0]]), torch.tensor([[1.0], [5.0]]), eps=0)
    >>> weights, bias
    (tensor([[-0.5000]]), tensor([2.5000]))

    Args:
        errors: e = dJ/dy, (B, OC).
        inputs: h, (B, K), whose mean mu and biased variance s2 over the batch normalise.
        eps: added to the variance.

    Returns:
        (OC, K) and (OC,). An input that is the same for the whole batch gets no step, if eps is above 0.

    Raises:
        ValueError: not two tables of the same images and dtype, or a negative eps.
    """
    checks.tensor("errors", errors, "(B, OC)", 2, finite=False)
    checks.tensor("inputs", inputs, "(B, K)", 2, finite=False)
    checks.alike(errors=errors, inputs=inputs)
    checks.number("eps", eps, least=0)
    if len(errors) != len(inputs):
        raise ValueError(f"errors: {len(errors)} images beside {len(inputs)} of inputs")
    statistics = batch_statistics(inputs)
    weights = errors.mT @ statistics.centred / (statistics.variance + eps)
    return weights, errors.sum(0) - weights @ statistics.mean


class _Preconditioned(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h, weight, bias, eps):
        ctx.save_for_backward(h, weight)
        ctx.eps = eps
        return functional.linear(h, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, errors):  # (B, OC)
        h, weight = ctx.saved_tensors
        return errors @ weight, *preconditioned_gradients(errors, h, ctx.eps), None


class PreconditionedLinear(nn.Linear):
    """y = W h + b for h (B, K), with `preconditioned_gradients` for its weights by the statistics of the batch.

    The error that goes on to the layer below is the plain one. In eval mode a plain linear layer, its gradient too.

    Args:
        in_features: K.
        out_features: OC.
        eps: added to the variance.
        device: as in torch.nn.Linear.
        dtype: as in torch.nn.Linear.

    Raises:
        ValueError: a size or eps out of range; an input that is not (B, K), or in train mode of one image.
    """

    def __init__(self, in_features: int, out_features: int, eps: float = 1e-5, device=None, dtype=None):
        sizes = (checks.whole("in_features", in_features), checks.whole("out_features", out_features))
        super().__init__(*sizes, device=device, dtype=dtype)
        self.eps = checks.number("eps", eps, least=0)

    def forward(self, h: Tensor) -> Tensor:
        """Map h (B, K) to (B, OC)."""
        checks.tensor("h", h, f"(B, {self.in_features})", 2, finite=False)
        if h.shape[1] != self.in_features or (self.training and len(h) < 2):
            raise ValueError(
                f"h: shape {tuple(h.shape)} is not (B, {self.in_features}), with B of 2 or more in training"
            )
        checks.fits("h", h, self.weight.dtype)
        if not self.training:
            return functional.linear(h, self.weight, self.bias)
        return _Preconditioned.apply(h, self.weight, self.bias, self.eps)
