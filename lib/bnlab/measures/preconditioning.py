"""Give the natural modes of a convolution layer other learning rates, without touching what the network computes.

Along eigenvector q_k of R a gradient step moves at the pace mu lambda_k (Chai et al. 2020, Eq. 6). Multiplying the
gradient by P = Q diag(lambda'_k / lambda_k) Q^T makes it the pace that eigenvalues lambda'_k would give, while inputs,
outputs and all other layers stay as they are: an intervention on the spectrum and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.measures.probes import activations, window_of
from bnlab.theory.modes import natural_modes, resolved, semidefinite
from bnlab.theory.spectra import autocorrelation

TOP = 5  # modes that count as the largest

GROUPS = {  # which modes are changed, of K in ascending order
    "smallest": lambda count: slice(0, 1),
    "lower_half": lambda count: slice(0, count // 2),
    "all_but_top_five": lambda count: slice(0, count - TOP),
    "top_five": lambda count: slice(count - TOP, count),
    "all": lambda count: slice(0, count),
}


def matching_factors(eigenvalues: Tensor, target: Tensor, group: str) -> Tensor:
    """Factors lambda'_k / lambda_k (K,) for the modes of a group, 1 for the others and for dead modes.

    Args:
        eigenvalues: lambda (K,), ascending, more than five.
        target: lambda' (K,), ascending.
        group: one of `GROUPS`.

    >>> own = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
    >>> matching_factors(own, 3 * own, "lower_half").tolist()
    [3.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0]

    Raises:
        ValueError: an unknown group, shapes that differ, or eigenvalues that do not ascend, are negative beyond
            rounding, or are not finite float32 or float64 numbers.
    """
    checks.choice("group", group, tuple(GROUPS))
    for name, values in (("eigenvalues", eigenvalues), ("target", target)):
        checks.tensor(name, values, "(K,)", 1)
        semidefinite(values, name=name)  # refuses negative ones
    if (eigenvalues.diff() < 0).any():
        raise ValueError("eigenvalues: they do not ascend")
    if eigenvalues.shape != target.shape or eigenvalues.ndim != 1 or len(eigenvalues) <= TOP:
        raise ValueError(f"target: shape {tuple(target.shape)} beside {tuple(eigenvalues.shape)} of the eigenvalues")
    factors = torch.ones_like(eigenvalues)
    chosen = GROUPS[group](len(eigenvalues))
    alive = eigenvalues > resolved(eigenvalues) * eigenvalues[-1]
    ratio = torch.where(alive, target / eigenvalues.clamp_min(torch.finfo(eigenvalues.dtype).tiny), 1.0)
    factors[chosen] = ratio[chosen]
    return factors


def capping_factors(eigenvalues: Tensor, cap: float) -> Tensor:
    """Factors min(1, cap / lambda_k) (K,): no mode moves faster than one of eigenvalue ``cap`` would.

    >>> capping_factors(torch.tensor([1.0, 4.0]), 2.0).tolist()
    [1.0, 0.5]

    Raises:
        ValueError: a cap that is not positive, or eigenvalues that are not finite float32 or float64 numbers.
    """
    cap = checks.number("cap", cap, above=0)
    checks.tensor("eigenvalues", eigenvalues, "(K,)", 1)
    return (cap / eigenvalues.clamp_min(cap)).clamp_max(1.0)


@dataclass
class ModePreconditioner:
    """Multiply a convolution layer's weight gradient by Q diag(factors) Q^T, Q following R as the network trains.

    Handed to `training.train` as ``adjust``. Either ``factors`` (K,), by rank of the eigenvalue, ascending; or ``cap``,
    for `capping_factors` of the eigenvalues of the moment.

    Raises:
        ValueError: both or neither of factors and cap, a cap that is not positive, ``every`` below 1; when called, a
            layer that is no convolution with a gradient, or not as many factors as modes.
    """

    images: Tensor = field(repr=False)  # normalised (B, C, H, W), on which R is measured
    factors: Tensor | None = None
    cap: float | None = None
    layer: str = "conv2"
    every: int = 20  # steps between two measurements of R

    def __post_init__(self):
        if (self.factors is None) == (self.cap is None):
            raise ValueError("a preconditioner takes either factors or cap")
        if self.cap is None:
            checks.tensor("factors", self.factors, "(K,)", 1)
        else:
            checks.number("cap", self.cap, above=0)
        checks.whole("every", self.every)
        self._matrix: Tensor | None = None

    @torch.no_grad()
    def __call__(self, model: nn.Module, step: int) -> None:
        """Change the layer's gradient in place; a network that is not finite keeps the matrix it had."""
        if self._matrix is None or step % self.every == 0:
            entering, _ = activations(model, self.images, (self.layer,))[self.layer]  # (B, IC, IH, IW)
            window = window_of(model.get_submodule(self.layer), self.layer)
            if entering.isfinite().all():
                self._matrix = self._preconditioner(autocorrelation(entering, *window))
        gradient = model.get_submodule(self.layer).weight.grad  # (OC, IC, H, W)
        if gradient is None:
            raise ValueError(f"layer: {self.layer!r} has no gradient to change")
        if self._matrix is not None:
            gradient.copy_((gradient.flatten(1) @ self._matrix.to(gradient)).view_as(gradient))

    def _preconditioner(self, R: Tensor) -> Tensor:
        spectrum = natural_modes(R)
        factors = self.factors if self.cap is None else capping_factors(spectrum.eigenvalues, self.cap)
        if factors.shape != spectrum.eigenvalues.shape:
            raise ValueError(f"factors: {len(factors)} for the {len(R)} modes of {self.layer!r}")
        return (spectrum.eigenvectors * factors.to(R)) @ spectrum.eigenvectors.mT  # (K, K)
