"""Names of the methods, and sentences that the page says of the runs under noise: right whichever way they come out."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance.long_runs import settled
from bnlab.chapters.ch07_minimum_disturbance.noise_matching import around_best, best_rates, finals
from bnlab.claims.markup import listed

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
    return f"In the long runs noise {noise:g} adds, in points (medians, the least first): {'; '.join(told)}."


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
