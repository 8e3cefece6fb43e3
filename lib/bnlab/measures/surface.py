"""A network's loss on given data as a function of its parameters alone: what curvature and landscape are measured on.

With Batch Normalization the same parameters and data have several losses, by whose statistics the layers use, and their
curvatures differ: those of this very batch, through which the derivatives then pass; those of a population, held
still; or the running averages that training left, as evaluation uses them. So a surface always says which.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from bnlab import checks
from bnlab.layers.inference import BATCH_NORM_TYPES
from bnlab.layers.nlms import NlmsConv2d
from bnlab.layers.population import exact_statistics

STATISTICS = ("batch", "population", "running")
Loss = Callable[[Tensor, Tensor], Tensor]


class LossSurface:
    r"""L(theta) = loss(model(inputs; theta), targets), with its gradient and Hessian-vector products.

    Everything happens on a copy: the model's parameters, gradients, buffers (running statistics) and mode, and the
    random number generators, are left as they are. The gradient is differentiated once more for H v (double backward),
    which is right through fused batch normalisation, where forward mode over forward mode is not.

    Args:
        model: any network; what does not require a gradient is held fixed.
        inputs: (B, ...), what the model takes.
        targets: what the loss takes beside the model's output.
        loss: ``loss(outputs, targets)`` is a single number.
        statistics: "batch", the network in train mode, derivatives through the batch statistics; "population", in
            eval mode with exact statistics of ``population``; "running", in eval mode as the buffers stand.
        population: inputs whose exact statistics (`population.exact_statistics`) are held; default: ``inputs``.
        parameters: beginnings of names; theta is then of these parameters alone, ("convolutions.3.",) a layer.

    Attributes:
        theta: (P,), the model's own parameters, in the order of ``named_parameters``.
        names: of these parameters.

    >>> line = nn.Linear(2, 1, bias=False)  # J = w'x, so a mean of squares has the Hessian 2 E[xx']
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> surface = LossSurface(line, x, torch.zeros(2, 1), nn.functional.mse_loss)
    >>> surface.product(torch.tensor([1.0, 1.0]))
    tensor([1., 4.])

    Raises:
        ValueError: inputs that do not pass the model; a loss that is no single finite number, or differs from one call
            to the next (dropout); no parameter, or none of that name; half precision; `NlmsConv2d`, whose backward
            pass is no derivative; statistics that cannot be set; a model that cannot be copied.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        loss: Loss,
        *,
        statistics: str = "batch",
        population: Tensor | None = None,
        parameters: Sequence[str] | None = None,
    ):
        checks.choice("statistics", statistics, STATISTICS)
        if not isinstance(inputs, Tensor) or inputs.is_complex() or inputs.numel() == 0:
            found = f"{inputs.dtype} of shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs)
            raise ValueError(f"inputs: {found} is no tensor of real numbers with at least one entry")
        self._twin = _copied(model).train(statistics == "batch")
        self._inputs, self._targets, self._loss = inputs, targets, loss
        _refuse(self._twin, statistics)
        if statistics == "population":
            _hold(self._twin, inputs if population is None else population)
        known = {name: p for name, p in self._twin.named_parameters() if p.requires_grad}
        chosen = _chosen(known, parameters)
        self.names = tuple(chosen)
        self._shapes = [p.shape for p in chosen.values()]
        self.theta = torch.cat([p.detach().flatten() for p in chosen.values()])
        self._twin.requires_grad_(False)
        self._graph: tuple[Tensor, Tensor] | None = None
        self._check()

    def value(self, theta: Tensor | None = None) -> float:
        """L(theta), at the model's own parameters by default; inf or nan where the network overflows."""
        with torch.no_grad():
            return float(self._evaluate(self._at(theta)))

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """Gradient (P,) at theta (P,), at the model's own parameters by default."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[float, Tensor]:
        """L and its gradient (P,), from one pass."""
        with torch.enable_grad():
            leaf = self._at(theta).clone().requires_grad_()
            value = self._evaluate(leaf)
            (gradient,) = torch.autograd.grad(value, leaf)
        return float(value.detach()), gradient

    def product(self, vector: Tensor) -> Tensor:
        """H v (P,) at the model's own parameters; the graph of the gradient is made once and kept.

        Raises:
            ValueError: a vector that is not (P,) of finite numbers in the parameters' dtype.
        """
        self._like_theta("vector", vector)
        if self._graph is None:
            with torch.enable_grad():
                leaf = self.theta.clone().requires_grad_()
                (gradient,) = torch.autograd.grad(self._evaluate(leaf), leaf, create_graph=True)
            self._graph = leaf, gradient
        leaf, gradient = self._graph
        if not gradient.requires_grad:  # a loss that is linear in the parameters
            return torch.zeros_like(self.theta)
        options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        return torch.autograd.grad(gradient, leaf, vector, **options)[0]

    def hessian(self) -> Tensor:
        """All of H (P, P), symmetrised, a product for each parameter: for a layer, or a small network."""
        rows = torch.stack([self.product(row) for row in torch.eye(len(self.theta)).to(self.theta)])
        return (rows + rows.T) / 2

    def _at(self, theta: Tensor | None) -> Tensor:
        return self.theta if theta is None else self._like_theta("theta", theta)

    def _like_theta(self, name: str, value: Tensor) -> Tensor:
        checks.tensor(name, value, "(P,)", 1)
        if value.shape != self.theta.shape or value.dtype != self.theta.dtype:
            right = f"{tuple(self.theta.shape)} in {self.theta.dtype}"
            raise ValueError(f"{name}: shape {tuple(value.shape)} in {value.dtype} is not {right}")
        return value

    def _evaluate(self, theta: Tensor) -> Tensor:
        parts = theta.split([shape.numel() for shape in self._shapes])
        named = {n: part.view(shape) for n, part, shape in zip(self.names, parts, self._shapes, strict=True)}
        devices = [self._inputs.device] if self._inputs.is_cuda else []
        with torch.random.fork_rng(devices):
            return self._loss(torch.func.functional_call(self._twin, named, (self._inputs,)), self._targets)

    def _check(self) -> None:
        try:
            with torch.enable_grad():
                value = self._evaluate(self.theta.clone().requires_grad_())
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            shape = f"{self._inputs.dtype} of shape {tuple(self._inputs.shape)}"
            raise ValueError(f"inputs: {shape} do not pass the model and its loss: {reason}") from error
        if not isinstance(value, Tensor) or value.ndim:
            raise ValueError(f"loss: {type(value).__name__} {getattr(value, 'shape', '')} is not a single number")
        if not value.requires_grad:
            raise ValueError("loss: it does not depend on the parameters")
        if not torch.isfinite(value):
            raise ValueError(f"loss: {float(value.detach())} at the model's own parameters is not finite")
        devices = [self._inputs.device] if self._inputs.is_cuda else []
        with torch.random.fork_rng(devices), torch.no_grad():
            torch.manual_seed(1 + torch.initial_seed() % 2**31)  # in the fork: another state than the one before
            again = self._evaluate(self.theta)
        if (again - value).abs() > 1e-6 * value.abs():
            raise ValueError("loss: it differs from one call to the next, so it is no function of the parameters")


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:  # a tensor that is no leaf, as weight_norm's hook leaves after a pass
        raise ValueError(f"model: it cannot be copied: {str(error).partition(chr(10))[0]}") from error


def _refuse(twin: nn.Module, statistics: str) -> None:
    if half := [name for name, p in twin.named_parameters() if p.dtype in checks.HALF]:
        raise ValueError(f"model: {half[0]!r} is of half precision, which overflows; convert it, as with model.float()")
    for name, module in twin.named_modules():
        if isinstance(module, _DropoutNd) and module.p > 0 and module.training:
            raise ValueError(f"model: {name!r} drops out, so the loss is no function of the parameters")
        if isinstance(module, NlmsConv2d) and module.norm != "none":
            raise ValueError(f"model: {name!r} is an NlmsConv2d, whose backward pass is its update, no derivative")
        running = [buffer for buffer, value in module.named_buffers(recurse=False) if value is not None]
        other = any(buffer.startswith("running") for buffer in running) and not isinstance(module, BATCH_NORM_TYPES)
        if statistics == "population" and other:
            raise ValueError(f"statistics: 'population', which cannot be set in {name!r}, a {type(module).__name__}")


def _hold(twin: nn.Module, population: Tensor) -> None:
    if any(isinstance(module, BATCH_NORM_TYPES) for module in twin.modules()):
        try:
            exact_statistics(twin, lambda: [population])
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            shape = f"{population.dtype} of shape {tuple(population.shape)}"
            raise ValueError(f"population: {shape} do not pass the model: {reason}") from error


def _chosen(known: dict[str, nn.Parameter], beginnings: Sequence[str] | None) -> dict[str, nn.Parameter]:
    if not known:
        raise ValueError("model: no parameter requires a gradient")
    if len({(p.dtype, p.device) for p in known.values()}) > 1:
        raise ValueError("model: its parameters are not of one dtype and device")
    if beginnings is None:
        return known
    beginnings = (beginnings,) if isinstance(beginnings, str) else tuple(beginnings)
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in known):
            raise ValueError(f"parameters: {beginning!r} begins no parameter's name; there are {', '.join(known)}")
    return {name: p for name, p in known.items() if name.startswith(beginnings)}
