"""Names of the methods, and sentences that the page says of the runs under noise: right whichever way they come out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance.long_runs import settled
from bnlab.chapters.ch07_minimum_disturbance.noise_matching import (
    around_best,
    best_rates,
    common_level,
    finals,
    matched,
)
from bnlab.chapters.ch07_minimum_disturbance.noise_verdicts import COMPARED, level_of_all
from bnlab.claims import statistics
from bnlab.claims.markup import listed
from bnlab.randomness import generator

NAMES = {
    "none": "Baseline",
    "batch": "BN after",
    "batch_prior": "BN before (BN_Prior)",
    "nlms_l1": "NLMS, L1 as printed",
    "nlms_l1_squared": "NLMS, L1 squared",
    "nlms_l2": "NLMS, L2",
    "nlms_l2_patch": "NLMS, L2, whole patch",
}
HEADLINE_SEEDS = 8  # from which a sign test leaves room for a correction for several tests


def how_run(declared: Iterable[float], runs: pd.DataFrame, long: pd.DataFrame | None) -> str:
    """Say which declared rates were not run, and whether the long runs were made.

    >>> how_run([0.1, 3.0], pd.DataFrame({"rate": [0.1]}), None)
    'Of the rates declared for full scale 3 was not run. The runs of forty epochs were not made.'
    """
    said = "All rates declared for full scale were run."
    if missing := [f"{rate:g}" for rate in sorted(set(map(float, declared)) - set(runs["rate"]))]:
        was = "were" if len(missing) > 1 else "was"
        said = f"Of the rates declared for full scale {listed(missing)} {was} not run."
    return said if long is not None else f"{said} The runs of forty epochs were not made."


def at_the_edge(runs: pd.DataFrame) -> str:
    """Say which methods are best, without noise and on the tuning seeds, at the lowest or the highest rate tried.

    Args:
        runs: what `noise_sensitivity.frontier` or `long_runs.long_runs` gives.
    """
    best, rates = best_rates(runs), sorted(set(runs["rate"]))
    cut = [norm for norm, near in around_best(runs).items() if len(near) < 3]
    if not cut:
        return f"every method is best at a rate between the lowest, {rates[0]:g}, and the highest, {rates[-1]:g}"
    told = listed([f"{NAMES[norm]} (at {best[norm]:g})" for norm in cut])
    return f"no rate was tried beyond the best one of {told}, so how good it gets there is open"


def of_seeds(count: int) -> str:
    """Say what so many seeds allow for a headline claim.

    >>> of_seeds(5)
    'it should have eight seeds and has 5, whose p values allow no correction for several tests'
    """
    if count < HEADLINE_SEEDS:
        return f"it should have eight seeds and has {count}, whose p values allow no correction for several tests"
    return f"it has {count} seeds, so that a one-sided sign test gives at least {1 / 2**count:.3f}"


def long_told(runs: pd.DataFrame | None, epochs: int) -> str:
    """Say how the long runs were made, and where the rates end too early; or that there are none.

    Args:
        runs: what `long_runs.long_runs` gives, or None.
        epochs: their length.
    """
    if runs is None:
        return "The forty epochs of Figure 10 are not recorded yet, and the cards of the claims that need them say so."
    return (
        f"Then come the {epochs} epochs of Figure 10, on all test images: without noise at every rate, on seeds that "
        "are not reported, and then with each noise at the rate that was best there for the method and at its "
        f"neighbours. In these {at_the_edge(runs)}."
    )


def ended_told(runs: pd.DataFrame | None, epochs: int, data: str) -> str:
    """Say where the long runs end without noise and under the strongest, and what training the last layer changes.

    Args:
        runs: what `long_runs.long_runs` gives, or None.
        epochs: their length.
        data: the data set's title.
    """
    if runs is None:
        return "The forty epochs of Figure 10 are not recorded yet."
    found = 100 * settled(runs).pivot(index="norm", columns="noise", values="error")
    noise = found.columns.max()
    ends = [f"{NAMES[norm]} {row[0.0]:.1f} and {row[noise]:.1f}" for norm, row in found.sort_values(0.0).iterrows()]
    return (
        f"Over {epochs} epochs of {data}, with the last layer untrained, test errors end without noise and under noise "
        f"{noise:g} at (percent, medians, each method at the rate that is best for it without noise on other seeds): "
        f"{'; '.join(ends)}. {disturbed_told(runs)} {cost_told(runs)}"
    )


def disturbed_told(runs: pd.DataFrame | None) -> str:
    """Say to which methods the strongest noise adds least and most in the long runs; or that there are none."""
    if runs is None:
        return "What noise adds over forty epochs is not recorded yet."
    found = settled(runs)
    noise = found["noise"].max()
    added = 100 * found[found["noise"] == noise].set_index("norm")["increase"].sort_values()
    told = [f"{NAMES[norm]} {points:.1f}" for norm, points in added.items()]
    ends = finals(runs).query("role == 'reported' and fc == 'frozen' and noise in (0, @noise)")
    ends = ends[ends["rate"] == ends["norm"].map(best_rates(runs))]
    wide = ends.pivot(index="seed", columns=["noise", "norm"], values="test_error")
    by_seed, clean = wide[noise] - wide[0.0], 100 * wide[0.0].median()
    holds = [str((by_seed[less] < by_seed[more]).sum()) for less, more in pairwise(added.index)]
    apart = f"; each adds less than the next in {listed(holds)} of {len(by_seed)} seeds" if holds else ""
    return (
        f"In the long runs noise {noise:g} adds, in points (medians, the least first, each method at a clean error of "
        f"its own, {clean.min():.1f} to {clean.max():.1f} percent): {'; '.join(told)}{apart}."
    )


def least_told(found: pd.DataFrame) -> str:
    """Say how NLMS (L2) stands to the least disturbed of the others compared, at one clean error, seed by seed.

    Args:
        found: what `noise_verdicts.level_of_all` gives: runs under the strongest noise.
    """
    wide, least, effect = _beside_the_least(found)
    first = (wide["nlms_l2"] < wide.drop(columns="nlms_l2").min(axis=1)).sum()
    return (
        f"NLMS (L2) minus {NAMES[least]}, the least of the other three, is {effect.median_difference:+.1f} points in "
        f"the median of the seeds (bootstrap interval {effect.low:.1f} to {effect.high:.1f}), and NLMS is the least "
        f"disturbed of the four in {first} of {len(wide)} seeds."
    )


def told_apart(found: pd.DataFrame) -> str:
    """Say whether the interval of `least_told` tells NLMS from the least of the others: it excludes zero, or not."""
    effect = _beside_the_least(found)[-1]
    does = "tells" if effect.low > 0 or effect.high < 0 else "does not tell"
    return f"the interval of their paired difference {does} apart"


def _beside_the_least(found: pd.DataFrame) -> tuple[pd.DataFrame, str, statistics.PairedSummary]:
    """Increases in points, seeds x methods; the least disturbed besides NLMS; NLMS minus that."""
    wide = 100 * found.pivot(index="seed", columns="norm", values="increase")[list(COMPARED)]
    least = wide.drop(columns="nlms_l2").median().idxmin()
    return wide, least, statistics.paired_summary(wide["nlms_l2"], wide[least], generator(0, "bootstrap of figure 10"))


def third_expectation(short: pd.DataFrame, long: pd.DataFrame) -> str:
    """Say at which level the short runs stand in the third expectation, and what another level and the rates say of it.

    Args:
        short: what `noise_sensitivity.frontier` gives.
        long: what `long_runs.long_runs` gives.
    """
    level, hardest = level_of_all(short)[0], common_level(short)
    ends = settled(long)
    noisy = ends[ends["noise"] == ends["noise"].max()].set_index("norm")["increase"]
    at = matched(short, hardest)
    there = at[at["noise"] == at["noise"].max()].groupby("norm")["increase"].median()
    less = sum(noisy[norm] < there[norm] for norm in COMPARED)
    before, after = best_rates(short), best_rates(long)
    lower = sum(after[norm] < before[norm] for norm in COMPARED)
    return (
        f"There the short runs stand at the clean error {level:.2f}; at {hardest:.2f}, the best of the worst of them, "
        f"the long runs add less to {less} of {len(COMPARED)}. The best rate is lower in the long runs for {lower}."
    )


def cost_told(runs: pd.DataFrame | None) -> str:
    """Say what an untrained last layer costs the baseline in the long runs; or that there are none."""
    if runs is None:
        return "What an untrained last layer costs over forty epochs is not recorded yet."
    ends = finals(runs).query("role == 'reported' and noise == 0 and norm == 'none'")
    frozen, trained = (
        ends[(ends["fc"] == fc) & (ends["rate"] == best_rates(runs, fc)["none"])].set_index("seed")["test_error"]
        for fc in ("frozen", "trained")
    )
    cost = 100 * (frozen - trained).median()
    return (
        f"Left untrained, the last layer costs the baseline {cost:.1f} points of accuracy without noise "
        f"({100 * (1 - frozen.median()):.1f} percent in place of {100 * (1 - trained.median()):.1f}); the document has "
        "four points."
    )
