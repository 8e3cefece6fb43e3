"""Which of the rates that were run suits a method best under each noise, in the long runs of figure 10."""

from __future__ import annotations

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance.noise_matching import best_rates, finals
from bnlab.chapters.ch07_minimum_disturbance.noise_prose import NAMES
from bnlab.tables import table


def best_under_noise(runs: pd.DataFrame) -> pd.DataFrame:
    """Where each method ends with fc untrained at the best of its rates under each noise: one row a method and noise.

    The rate is chosen on the seeds that it is told of, so that errors are a little too good, for all methods alike.

    Args:
        runs: what `long_runs.long_runs` gives.

    Returns:
        Columns ``norm``, ``noise``, ``rate`` (of least median error), ``lowest`` (whether no lower one was run),
        ``error`` with its quartiles ``low`` and ``high``.
    """
    ends = finals(runs).query("role == 'reported' and fc == 'frozen'")
    rows = []
    for (norm, noise), own in ends.groupby(["norm", "noise"]):
        by_rate = own.groupby("rate")["test_error"].quantile([0.25, 0.5, 0.75]).unstack()
        best = by_rate[0.5].idxmin()
        low, middle, high = by_rate.loc[best]
        rows.append((norm, noise, best, best == by_rate.index.min(), middle, low, high))
    units = {"norm": "name", "noise": "of the local error", "rate": "at unit power", "lowest": "bool"}
    return table(rows, {**units, **dict.fromkeys(("error", "low", "high"), "fraction")})


def order_told(runs: pd.DataFrame | None) -> str:
    """Say what the strongest noise makes of rates chosen without it, and in which order the methods end at others.

    Args:
        runs: what `long_runs.long_runs` gives, or None.
    """
    if runs is None:
        return "What noise makes of the rates over forty epochs is not recorded yet."
    ends = finals(runs).query("role == 'reported' and fc == 'frozen'")
    noise = ends["noise"].max()
    strongest = ends[(ends["noise"] == noise) & (ends["rate"] == ends["norm"].map(best_rates(runs)))]
    lost, count = int(strongest["diverged"].sum()), len(strongest)
    found = best_under_noise(runs)
    found = found[found["noise"] == noise].sort_values("error")
    order = "; ".join(f"{NAMES[row.norm]} {100 * row.error:.1f} percent" for row in found.itertuples())
    said = (
        f"At the rates that are best without noise, noise {noise:g} loses {lost} of {count} networks. With the rate "
        "chosen anew under each noise among those run, on the very seeds that are told of, so that all look a little "
        f"too good, they end under it at (medians, the best first): {order}."
    )
    if cut := int(found["lowest"].sum()):
        said += f" For {cut} of these {len(found)} that is the lowest rate run; what lower ones would give is open."
    return said
