"""Weights of fixed length in the compiled step: `layers.weight_norm`, one length an output channel."""

from __future__ import annotations

import numpy as np

from bnlab.training.compiled.jit import compiled


@compiled
def fix_lengths(weight, lengths, kernel, training):
    """Make kernel (O, C, 5, 5) = lengths weight / ||weight||; in training set the lengths that are not set yet."""
    for o in range(len(weight)):
        length = np.float32(np.sqrt(_product(weight[o], weight[o])))
        if training and np.isnan(lengths[o]) and np.isfinite(length) and length > 0:
            lengths[o] = length
        kernel[o] = weight[o] if np.isnan(lengths[o]) else weight[o] * (lengths[o] / length)


@compiled
def keep_tangential(weight, lengths, gradient):
    """From the gradient of the kernel, in its place that of the weight: (length / ||w||) (g - w <w, g> / ||w||^2)."""
    for o in range(len(weight)):
        if not np.isnan(lengths[o]):
            square = _product(weight[o], weight[o])
            along = np.float32(_product(weight[o], gradient[o]) / square)
            shrunk = np.float32(lengths[o] / np.sqrt(square))
            gradient[o] = shrunk * (gradient[o] - along * weight[o])


@compiled
def _product(one, other):
    """<one, other> of two filters (C, 5, 5), in float64."""
    total = 0.0
    for c in range(one.shape[0]):
        for k in range(one.shape[1]):
            for m in range(one.shape[2]):
                total += np.float64(one[c, k, m]) * np.float64(other[c, k, m])
    return total
