"""A fully connected network of any depth and width, its normalisation taken from the registry."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.models.initialisation import draw_default_
from bnlab.models.norms import find_norm

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
}

# Gain that keeps E z^2 from layer to layer: E relu(z)^2 = 1/2 for z ~ N(0, 1). For tanh the common 1 is the safe side;
# no gain keeps it for sigmoids, whose mean is not zero.
GAINS = {"relu": math.sqrt(2), "tanh": 1.0, "sigmoid": 1.0, "linear": 1.0}

INITIALISATIONS = ("default", "he", "xavier", "ntk", "orthogonal")


class MLP(nn.Module):
    r"""depth hidden layers: x -> activation(norm.after(W norm.before(x) + b)), then one linear layer to the classes.

    Inputs (B, ...) are flattened to (B, in_features); logits are (B, classes).

    ``norm`` names an entry of `norms.NORMS` for every hidden layer, or lists one for each of the depth + 1 linear
    layers: ``("batch",) * depth + ("batch_prior",)`` also normalises after the last nonlinearity. The registry's
    modules act on maps; a vector of features is a map of one pixel, so fully connected layers need none of their own.

    ``initialisation``, always from the one generator and in the order of the layers, so that networks which differ in
    norm alone get identical weights:

    - "default": PyTorch's uniform weights and biases;
    - "he": weights N(0, gain^2 / fan_in), biases 0, gain sqrt(2) for relu, else 1; the last layer's gain is 1;
    - "xavier": weights N(0, 2 / (fan_in + fan_out)), biases 0;
    - "ntk": weights N(0, 1), and each layer's input is multiplied by gain / sqrt(fan_in): the same function as "he" at
      the start, but gradients, and so the tangent kernel, keep their size as the width grows (Jacot et al. 2018);
    - "orthogonal": weights gain times a random matrix with orthonormal rows or columns, whichever are fewer, biases 0.

    Raises:
        ValueError: a size below 1, an unknown norm, activation or initialisation, a list of norms of another length,
            or inputs with another number of features.

    >>> net = MLP(4, 2, depth=2, width=8, norm="batch", generator=torch.Generator().manual_seed(0))
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
        norm: str | Sequence[str] = "none",
        activation: str = "relu",
        initialisation: str = "he",
        bias: bool = True,
        generator: torch.Generator,
    ):
        super().__init__()
        _check(initialisation, activation, in_features=in_features, classes=classes, depth=depth, width=width)
        names = [norm] * depth + ["none"] if isinstance(norm, str) else list(norm)
        if len(names) != depth + 1:
            raise ValueError(f"norm: {norm!r} is not one name, or one for each of the {depth + 1} linear layers")
        sizes = [in_features] + [width] * depth + [classes]
        entries = [find_norm(name) for name in names]
        self.before = nn.ModuleList(entry.before(size) for entry, size in zip(entries, sizes[:-1], strict=True))
        # skip_init: the layers' own initialisation would draw from torch's global generator.
        self.linears = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, fan_in, fan_out, bias=bias) for fan_in, fan_out in pairwise(sizes)
        )
        self.after = nn.ModuleList(entry.after(size) for entry, size in zip(entries, sizes[1:], strict=True))
        self.activation = ACTIVATIONS[activation]()
        gains = [GAINS[activation]] * depth + [1.0]
        scales = [gain / math.sqrt(size) for gain, size in zip(gains, sizes[:-1], strict=True)]
        self.input_scales = scales if initialisation == "ntk" else [1.0] * len(scales)
        self._draw(initialisation, scales, generator)

    @torch.no_grad()
    def _draw(self, initialisation: str, scales: Sequence[float], generator: torch.Generator) -> None:
        if initialisation == "default":
            draw_default_(self, generator)
            return
        for linear, scale in zip(self.linears, scales, strict=True):
            shape = linear.weight.shape
            if initialisation == "orthogonal":
                drawn = nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64), generator=generator)
                linear.weight.copy_(scale * math.sqrt(shape[1]) * drawn)
            else:
                deviation = {"he": scale, "xavier": math.sqrt(2 / sum(shape)), "ntk": 1.0}[initialisation]
                linear.weight.copy_(deviation * torch.randn(shape, generator=generator, dtype=torch.float64))
            if linear.bias is not None:
                linear.bias.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, classes) of inputs (B, ...)."""
        checks.tensor("inputs", inputs, "(B, ...)", range(2, 6), half=True, finite=False)
        checks.fits("inputs", inputs, self.linears[0].weight.dtype)
        x = inputs.flatten(1)  # (B, in_features)
        if x.shape[1] != self.linears[0].in_features:
            raise ValueError(f"inputs: {x.shape[1]} features where the network has {self.linears[0].in_features}")
        last = len(self.linears) - 1
        for layer, linear in enumerate(self.linears):
            x = _on_maps(self.before[layer], x)
            if self.input_scales[layer] != 1:
                x = self.input_scales[layer] * x
            x = _on_maps(self.after[layer], linear(x))  # (B, width), the preactivation
            if layer < last:
                x = self.activation(x)
        return x


def _on_maps(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a registry module, which takes maps (B, C, H, W), to features (B, C)."""
    return x if isinstance(norm, nn.Identity) else norm(x[:, :, None, None]).flatten(1)


def _check(initialisation: str, activation: str, **sizes: int) -> None:
    for name, size in sizes.items():
        checks.whole(name, size)
    checks.choice("initialisation", initialisation, INITIALISATIONS)
    checks.choice("activation", activation, tuple(ACTIVATIONS))
