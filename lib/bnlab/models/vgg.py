"""A small VGG-like network: pairs of 3 x 3 convolutions, each pair followed by pooling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.models.fan_scaling import INITIALISATIONS, draw_normal_
from bnlab.models.norms import find_norm

SIZE = 32  # input height and width


class VGG(nn.Module):
    """For every width two convolutions of 3 x 3 to that many channels and max pooling by 2; then one linear layer.

    Images (B, in_channels, 32, 32) to logits (B, classes). Each convolution is followed by its norm and a ReLU. As the
    VGG-like network of Santurkar et al. 2018 but smaller: theirs has eight convolutions and three linear layers.

    ``norm`` names an entry of `norms.NORMS`. ``initialisation`` is "xavier" or "kaiming" (`fan_scaling.draw_normal_`),
    biases 0: networks that differ in norm alone have identical weights for generators in the same state. Layers are
    named ``convolutions.k``, ``norms.k`` and ``relus.k`` in forward order from k = 0, and ``fc``.

    >>> net = VGG(1, widths=(8, 16), norm="batch", generator=torch.Generator().manual_seed(0))
    >>> net(torch.ones(2, 1, 32, 32)).shape, len(net.convolutions)
    (torch.Size([2, 10]), 4)

    Raises:
        ValueError: no width, more than five, or one below 1; an unknown norm or initialisation; other images.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 10,
        *,
        widths: Sequence[int] = (16, 32, 64),
        norm: str = "none",
        initialisation: str = "xavier",
        generator: torch.Generator,
    ):
        super().__init__()
        entry = find_norm(norm)
        checks.choice("initialisation", initialisation, INITIALISATIONS)
        checks.whole("in_channels", in_channels)
        checks.whole("classes", classes)
        if not 1 <= len(widths) <= 5:
            raise ValueError(f"widths: {widths!r} are not one to five widths; each halves the {SIZE} pixels of a side")
        sizes = [checks.whole("widths", width) for width in widths for _ in range(2)]
        before = [in_channels, *sizes[:-1]]
        self.before = nn.ModuleList(entry.before(size) for size in before)
        # skip_init: the layers' own initialisation would draw from torch's global generator.
        self.convolutions = nn.ModuleList(
            nn.utils.skip_init(entry.convolution, fan_in, fan_out, 3, padding=1, **entry.rule)
            for fan_in, fan_out in zip(before, sizes, strict=True)
        )
        self.norms = nn.ModuleList(entry.after(size) for size in sizes)
        self.relus = nn.ModuleList(nn.ReLU() for _ in sizes)
        self.pool = nn.MaxPool2d(2)
        side = SIZE // 2 ** len(widths)
        self.fc = nn.utils.skip_init(nn.Linear, sizes[-1] * side * side, classes)
        draw_normal_(self, generator, initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, in_channels, 32, 32)."""
        channels = self.convolutions[0].in_channels
        shape = f"(B, {channels}, {SIZE}, {SIZE})"
        checks.tensor("images", images, shape, 4, half=True, finite=False)
        checks.fits("images", images, self.fc.weight.dtype)
        if tuple(images.shape[1:]) != (channels, SIZE, SIZE):
            raise ValueError(f"images: shape {tuple(images.shape)} is not {shape}")
        x = images
        for k, convolution in enumerate(self.convolutions):
            x = self.relus[k](self.norms[k](convolution(self.before[k](x))))
            x = self.pool(x) if k % 2 else x
        return self.fc(x.flatten(1))
