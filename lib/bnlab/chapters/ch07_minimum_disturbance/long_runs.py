"""Figure 10 of Chai et al. 2020 at its own length: forty epochs under noise, at rates chosen on seeds of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance.noise_matching import DOCUMENT, around_best, best_rates, finals
from bnlab.chapters.ch07_minimum_disturbance.noise_sensitivity import FC, UNITS, Grid, run_grid
from bnlab.datasets import Dataset
from bnlab.measures.probes import SplitError
from bnlab.sweeps.points import Setting, epochs_to_steps
from bnlab.tables import table

EVERY = 2  # epochs, after which errors are taken
POINTS = 4  # of accuracy, from 99 to 95 percent, that an untrained fc costs in the document


def long_runs(dataset: Dataset, wanted: Grid, epochs: int, folder: Path | None = None) -> pd.DataFrame:
    """Test error and loss after every second epoch: the document's networks with fc untrained, the baseline also not.

    First the tuning seeds at every rate, without noise. Then the reported seeds at each network's best rate there and
    its neighbours, without noise and with each: elsewhere nothing is read, and a run takes half a minute.

    Args:
        dataset: 32 x 32 images.
        wanted: methods (those of `noise_matching.DOCUMENT` are run), rates, noises and seeds.
        epochs: passes over the training images.
        folder: keeps finished runs.
    """
    at = epochs_to_steps((*range(EVERY, epochs, EVERY), epochs), dataset, wanted.batch_size)
    setting = Setting(dataset, at[-1], at, {"test": SplitError(dataset)})
    run = partial(run_grid, setting=setting, tuning=wanted.tuning_seeds, folder=folder)
    networks = {
        "frozen": replace(wanted, methods=tuple(norm for norm in wanted.methods if norm in DOCUMENT)),
        "trained": replace(wanted, methods=("none",), noises=()),
    }
    tuned = run([point for fc, own in networks.items() for point in own.tuning(fc)])
    near = [
        point
        for fc, own in networks.items()
        for norm, rates in around_best(tuned, fc).items()
        for point in replace(own, methods=(norm,), rates=rates).reported(fc)
    ]
    found = pd.concat([tuned, run(near)], ignore_index=True)
    found.attrs["units"] = dict(UNITS)
    return found


def settled(runs: pd.DataFrame) -> pd.DataFrame:
    """Where each method ends with fc untrained at its best rate: one row a method and noise.

    Args:
        runs: what `long_runs` gives.

    Returns:
        Columns ``norm``, ``rate``, ``inside`` (whether there is a rate on either side), ``noise``, ``error`` with its
        quartiles ``low`` and ``high``, ``increase`` over the run of the same seed without noise (median), ``seeds``.
    """
    best, near = best_rates(runs), around_best(runs)
    ends = finals(runs).query("role == 'reported' and fc == 'frozen'")
    ends = ends[ends["rate"] == ends["norm"].map(best)]
    clean = ends[ends["noise"] == 0].set_index(["norm", "seed"])["test_error"]
    rows = []
    for (norm, noise), own in ends.groupby(["norm", "noise"]):
        error = own.set_index(["norm", "seed"])["test_error"]
        low, middle, high = error.quantile([0.25, 0.5, 0.75])
        increase = (error - clean[error.index]).median()
        rows.append((norm, best[norm], len(near[norm]) == 3, noise, middle, low, high, increase, len(error)))
    units = {"norm": "name", "rate": "at unit power", "inside": "bool", "noise": "of the local error"}
    errors = dict.fromkeys(("error", "low", "high", "increase"), "fraction")
    return table(rows, {**units, **errors, "seeds": "count"})


def expectations(runs: pd.DataFrame, short: pd.Series) -> str:
    """What became of the three expectations that stood on the page before the long runs were made, in words.

    Args:
        runs: what `long_runs` gives.
        short: increase of the error by the strongest noise in the short runs, by norm.
    """
    ends = finals(runs).query("role == 'reported' and noise == 0")
    at = {fc: ends[(ends["fc"] == fc) & (ends["rate"] == ends["norm"].map(best_rates(runs, fc)))] for fc in FC}
    error = {fc: own.pivot(index="seed", columns="norm", values="test_error") for fc, own in at.items()}
    cost = 100 * (error["frozen"]["none"] - error["trained"]["none"]).median()
    higher = (error["frozen"]["batch"] > error["frozen"][["none", "batch_prior"]].max(axis=1)).sum()
    found = settled(runs)
    noisy = found[found["noise"] == found["noise"].max()].set_index("norm")["increase"]
    compared = [norm for norm in short.index if norm in noisy.index]
    less = [norm for norm in compared if noisy[norm] < short[norm]]
    seeds = len(error["frozen"])
    return (
        f"(a) {_held(cost < POINTS)}: it costs {cost:.1f} points (median). "
        f"(b) {_held(seeds / 2 < higher < seeds)}: it settles highest in {higher} of {seeds} seeds. "
        f"(c) {_held(len(less) == len(compared))}: it adds less to {len(less)} of {len(compared)}."
    )


def _held(held: bool) -> str:
    return "held" if held else "did not hold"
