"""From a convolution's output to the next layer's input and back: norm, ReLU and 2 x 2 average pooling in one pass."""

from __future__ import annotations

import numpy as np

from bnlab.training.compiled.jit import compiled
from bnlab.training.compiled.normalisation import backward, backward_scale, constants, without_statistics

QUARTER = np.float32(0.25)
ZERO = np.float32(0)


@compiled
def relu(z):
    """max(z, 0), and nan where z is."""
    return ZERO if z < ZERO else z


@compiled
def activate(norm, y, pooled, batch):
    """Fill pooled (C, R/2, R/2, lanes) from y (C, R, R, lanes), once `normalisation.choose` has looked at y."""
    for c in range(pooled.shape[0]):
        centre, scale, shift = constants(norm, c)
        for i in range(pooled.shape[1]):
            for j in range(pooled.shape[2]):
                for b in range(batch):
                    total = relu(scale * (y[c, 2 * i, 2 * j, b] - centre) + shift)
                    total += relu(scale * (y[c, 2 * i, 2 * j + 1, b] - centre) + shift)
                    total += relu(scale * (y[c, 2 * i + 1, 2 * j, b] - centre) + shift)
                    total += relu(scale * (y[c, 2 * i + 1, 2 * j + 1, b] - centre) + shift)
                    pooled[c, i, j, b] = QUARTER * total


@compiled
def rectify_backward(y, errors, bias_gradient, batch):
    """Do as `activate_backward` does where there is no norm, in half the time: one sum is all it needs."""
    for c in range(y.shape[0]):
        total = 0.0
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                s = ZERO
                for b in range(batch):
                    d = QUARTER * errors[c, i // 2, j // 2, b] if y[c, i, j, b] > ZERO else ZERO
                    s += d
                    y[c, i, j, b] = d
                for b in range(batch, y.shape[3]):
                    y[c, i, j, b] = ZERO
                total += s
        bias_gradient[c] = total


@compiled
def activate_backward(norm, y, errors, bias_gradient, batch):
    """From ``errors`` in pooled to those in y, in the place of y, zero beyond the batch; gradients of norm and bias."""
    count = y.shape[1] * y.shape[2] * batch
    for c in range(y.shape[0]):
        centre, scale, shift = constants(norm, c)
        back = backward_scale(norm, c)
        first, second, plain = 0.0, 0.0, without_statistics(norm, c)
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                s, t = ZERO, ZERO
                for b in range(batch):
                    near = y[c, i, j, b] - centre
                    d = QUARTER * errors[c, i // 2, j // 2, b] if scale * near + shift > ZERO else ZERO
                    s += d
                    t += d * near
                    if plain:
                        y[c, i, j, b] = back * d
                for b in range(batch, y.shape[3]):
                    y[c, i, j, b] = ZERO
                first += s
                second += t
        slope, rest, bias_gradient[c] = backward(norm, c, first, second, count)
        if plain:
            continue
        slope, rest = np.float32(slope), np.float32(rest)
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                for b in range(batch):
                    near = y[c, i, j, b] - centre
                    d = QUARTER * errors[c, i // 2, j // 2, b] if scale * near + shift > ZERO else ZERO
                    y[c, i, j, b] = back * d + slope * near + rest
