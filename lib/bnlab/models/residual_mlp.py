"""A fully connected residual network: blocks x + W phi(norm(x)), the normalisation taken from the registry."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.models.mlp import ACTIVATIONS, GAINS
from bnlab.models.norms import NORMS, find_norm

INITIALISATIONS = ("he", "xavier", "orthogonal")
# A branch is normalised where it begins, so a normalisation of a layer's input, or of its weight update, has no place.
HERE = ("none", *(name for name, entry in NORMS.items() if not isinstance(entry.after(1), nn.Identity)))


class _Block(nn.Module):
    """x -> x + scale W phi(norm(x)) of features (B, width), or the branch alone without ``skip``."""

    def __init__(self, width: int, norm: str, activation: str, skip: bool, scale: float | None):
        super().__init__()
        self.norm = find_norm(norm).after(width)
        self.activation = ACTIVATIONS[activation]()
        self.linear = nn.utils.skip_init(nn.Linear, width, width, bias=False)
        self.skip = skip
        self.scale = None if scale is None else nn.Parameter(torch.tensor(float(scale)))

    def branch(self, x: Tensor) -> Tensor:
        """W phi(norm(x)), scaled: (B, width)."""
        normalised = x if isinstance(self.norm, nn.Identity) else self.norm(x[:, :, None, None]).flatten(1)
        y = self.linear(self.activation(normalised))
        return y if self.scale is None else self.scale * y

    def forward(self, x: Tensor) -> Tensor:
        """The stream after the block, (B, width)."""
        return x + self.branch(x) if self.skip else self.branch(x)


class ResidualMLP(nn.Module):
    r"""A linear stem, ``depth`` blocks x -> x + W phi(norm(x)), a linear head (He et al. 2016b's order, no head norm).

    Inputs (B, ...) are flattened to (B, in_features); logits are (B, classes). There are no biases but the norm's.
    Initialisations, always from the one generator in the order stem, blocks, head, so that networks which differ in
    norm, skip or scale get identical weights: "he" N(0, gain^2 / fan_in) with gain sqrt(2) for relu, else 1; "xavier"
    N(0, 2 / (fan_in + fan_out)); "orthogonal" gain times orthonormal rows or columns. Stem and head have gain 1.

    ``skip=False`` leaves the branches alone, a chain of the same layers; ``branch_scale`` ends every branch with a
    trainable scalar that starts there: SkipInit with 0 (De and Smith 2020).

    Raises:
        ValueError: a size below 1, an unknown norm, activation or initialisation, a norm that has no place ahead of
            an activation, a scale that is no finite number, or inputs with another number of features.

    >>> net = ResidualMLP(4, 2, depth=2, width=8, norm="batch", generator=torch.Generator().manual_seed(0))
    >>> net(torch.ones(3, 2, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        in_features: int,
        classes: int,
        *,
        depth: int,
        width: int,
        norm: str = "none",
        activation: str = "relu",
        initialisation: str = "he",
        skip: bool = True,
        branch_scale: float | None = None,
        generator: torch.Generator,
    ):
        super().__init__()
        for name, size in (("in_features", in_features), ("classes", classes), ("depth", depth), ("width", width)):
            checks.whole(name, size)
        checks.choice("norm", norm, HERE)
        checks.choice("activation", activation, tuple(ACTIVATIONS))
        checks.choice("initialisation", initialisation, INITIALISATIONS)
        scale = None if branch_scale is None else checks.number("branch_scale", branch_scale)
        self.stem = nn.utils.skip_init(nn.Linear, in_features, width, bias=False)
        self.blocks = nn.ModuleList(_Block(width, norm, activation, skip, scale) for _ in range(depth))
        self.head = nn.utils.skip_init(nn.Linear, width, classes, bias=False)
        gains = [1.0, *[GAINS[activation]] * depth, 1.0]
        linears = [self.stem, *(block.linear for block in self.blocks), self.head]
        for linear, gain in zip(linears, gains, strict=True):
            _draw(linear.weight, initialisation, gain, generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, classes) of inputs (B, ...)."""
        checks.tensor("inputs", inputs, "(B, ...)", range(2, 6), half=True, finite=False)
        checks.fits("inputs", inputs, self.stem.weight.dtype)
        x = inputs.flatten(1)  # (B, in_features)
        if x.shape[1] != self.stem.in_features:
            raise ValueError(f"inputs: {x.shape[1]} features where the network has {self.stem.in_features}")
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@torch.no_grad()
def _draw(weight: Tensor, initialisation: str, gain: float, generator: torch.Generator) -> None:
    shape, fan_in = weight.shape, weight.shape[1]
    if initialisation == "orthogonal":
        drawn = nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64), generator=generator)
        weight.copy_(gain * drawn)
        return
    deviation = gain / math.sqrt(fan_in) if initialisation == "he" else math.sqrt(2 / sum(shape))
    weight.copy_(deviation * torch.randn(shape, generator=generator, dtype=torch.float64))
