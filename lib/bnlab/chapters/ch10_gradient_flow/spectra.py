"""Singular values of the Jacobian of whole networks on a batch, with and without Batch Normalization."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bnlab.chapters.ch10_gradient_flow.profiles import random_inputs
from bnlab.measures.jacobians import singular_values
from bnlab.models.mlp import MLP
from bnlab.randomness import generator
from bnlab.tables import table

ROUNDING = 1e-9  # of the largest value: below it a value is 0


def jacobian_spectra(depths: Sequence[int], units: int, batch: int, seeds: Sequence[int]) -> pd.DataFrame:
    """All singular values of ReLU networks of some depths, inputs, layers and outputs of one width: a row a value.

    He weights, no biases; the map takes the whole batch (B, units) to all outputs, statistics passed through. The last
    layer is linear and not normalised.
    """
    rows = []
    for seed in seeds:
        x = random_inputs(batch, seed)[0][:, :units]
        for depth in depths:
            for norm in ("none", "batch"):
                weights = generator(seed, "weights")
                net = MLP(units, units, depth=depth, width=units, norm=norm, bias=False, generator=weights).to(x)
                values = singular_values(net, x)
                rows += [(depth, norm, seed, rank, value) for rank, value in enumerate(values.tolist(), 1)]
    return table(rows, {"depth": "layers", "norm": "name", "seed": "number", "rank": "number", "value": "1"})


def summary(spectra: pd.DataFrame) -> pd.DataFrame:
    """Describe each network's values: largest, share of those not 0 in [1/2, 2], share that is 0 up to rounding."""
    rows = []
    for keys, run in spectra.groupby(["depth", "norm", "seed"], sort=False):
        values = run["value"].to_numpy()
        zero = values <= ROUNDING * values.max()
        near = (values >= 0.5) & (values <= 2)
        rows.append((*keys, values.max(), near.sum() / max(1, (~zero).sum()), zero.mean()))
    units = {"depth": "layers", "norm": "name", "seed": "number", "largest": "1", "near_one": "share", "zero": "share"}
    return table(rows, units)
