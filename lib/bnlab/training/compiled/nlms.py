"""The weight gradient of `layers.nlms.NlmsConv2d` in the compiled step: noise in the local error, division by power."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnlab.training.compiled.jit import compiled
from bnlab.training.compiled.products import KERNEL, weight_gradient

PLAIN, L1, L1_SQUARED, L2 = range(4)
TINY = np.finfo(np.float32).tiny


class Nlms(NamedTuple):
    """How a convolution's weights see their patches; work space is empty where the gradient is plain and clean."""

    norm: int
    whole_patch: bool  # the power is the whole patch's, or each input channel's part of it
    regulariser: float
    noise: float  # in standard deviations of the error
    errors: np.ndarray  # (O, R, R, lanes) float32, zero beyond the batch
    divided: np.ndarray  # the same, divided by a channel's power
    power: np.ndarray  # (C or 1, R, R, lanes) float32


@compiled
def add_noise(nlms, errors, drawn, batch):
    """Make nlms.errors = errors + noise std(errors) drawn, for errors (O, R, R, lanes) and drawn (B, O, R, R)."""
    count, total, squares = errors.shape[0] * errors.shape[1] * errors.shape[2] * batch, 0.0, 0.0
    for o in range(errors.shape[0]):
        for i in range(errors.shape[1]):
            for j in range(errors.shape[2]):
                here = np.float32(0)
                for b in range(batch):
                    here += errors[o, i, j, b]
                total += here
    mean = np.float32(total / count)
    for o in range(errors.shape[0]):
        for i in range(errors.shape[1]):
            for j in range(errors.shape[2]):
                here = np.float32(0)
                for b in range(batch):
                    here += (errors[o, i, j, b] - mean) ** 2
                squares += here
    size = np.float32(nlms.noise * np.sqrt(squares / (count - 1)))
    for o in range(errors.shape[0]):
        for i in range(errors.shape[1]):
            for b in range(batch):  # a row of one image is contiguous in drawn, the tile that it goes to is small
                for j in range(errors.shape[2]):
                    nlms.errors[o, i, j, b] = size * drawn[b, o, i, j]
            for j in range(errors.shape[2]):
                for b in range(batch):
                    nlms.errors[o, i, j, b] += errors[o, i, j, b]


@compiled
def normalised_gradient(nlms, x, errors, gradient, batch):
    """Sum over patches of error times patch / (regulariser * mean power + power), as `layers.nlms.nlms_gradient`."""
    floor = _measure(nlms, x, batch)
    channels, divided = x.shape[0], nlms.divided
    for c in range(1 if nlms.whole_patch else channels):
        for i in range(errors.shape[1]):
            for j in range(errors.shape[2]):
                power = nlms.power[c, i, j]
                for b in range(batch):
                    power[b] = np.float32(1) / (power[b] + floor)
                for o in range(errors.shape[0]):
                    for b in range(batch):
                        divided[o, i, j, b] = errors[o, i, j, b] * power[b]
        if nlms.whole_patch:
            weight_gradient(x, divided, gradient, 0, channels)
        else:
            weight_gradient(x, divided, gradient, c, c + 1)


@compiled
def _measure(nlms, x, batch):
    """Fill in the powers of all patches; give what is added to each."""
    channels, power, total = x.shape[0], nlms.power, 0.0
    length = KERNEL * KERNEL * (channels if nlms.whole_patch else 1)
    for g in range(power.shape[0]):
        for i in range(power.shape[1]):
            for j in range(power.shape[2]):
                here = power[g, i, j]
                here[:] = 0
                for c in range(0 if nlms.whole_patch else g, channels if nlms.whole_patch else g + 1):
                    for k in range(i, i + KERNEL):
                        for m in range(j, j + KERNEL):
                            if nlms.norm == L2:
                                for b in range(batch):
                                    here[b] += x[c, k, m, b] ** 2
                            else:
                                for b in range(batch):
                                    here[b] += abs(x[c, k, m, b])
                if nlms.norm == L1_SQUARED:
                    for b in range(batch):
                        here[b] = here[b] ** 2 / np.float32(length)
                for b in range(batch):
                    total += here[b]
    mean = total / (power.shape[0] * power.shape[1] * power.shape[2] * batch)
    return np.float32(max(nlms.regulariser * mean, TINY))
