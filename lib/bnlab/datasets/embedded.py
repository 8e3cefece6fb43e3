"""`digits` and `digits-rgb`: real data that ship with scikit-learn, so that every chapter runs offline.

All arithmetic is exact (integers, or float64 with dyadic weights), so that the images are the same bytes on every
machine; for `digits-rgb` up to the JPEG decoder that reads the photographs.
"""

import torch
from torch import Tensor

from bnlab.datasets.base import Dataset, assemble, require
from bnlab.datasets.splitting import stratified_split
from bnlab.randomness import generator

CLASSES = tuple("0123456789")
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
STRIP = 80  # pixels: width of the vertical strips into which a photograph is cut
TEST_STRIPS = (2, 5)  # of 8: these columns give the test backgrounds, the other six the training backgrounds
LUMINANCE = torch.tensor([77, 150, 29])  # weights of R, G, B in 1/256 (Rec. 601), in integers


def load_digits(name: str, size: int, device) -> Dataset:
    """scikit-learn's 1,797 handwritten digits, bilinear from 8x8 to size x size, split 80/20 within each class."""
    images, labels = handwritten(size)  # (1797, 1, size, size)
    parts = [(images[part], labels[part]) for part in _split(labels)]
    return assemble(name, "digits (scikit-learn)", *parts, CLASSES, device)


def load_digits_rgb(name: str, size: int, device) -> Dataset:
    """The same digits and split, painted in varying colours over crops of two photographs, `(3, 32, 32)`.

    The photographs are scikit-learn's. Training and test crops come from different columns of them, so that no test
    background was seen in training.
    """
    images, labels = handwritten(size)
    photographs = [_photograph(file) for file in PHOTOGRAPHS]
    parts = []
    for split, chosen in zip(("train", "test"), _split(labels), strict=True):
        backgrounds = crops(photographs, len(chosen), split, size)
        painted = paint(images[chosen], backgrounds, generator(0, f"colours of the {split} digits"))
        parts.append((painted, labels[chosen]))
    return assemble(name, "digits-rgb (scikit-learn digits on photographs)", *parts, CLASSES, device)


def handwritten(size: int) -> tuple[Tensor, Tensor]:
    """All 1,797 digits: uint8 images `(1797, 1, size, size)`, 0..16 scaled to 0..255, and int64 labels `(1797,)`."""
    raw = require("sklearn.datasets", "scikit-learn").load_digits()
    pixels = torch.from_numpy(raw.images).double()[:, None] * (255 / 16)  # (1797, 1, 8, 8)
    if size != 8:
        # For a factor of 2 or 4 the bilinear weights are multiples of 1/8: in float64 nothing is rounded.
        pixels = torch.nn.functional.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False)
    return pixels.round().to(torch.uint8), torch.from_numpy(raw.target).long()


def crops(photographs: list[Tensor], count: int, split: str, size: int = 32) -> Tensor:
    """Draw `count` backgrounds, uint8 `(count, 3, size, size)`, from those columns that belong to the split.

    A crop is a square of one or two times `size` inside one strip, averaged down to `size`, mirrored half of the time.
    `photographs` are uint8 `(3, H, W)`.
    """
    draw = generator(0, f"backgrounds of the {split} digits")
    result = torch.empty(count, 3, size, size, dtype=torch.uint8)
    for i in range(count):
        photograph = photographs[_integer(draw, 0, len(photographs))]
        height, width = photograph.shape[1:]
        strips = [s for s in range(width // STRIP) if (s in TEST_STRIPS) == (split == "test")]
        left_edge = STRIP * strips[_integer(draw, 0, len(strips))]
        factor = _integer(draw, 1, 3)
        side = factor * size
        top, left = _integer(draw, 0, height - side + 1), left_edge + _integer(draw, 0, STRIP - side + 1)
        square = photograph[:, top : top + side, left : left + side].long()
        blocks = square.reshape(3, size, factor, size, factor).sum((2, 4))  # (3, size, size)
        small = (blocks + factor * factor // 2) // (factor * factor)
        result[i] = (small.flip(2) if _integer(draw, 0, 2) else small).to(torch.uint8)
    return result


def paint(digits: Tensor, backgrounds: Tensor, draw: torch.Generator) -> Tensor:
    """Paint digits, uint8 `(N, 1, H, W)`, over backgrounds, uint8 `(N, 3, H, W)`: uint8 `(N, 3, H, W)`.

    out = (1 - a) background + a colour, with a = min(1, 1.5 digit / 255) x opacity and an opacity of 0.85 to 1. The
    colour lies 90 to 127 grey levels above or below the crop's mean luminance, with a random tint: light on dark and
    dark on light, so that brightness alone tells little.
    """
    count = len(digits)
    luminance = (backgrounds.long() * LUMINANCE.view(1, 3, 1, 1)).sum(1) // 256  # (N, H, W)
    ground = luminance.sum((1, 2)) // luminance[0].numel()  # (N,)
    contrast = torch.randint(90, 128, (count,), generator=draw)
    upward = torch.randint(0, 2, (count,), generator=draw).bool()
    # At most 127 levels of contrast leave room on one side at least: take the side that has it.
    upward = (upward | (ground - contrast < 0)) & (ground + contrast <= 255)
    grey = torch.where(upward, ground + contrast, ground - contrast)  # (N,)
    tint = torch.randint(-60, 61, (count, 3), generator=draw)
    tint = tint - ((tint * LUMINANCE).sum(1, keepdim=True) // 256)  # changes the hue, hardly the luminance
    colour = (grey[:, None] + tint).clamp(0, 255).view(count, 3, 1, 1)
    opacity = torch.randint(218, 257, (count, 1, 1, 1), generator=draw)  # in 1/256
    weight = (digits.long() * 3 // 2).clamp(max=255) * opacity  # (N, 1, H, W), in 1/whole
    whole = 255 * 256
    painted = (backgrounds.long() * (whole - weight) + colour * weight + whole // 2) // whole
    return painted.to(torch.uint8)


def _split(labels: Tensor) -> tuple[Tensor, Tensor]:
    return stratified_split(labels, generator(0, "split of the digits"))


def _photograph(file: str) -> Tensor:
    pixels = require("sklearn.datasets", "scikit-learn").load_sample_image(file)  # (H, W, 3)
    return torch.tensor(pixels).permute(2, 0, 1)  # (3, H, W)


def _integer(draw: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (), generator=draw))
