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

from bnlab import checks
from bnlab.theory.patch_products import UNROLLED, patch_products
from bnlab.theory.patches import Geometry, Pair, geometry, output_size, unroll


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
    total, images, shape = 0.0, 0, None
    for batch in [x] if isinstance(x, Tensor) else x:
        if shape is None:
            shape = _map_shape(batch, window)
        elif _map_shape(batch, window) != shape:
            raise ValueError(f"x: a batch of shape {tuple(batch.shape)} follows images of shape {tuple(shape)}")
        if batch.shape[0]:
            total = total + patch_products(batch, window)
        images += batch.shape[0]
    if not images:
        raise ValueError("x: no image to correlate")
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
    return max(1, UNROLLED // (shape[0] * math.prod(window.kernel_size) * height * width))
