"""The products of LeNet's layers: convolutions of 5 x 5 and the fully connected layer, forward and backward.

Every function fills all lanes; what stands in lanes beyond the batch is zero going backward, so that sums over lanes
are sums over images.
"""

from __future__ import annotations

from bnlab.training.compiled.jit import LANES, compiled
from bnlab.training.compiled.tiles import combination, correlation

KERNEL = 5
# Sums of a tile fill 24 of 32 registers with AVX-512, 12 of 16 without.
VECTORS = 4 if LANES == 16 else 2
BLOCK = VECTORS * LANES
SIX, FOUR, FIVE = (combination(outputs, VECTORS, LANES) for outputs in (6, 4, 5))
SIX_NARROW, FOUR_NARROW, FIVE_NARROW, ONE_NARROW = (combination(outputs, 1, LANES) for outputs in (6, 4, 5, 1))
COLUMNS = 5
TWO_ROWS, ONE_ROW = (correlation(rows, COLUMNS, LANES) for rows in (2, 1))
# More rows, more products a number that is loaded; with AVX2 the registers hold two.
OF_SIX, OF_MANY = (3, 4) if LANES == 16 else (2, 2)
ROWS_OF_SIX, ROWS_OF_MANY = (correlation(rows, COLUMNS, LANES) for rows in (OF_SIX, OF_MANY))


@compiled
def convolve(x, weight, bias, y):
    """Make y (O, R, R, lanes) = weight (O, C, 5, 5) * x (C, S, S, lanes) + bias (O,), O = 6 or a multiple of 4."""
    channels, size, lanes = x.shape[0], x.shape[1], x.shape[3]
    outputs, result = y.shape[0], y.shape[1]
    x_flat, y_flat, w_flat = x.ravel(), y.ravel(), weight.ravel()
    x_strides, w_strides, lengths = (size * size * lanes, size * lanes, lanes), (25, 5, 1), (channels, 5, 5)
    plane, filters = result * result * lanes, 25 * channels
    wide = lanes // BLOCK * BLOCK
    for i in range(result):
        for j in range(result):
            place, corner = (i * result + j) * lanes, (i * size + j) * lanes
            for o in range(0, outputs, 6 if outputs == 6 else 4):
                to, row = place + o * plane, o * filters
                for v in range(0, wide, BLOCK):
                    if outputs == 6:
                        SIX(y_flat, to + v, plane, bias, o, x_flat, corner + v, x_strides,
                            w_flat, row, filters, w_strides, lengths)  # fmt: skip
                    else:
                        FOUR(y_flat, to + v, plane, bias, o, x_flat, corner + v, x_strides,
                             w_flat, row, filters, w_strides, lengths)  # fmt: skip
                for v in range(wide, lanes, LANES):
                    if outputs == 6:
                        SIX_NARROW(y_flat, to + v, plane, bias, o, x_flat, corner + v, x_strides,
                                   w_flat, row, filters, w_strides, lengths)  # fmt: skip
                    else:
                        FOUR_NARROW(y_flat, to + v, plane, bias, o, x_flat, corner + v, x_strides,
                                    w_flat, row, filters, w_strides, lengths)  # fmt: skip


@compiled
def input_gradient(errors, weight, x, zeros):
    """Make x (C, S, S, lanes) what errors (O, R, R, lanes) send through weight (O, C, 5, 5)."""
    channels, size, lanes = x.shape[0], x.shape[1], x.shape[3]
    outputs, result = errors.shape[0], errors.shape[1]
    x_flat, e_flat, w_flat = x.ravel(), errors.ravel(), weight.ravel()
    e_strides, w_strides = (result * result * lanes, -result * lanes, -lanes), (25 * channels, 5, 1)
    plane, wide = size * size * lanes, lanes // BLOCK * BLOCK
    for i in range(size):
        top, bottom = max(0, i - result + 1), min(KERNEL - 1, i)
        for j in range(size):
            left, right = max(0, j - result + 1), min(KERNEL - 1, j)
            lengths = (outputs, bottom - top + 1, right - left + 1)
            place, start, first = (i * size + j) * lanes, ((i - top) * result + j - left) * lanes, top * 5 + left
            if channels == 6:
                for v in range(0, wide, BLOCK):
                    SIX(x_flat, place + v, plane, zeros, 0, e_flat, start + v, e_strides,
                        w_flat, first, 25, w_strides, lengths)  # fmt: skip
                for v in range(wide, lanes, LANES):
                    SIX_NARROW(x_flat, place + v, plane, zeros, 0, e_flat, start + v, e_strides,
                               w_flat, first, 25, w_strides, lengths)  # fmt: skip
            else:
                for c in range(channels):
                    for v in range(0, lanes, LANES):
                        ONE_NARROW(x_flat, place + c * plane + v, plane, zeros, 0, e_flat, start + v, e_strides,
                                   w_flat, first + 25 * c, 25, w_strides, lengths)  # fmt: skip


@compiled
def weight_gradient(x, errors, gradient, first, last):
    """Make gradient[:, c] the sum of errors (O, R, R, lanes) times x over images and positions, for first <= c < last.

    O is 6 or a multiple of 4.
    """
    channels, size, lanes = x.shape[0], x.shape[1], x.shape[3]
    outputs, result = errors.shape[0], errors.shape[1]
    x_flat, e_flat, g_flat = x.ravel(), errors.ravel(), gradient.ravel()
    plane, row, filters = result * result * lanes, result * lanes, 25 * channels
    lengths = (result, row // LANES)
    for c in range(first, last):
        many = OF_SIX if outputs == 6 else OF_MANY
        for o in range(outputs - many, -1, -many):  # the last first: those errors are still in the cache
            for k in range(KERNEL):
                start = (c * size + k) * size * lanes
                if outputs == 6:
                    ROWS_OF_SIX(g_flat, o * filters + 25 * c + 5 * k, filters, e_flat, o * plane, plane, row,
                                x_flat, start, lanes, size * lanes, lengths)  # fmt: skip
                else:
                    ROWS_OF_MANY(g_flat, o * filters + 25 * c + 5 * k, filters, e_flat, o * plane, plane, row,
                                 x_flat, start, lanes, size * lanes, lengths)  # fmt: skip


@compiled
def connect(features, weight, bias, logits):
    """Make logits (K, lanes) = weight (K, F) features (F, lanes) + bias (K,)."""
    count, lanes = features.shape
    classes = len(bias)
    f_flat, w_flat, l_flat = features.ravel(), weight.ravel(), logits.ravel()
    lengths, f_strides, w_strides = (1, 1, count), (0, 0, lanes), (0, 0, 1)
    fives, wide = classes // 5 * 5, lanes // BLOCK * BLOCK
    for k in range(0, fives, 5):
        for v in range(0, wide, BLOCK):
            FIVE(l_flat, k * lanes + v, lanes, bias, k, f_flat, v, f_strides,
                 w_flat, k * count, count, w_strides, lengths)  # fmt: skip
        for v in range(wide, lanes, LANES):
            FIVE_NARROW(l_flat, k * lanes + v, lanes, bias, k, f_flat, v, f_strides,
                        w_flat, k * count, count, w_strides, lengths)  # fmt: skip
    for k in range(fives, classes):
        for v in range(0, lanes, LANES):
            ONE_NARROW(l_flat, k * lanes + v, lanes, bias, k, f_flat, v, f_strides,
                       w_flat, k * count, count, w_strides, lengths)  # fmt: skip


@compiled
def connect_backward(features, weight, errors, weight_gradient, bias_gradient, zeros):
    """From errors (K, lanes), the gradients of weight and bias, and that of the features (F, lanes) in their place.

    F must be a multiple of 5.
    """
    count, lanes = features.shape
    classes = len(bias_gradient)
    f_flat, w_flat, e_flat, g_flat = features.ravel(), weight.ravel(), errors.ravel(), weight_gradient.ravel()
    lengths, many, wide = (1, lanes // LANES), classes // 2 * 2, lanes // BLOCK * BLOCK
    for k in range(classes):
        bias_gradient[k] = errors[k].sum()
    for f in range(0, count, COLUMNS):
        for k in range(0, many, 2):
            TWO_ROWS(g_flat, k * count + f, count, e_flat, k * lanes, lanes, 0, f_flat, f * lanes, lanes, 0, lengths)
        for k in range(many, classes):
            ONE_ROW(g_flat, k * count + f, count, e_flat, k * lanes, lanes, 0, f_flat, f * lanes, lanes, 0, lengths)
    strides, ahead, every = (0, 0, lanes), (0, 0, count), (1, 1, classes)
    for f in range(0, count, 5):
        for v in range(0, wide, BLOCK):
            FIVE(f_flat, f * lanes + v, lanes, zeros, 0, e_flat, v, strides, w_flat, f, 1, ahead, every)
        for v in range(wide, lanes, LANES):
            FIVE_NARROW(f_flat, f * lanes + v, lanes, zeros, 0, e_flat, v, strides, w_flat, f, 1, ahead, every)
