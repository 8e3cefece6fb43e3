"""Unrolling: the spatial convolution as a matrix-vector product (Chai et al. 2020, section 2.2, figure 2).

A window of K = C x H x W inputs is one column of the paper's matrix X, and a layer's M = OH x OW windows are its
M columns, so that the convolution is Y = X^T W. The channels are block rows of X (figure 4): row k is (c, h, w) with
the column w running fastest, as in `weight.flatten(1)`.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from bnlab.checks import is_whole

Pair = int | tuple[int, int]


class Geometry(NamedTuple):
    """How a kernel moves over a map: four (height, width) pairs, in the order in which `unroll` takes them."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


def geometry(kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1) -> Geometry:
    """Check the four arguments of a convolution and write each as a pair.

    >>> geometry(5, padding=(0, 2))
    Geometry(kernel_size=(5, 5), stride=(1, 1), padding=(0, 2), dilation=(1, 1))

    Raises:
        ValueError: if one is not an integer or a pair of integers, of at least 1 (the padding: 0).
    """
    return Geometry(
        _pair(kernel_size, "kernel_size", 1),
        _pair(stride, "stride", 1),
        _pair(padding, "padding", 0),
        _pair(dilation, "dilation", 1),
    )


def output_size(
    size: Pair, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> tuple[int, int]:
    """Height and width (OH, OW) of a convolution's output, floor((I + 2p - d(k - 1) - 1) / s) + 1 on each axis.

    M = OH x OW is the number of positions of Chai et al. 2020, section 2.2.

    >>> output_size(32, 5), output_size((14, 14), 5), output_size(32, 3, stride=2, padding=1)
    ((28, 28), (10, 10), (16, 16))

    Raises:
        ValueError: if an argument is not one or two integers, or if no window fits.
    """
    sizes = _pair(size, "size", 1)
    kernel, strides, pads, dilations = geometry(kernel_size, stride, padding, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    padded = [i + 2 * p for i, p in zip(sizes, pads, strict=True)]
    if spans[0] > padded[0] or spans[1] > padded[1]:
        raise ValueError(
            f"kernel_size: {kernel} with dilation {dilations} spans {spans[0]} x {spans[1]}, more than the input of "
            f"{padded[0]} x {padded[1]} (padding {pads} included)"
        )
    height, width = ((i - span) // s + 1 for i, span, s in zip(padded, spans, strides, strict=True))
    return height, width


def unroll(x: Tensor, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1) -> Tensor:
    """The patch matrix X of Chai et al. 2020, section 2.2: column m is the patch that makes output pixel m.

    From maps x (B, C, IH, IW), padded with zeros, to (B, K, M) with K = C*H*W and M = OH*OW. Any dtype, any device,
    differentiable. A grouped convolution is several unrollings, one for each group of channels.

    >>> import torch
    >>> x = torch.arange(9).reshape(1, 1, 3, 3)
    >>> unroll(x, 2)[0].tolist()
    [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]

    Raises:
        ValueError: if x has not four dimensions, or if no window fits.
    """
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(f"x: shape {tuple(x.shape)} is not (B, C, H, W)")
    output_size(tuple(x.shape[2:]), kernel_size, stride, padding, dilation)  # refuses what does not fit, in one line
    kernel, strides, pads, dilations = geometry(kernel_size, stride, padding, dilation)
    if x.is_floating_point():
        return functional.unfold(x, kernel, dilation=dilations, padding=pads, stride=strides)
    # torch refuses to unfold integers, with which one labels pixels and follows them through X: views take every dtype.
    windows = functional.pad(x, (pads[1], pads[1], pads[0], pads[0]))  # (B, C, IH + 2p, IW + 2p)
    for axis in (0, 1):
        windows = windows.unfold(2 + axis, dilations[axis] * (kernel[axis] - 1) + 1, strides[axis])
    windows = windows[..., :: dilations[0], :: dilations[1]]  # (B, C, OH, OW, H, W)
    return windows.permute(0, 1, 4, 5, 2, 3).flatten(4, 5).flatten(1, 3)


def fold_output(y: Tensor, size: Pair) -> Tensor:
    """Roll the positions of an unrolled output (..., M) back into maps (..., OH, OW).

    The other half of Y = X^T W: ``fold_output(weight.flatten(1) @ unroll(x, k), output_size(...))`` is the convolution.

    >>> import torch
    >>> fold_output(torch.arange(6).reshape(1, 1, 6), (2, 3)).tolist()
    [[[[0, 1, 2], [3, 4, 5]]]]

    Raises:
        ValueError: if the last dimension is not OH*OW.
    """
    height, width = _pair(size, "size", 1)
    if y.ndim < 1 or y.shape[-1] != height * width:
        raise ValueError(f"y: shape {tuple(y.shape)} does not end in {height} x {width} = {height * width} positions")
    return y.unflatten(-1, (height, width))


def full_slide_fraction(size: Pair, kernel_size: Pair, padding: Pair = 0) -> float:
    """Share of the input pixels that slide through every position of the patch vector, at stride 1 and dilation 1.

    On an axis of I pixels, I + 2p - 2(k - 1) of them (at most all I) meet all k rows of the kernel, so without padding
    the share is ((I - 2(k - 1)) / I)^2. Chai et al. 2020, figure 1, says "most pixels": true of LeNet's first layer
    only.

    >>> [round(full_slide_fraction(size, 5), 2) for size in (28, 32, 14, 12)]
    [0.51, 0.56, 0.18, 0.11]

    Raises:
        ValueError: if an argument is not one or two integers, or if no window fits.
    """
    sizes, shape = _pair(size, "size", 1), geometry(kernel_size, padding=padding)
    output_size(sizes, *shape)  # refuses a kernel that fits nowhere
    share = 1.0
    for i, k, p in zip(sizes, shape.kernel_size, shape.padding, strict=True):
        share *= min(i, max(0, i + 2 * p - 2 * (k - 1))) / i
    return share


def _pair(value: Pair, name: str, least: int) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(is_whole(v) and v >= least for v in pair):
        raise ValueError(f"{name}: {value!r} is not an integer or a pair of integers of at least {least}")
    return int(pair[0]), int(pair[1])
