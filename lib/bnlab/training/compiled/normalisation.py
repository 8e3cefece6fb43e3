"""Normalisations of a channel in the compiled step: z = scale (x - centre) + shift, and what their backward pass adds.

One form for all: none is scale 1 and centre 0, Batch Normalization centres by the mean, the threshold variants do so
in some channels, the root mean square and constant gains do not centre. With detached statistics or a frozen backward
gain the forward pass is Batch Normalization's, and the gradient of x only scaled. Statistics are kept in float64, and
differences taken from the mean, so that a mean far above the deviation costs no digits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnlab.training.compiled.jit import compiled

NONE, BATCH, THRESHOLD, RMS, GAIN, DETACHED, FROZEN = range(7)
CENTRE, SCALE, SHIFT, MEAN, INVERSE = range(5)  # rows of `statistics`


class NormState(NamedTuple):
    """A normalisation: parameters, gradients and state are the module's own tensors; those it has not, stand-ins."""

    kind: int
    weight: np.ndarray  # gamma (C,) float32, as all but what is said otherwise
    bias: np.ndarray  # beta (C,)
    weight_grad: np.ndarray
    bias_grad: np.ndarray
    running_mean: np.ndarray
    running_var: np.ndarray
    running_power: np.ndarray
    gain: np.ndarray
    mask: np.ndarray  # (C,) bool: normalised channels
    disagreement: np.ndarray  # (C,) bool
    eps: float
    fresh: float  # weight of the new value in a moving average
    threshold: float
    below: bool  # normalise below the threshold, or above it
    variance: bool  # the power is the variance, or the mean square
    layer_gain: bool  # one gain for the layer
    statistics: np.ndarray  # (5, C) float64


@compiled
def choose(norm, x, batch, training):
    """Set centre, scale and shift of each channel of x (C, H, W, lanes), by its images or by the running statistics."""
    statistics = norm.statistics
    for c in range(x.shape[0]):
        statistics[CENTRE, c], statistics[SCALE, c], statistics[SHIFT, c] = 0.0, 1.0, 0.0
        statistics[MEAN, c], statistics[INVERSE, c] = 0.0, 1.0
        if norm.kind != NONE and norm.kind != GAIN:
            if training:
                mean, var = moments(x[c], batch)
                _remember(norm, c, mean, var, x.shape[1] * x.shape[2] * batch)
            else:
                mean, var = np.float64(norm.running_mean[c]), np.float64(norm.running_var[c])
                if norm.kind == THRESHOLD:
                    norm.mask[c] = _selected(norm, norm.running_power[c])
            _affine(norm, c, mean, var, training)
    if norm.kind == GAIN:
        if training:
            _set_gains(norm, x, batch)
        for c in range(x.shape[0]):
            if not np.isnan(norm.gain[c]):
                statistics[SCALE, c] = norm.gain[c]


@compiled
def moments(x, batch):
    """Mean and biased variance of one channel (H, W, lanes), in float64 from sums over the images of a position."""
    count, total = x.shape[0] * x.shape[1] * batch, 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            here = np.float32(0)
            for b in range(batch):
                here += x[i, j, b]
            total += here
    mean = total / count
    near, total = np.float32(mean), 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            here = np.float32(0)
            for b in range(batch):
                here += (x[i, j, b] - near) ** 2
            total += here
    return mean, total / count - (mean - near) ** 2


@compiled
def _selected(norm, power):
    return power < norm.threshold if norm.below else power > norm.threshold


@compiled
def _blend(old, new, share):
    return np.float32(old + share * (new - old))


@compiled
def _remember(norm, c, mean, var, count):
    """Move the running statistics; a channel that is not finite leaves them, but for PyTorch's own layer."""
    square, unbiased = var + mean**2, var * count / max(count - 1, 1)
    if norm.kind == BATCH:
        norm.running_mean[c] = _blend(norm.running_mean[c], mean, norm.fresh)
        norm.running_var[c] = _blend(norm.running_var[c], unbiased, norm.fresh)
        return
    if norm.kind == RMS:
        if np.isfinite(np.float32(square)):
            norm.running_power[c] = _blend(norm.running_power[c], square, norm.fresh)
        return
    if norm.kind == DETACHED or norm.kind == FROZEN:
        if np.isfinite(np.float32(mean)) and np.isfinite(np.float32(unbiased)):
            norm.running_mean[c] = _blend(norm.running_mean[c], mean, norm.fresh)
            norm.running_var[c] = _blend(norm.running_var[c], unbiased, norm.fresh)
        if norm.kind == FROZEN and np.isnan(norm.gain[c]) and np.isfinite(np.float32(var)):
            norm.gain[c] = 1 / np.sqrt(var + norm.eps)
        return
    power, known = var if norm.variance else square, norm.running_power[c]
    first = np.isnan(known)
    norm.mask[c] = _selected(norm, np.float32(power) if first else known)
    norm.disagreement[c] = norm.mask[c] != _selected(norm, np.float32(power))
    if np.isfinite(np.float32(power)) and np.isfinite(np.float32(var)):
        norm.running_power[c] = np.float32(power) if first else _blend(known, power, norm.fresh)
        norm.running_mean[c] = _blend(norm.running_mean[c], mean, norm.fresh)
        norm.running_var[c] = _blend(norm.running_var[c], unbiased, norm.fresh)


@compiled
def _affine(norm, c, mean, var, training):
    statistics = norm.statistics
    statistics[MEAN, c] = mean
    if norm.kind == RMS:
        power = var + mean**2 if training else np.float64(norm.running_power[c])
        statistics[INVERSE, c] = 1 / np.sqrt(power + norm.eps)
    elif norm.kind != THRESHOLD or norm.mask[c]:
        statistics[INVERSE, c], statistics[CENTRE, c] = 1 / np.sqrt(var + norm.eps), mean
    else:
        return
    statistics[SCALE, c], statistics[SHIFT, c] = norm.weight[c] * statistics[INVERSE, c], norm.bias[c]


@compiled
def _set_gains(norm, x, batch):
    """Set the gains that are not set yet by the variance of this batch."""
    if not np.isnan(norm.gain).any():
        return
    variances, channels = norm.statistics[MEAN], x.shape[0]  # the row is of no use to gains
    for c in range(channels):
        variances[c] = moments(x[c], batch)[1]
    if norm.layer_gain:
        variances[:] = variances.sum() / channels
    for c in range(channels):
        if np.isnan(norm.gain[c]) and np.isfinite(np.float32(variances[c])):
            norm.gain[c] = 1 / np.sqrt(variances[c] + norm.eps)


@compiled
def backward(norm, c, first, second, count):
    """Set the gradients of gamma and beta; give (slope, rest, total) of the gradient of x in channel c.

    With d the gradient of z, first = sum d and second = sum d (x - centre): the gradient of x is
    `backward_scale` d + slope (x - centre) + rest, and its sum is ``total``.
    """
    statistics = norm.statistics
    scale, inverse = statistics[SCALE, c], statistics[INVERSE, c]
    if norm.kind == DETACHED or norm.kind == FROZEN:
        norm.weight_grad[c], norm.bias_grad[c] = second * inverse, first
        return 0.0, 0.0, backward_scale(norm, c) * first
    if without_statistics(norm, c):
        norm.weight_grad[c], norm.bias_grad[c] = 0, 0  # a channel that is not normalised; else a stand-in's
        return 0.0, 0.0, scale * first
    norm.weight_grad[c], norm.bias_grad[c] = second * inverse, first
    slope = -scale * second * inverse**2 / count
    if norm.kind == RMS:
        return slope, 0.0, scale * first + slope * statistics[MEAN, c] * count
    return slope, -scale * first / count, 0.0


@compiled
def without_statistics(norm, c):
    """Whether no gradient passes through statistics, so that the gradient of x is scale d."""
    if norm.kind == THRESHOLD:
        return not norm.mask[c]
    return norm.kind != BATCH and norm.kind != RMS


@compiled
def backward_scale(norm, c):
    """Scale of the gradient of x, float32: that of the forward pass, but for a frozen gain."""
    if norm.kind == FROZEN:
        return norm.weight[c] * (np.float32(1) if np.isnan(norm.gain[c]) else norm.gain[c])
    return np.float32(norm.statistics[SCALE, c])


@compiled
def apply(norm, x, z, batch):
    """Make z = scale (x - centre) + shift, for maps (C, H, W, lanes)."""
    for c in range(x.shape[0]):
        centre, scale, shift = constants(norm, c)
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                for b in range(batch):
                    z[c, i, j, b] = scale * (x[c, i, j, b] - centre) + shift


@compiled
def apply_backward(norm, x, errors, batch):
    """Gradients of gamma and beta from those of z, ``errors``; that of x in the place of x, zero beyond the batch."""
    for c in range(x.shape[0]):
        centre, scale = np.float32(norm.statistics[CENTRE, c]), backward_scale(norm, c)
        first, second = 0.0, 0.0
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                s, t = np.float32(0), np.float32(0)
                for b in range(batch):
                    s += errors[c, i, j, b]
                    t += errors[c, i, j, b] * (x[c, i, j, b] - centre)
                first += s
                second += t
        slope, rest, _ = backward(norm, c, first, second, x.shape[1] * x.shape[2] * batch)
        slope, rest = np.float32(slope), np.float32(rest)
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                for b in range(batch):
                    x[c, i, j, b] = scale * errors[c, i, j, b] + slope * (x[c, i, j, b] - centre) + rest


@compiled
def constants(norm, c):
    """Centre, scale and shift of a channel, float32."""
    statistics = norm.statistics
    return np.float32(statistics[CENTRE, c]), np.float32(statistics[SCALE, c]), np.float32(statistics[SHIFT, c])
