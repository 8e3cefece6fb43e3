"""Input autocorrelation R and cross-correlation P of a convolution layer, streamed over images in bounded memory.

R = E[x x^T] of Chai et al. 2020, section 3.1, uncentred, where E is the mean over images AND positions: sums are
divided by B*M, so that an entry is a power, whatever the size of the maps. (The paper leaves out the 1/M. With
autograd's gradient, which sums over positions, the stability bound then reads 2 / (M lambda_max).) Always float64:
eigenvalues near 0 are what is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from bnlab import checks
from bnlab.theory.patches import Geometry, Pair, geometry, output_size, unroll

# Doubles unrolled at a time: 8 MB stays near the cache, where the product is about twice as fast as on one big matrix.
CHUNK = 2**20


@torch.no_grad()
def autocorrelation(
    x: Tensor | Iterable[Tensor], kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> Tensor:
    """Autocorrelation of the patches a convolution sees, R = 1/(B M) sum_b X_b X_b^T, symmetric (K, K) float64.

    x holds the layer's input maps (B, C, IH, IW), on any device, or is an iterable of such batches, of which one is
    in memory at a time. K = C*H*W, channel-major as in `patches.unroll`. Not differentiable.

    >>> autocorrelation(torch.tensor([[[[1.0, 2.0, 3.0]]]]), (1, 2))  # patches (1, 2) and (2, 3)
    tensor([[2.5000, 4.0000],
            [4.0000, 6.5000]], dtype=torch.float64)

    Raises:
        ValueError: if there is no image, if batches differ in shape, if no window fits, or if images are not real
            floating-point numbers, finite and with finite products. Half precision is widened.
    """
    window = geometry(kernel_size, stride, padding, dilation)
    total, images, shape, by_rows = 0.0, 0, None, False
    for batch in [x] if isinstance(x, Tensor) else x:
        if shape is None:
            shape = _map_shape(batch, window)
            by_rows = _rows_are_cheaper(shape, window)
        elif _map_shape(batch, window) != shape:
            raise ValueError(f"x: a batch of shape {tuple(batch.shape)} follows images of shape {tuple(shape)}")
        total = total + (_row_products if by_rows else _patch_products)(batch, window)
        images += batch.shape[0]
    if not images:
        raise ValueError("x: no image to correlate")
    if by_rows:
        total = _patches_from_rows(total, shape, window)
    height, width = output_size(tuple(shape[1:]), *window)
    # A matrix product need not round U U^T symmetrically, and eigenvalue routines read one triangle only.
    return _finite("x", (total + total.mT) / (2 * images * height * width))


@torch.no_grad()
def cross_correlation(
    x: Tensor, d: Tensor, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> Tensor:
    """Cross-correlation of patches and desired response, P = 1/(B M) sum_b X_b D_b^T, (K, OC) float64.

    x (B, C, IH, IW) are the layer's inputs and d (B, OC, OH, OW) the desired outputs; column o is the paper's P of
    output channel o (Chai et al. 2020, section 3.1, with the mean over positions as well). Not differentiable.

    >>> cross_correlation(torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([[[[1.0, -1.0]]]]), (1, 2)).tolist()
    [[-0.5], [-0.5]]

    Raises:
        ValueError: if d has not the shape of the convolution's output on x, or as `autocorrelation`.
    """
    window = geometry(kernel_size, stride, padding, dilation)
    shape = _map_shape(x, window)
    height, width = output_size(tuple(shape[1:]), *window)
    checks.tensor("d", d, half=True, finite=False, empty=True)
    if d.ndim != 4 or d.shape[0] != x.shape[0] or tuple(d.shape[2:]) != (height, width):
        raise ValueError(f"d: shape {tuple(d.shape)} is not ({x.shape[0]}, OC, {height}, {width})")
    if not x.shape[0]:
        raise ValueError("x: no image to correlate")
    total, step = 0.0, _images_at_once(shape, window)
    for images, desired in zip(x.split(step), d.split(step), strict=True):
        columns = unroll(images.double(), *window)  # (b, K, M)
        total = total + torch.einsum("bkm,bom->ko", columns, desired.double().flatten(2))
    return _finite("x, d", total / (x.shape[0] * height * width))


def _finite(name: str, products: Tensor) -> Tensor:
    if not products.isfinite().all():
        raise ValueError(f"{name}: not all entries are finite, or not all of their products")
    return products


def _map_shape(x: Tensor, window: Geometry) -> torch.Size:
    """(C, IH, IW), once x is known to be maps in which the window fits."""
    checks.tensor("x", x, "(B, C, H, W)", 4, half=True, finite=False, empty=True)
    if 0 in x.shape[1:]:
        raise ValueError(f"x: shape {tuple(x.shape)} is not (B, C, H, W) with at least one entry")
    output_size(tuple(x.shape[2:]), *window)
    return x.shape[1:]


def _images_at_once(shape: torch.Size, window: Geometry) -> int:
    height, width = output_size(tuple(shape[1:]), *window)
    return max(1, CHUNK // (shape[0] * math.prod(window.kernel_size) * height * width))


def _patch_products(x: Tensor, window: Geometry) -> Tensor:
    """Sum over images of X X^T, (K, K): unroll some images at a time, multiply."""
    total = 0.0
    for images in x.split(_images_at_once(x.shape[1:], window)):
        columns = unroll(images.double(), *window).transpose(0, 1).flatten(1)  # (K, b*M)
        total = total + columns @ columns.T
    return total


def _rows_are_cheaper(shape: torch.Size, window: Geometry) -> bool:
    """Whether correlating whole rows takes less than half the multiplications (the break-even measured on a CPU).

    Patches share their pixels: at stride 1, R depends on a pair of kernel pixels through products of pixels a fixed lag
    apart, and all of these stand in the correlations of image row i with row i + lag. Multiplications for an image:
    K^2 M with patches, IH * H * (C IW)^2 with rows: 4.6 times fewer in LeNet's conv2, more in a 3 x 3 layer on 32 x 32.
    """
    height, width = output_size(tuple(shape[1:]), *window)
    rows, row = _padded_rows(shape, window)
    by_patches = (shape[0] * math.prod(window.kernel_size)) ** 2 * height * width
    by_rows = window.kernel_size[0] * rows * row**2
    return 2 * by_rows < by_patches and by_rows <= 2**24  # the second: 128 MB of products at most


def _padded_rows(shape: torch.Size, window: Geometry) -> tuple[int, int]:
    """Rows of a padded image, and numbers in a row of all its channels."""
    return shape[1] + 2 * window.padding[0], shape[0] * (shape[2] + 2 * window.padding[1])


def _row_products(x: Tensor, window: Geometry) -> Tensor:
    """Sum over images of row_i row_{i + lag}^T for every lag between the kernel's rows, (H, rows, row, row)."""
    rows, row = _padded_rows(x.shape[1:], window)
    vertical, horizontal = window.padding
    total = x.new_zeros(window.kernel_size[0], rows, row, row, dtype=torch.float64)
    for images in x.split(max(1, CHUNK // (4 * rows * row))):
        padded = functional.pad(images.double(), (horizontal, horizontal, vertical, vertical))
        by_row = padded.permute(2, 1, 3, 0).flatten(1, 2)  # (rows, row, b)
        for lag in range(window.kernel_size[0]):
            distance = lag * window.dilation[0]
            total[lag, : rows - distance].baddbmm_(by_row[: rows - distance], by_row[distance:].mT)
    return total


def _patches_from_rows(products: Tensor, shape: torch.Size, window: Geometry) -> Tensor:
    """Gather sum_b X_b X_b^T (K, K) from `_row_products`: for each pair of kernel pixels, sum over the positions."""
    (kernel_rows, kernel_columns), stride, _, dilation = window
    height, width = output_size(tuple(shape[1:]), *window)
    channels, row = shape[0], products.shape[-1]
    columns = row // channels
    total = products.new_zeros(channels, kernel_rows, kernel_columns, channels, kernel_rows, kernel_columns)
    # Entry (c, w, e, v, j) is the product of column d w + s j of channel c and column d v + s j of channel e.
    pairs_shape = (channels, kernel_columns, channels, kernel_columns, width)
    pairs_stride = (columns * row, dilation[1] * row, columns, dilation[1], stride[1] * (row + 1))
    for lag in range(kernel_rows):
        for first in range(kernel_rows - lag):
            start = first * dilation[0]
            over_rows = products[lag, start : start + stride[0] * height : stride[0]].sum(0)  # (row, row)
            pairs = over_rows.as_strided(pairs_shape, pairs_stride).sum(-1)
            total[:, first, :, :, first + lag, :] = pairs
            total[:, first + lag, :, :, first, :] = pairs.permute(2, 3, 0, 1)
    return total.flatten(3).flatten(0, 2)
