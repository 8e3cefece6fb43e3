"""Products of patches summed over images and positions, sum_b X_b X_b^T, without unrolling: R before it is divided.

Patches share their pixels. Entry ((c, h, w), (e, v, j)) of the sum is a sum of products of pixels that stand a fixed
lag apart, (v - h, j - w) times the dilation, over the positions that both kernel pixels reach. Pixels under the same
kernel rows (and columns) share these sums, so that runs of them are one matrix product:

* by rows, for few channels: an image row of all channels times the row a lag below, (C IW, C IW), of which the sums
  along diagonals are the horizontal lags;
* by pixels, for many channels: the channels of a pixel times those of the pixel a lag away, (C, C);
* by patches: unrolled, some images at a time, where strides or small kernels leave nothing to share.

All in float64: eigenvalues near 0 are what is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from bnlab import checks
from bnlab.theory.patches import Geometry, output_size, unroll

PIECE = 2**19  # doubles of images at a time: 4 MB stays near the cache
UNROLLED = 2**20  # doubles unrolled at a time
WIDEST_ROW = 1024  # numbers in a row of all channels: 8 MB of products
# Measured on one thread of a CPU, in multiplications of one big product: what it costs to unroll a number, and how fast
# products of rows and of pixels are, the latter by the number of channels.
UNROLLING, ROWS_SPEED, PIXELS_SPEED, FULL_SPEED_CHANNELS = 110, 0.85, 0.75, 64


class Run(NamedTuple):
    """Consecutive pixels on one axis that stand, each together with the pixel a lag further, under the same kernel."""

    start: int
    stop: int
    kernel: tuple[int, ...]  # places h: the pixel under h, the other one under h + lag


@torch.no_grad()
def patch_products(x: Tensor, window: Geometry) -> Tensor:
    """Sum over images and positions of patch times patch, sum_b X_b X_b^T, (K, K) float64 with K = C H W.

    Symmetric up to rounding; not differentiable.

    >>> from bnlab.theory.patches import geometry
    >>> patch_products(torch.tensor([[[[1.0, 2.0, 3.0]]]]), geometry((1, 2)))  # patches (1, 2) and (2, 3)
    tensor([[ 5.,  8.],
            [ 8., 13.]], dtype=torch.float64)

    Args:
        x: input maps (B, C, IH, IW), on any device.
        window: how the kernel moves, as `patches.geometry` gives it.

    Raises:
        ValueError: no window fits, or x is not (B, C, H, W) of real floating-point numbers.
    """
    checks.tensor("x", x, "(B, C, H, W)", 4, half=True, finite=False)
    output_size(tuple(x.shape[2:]), *window)
    return _cheapest(x.shape[1:], window)(x, window)


def _cheapest(shape: torch.Size, window: Geometry) -> Callable[[Tensor, Geometry], Tensor]:
    """Choose by multiplications an image and how fast each way is at them."""
    (channels, rows, columns), (high, wide) = shape, window.kernel_size
    positions, length = math.prod(output_size((rows, columns), *window)), channels * high * wide
    pixels = high * (2 * wide - 1) * rows * columns * channels**2
    costs = {
        by_patches: length**2 * positions + UNROLLING * length * positions,
        by_pixels: pixels / (PIXELS_SPEED * min(1.0, channels / FULL_SPEED_CHANNELS)),
    }
    if channels * columns <= WIDEST_ROW:
        costs[by_rows] = high * rows * (channels * columns) ** 2 / ROWS_SPEED
    return min(costs, key=costs.get)


def by_patches(x: Tensor, window: Geometry) -> Tensor:
    """`patch_products` with unrolled patches, some images at a time."""
    height, width = output_size(tuple(x.shape[2:]), *window)
    length = x.shape[1] * math.prod(window.kernel_size)
    total = x.new_zeros(length, length, dtype=torch.float64)
    for images in x.split(max(1, UNROLLED // (length * height * width))):
        columns = unroll(images.double(), *window).transpose(0, 1).flatten(1)  # (K, b M)
        total.addmm_(columns, columns.mT)
    return total


def by_rows(x: Tensor, window: Geometry) -> Tensor:
    """`patch_products` from products of whole image rows."""
    _, channels, rows, columns = x.shape
    runs = [(lag, run) for lag in range(window.kernel_size[0]) for run in _runs(rows, lag, window, axis=0)]
    sums = [x.new_zeros(channels * columns, channels * columns, dtype=torch.float64) for _ in runs]
    for images in _pieces(x):
        by_row = _laid_out(images, 2, 0, 1, 3).flatten(2)  # (IH, b, C IW)
        for (lag, run), total in zip(runs, sums, strict=True):
            further = lag * window.dilation[0]
            above, below = by_row[run.start : run.stop], by_row[run.start + further : run.stop + further]
            total.addmm_(above.flatten(0, 1).mT, below.flatten(0, 1))
    found = _empty(x, window)
    for (lag, run), total in zip(runs, sums, strict=True):
        pairs = _along_diagonals(total, channels, columns, window)  # (C, W, C, W)
        for h in run.kernel:
            found[:, h, :, :, h + lag] += pairs
    for lag in range(1, window.kernel_size[0]):
        for h in range(window.kernel_size[0] - lag):
            found[:, h + lag, :, :, h] = found[:, h, :, :, h + lag].permute(2, 3, 0, 1)
    return found.flatten(3).flatten(0, 2)


def _along_diagonals(products: Tensor, channels: int, columns: int, window: Geometry) -> Tensor:
    """From products of all pairs of columns (C IW, C IW), those of kernel columns, summed over positions."""
    padding, wide, stride, dilation = (part[1] for part in (window.padding, *window[:2], window.dilation))
    width = output_size((window.kernel_size[0] * window.dilation[0], columns), *window)[1]
    both = functional.pad(
        products.view(channels, columns, channels, columns), (padding, padding, 0, 0) + (padding,) * 2
    )
    size = columns + 2 * padding
    row = channels * size
    # Entry (c, w, e, v, j) is the product of column d w + s j of channel c and column d v + s j of channel e.
    shape = (channels, wide, channels, wide, width)
    return both.as_strided(shape, (size * row, dilation * row, size, dilation, stride * (row + 1))).sum(-1)


def by_pixels(x: Tensor, window: Geometry) -> Tensor:
    """`patch_products` from products of the channels of two pixels."""
    rows, columns = x.shape[2:]
    high, wide = window.kernel_size
    found = _empty(x, window)
    for images in _pieces(x):
        maps = _laid_out(images, 1, 2, 3, 0)  # (C, IH, IW, b)
        for down in range(high):
            for right in range(1 - wide if down else 0, wide):
                for one in _runs(rows, down, window, axis=0):
                    for other in _runs(columns, right, window, axis=1):
                        pair = _lagged(maps, one, other, down * window.dilation[0], right * window.dilation[1])
                        for h in one.kernel:
                            for w in other.kernel:
                                found[:, h, w, :, h + down, w + right] += pair
    for down in range(high):
        for right in range(1 - wide if down else 1, wide):
            for h in range(high - down):
                for w in range(max(0, -right), min(wide, wide - right)):
                    found[:, h + down, w + right, :, h, w] = found[:, h, w, :, h + down, w + right].mT
    return found.flatten(3).flatten(0, 2)


def _lagged(maps: Tensor, rows: Run, columns: Run, down: int, right: int) -> Tensor:
    """Sum over the pixels of two runs of the product of their channels and those of the pixel a lag away, (C, C)."""
    here, there = slice(columns.start, columns.stop), slice(columns.start + right, columns.stop + right)
    total = maps.new_zeros(len(maps), len(maps))
    for i in range(rows.start, rows.stop):
        total.addmm_(maps[:, i, here].flatten(1), maps[:, i + down, there].flatten(1).mT)
    return total


def _pieces(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(max(1, PIECE // x[0].numel()))


def _laid_out(images: Tensor, *order: int) -> Tensor:
    return images.permute(order).to(torch.float64, memory_format=torch.contiguous_format)  # one copy, not two


def _empty(x: Tensor, window: Geometry) -> Tensor:
    sizes = (x.shape[1], *window.kernel_size)
    return x.new_zeros(*sizes, *sizes, dtype=torch.float64)


def _runs(size: int, lag: int, window: Geometry, axis: int) -> list[Run]:
    """Split an axis into runs, without pixels that are under no such pair of kernel places."""
    kernel, stride, padding, dilation = (part[axis] for part in window)
    positions = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1

    def places(pixel: int) -> tuple[int, ...]:
        if not 0 <= pixel + lag * dilation < size:
            return ()
        pairs = range(max(0, -lag), min(kernel, kernel - lag))
        corners = [(h, pixel + padding - h * dilation) for h in pairs]
        return tuple(h for h, at in corners if at % stride == 0 and 0 <= at // stride < positions)

    grouped = [(kernel_places, list(run)) for kernel_places, run in groupby(range(size), places)]
    return [Run(run[0], run[-1] + 1, kernel_places) for kernel_places, run in grouped if kernel_places]
