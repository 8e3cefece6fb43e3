"""The largest eigenvalue of the Fisher information of a whole network, without its matrix or its Jacobian.

F = J^T J / n for errors of unit variance (Karakida et al. 2019), J^T Lambda J / n with Lambda = diag(p) - p p^T for a
softmax: the matrices of `kernels.fisher_gram`, whose top eigenvalue Lanczos's iteration finds in the space of the
outputs, which is small. A product is J^T w, by one backward pass, and then J v, by one pass in forward mode.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from bnlab import checks

LIKELIHOODS = ("gaussian", "softmax")


@dataclass(frozen=True)
class FisherTop:
    """The largest eigenvalue; its residual ||F w - value w|| over the value; how many products found it."""

    value: float
    residual: float
    products: int


def fisher_top(
    model: nn.Module,
    inputs: Tensor,
    likelihood: str = "gaussian",
    *,
    tolerance: float = 1e-3,
    most: int = 50,
    generator: torch.Generator,
) -> FisherTop:
    """Find the largest eigenvalue of the Fisher information of all parameters at ``inputs`` (n, ...), in train mode.

    Derivatives pass through the batch statistics. The model, which gives logits (n, C), is copied and left as it is.
    The start is drawn by ``generator``; the iteration ends when the residual is below ``tolerance`` of the value, or
    after ``most`` products. An F of zero (a softmax that is certain of every image) has the value 0.

    >>> line = nn.Linear(2, 1, bias=False)  # F = E[xx'] = diag(2, 8)
    >>> x = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    >>> round(fisher_top(line, x, generator=torch.Generator().manual_seed(0)).value, 4)
    8.0

    Raises:
        ValueError: another likelihood, a tolerance not in (0, 1), no product; inputs that are not float32 or float64,
            or do not pass the model; logits that are not (n, C) or not finite, or depend on no parameter; a product
            that is not finite.
    """
    checks.choice("likelihood", likelihood, LIKELIHOODS)
    checks.number("tolerance", tolerance, above=0, below=1)
    checks.whole("most", most)
    checks.tensor("inputs", inputs, "(n, ...)", finite=False)
    jacobian = _Jacobian(model, inputs)
    logits = jacobian.logits.double()
    root = _softmax_root(logits) if likelihood == "softmax" else None

    def product(w: Tensor) -> Tensor:  # of the Gram matrix (n C, n C) with w, (n, C) float64
        spread = w if root is None else torch.einsum("bij,bj->bi", root, w)
        made = jacobian.gram(spread)
        made = made if root is None else torch.einsum("bij,bj->bi", root, made)
        if not made.isfinite().all():
            raise ValueError("model: a product of its Fisher information is not finite")
        return made / len(logits)

    start = torch.randn(logits.shape, generator=generator, dtype=torch.float64).to(logits.device)
    return _largest(product, start, tolerance, min(most, logits.numel()))


class _Jacobian:
    """J of all logits of some inputs by all parameters, as the map w -> J J^T w."""

    def __init__(self, model: nn.Module, inputs: Tensor):
        # Contiguous: forward mode through group_norm refuses torch.channels_last.
        twin = copy.deepcopy(model).train().to(memory_format=torch.contiguous_format)
        self._twin, self._inputs = twin, inputs.contiguous()
        self._leaves = {name: p for name, p in twin.named_parameters() if p.requires_grad}
        self._buffers = dict(twin.named_buffers())
        try:
            with torch.enable_grad():
                self._graph = self._call(self._leaves, self._inputs)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            reason = str(error).partition("\n")[0]
            shape = f"{inputs.dtype} of shape {tuple(inputs.shape)}"
            raise ValueError(f"inputs: {shape} do not pass the model: {reason}") from error
        self.logits = self._graph.detach()
        if self.logits.ndim != 2 or len(self.logits) != len(inputs):
            raise ValueError(f"model: logits {tuple(self.logits.shape)} for inputs {tuple(inputs.shape)}, not (n, C)")
        if not self.logits.isfinite().all():
            raise ValueError("inputs: a logit is not finite")
        if not self._graph.requires_grad:
            raise ValueError("model: its logits depend on no parameter")

    def gram(self, w: Tensor) -> Tensor:
        """J J^T w (n, C) float64; products are taken in the model's own dtype."""
        options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        back = torch.autograd.grad(self._graph, list(self._leaves.values()), w.to(self.logits), **options)
        at = {name: p.detach() for name, p in self._leaves.items()}
        _, made = jvp(lambda ps: self._call(ps, self._inputs), (at,), (dict(zip(at, back, strict=True)),))
        return made.double()

    def _call(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in self._buffers.items()}  # they are written in a pass
        return functional_call(self._twin, {**parameters, **buffers}, (x,))


def _softmax_root(logits: Tensor) -> Tensor:
    """Square roots of diag(p) - p p^T, (n, C, C)."""
    p = logits.softmax(1)
    values, vectors = torch.linalg.eigh(torch.diag_embed(p) - p[:, :, None] * p[:, None, :])
    return vectors * values.clamp(min=0).sqrt()[:, None, :] @ vectors.mT


def _largest(product, start: Tensor, tolerance: float, most: int) -> FisherTop:
    basis = [start.flatten() / start.norm()]
    diagonal, beside = [], []
    while True:
        new = product(basis[-1].view_as(start)).flatten()
        diagonal.append(float(new @ basis[-1]))
        known = torch.stack(basis)
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            new = new - known.T @ (known @ new)
        side = torch.tensor(beside, dtype=torch.float64)
        matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(side, 1) + torch.diag(side, -1)
        values, small = torch.linalg.eigh(matrix)
        value, length = float(values[-1]), float(new.norm())
        residual = length * float(small[-1, -1].abs())  # Paige
        if residual <= tolerance * value or length <= 1e-12 * abs(value) or len(basis) >= most or length == 0:
            return FisherTop(max(value, 0.0), residual / value if value > 0 else 0.0, len(basis))
        beside.append(length)
        basis.append(new / length)
