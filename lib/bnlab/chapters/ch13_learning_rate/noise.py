"""The error of mini-batch gradients of a network: drawn, beside its formula."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.randomness import generator
from bnlab.tables import table
from bnlab.theory.sgd_noise import drawn_errors, noise_constant, step_noise

UNITS = {
    "batch_size": "images",
    "replacement": "bool",
    "ratio": "of C / B",
    "standard_error": "of C / B",
    "expected": "of C / B",
}


def image_gradients(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the cross-entropy of each image alone, (N, P): of a network without batch statistics."""
    parameters = dict(model.named_parameters())

    def loss(values: dict, one: Tensor, label: Tensor) -> Tensor:
        return functional.cross_entropy(torch.func.functional_call(model, values, (one[None],)), label[None])

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(parameters, inputs, labels)
    return torch.cat([each[name].detach().flatten(1) for name in parameters], 1)


def drawn_noise(gradients: Tensor, sizes: Sequence[int], draws: int, seed: int) -> pd.DataFrame:
    """Mean square of drawn errors over C / B, its standard error and the formula's value, for both ways to draw."""
    constant, images, rows = noise_constant(gradients), len(gradients), []
    for replacement in (True, False):
        for size in sizes:
            unit = step_noise(constant, 1, size)
            purpose = f"batches of {size}, {'with' if replacement else 'without'} replacement"
            found = drawn_errors(gradients, size, draws, replacement, generator(seed, purpose)) / unit
            expected = 1.0 if replacement else step_noise(constant, 1, size, images) / unit
            rows.append((size, replacement, float(found.mean()), float(found.std()) / math.sqrt(draws), expected))
    return table(rows, UNITS)
