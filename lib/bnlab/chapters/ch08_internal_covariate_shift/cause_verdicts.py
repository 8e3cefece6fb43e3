"""What chapter 08 decides about the causes: which arms are fast, which are still, and what their gradients do."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bnlab.chapters.ch08_internal_covariate_shift.arms import (
    BACKWARD_ONLY,
    BN,
    DETACHED,
    GRADIENT_ONLY,
    LSUV,
    NOISY,
    NONE,
    PENALTY,
    PINNED,
)
from bnlab.chapters.ch08_internal_covariate_shift.factorial import at_best_rate, at_plain_rate, ends
from bnlab.claims.coverage import NotRunError, need, paired
from bnlab.claims.criteria import numbers
from bnlab.claims.ledger import Verdict, judge, trend
from bnlab.claims.statistics import quartiles

COMPARABLE = 0.5  # of the plain network's shift: what is at least that large is "comparable or greater"
GAP = 0.02  # of the test error: "a relatively small performance loss"
DRIFT, GEOMETRY, MIXED = "drift", "geometry", "neither"


def side_by_side(table: pd.DataFrame, value: str, arms: tuple[str, ...]) -> pd.DataFrame:
    """Take a column of runs, one row a seed, one column an arm.

    Raises:
        MissingArmError: an arm is not in the table.
        LedgerError: a run is lost, or there are too few seeds.
    """
    need(table, "runs")
    return paired(table.pivot_table(index="seed", columns="arm", values=value, dropna=False), value, arms)


def at_level(runs: pd.DataFrame, value: str, arms: tuple[str, ...]) -> pd.DataFrame:
    """Medians over the layers, at the last level of the loss and at the rate that is best for the plain network.

    Raises:
        NotRunError: some run of these arms never has that loss.
    """
    by_arm = _at_last_level(runs, arms).groupby(["seed", "arm"])[value].median().reset_index()
    return side_by_side(by_arm, value, arms)


def _at_last_level(runs: pd.DataFrame, arms: tuple[str, ...]) -> pd.DataFrame:
    found = at_plain_rate(need(runs, "runs", arm=arms))
    levels = [name for name in dict.fromkeys(found["at"]) if name != "end"]
    if not levels:
        raise NotRunError("no run that comes down to a loss at which they are compared")
    last = min(levels, key=lambda name: float(name.removeprefix("loss ")))
    found = found[(found["at"] == last) & found["arm"].isin(arms)]
    if len(found.groupby(["seed", "arm"])) < len(arms) * runs["seed"].nunique():
        raise NotRunError(f"not every run of {', '.join(arms)} comes down to {last}")
    return found


def noise(runs: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge E-ICS3: noise after BN, drift at equal loss, and steps to 90 % accuracy, at the plain network's rate."""
    drift = at_level(runs, "drift", (NONE, NOISY))
    there = ends(at_plain_rate(runs))
    steps = side_by_side(there, "steps_to_good", (NONE, NOISY))
    both = (drift[NOISY] > drift[NONE]) & (steps[NOISY] < steps[NONE])
    every = ends(runs).pivot_table(index=["learning_rate", "seed"], columns="arm", values=["drift", "steps_to_good"])
    agree = (every["drift"][NOISY] > every["drift"][NONE]).groupby("learning_rate").all()
    return [judge(
        "E-ICS3",
        trend(both),
        seeds=len(both),
        statistic=float((drift[NOISY] / drift[NONE]).median()),
        settings=(int(agree.sum()), len(agree)),
        measured=f"At equal loss the noisy network drifts {(drift[NOISY] / drift[NONE]).median():.1f} times as fast as "
        f"the plain one, and is at 90 % accuracy after {steps[NOISY].median():.0f} steps against "
        f"{steps[NONE].median():.0f} (medians). Over whole runs it drifts faster in all seeds at {int(agree.sum())} of "
        f"{len(agree)} learning rates.",
        **where,
    )]  # fmt: skip


def stabilised(runs: pd.DataFrame) -> dict[str, bool]:
    """Say which controls drift less than the plain network, at their own best rate and in every seed."""
    best, plain = at_best_rate(runs), ends(runs)
    plain = plain[plain["arm"] == NONE][["seed", "learning_rate", "drift"]]
    told = {}
    for arm in (PINNED, PENALTY):
        both = best[best["arm"] == arm].merge(plain, on=["seed", "learning_rate"], suffixes=("", "_plain"))
        need(both, f"runs of {arm}")
        told[arm] = bool((both["drift"] < both["drift_plain"]).all())
    return told


def controls(runs: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge E-ICS4 by the controls that do hold the distributions still."""
    need(runs, "runs", arm=(NONE, BN, PINNED, PENALTY))
    steps = side_by_side(at_best_rate(runs), "steps_to_loss", (NONE, BN, PINNED, PENALTY))
    still = [arm for arm, holds in stabilised(runs).items() if holds]
    slower = [all(steps.loc[seed, arm] > steps.loc[seed, BN] for arm in still) for seed in steps.index]
    if not still:
        raise NotRunError("no control that holds the distributions still")
    middle = steps.median()
    told = ", ".join(f"{arm} {_steps(middle[arm])}" for arm in (BN, NONE, PINNED, PENALTY))
    return [judge(
        "E-ICS4",
        trend(slower),
        seeds=len(steps),
        measured=f"Steps to the loss, each at its best rate (medians): {told}. Still in all seeds: {', '.join(still)}.",
        **where,
    )]  # fmt: skip


def comparable(runs: pd.DataFrame, vgg: pd.DataFrame | None = None, **where: str) -> list[Verdict]:
    """Judge E-ICS5 at equal loss and equal rate: in the VGG-like networks where they ran, else in the others.

    Args:
        runs: table of `factorial.arm_runs`.
        vgg: table of `convolutional.vgg_runs`, if there is one; then ``runs`` is reported beside it.
        where: scale and data of the verdict.
    """
    networks = {"": runs} if vgg is None else {"VGG-like: ": vgg, " Fully connected: ": runs}
    told = "".join(name + _shift_told(table) for name, table in networks.items())
    decides = shift_ratios(runs if vgg is None else vgg)
    gradients = quartiles(decides["difference"].to_numpy())
    return [judge(
        "E-ICS5",
        trend((decides >= COMPARABLE).all(axis=1)),
        statistic=gradients.median,
        interval=(gradients.q1, gradients.q3),
        seeds=len(decides),
        measured=told,
        **where,
    )]  # fmt: skip


def shift_ratios(runs: pd.DataFrame) -> pd.DataFrame:
    """Give by seed the shift with BN over that without, of moments (``drift``) and of gradients (``difference``)."""
    both = {value: at_level(runs, value, (NONE, BN)) for value in ("drift", "difference")}
    return pd.DataFrame({value: table[BN] / table[NONE] for value, table in both.items()})


def shift_ratios_by_layer(runs: pd.DataFrame) -> pd.DataFrame:
    """Give the same by seed and layer, before any median: columns ``drift`` and ``difference``.

    Raises:
        NotRunError: as `at_level`.
    """
    table = _at_last_level(runs, (NONE, BN)).set_index(["arm", "seed", "layer"])[["drift", "difference"]]
    return table.loc[BN] / table.loc[NONE]


def shift_numbers(runs: pd.DataFrame | None) -> dict[str, float]:
    """Give what the page says of one kind of network by name: medians, and in how many seeds; nan where it never ran.

    ``drift`` and ``difference`` are ratios with BN over without, ``like_…`` the seeds in which they are comparable.
    """
    names = ("drift", "difference", "like_drift", "like_difference", "seeds", "cosine_bn", "cosine_none",
             "cosine_matched_bn", "cosine_matched_none")  # fmt: skip
    try:
        ratios = shift_ratios(need(runs, "runs"))
    except NotRunError:
        return dict.fromkeys(names, math.nan)
    comparable = (ratios >= COMPARABLE).sum()
    cosines = [at_level(runs, value, (NONE, BN))[arm].median() for value in ("cosine", "cosine_matched")
               for arm in (BN, NONE)]  # fmt: skip
    found = (*ratios.median(), *map(int, comparable), len(ratios), *cosines)
    return dict(zip(names, found, strict=True))


def _shift_told(runs: pd.DataFrame) -> str:
    ratios = shift_ratios(runs)
    spread = [quartiles(ratios[value].to_numpy()) for value in ("drift", "difference")]
    told = " and ".join(
        f"{found.median:.2f} ({found.q1:.2f} to {found.q3:.2f}) of {what}"
        for found, what in zip(spread, ("moments", "$\\Vert G - G'\\Vert$"), strict=True)
    )
    own, matched = (at_level(runs, value, (NONE, BN)).median() for value in ("cosine", "cosine_matched"))
    return (
        f"Shift with BN over shift without: {told} (medians and quartiles). The cosine of $G$ and $G'$ is "
        f"{own[BN]:.2f} with and {own[NONE]:.2f} without, after equal turns {matched[BN]:.2f} and {matched[NONE]:.2f}."
    )


def good_start(runs: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge B-Mish: test error of LSUV and of BN at the best rate of each, and how far activations travel."""
    need(runs, "runs", arm=(NONE, BN, LSUV))
    best = at_best_rate(runs, "test_error")
    errors = side_by_side(best, "test_error", (NONE, BN, LSUV))
    travelled = side_by_side(best, "travelled", (NONE, BN, LSUV))
    gap = errors[LSUV] - errors[BN]
    holds = (gap < GAP) & (travelled[LSUV] > travelled[BN])
    spread, middle = quartiles(gap.to_numpy()), travelled.median()
    return [judge(
        "B-Mish",
        trend(holds),
        statistic=spread.median,
        interval=(spread.q1, spread.q3),
        seeds=len(gap),
        measured=f"Test error {errors[LSUV].median():.1%} with LSUV, {errors[BN].median():.1%} with BN, "
        f"{errors[NONE].median():.1%} plain; the gap to BN is below {GAP:.0%} in {int((gap < GAP).sum())} of "
        f"{len(gap)} seeds. Moments travel {middle[LSUV]:.1f}, {middle[BN]:.2f} and {middle[NONE]:.1f} deviations "
        "(medians).",
        **where,
    )]  # fmt: skip


def predictions(runs: pd.DataFrame, gradient: str = GRADIENT_ONLY) -> pd.Series:
    """Say for each seed whose prediction holds: drift as the cause, geometry, or neither.

    Steps to the loss, each arm at its best rate. An arm is like BN if it needs at most the geometric mean of BN's and
    the plain network's steps, else like the plain network.
    """
    arms = (NONE, BN, DETACHED, gradient)
    steps = side_by_side(at_best_rate(need(runs, "runs", arm=arms)), "steps_to_loss", arms)
    numbers(steps.to_numpy(), "steps")
    middle = np.sqrt(steps[BN] * steps[NONE])
    detached, other = steps[DETACHED] <= middle, steps[gradient] <= middle
    faster = steps[BN] < steps[NONE]
    return pd.Series(
        np.select([faster & detached & ~other, faster & ~detached & other], [DRIFT, GEOMETRY], MIXED),
        index=steps.index,
    )


def needed(runs: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge L-Awais by the prediction that holds."""
    found = predictions(runs)
    arms = (BN, NONE, DETACHED, GRADIENT_ONLY)
    best = at_best_rate(runs)
    steps, errors = side_by_side(best, "steps_to_loss", arms).median(), side_by_side(best, "test_error", arms).median()
    told = ", ".join(f"{arm} {_steps(steps[arm])} ({errors[arm]:.1%})" for arm in arms)
    with_backward = ""
    if BACKWARD_ONLY in set(runs["arm"]):
        other = predictions(runs, BACKWARD_ONLY)
        with_backward = f" With {BACKWARD_ONLY} in its place: {int((other == DRIFT).sum())} and "
        with_backward += f"{int((other == GEOMETRY).sum())}."
    return [judge(
        "L-Awais",
        trend(found == DRIFT),
        seeds=len(found),
        measured=f"Steps to the loss and test error at the end (medians): {told}. Drift as the cause predicts "
        f"{int((found == DRIFT).sum())}, geometry {int((found == GEOMETRY).sum())} of {len(found)} seeds."
        f"{with_backward}",
        **where,
    )]  # fmt: skip


def _steps(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "never"
