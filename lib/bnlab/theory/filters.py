"""Adaptive filters: Wiener solution, gradient descent, LMS, NLMS, affine projection (Chai et al. 2020, sections 2-4).

One sign throughout: the loss is J = 1/2 E||D - Y||^2 with Y = X^T W, the error e = dJ/dy = y - d, and every step goes
down, W <- W - mu E[x e]. (The paper defines eps = d - y in section 2.1 and keeps the minus sign, which climbs; and its
J = E eps^2 doubles mu.) E is the mean over samples, or over images and positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnlab import checks
from bnlab.theory.modes import resolved


def correlations(X: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
    """Autocorrelation R = E[x x^T] (K, K) and cross-correlation P = E[x d] of inputs and desired response.

    X holds patches or samples as columns, (K, M) or (B, K, M), as `patches.unroll` returns them. D is (M,) or (B, M)
    for one output, and P is then (K,); or (OC, M), (B, OC, M) for several, and P is (K, OC). Dtype of X.

    >>> R, P = correlations(torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([1.0, 3.0]))
    >>> R.tolist(), P.tolist()
    ([[2.5, 1.0], [1.0, 0.5]], [3.5, 1.5])

    Raises:
        ValueError: if X and D do not share images and positions, or are not finite float32 or float64 numbers of one
            dtype.
    """
    X, D, single = _paired(X, D)
    checks.alike(X=X, D=D)
    count = X.shape[0] * X.shape[2]
    R = torch.einsum("bkm,blm->kl", X, X) / count
    P = torch.einsum("bkm,bom->ko", X, D) / count
    return R, P[:, 0] if single else P


def wiener_solution(R: Tensor, P: Tensor, tolerance: float | None = None) -> Tensor:
    """Solution W_o of the Wiener-Hopf equations R W_o = P (Chai et al. 2020, equation 3), of the shape of P.

    A singular R (a dead channel, for instance) leaves W_o free along its null space: the pseudo-inverse then picks the
    shortest solution, counting eigenvalues at most tolerance * lambda_max as zero; 1e-10 unless given, or K eps of R's
    dtype where that is more: in float32 inputs that depend on each other leave eigenvalues of some 1e-7.

    >>> wiener_solution(torch.diag(torch.tensor([2.0, 0.0])), torch.tensor([4.0, 0.0])).tolist()
    [2.0, 0.0]

    Raises:
        ValueError: if R is not (K, K) or P not (K,) or (K, OC), or they are not finite float32 or float64 numbers of
            one dtype.
    """
    _check_normal_equations(R, P)
    rtol = resolved(R) if tolerance is None else checks.number("tolerance", tolerance, least=0, below=1)
    return torch.linalg.pinv(R, rtol=rtol, hermitian=True) @ P


def cost(W: Tensor, X: Tensor, D: Tensor) -> Tensor:
    """Loss J = 1/2 E||D - X^T W||^2, a scalar; W is (K,) or (K, OC), X and D as in `correlations`.

    The mean is over samples, the sum over output channels. Its gradient is R W - P.

    >>> cost(torch.tensor([1.0]), torch.tensor([[1.0, 2.0]]), torch.tensor([3.0, 2.0])).item()
    1.0

    Raises:
        ValueError: if the shapes do not fit each other, or the entries are not finite float32 or float64 numbers of one
            dtype.
    """
    X, D, _ = _paired(X, D)
    checks.alike(X=X, D=D, W=W)
    weights = _weights(W, X, D)  # (K, OC)
    return 0.5 * (D - weights.mT @ X).square().sum(1).mean()


def gradient_descent_trajectory(R: Tensor, P: Tensor, W0: Tensor, mu: float, steps: int) -> Tensor:
    """Weights W(0) ... W(steps) of W(n+1) = W(n) + mu (P - R W(n)), (steps + 1, *W0.shape).

    Chai et al. 2020, equation 4, with the sign that makes equation 5 true.

    >>> gradient_descent_trajectory(torch.eye(1), torch.ones(1), torch.zeros(1), 0.5, 3).flatten().tolist()
    [0.0, 0.5, 0.75, 0.875]

    Raises:
        ValueError: if R, P and W0 do not fit each other, are not finite float32 or float64 numbers of one dtype, mu is
            no finite number, or steps is negative.
    """
    _check_normal_equations(R, P)
    checks.alike(R=R, W0=checks.tensor("W0", W0))
    mu, steps = checks.number("mu", mu), checks.whole("steps", steps, 0)
    if W0.shape != P.shape:
        raise ValueError(f"W0: shape {tuple(W0.shape)} is not that of P, {tuple(P.shape)}")
    trajectory = W0.new_empty(steps + 1, *W0.shape)
    trajectory[0] = W0
    for n in range(steps):
        trajectory[n + 1] = trajectory[n] + mu * (P - R @ trajectory[n])
    return trajectory


def lms_step(W: Tensor, x: Tensor, d: Tensor | float, mu: float) -> Tensor:
    """One step of least mean squares, W - mu x e with e = W^T x - d: descent on the instantaneous J = e^2 / 2.

    W and x are both (..., K), and d is (...) or a number: leading dimensions are independent filters. The result is a
    new tensor.

    >>> lms_step(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0]), 3.0, mu=0.1).tolist()
    [1.2000000476837158, 0.4000000059604645]

    Raises:
        ValueError: if W, x and d do not fit each other, or x and d are not finite float32 or float64 numbers. (W may be
            beyond: a filter that has diverged.)
    """
    W, x, d, mu = _one_step(W, x, d, mu)
    return W - mu * x * _error(W, x, d)


def nlms_step(W: Tensor, x: Tensor, d: Tensor | float, mu: float = 1.0, epsilon: float = 0.0) -> Tensor:
    """One step of normalised least mean squares, W - mu x e / (epsilon + ||x||^2), e = W^T x - d.

    Chai et al. 2020, equation 7: at mu = 1 and epsilon = 0 it is the smallest change of W that makes W^T x = d. There a
    zero input gives 0/0 = nan, as the printed equation does; any epsilon > 0 leaves W alone instead. Shapes as in
    `lms_step`.

    >>> nlms_step(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 4.0]), 28.0).tolist()
    [4.0, 4.0]

    Raises:
        ValueError: as `lms_step`, or if epsilon is negative.
    """
    W, x, d, mu = _one_step(W, x, d, mu)
    epsilon = checks.number("epsilon", epsilon, least=0)
    return W - mu * x * _error(W, x, d) / (epsilon + x.square().sum(-1, keepdim=True))


def affine_projection(W: Tensor, X: Tensor, D: Tensor, mu: float = 1.0, tolerance: float | None = None) -> Tensor:
    """One step towards all desired responses at once, W - mu X (X^T X)^+ E with E = X^T W - D; float64, shape of W.

    At mu = 1 the smallest change of W that makes X^T W = D, which NLMS is for a single column. All columns can be met
    only if they are no more than the rank of X (B*M <= K at least): past that D is met as well as least squares can.
    X is (K, M) or (B, K, M), whose images are pooled; W is (K,) or (K, OC) and D as in `correlations`. Directions
    whose singular value is at most ``tolerance`` times the largest are left alone, dead inputs among them; unless given
    it is that of `wiener_solution`.

    >>> affine_projection(torch.zeros(2), torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([4.0, 4.0])).tolist()
    [2.0, 1.0]

    Raises:
        ValueError: if X, D and W do not fit each other, or are not finite float32 or float64 numbers.
    """
    X, D, _ = _paired(X, D)
    weights = _weights(W, X, D).double()  # (K, OC)
    mu = checks.number("mu", mu)
    columns = X.transpose(0, 1).flatten(1)  # (K, N), N = B*M
    if tolerance is None:
        rtol = max(resolved(columns), resolved(columns.mT))
    else:
        rtol = checks.number("tolerance", tolerance, least=0, below=1)
    columns = columns.double()
    errors = columns.mT @ weights - D.double().transpose(1, 2).flatten(0, 1)  # (N, OC)
    # X (X^T X)^+ is the pseudo-inverse of X^T; through X^T X itself half the digits would be lost.
    return (weights - mu * torch.linalg.pinv(columns.mT, rtol=rtol) @ errors).reshape(W.shape)


def lms_trajectory(W0: Tensor, X: Tensor, D: Tensor, mu: float) -> Tensor:
    """Weights W(0) ... W(N) of LMS fed with one sample a step, (N + 1, ..., K).

    X (N, ..., K) and D (N, ...) have time first; leading dimensions of W0 (..., K) are independent filters.

    >>> lms_trajectory(torch.zeros(1), torch.ones(2, 1), torch.ones(2), mu=0.5).flatten().tolist()
    [0.0, 0.5, 0.75]

    Raises:
        ValueError: if X, D and W0 do not fit each other, are not finite float32 or float64 numbers of one dtype, or mu
            is no finite number.
    """
    for name, values in (("X", X), ("D", D), ("W0", W0)):
        checks.tensor(name, values)
    checks.alike(X=X, D=D, W0=W0)
    mu = checks.number("mu", mu)
    if X.shape[1:] != W0.shape or D.shape != X.shape[:-1]:
        shapes = f"X {tuple(X.shape)}, D {tuple(D.shape)}, W0 {tuple(W0.shape)}"
        raise ValueError(f"{shapes}: not (N, ..., K), (N, ...) and (..., K)")
    trajectory = W0.new_empty(len(X) + 1, *W0.shape)
    trajectory[0] = W0
    for n, (x, d) in enumerate(zip(X, D, strict=True)):
        trajectory[n + 1] = trajectory[n] - mu * x * _error(trajectory[n], x, d)
    return trajectory


def _error(W: Tensor, x: Tensor, d: Tensor | float) -> Tensor:
    """The error e = y - d, (..., 1)."""
    return ((W * x).sum(-1) - d).unsqueeze(-1)


def _paired(X: Tensor, D: Tensor) -> tuple[Tensor, Tensor, bool]:
    """X as (B, K, M), D as (B, OC, M), and whether D came without its output channel."""
    checks.tensor("X", X, "(K, M) or (B, K, M)", (2, 3))
    checks.tensor("D", D)
    batched = X.ndim == 3
    leading, single = D.shape[:1] if batched else (), D.ndim == 1 + batched
    if D.ndim not in (1 + batched, 2 + batched) or D.shape[-1] != X.shape[-1] or tuple(leading) != tuple(X.shape[:-2]):
        raise ValueError(f"D: shape {tuple(D.shape)} does not fit X of shape {tuple(X.shape)}")
    D = D.unsqueeze(-2) if single else D
    return (X, D, single) if batched else (X.unsqueeze(0), D.unsqueeze(0), single)


def _weights(W: Tensor, X: Tensor, D: Tensor) -> Tensor:
    """Weights (K,) or (K, OC) as (K, OC), for X (B, K, M) and D (B, OC, M)."""
    shape = (X.shape[1], D.shape[1])
    if checks.tensor("W", W).shape != shape and not (W.ndim == 1 and (len(W), 1) == shape):
        raise ValueError(f"W: shape {tuple(W.shape)} does not fit {shape[0]} inputs and {shape[1]} outputs of X and D")
    return W.reshape(shape)


def _one_step(W: Tensor, x: Tensor, d: Tensor | float, mu: float) -> tuple[Tensor, Tensor, Tensor | float, float]:
    """Check what one step takes: W and x (..., K), and d a number or (...), the leading dimensions of both."""
    checks.tensor("x", x, "(..., K)")
    if checks.tensor("W", W, "(..., K)", finite=False).ndim < 1 or W.shape != x.shape:
        raise ValueError(f"W, x: shapes {tuple(W.shape)} and {tuple(x.shape)} are not one shape (..., K)")
    checks.alike(W=W, x=x)
    leading = W.shape[:-1]
    if not isinstance(d, Tensor):
        return W, x, checks.number("d", d), checks.number("mu", mu)
    if checks.tensor("d", d).ndim and d.shape != leading:
        raise ValueError(f"d: shape {tuple(d.shape)} is not {tuple(leading)}, a response for each filter")
    return W, x, d, checks.number("mu", mu)


def _check_normal_equations(R: Tensor, P: Tensor) -> None:
    checks.alike(R=checks.square("R", R), P=checks.tensor("P", P, "(K,) or (K, OC)"))
    if P.ndim not in (1, 2) or P.shape[0] != R.shape[0]:
        raise ValueError(f"P: shape {tuple(P.shape)} is not ({R.shape[0]},) or ({R.shape[0]}, OC)")
