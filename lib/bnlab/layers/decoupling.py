r"""Length and direction of the weights ahead of Batch Normalization: the decoupling formulas, and what follows.

For a linear unit z = w'x and a batch of m inputs with mean xbar and covariance S = (1/m) sum (x - xbar)(x - xbar)',

    BN(w'x) = gamma w'(x - xbar) / sqrt(w'S w + eps) + beta,

which for eps = 0 depends on the direction w / ||w|| alone. Of a loss L that sees w only through such a unit follow,
for a > 0: grad L(a w) = grad L(w) / a; <w, grad L> = 0; a step of plain gradient descent never shortens w, and turns it
as a step at the rate eta / ||w||^2 turns the unit vector (encyclopedia article, "Parameter Decoupling"; van Laarhoven
2017; Hoffer et al. 2018). Each needs eps = 0, statistics of the present batch, and neither weight decay nor momentum
where the step is concerned.

Weights are (C, K), one unit a row, a convolution's flattened likewise; results are one number a unit, (C,). What has no
obvious answer gets one: a unit without variance in the batch (a batch of one, weights of zero, a constant input)
becomes beta, and with eps = 0 nan, as 0/0 is; a nan or inf in x spoils all units, one in a row of weights its own unit
only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnlab import checks

LENGTHS_OVER = ("batch", "features")


def decoupled(x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, eps: float = 0.0) -> Tensor:
    """Batch Normalization of x W' written with the weights' length taken out: outputs (B, C) for x (B, K).

    gamma w'(x - xbar) / sqrt(w'S w + eps) + beta for each row w of weight (C, K); gamma and beta (C,). In float64, and
    rounded to the dtype of x: a mean far above the deviations costs no digits.

    >>> x, w = torch.tensor([[1.0], [3.0]]), torch.tensor([[-7.0]])
    >>> decoupled(x, w, torch.tensor([2.0]), torch.tensor([1.0]))
    tensor([[ 3.],
            [-1.]])

    Raises:
        ValueError: shapes that do not fit, an empty batch, tensors that are not float32 or float64, or eps that is
            negative or not finite.
    """
    _check_layer(x, weight, gamma, beta)
    checks.number("eps", eps, least=0)
    dtype, (x, weight) = x.dtype, (x.double(), weight.double())
    centred = x - x.mean(0)  # (B, K)
    covariance = centred.mT @ centred / len(x)  # (K, K), biased as in Batch Normalization
    variance = ((weight @ covariance) * weight).sum(1)  # (C,), w'S w
    return (gamma * (centred @ weight.mT) / (variance + eps).sqrt() + beta).to(dtype)  # (B, C)


def printed(x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, norm: str) -> Tensor:
    """Outputs (B, C) of the printed gamma Wx / ||Wx|| + beta ("Parameter Decoupling"), in one of its two readings.

    ||Wx|| is taken over the "batch" for each unit, or over the "features" (units) of each input; the article does not
    say. Neither subtracts a mean. On centred inputs the first is Batch Normalization divided by sqrt(m), gamma aside.

    >>> x, w = torch.tensor([[3.0], [4.0]]), torch.tensor([[10.0]])
    >>> printed(x, w, torch.ones(1), torch.zeros(1), norm="batch").flatten()
    tensor([0.6000, 0.8000])

    Raises:
        ValueError: as `decoupled`, or another norm.
    """
    _check_layer(x, weight, gamma, beta)
    checks.choice("norm", norm, LENGTHS_OVER)
    z = x @ weight.mT  # (B, C)
    return gamma * z / z.norm(dim=LENGTHS_OVER.index(norm), keepdim=True) + beta


def radial_cosine(weight: Tensor, gradient: Tensor) -> Tensor:
    """Cosine between each unit's weights and their gradient, (C,): 0 where the loss does not see their length.

    weight and gradient (C, ...), as a layer holds them. A gradient or weights of zero point nowhere, and count as 0.

    >>> radial_cosine(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[-4.0, 3.0], [2.0, 0.0]]))
    tensor([0., 1.])

    Raises:
        ValueError: if the shapes differ, or have no axis but that of the units.
    """
    w, g = _rows(weight=weight, gradient=gradient)
    product, lengths = (w * g).sum(1), w.norm(dim=1) * g.norm(dim=1)
    return torch.where(lengths == 0, 0.0, product / lengths)


def radial_gradient(errors: Tensor, outputs: Tensor, beta: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Slope <w, grad L> of each unit along its own weights when eps is not 0, (C,), exactly.

    errors (B, C) are the derivatives of L by the outputs (B, C) of Batch Normalization (of the sum over the batch, as
    autograd gives them), variance (C,) is s2 = w'S w: <w, grad L> = eps / (s2 + eps) sum_i errors_i (outputs_i - beta).
    From d/da of a z / sqrt(a^2 s2 + eps) at a = 1.

    >>> radial_gradient(torch.ones(1, 1), torch.tensor([[3.0]]), torch.ones(1), torch.ones(1), eps=1.0)
    tensor([1.])

    Raises:
        ValueError: if the shapes do not fit.
    """
    for name, values in (("errors", errors), ("outputs", outputs), ("beta", beta), ("variance", variance)):
        checks.tensor(name, values, finite=False)
    checks.number("eps", eps, least=0)
    if errors.ndim != 2 or errors.shape != outputs.shape:
        raise ValueError(f"errors: shape {tuple(errors.shape)} is not (B, C) as outputs are, {tuple(outputs.shape)}")
    for name, vector in (("beta", beta), ("variance", variance)):
        if vector.shape != errors.shape[1:]:
            raise ValueError(f"{name}: shape {tuple(vector.shape)} does not have one entry for each of the "
                             f"{errors.shape[1]} units of errors")  # fmt: skip
    return eps / (variance + eps) * (errors * (outputs - beta)).sum(0)


def squared_lengths_after(weight: Tensor, gradient: Tensor, rate: float, weight_decay: float = 0.0) -> Tensor:
    """Squared length ||w||^2 of each unit after one step of plain gradient descent, (C,), by orthogonality.

    (1 - eta lambda)^2 ||w||^2 + eta^2 ||g||^2 for the step w <- w - eta (g + lambda w); g is the gradient without the
    decay. With lambda = 0 the length can only grow. Exact if <w, g> = 0.

    >>> squared_lengths_after(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]), rate=1.0)
    tensor([13.])

    Raises:
        ValueError: if the shapes differ, the rate is not positive, or the decay is negative.
    """
    w, g = _rows(weight=weight, gradient=gradient)
    rate, weight_decay = checks.number("rate", rate, above=0), checks.number("weight_decay", weight_decay, least=0)
    return (1 - rate * weight_decay) ** 2 * w.square().sum(1) + rate**2 * g.square().sum(1)


def effective_rate(weight: Tensor, rate: float) -> Tensor:
    """Learning rate eta / ||w||^2 of each unit's direction, (C,); inf for weights of zero.

    >>> effective_rate(torch.tensor([[3.0, 4.0]]), rate=0.5)
    tensor([0.0200])

    Raises:
        ValueError: if weight has no axis but that of the units, or the rate is not positive.
    """
    (w,) = _rows(weight=weight)
    return checks.number("rate", rate, above=0) / w.square().sum(1)


def direction_after(direction: Tensor, gradient: Tensor, effective: Tensor) -> Tensor:
    """Unit vectors (C, K) after one step, from unit vectors, the gradient *at* them, and the effective rates (C,).

    u <- (u - e g(u)) / sqrt(1 + e^2 ||g(u)||^2), in which no length of w occurs: w / ||w|| after w <- w - eta g(w) is
    this at e = eta / ||w||^2.

    >>> direction_after(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.75]))
    tensor([[ 0.8000, -0.6000]])

    Raises:
        ValueError: if the shapes do not fit.
    """
    u, g = _rows(direction=direction, gradient=gradient)
    checks.tensor("effective", effective, finite=False)
    if effective.shape != u.shape[:1]:
        raise ValueError(f"effective: shape {tuple(effective.shape)} does not have one rate for each of {len(u)} units")
    step = effective[:, None] * g
    return ((u - step) / (1 + step.square().sum(1, keepdim=True)).sqrt()).reshape(direction.shape)


def _rows(**tensors: Tensor) -> tuple[Tensor, ...]:
    for name, values in tensors.items():
        checks.tensor(name, values, "(C, ...)", finite=False)
    shapes = [tuple(values.shape) for values in tensors.values()]
    if len(shapes[0]) < 2 or len(set(shapes)) > 1:
        found = " and ".join(map(str, shapes))
        raise ValueError(f"{', '.join(tensors)}: shapes {found} are not one shape (C, ...), a unit a row")
    return tuple(values.flatten(1) for values in tensors.values())


def _check_layer(x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor) -> None:
    checks.tensor("x", x, "(B, K)", 2, finite=False)
    for name, values in (("weight", weight), ("gamma", gamma), ("beta", beta)):
        checks.tensor(name, values, finite=False)
    if weight.ndim != 2 or weight.shape[1] != x.shape[1]:
        raise ValueError(f"weight: shape {tuple(weight.shape)} is not (C, {x.shape[1]}) for x {tuple(x.shape)}")
    for name, vector in (("gamma", gamma), ("beta", beta)):
        if vector.shape != weight.shape[:1]:
            shape = tuple(vector.shape)
            raise ValueError(f"{name}: shape {shape} does not have one entry for each of {len(weight)} units")
