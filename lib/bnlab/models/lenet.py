"""The LeNet of Chai et al. 2020, table 1: two convolutions, one fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.models.initialisation import draw_default_
from bnlab.models.norms import find_norm

SIZE = 32  # input height and width: the 400 features of table 1 hold for 32 x 32 only


class LeNet(nn.Module):
    """Conv 6x5x5, ReLU, average pool, conv 16x5x5, ReLU, average pool, fully connected 400 x classes.

    Images (B, in_channels, 32, 32) to logits (B, classes); 6,582 parameters for one channel, ten classes and no norm.
    MNIST's 28 x 28 must be padded: unpadded, 256 features remain where table 1 has 400.

    ``norm`` names an entry of `norms.NORMS`, or one for each convolution, ("none", "batch"). Networks that differ in
    it have identical conv1, conv2 and fc for generators in the same state (PyTorch's default initialisation).

    Raises:
        ValueError: if norm is no known name, or neither one nor two of them.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        norm: str | Sequence[str] = "none",
        *,
        generator: torch.Generator,
    ):
        super().__init__()
        names = (norm, norm) if isinstance(norm, str) else tuple(norm)
        if len(names) != 2:
            raise ValueError(f"norm: {norm!r} is not one name or two, for the two convolutions")
        first, second = (find_norm(name) for name in names)
        self.before1 = first.before(in_channels)
        self.conv1 = first.make_convolution(in_channels, 6, 5)
        self.norm1 = first.after(6)
        self.before2 = second.before(6)
        self.conv2 = second.make_convolution(6, 16, 5)
        self.norm2 = second.after(16)
        self.fc = nn.utils.skip_init(nn.Linear, 400, classes)
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(2)
        draw_default_(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, in_channels, 32, 32)."""
        self._check(images)
        x = self.pool(self.relu(self.norm1(self.conv1(self.before1(images)))))  # (B, 6, 14, 14)
        x = self.pool(self.relu(self.norm2(self.conv2(self.before2(x)))))  # (B, 16, 5, 5)
        return self.fc(x.flatten(1))

    def _check(self, images: Tensor) -> None:
        shape = f"(B, {self.conv1.in_channels}, {SIZE}, {SIZE})"
        checks.tensor("images", images, shape, 4, half=True, finite=False)
        checks.fits("images", images, self.conv1.weight.dtype)
        if images.shape[1] != self.conv1.in_channels:
            raise ValueError(f"images: shape {tuple(images.shape)} is not {shape}")
        height, width = images.shape[2:]
        if (height, width) != (SIZE, SIZE):
            features = 16 * max(0, ((height - 4) // 2 - 4) // 2) * max(0, ((width - 4) // 2 - 4) // 2)
            raise ValueError(
                f"images: {height} x {width} leave {features} features where the fully connected layer has 400: "
                f"pad or resize to {SIZE} x {SIZE}"
            )
