"""The principle of minimum disturbance, for one patch and for many (Chai et al. 2020, section 4).

Of all weights that give the desired response, take those nearest to the present ones. For one patch and the Euclidean
distance that is NLMS (`filters.nlms_step`), for several at once affine projection (`filters.affine_projection`); here
stand what they must agree with, the document's update with one power a channel, and what becomes of the constraints
where single updates are summed. Signs as in `filters`: e = dJ/dy = y - d, written delta in the document.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bnlab import checks
from bnlab.theory.modes import resolved

VECTOR_NORMS = ("l1", "l2", "linf")


def constrained_minimum(W: Tensor, X: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
    """Minimise 1/2 ||W+ - W||^2 subject to X^T W+ = D, by its Karush-Kuhn-Tucker equations; float64.

    [[I, X], [X^T, 0]] [W+; lambda] = [W; D], for W (K,), X (K, M) with independent columns, D (M,).

    Returns:
        W+ (K,) and the multipliers lambda (M,).

    >>> constrained_minimum(torch.tensor([1.0, 2.0]), torch.tensor([[0.0], [2.0]]), torch.tensor([6.0]))[0].tolist()
    [1.0, 3.0]

    Raises:
        ValueError: if the shapes do not fit, entries are not finite float32 or float64 numbers, or the columns of X
            depend on each other, to the precision of their dtype.
    """
    for name, values in (("W", W), ("X", X), ("D", D)):
        checks.tensor(name, values)
    if X.ndim != 2 or W.shape != X.shape[:1] or D.shape != X.shape[1:]:
        shapes = f"W {tuple(W.shape)}, X {tuple(X.shape)}, D {tuple(D.shape)}"
        raise ValueError(f"{shapes}: not (K,), (K, M) and (M,)")
    K, M = X.shape
    # A response may be had in any unit: columns are compared at one length.
    columns = torch.nn.functional.normalize(X.double(), dim=0, eps=0)
    if not X.any(0).all() or torch.linalg.matrix_rank(columns, rtol=max(K, M) * torch.finfo(X.dtype).eps) < M:
        raise ValueError(f"X: its {M} columns of length {K} depend on each other, so their responses cannot be chosen")
    identity, zero = torch.eye(K).to(X).double(), X.new_zeros(M, M).double()
    system = torch.cat([torch.cat([identity, X.double()], 1), torch.cat([X.double().mT, zero], 1)])
    solution = torch.linalg.solve(system, torch.cat([W, D]).double())
    return solution[:K], solution[K:]


def feasible_neighbours(W: Tensor, X: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Other weights with the same responses X^T W, (count, K): W plus normal noise without its part along X's columns.

    W is (K,), X (K, M) of rank below K; the noise has the length of W on average. Drawn through a CPU generator.

    >>> X = torch.tensor([[1.0], [0.0]])
    >>> neighbours = feasible_neighbours(torch.tensor([3.0, 4.0]), X, 5, torch.Generator().manual_seed(0))
    >>> neighbours[:, 0].tolist()
    [3.0, 3.0, 3.0, 3.0, 3.0]

    Raises:
        ValueError: if every change of W changes a response, count is below 1, or W and X do not fit or are not finite
            float32 or float64 numbers.
    """
    checks.alike(W=checks.tensor("W", W, "(K,)", 1), X=checks.tensor("X", X, "(K, M)", 2))
    if len(W) != len(X):
        raise ValueError(f"X: shape {tuple(X.shape)} is not ({len(W)}, M) for W of {len(W)}")
    count = checks.whole("count", count)
    U, sizes, _ = torch.linalg.svd(X, full_matrices=False)
    basis = U[:, sizes > max(resolved(X), resolved(X.mT)) * sizes.max()]  # (K, rank)
    if basis.shape[1] == len(W):
        raise ValueError(f"X: rank {len(W)} leaves no other weights with the same responses")
    noise = torch.randn(count, len(W), generator=generator, dtype=torch.float64).to(W)
    noise = noise * W.norm() / len(W) ** 0.5
    return W + noise - noise @ basis @ basis.mT


def smallest_step(x: Tensor, error: Tensor | float, norm: str = "l2") -> Tensor:
    """The change of weights (K,) that is smallest in a norm and takes the response to x from y to y - error.

    "l2": -e x / ||x||_2^2, NLMS. "linf": -e sign(x) / ||x||_1, all weights by the same amount: the one-norm of x in
    the denominator belongs to the *largest* entry of the change, its dual norm. "l1": -e / x_k on the entry k of the
    largest |x_k|, and nothing elsewhere.

    >>> x = torch.tensor([3.0, -4.0])
    >>> [smallest_step(x, -2.0, norm).tolist() for norm in ("l2", "linf", "l1")]  # doctest: +ELLIPSIS
    [[0.239..., -0.319...], [0.285..., -0.285...], [0.0, -0.5]]

    Raises:
        ValueError: an unknown norm, x (K,) without power or not of finite float32 or float64 numbers, or an error that
            is no finite number.
    """
    checks.choice("norm", norm, VECTOR_NORMS)
    checks.tensor("x", x, "(K,)", 1)
    if isinstance(error, Tensor):
        checks.tensor("error", error, "()", 0)
    else:
        error = checks.number("error", error)
    if not x.any():
        raise ValueError("x: all zero, no change of weights changes the response")
    if norm == "l2":
        return -error * x / x.square().sum()
    if norm == "linf":
        return -error * x.sign() / x.abs().sum()
    step = torch.zeros_like(x)
    largest = x.abs().argmax()
    step[largest] = -error / x[largest]
    return step


def summed_step(W: Tensor, X: Tensor, E: Tensor, mu: float, channels: int = 1, sign: int = -1) -> Tensor:
    """Sum the NLMS steps of M patches, each channel's part divided by its own power: Chai et al. 2020, equation 9.

    w_i <- w_i + sign mu sum_m e_m x_i^(m) / ||x_i^(m)||^2 for the block x_i of channel i. The document prints sign
    +1 with its delta = e; descent needs -1. ``channels`` = 1 takes the power of the whole patch, the exact minimum
    disturbance of a single pixel. Patches of zeros contribute nothing. W (K,), X (K, M), E (M,); M = 1 is equation 8.

    >>> W, X = torch.tensor([1.0, 1.0]), torch.tensor([[2.0], [2.0]])
    >>> E = X.mT @ W - 0.0  # y - d with d = 0, before the step: 4
    >>> [(X.mT @ summed_step(W, X, E, 1.0, channels)).item() for channels in (1, 2)]
    [0.0, -4.0]

    Raises:
        ValueError: a sign other than 1 and -1, mu that is no finite number, or W, X and E that do not fit, or as
            `normalised`. (W and E may be beyond float64: weights that have diverged.)
    """
    if not checks.is_whole(sign) or sign not in (1, -1):
        raise ValueError(f"sign: {sign!r} is neither 1 nor -1")
    for name, values in (("W", W), ("E", E)):
        checks.tensor(name, values, finite=False)
    checks.alike(W=W, X=checks.tensor("X", X, "(K, M)", 2), E=E)
    if W.shape != X.shape[:1] or E.shape != X.shape[1:]:
        raise ValueError(f"W {tuple(W.shape)}, X {tuple(X.shape)}, E {tuple(E.shape)}: not (K,), (K, M) and (M,)")
    mu = checks.number("mu", mu)
    return W + sign * mu * normalised(X, channels) @ E


def normalised(X: Tensor, channels: int = 1) -> Tensor:
    """Patches X (K, M) with each channel's block divided by its power, x_i / ||x_i||^2; zero blocks stay zero.

    Raises:
        ValueError: X is not (K, M) of finite float32 or float64 numbers with K a multiple of the channels.
    """
    checks.tensor("X", X, "(K, M)", 2)
    if len(X) % checks.whole("channels", channels):
        raise ValueError(f"X: shape {tuple(X.shape)} is not ({channels} * Z, M)")
    blocks = X.unflatten(0, (channels, -1))  # (C, Z, M)
    largest = blocks.abs().amax(1, keepdim=True)  # (C, 1, M)
    range_ = torch.finfo(X.dtype)  # of which squares must not fall out
    extreme = (largest > 0) & ((largest < range_.tiny**0.5) | (largest > (range_.max / len(X)) ** 0.5))
    unit = torch.where(extreme, largest, 1.0)
    blocks = blocks / unit
    power = blocks.square().sum(1, keepdim=True)  # (C, 1, M)
    return torch.where(power > 0, blocks / torch.where(power > 0, power, 1.0) / unit, 0.0).flatten(0, 1)


def coupling(X: Tensor, channels: int = 1) -> Tensor:
    """How M summed NLMS steps disturb each other: G (M, M) with new errors (I - mu G) E.

    G_mm' = x_m^T (x_m' / ||x_m'||^2), per channel summed over the channels. Independent updates would make it the
    identity (Chai et al. 2020, section 4.1); with the power of the whole patch its diagonal is 1.

    >>> coupling(torch.ones(2, 3)).tolist()  # three patches that are all alike: each step is taken three times
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]

    Raises:
        ValueError: as `normalised`.
    """
    steps = normalised(X, channels)
    return X.mT @ steps


def largest_stable_rate(X: Tensor, channels: int = 1) -> float:
    """Largest mu for which summed NLMS steps on fixed patches X (K, N) do not grow, from G's eigenvalues.

    A mode grows unless |1 - mu lambda| <= 1, so mu = min 2 Re(lambda) / |lambda|^2; with one power a patch G is similar
    to a symmetric matrix and that is 2 / lambda_max. N may be large: G's nonzero eigenvalues are those of a (K, K).

    >>> largest_stable_rate(torch.ones(2, 64, dtype=torch.float64))
    0.03125

    Raises:
        ValueError: as `normalised`, or X is all zero.
    """
    G = normalised(X, channels) @ X.mT  # (K, K), its eigenvalues but for zeros
    if not X.any():
        raise ValueError("X: all zero, no rate makes its steps grow")
    eigenvalues = torch.linalg.eigvals(G)  # (K,), complex
    alive = eigenvalues.abs() > resolved(G) * eigenvalues.abs().max()
    rates = 2 * eigenvalues.real[alive] / eigenvalues[alive].abs().square()
    return rates.min().item()
