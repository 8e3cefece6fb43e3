"""What a training step did to the filters of a LeNet, and the power that goes forward: measurements of survival runs.

After a step of plain gradient descent the gradient g that made it is still there, so that the filters before it are
w + mu g. Of both convolutions are measured, one filter being one output channel: the length of all weights, that of the
gradient, the angle by which a filter turned, and how far the gradient is from orthogonal to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bnlab.layers.decoupling import radial_cosine
from bnlab.measures.probes import activations, window_of
from bnlab.theory.spectra import autocorrelation


@dataclass(frozen=True)
class FilterSteps:
    """``length1`` ||W|| of conv1 after the step, ``gradient1`` ||g||, ``turn1``, ``radial1``; and the same of conv2.

    ``turn``: median over the filters of the angle between w before and after the step, in degrees. ``radial``: root
    mean square over the filters of the cosine between w before and g, 0 where the gradient is orthogonal. The rates are
    those of the two convolutions' weights. All but the length are 0 before the first step, and nan without numbers.
    """

    rates: tuple[float, float]

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Look at a model after a step."""
        row = {}
        for n, rate in enumerate(self.rates, 1):
            weight = model.get_parameter(f"conv{n}.weight")
            gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
            after, g = weight.detach().double(), gradient.detach().double()
            before = after + rate * g
            row |= {f"length{n}": after.norm().item(), f"gradient{n}": _or_nan(g.norm())}
            row |= {f"turn{n}": _or_nan(turns(before, after).median()),
                    f"radial{n}": _or_nan(radial_cosine(before, g).square().mean().sqrt())}  # fmt: skip
        return row


def turns(before: Tensor, after: Tensor) -> Tensor:
    """Angle of each filter of (C, ...) to what it was, in degrees, (C,); right for small ones, where a cosine is not.

    >>> turns(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    tensor([90.])
    """
    one, other = (w.flatten(1) / w.flatten(1).norm(dim=1, keepdim=True) for w in (before, after))
    return torch.rad2deg(2 * torch.atan2((one - other).norm(dim=1), (one + other).norm(dim=1)))


def _or_nan(value: Tensor) -> float:
    return value.item() if value.isfinite() else float("nan")


@dataclass(frozen=True)
class ForwardPower:
    """``power2`` and ``power_fc``, mean squares of what enters conv2 and fc; ``lambda_max`` of R of conv2's input.

    As in training, by the statistics of the images; nan where the network is not finite.
    """

    images: Tensor = field(repr=False)  # (B, C, 32, 32)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Look at a model."""
        seen = activations(model, self.images, ("conv2", "fc"))
        maps, features = (seen[name][0] for name in ("conv2", "fc"))
        if not (maps.isfinite().all() and features.isfinite().all()):
            return dict.fromkeys(("power2", "power_fc", "lambda_max"), float("nan"))
        R = autocorrelation(maps, *window_of(model.get_submodule("conv2"), "conv2"))  # (K, K)
        powers = {name: value.double().square().mean().item() for name, value in
                  (("power2", maps), ("power_fc", features))}  # fmt: skip
        return powers | {"lambda_max": torch.linalg.eigvalsh(R)[-1].item()}
