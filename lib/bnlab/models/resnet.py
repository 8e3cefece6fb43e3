"""The ResNet of He et al. 2016 for small images, of 6n + 2 layers, its normalisation in chosen places."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab import checks
from bnlab.models.fan_scaling import INITIALISATIONS, draw_normal_

# GroupNorm with one group is the layer normalisation of maps: over channels and positions of one image.
NORMALISATIONS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "group": lambda channels: nn.GroupNorm(gcd(8, channels), channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}
PLACEMENTS = ("everywhere", "nowhere", "last", "all but last")


class ResNet(nn.Module):
    r"""One convolution, 3 stages of n blocks of two, global average pooling, one linear layer: depth = 6n + 2.

    Images (B, in_channels, H, W) to logits (B, classes). A block is x -> relu(shortcut(x) + N(c(relu(N(c(x)))))) with
    convolutions c of 3 x 3, no bias, and normalisations N. Stages have width, 2 width and 4 width channels; the first
    convolution of the second and third stage has stride 2, and the shortcut there is He et al.'s option A, which has no
    parameters: every second position, and zeros for the new channels.

    ``convolutions``, ``norms`` and ``relus`` are in forward order, so that layer k = 0 ... depth - 2 is
    ``convolutions.k`` by name, its normalisation ``norms.k`` and the nonlinearity after it ``relus.k``; ``relus.0`` and
    those of even k give the residual stream. ``placement`` says where the normalisation ``norm`` stands (an identity is
    left where it does not):

    - "everywhere": after every convolution; "nowhere";
    - "last": on the output of the last residual block alone (Bjorck et al. 2018, Sec. 3.2), after the sum, ahead of its
      nonlinearity: ``last_norm``;
    - "all but last": after every convolution but the last one, the converse, which leaves the last sum as it comes.

    ``norm``: "batch", "layer" (one group of all channels), "group" (8 groups) or "instance", all with an affine map.

    ``initialisation``: "xavier" or "kaiming" (`fan_scaling.draw_normal_`), biases 0, all from the one generator:
    networks that differ in norm or placement alone have identical convolutions and the same linear layer.

    >>> net = ResNet(20, generator=torch.Generator().manual_seed(0))
    >>> sum(p.numel() for p in net.parameters()), len(net.convolutions)
    (269722, 19)

    Raises:
        ValueError: a depth that is not 6n + 2, a size below 1, an unknown norm, placement or initialisation, or images
            with another number of channels.
    """

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        classes: int = 10,
        *,
        norm: str = "batch",
        placement: str = "everywhere",
        initialisation: str = "xavier",
        width: int = 16,
        generator: torch.Generator,
    ):
        super().__init__()
        checks.choice("norm", norm, tuple(NORMALISATIONS))
        checks.choice("placement", placement, PLACEMENTS)
        checks.choice("initialisation", initialisation, INITIALISATIONS)
        checks.whole("depth", depth, 8)
        if depth % 6 != 2:
            raise ValueError(f"depth: {depth} is not 6n + 2, such as 8, 20, 56 or 110")
        checks.whole("in_channels", in_channels)
        checks.whole("classes", classes)
        checks.whole("width", width)
        blocks = (depth - 2) // 6  # n, in one stage
        sizes = [width] + [width * 2**stage for stage in range(3) for _ in range(2 * blocks)]
        strides = [1] + [2 if stage and k == 0 else 1 for stage in range(3) for k in range(2 * blocks)]
        # skip_init: the layers' own initialisation would draw from torch's global generator.
        self.convolutions = nn.ModuleList(
            nn.utils.skip_init(nn.Conv2d, fan_in, fan_out, 3, stride=stride, padding=1, bias=False)
            for fan_in, fan_out, stride in zip([in_channels, *sizes[:-1]], sizes, strides, strict=True)
        )
        make, last = NORMALISATIONS[norm], len(sizes) - 1
        normalised = [placement == "everywhere" or (placement == "all but last" and k < last) for k in range(last + 1)]
        self.norms = nn.ModuleList(
            make(size) if here else nn.Identity() for size, here in zip(sizes, normalised, strict=True)
        )
        self.last_norm = make(sizes[-1]) if placement == "last" else nn.Identity()
        self.relus = nn.ModuleList(nn.ReLU() for _ in sizes)
        self.fc = nn.utils.skip_init(nn.Linear, sizes[-1], classes)
        draw_normal_(self, generator, initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, in_channels, H, W)."""
        self._check(images)
        stream = self.relus[0](self._layer(0, images))  # (B, width, H, W)
        last = len(self.convolutions) - 1
        for k in range(1, last, 2):
            inner = self._layer(k + 1, self.relus[k](self._layer(k, stream)))
            total = inner + _shortcut(stream, inner.shape[1], self.convolutions[k].stride[0])
            stream = self.relus[k + 1](self.last_norm(total) if k + 1 == last else total)
        return self.fc(stream.mean((2, 3)))

    def _layer(self, k: int, x: Tensor) -> Tensor:
        return self.norms[k](self.convolutions[k](x))

    def _check(self, images: Tensor) -> None:
        channels = self.convolutions[0].in_channels
        shape = f"(B, {channels}, H, W)"
        checks.tensor("images", images, shape, 4, half=True, finite=False)
        checks.fits("images", images, self.fc.weight.dtype)
        if images.shape[1] != channels:
            raise ValueError(f"images: shape {tuple(images.shape)} is not {shape}")


def _shortcut(x: Tensor, channels: int, stride: int) -> Tensor:
    """He et al.'s option A: every stride-th position of maps (B, C, H, W), and zeros for new channels at the end."""
    return functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))
