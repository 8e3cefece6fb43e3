"""The augmentation of He et al. 2016 for small images: a random crop of the padded image, mirrored half of the time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bnlab import checks


def crop_and_flip(images: Tensor, generator: torch.Generator, pad: int = 4) -> Tensor:
    """Crop each of some images (B, C, H, W), padded with zeros, at random to H x W, and flip it or not.

    All on their device; offsets and flips are drawn by the CPU ``generator``, so that a GPU run sees the same images.
    Images are normalised, so that zero is their mean.

    Raises:
        ValueError: images of another shape, or a padding that is no whole number of at least 0.
    """
    checks.tensor("images", images, "(B, C, H, W)", 4, half=True, finite=False)
    checks.whole("pad", pad, 0)
    count, _, height, width = images.shape
    device = images.device
    offsets = torch.randint(2 * pad + 1, (2, count), generator=generator).to(device)
    flipped = torch.randint(2, (count,), generator=generator).bool().to(device)
    rows = offsets[0, :, None] + torch.arange(height, device=device)  # (B, H)
    columns = torch.arange(width, device=device).expand(count, width)  # (B, W)
    columns = offsets[1, :, None] + torch.where(flipped[:, None], columns.flip(1), columns)
    padded = functional.pad(images, (pad,) * 4).permute(0, 2, 3, 1)  # (B, H + 2 pad, W + 2 pad, C)
    chosen = torch.arange(count, device=device)[:, None, None]
    return padded[chosen, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
