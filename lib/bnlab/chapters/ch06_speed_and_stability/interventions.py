"""What interventions say: shares of the low-rate gap, largest rates survived, products of cap and rate; tidy to tidy.

A network that survived the whole grid, or none of it, has no largest rate: what is said of it is a bound.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.effects import final_errors
from bnlab.claims import statistics
from bnlab.randomness import generator
from bnlab.tables import table

BOTH = "BN after both"


def shares(arms: pd.DataFrame, rate: float) -> pd.DataFrame:
    """What every arm gains over the baseline whose fc is treated alike, in the final test error, by seed.

    ``gain`` is in units of the error; ``share`` is the gain over what Batch Normalization after both layers gains with
    fc as in the paper; ``own_share`` over what it gains with fc treated as in the arm. Both are nan where Batch
    Normalization gains nothing there.

    Raises:
        ValueError: no baseline or no Batch Normalization at that rate.
    """
    errors = final_errors(arms[arms["learning_rate"] == rate], ("arm", "fc_mode", "seed"))
    of = {key: part.set_index("seed")["test_error"] for key, part in errors.groupby(["fc_mode", "arm"], sort=False)}
    if not {("paper", "baseline"), ("paper", BOTH)} <= set(of):
        raise ValueError(f"rate = {rate!r}: the table has no baseline and {BOTH} with fc as in the paper")
    paper_gap = of["paper", "baseline"] - of["paper", BOTH]
    paper_gap, made = paper_gap.where(paper_gap > 0), []
    for (mode, arm), error in of.items():
        gain = of[mode, "baseline"] - error
        own_gap = of[mode, "baseline"] - of[mode, BOTH] if (mode, BOTH) in of else math.nan * error
        columns = {"test_error": error, "gain": gain, "share": gain / paper_gap}
        columns["own_share"] = (gain / own_gap).where(own_gap > 0)
        made.append(pd.DataFrame(columns).assign(arm=arm, fc_mode=mode).rename_axis("seed").reset_index())
    names = ("arm", "fc_mode", "seed")
    found = pd.concat(made, ignore_index=True)[[*names, "test_error", "gain", "share", "own_share"]]
    found.attrs["units"] = {**dict.fromkeys(found, "fraction"), **dict.fromkeys(names, "name")}
    return found


def share_summary(found: pd.DataFrame) -> pd.DataFrame:
    """Median share and gain of every arm over the seeds, with a bootstrap interval of the share's median.

    ``seeds`` counts those with a gap to have a share of; fewer than two of them have no interval (nan).
    """
    rows = []
    for (arm, mode), part in found.groupby(["arm", "fc_mode"], sort=False):
        share, interval = part["share"].dropna(), (math.nan, math.nan)
        if len(share) > 1:
            summary = statistics.paired_summary(share, np.zeros(len(share)), generator(0, "bootstrap"))
            interval = summary.low, summary.high
        middle = [part[name].median() for name in ("test_error", "gain")]
        rows.append((arm, mode, len(share), *middle, share.median(), *interval))
    fractions = dict.fromkeys(("test_error", "gain", "share", "low", "high"), "fraction")
    return table(rows, {"arm": "name", "fc_mode": "name", "seeds": "seeds", **fractions})


def largest_stable_rates(stability: pd.DataFrame) -> pd.DataFrame:
    """Largest rate survived by every norm and cap (0: none) and seed, all smaller ones of the grid survived too.

    ``largest`` is nan and ``beyond`` "below" where the smallest rate was already too large; ``beyond`` is "above" where
    all rates were survived, so that ``largest`` is a lower bound only.
    """
    ends = final_errors(stability, ("norm", "cap", "seed", "learning_rate"))
    rates, kept, rows = ends["learning_rate"].to_numpy(), ~ends["lost"].to_numpy(), []
    for (norm, cap, seed), places in ends.groupby(["norm", "cap", "seed"], sort=False).indices.items():
        upwards = places[np.argsort(rates[places])]
        survived = int(np.cumprod(kept[upwards]).sum())  # before the first that was lost
        largest = rates[upwards[survived - 1]] if survived else math.nan
        beyond = "below" if not survived else "above" if survived == len(upwards) else ""
        rows.append((norm, cap, seed, largest, beyond))
    units = {"norm": "name", "cap": "power; 0: none", "seed": "name"}
    return table(rows, {**units, "largest": "of the convolution weights", "beyond": "name"})


def rates_of_one_layer(held: pd.DataFrame) -> pd.DataFrame:
    """Median and range over the seeds of the largest rate that one convolution survives while the other learns at 0.1.

    ``swept``: the convolution in question. A rate beyond the grid counts as the last one in it, one below it as 0.
    """
    rows = []
    for other, runs in held.groupby("held"):
        found = largest_stable_rates(runs.assign(cap=0.0))
        for norm, part in found.groupby("norm", sort=False):
            largest = part["largest"].fillna(0)
            beyond = int((part["beyond"] == "above").sum())
            swept = "conv2" if other == "conv1" else "conv1"
            rows.append((norm, swept, largest.median(), largest.min(), largest.max(), beyond))
    rate = "of the convolution"
    units = {"norm": "name", "swept": "name", "median": rate, "least": rate, "greatest": rate}
    return table(rows, units | {"beyond": "seeds that survived the whole grid"})


def rate_ratios(found: pd.DataFrame, smallest: float) -> pd.Series:
    """Largest rate with Batch Normalization over that of the plain network, by seed; a lower bound beyond the grid.

    Args:
        found: what `largest_stable_rates` gives.
        smallest: rate of the grid, which bounds from above what was survived where even that was too large.
    """
    free = found[found["cap"] == 0].pivot(index="seed", columns="norm", values="largest")
    return free["batch"].fillna(0) / free["none"].fillna(smallest)


def products(found: pd.DataFrame, largest_cap: float = 1e3) -> pd.DataFrame:
    """Least and greatest product of cap and largest rate over the caps, by seed, and whether they are one within 2.

    ``within`` is False where a largest rate lies beyond the grid.

    Args:
        found: what `largest_stable_rates` gives.
        largest_cap: caps above were never reached.
    """
    capped = found[(found["cap"] > 0) & (found["cap"] <= largest_cap)]
    by_seed = (capped["largest"] * capped["cap"]).groupby(capped["seed"])
    made = pd.DataFrame({"least": by_seed.min(), "greatest": by_seed.max()}).reset_index()
    inside = (capped["beyond"] == "").groupby(capped["seed"]).all()
    made["within"] = (made["greatest"] <= 2 * made["least"]) & made["seed"].map(inside)
    made.attrs["units"] = {"seed": "name", "least": "power", "greatest": "power", "within": "bool"}
    return made
