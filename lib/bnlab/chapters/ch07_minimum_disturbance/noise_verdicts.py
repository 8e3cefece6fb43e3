"""Verdicts on figure 10, training under noise: C-Fig10a, C-Fig10b, C-99-95."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance import noise_matching
from bnlab.claims import coverage, ledger, statistics
from bnlab.claims.criteria import numbers
from bnlab.claims.ledger import LedgerError, Verdict
from bnlab.claims.markup import listed
from bnlab.randomness import generator

NAMES = {"nlms_l2": "NLMS_L2", "batch_prior": "BN_Prior", "nlms_l1": "NLMS_L1", "none": "Baseline", "batch": "BN"}
COMPARED = ("none", "batch", "batch_prior", "nlms_l2")
# Which of two is disturbed less, as figure 10 has it.
ORDER = (("nlms_l2", "batch_prior"), ("nlms_l2", "none"), ("nlms_l2", "batch"),
         ("batch_prior", "none"), ("batch_prior", "batch"))  # fmt: skip
DOCUMENT_EPOCHS = 40
TRAINED, FROZEN, WITHIN = 99, 95, 1.5  # accuracies of the document, and points around them


def under_noise(runs: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """C-Fig10a: who suffers least from noise at one clean error that all of the four reach.

    A method that misses it in a seed is not judged; then the claim is not, unless what is judged contradicts it.
    """
    runs = _whole(coverage.need(runs, "runs under noise"))
    level, found = level_of_all(runs)
    reached = found.groupby("norm")["reached"].sum()
    increase = found.pivot(index="seed", columns="norm", values="increase")
    increase = coverage.paired(increase, "runs under noise", [norm for norm in NAMES if norm in increase])
    count = len(increase)
    judged = [(low, high) for low, high in ORDER if min(reached[low], reached[high]) == count]
    agree = pd.concat([increase[low] < increase[high] for low, high in judged], axis=1).all(axis=1) if judged else None
    verdict = "reported" if agree is None else ledger.trend(agree)
    if len(judged) < len(ORDER) and verdict != "not reproduced":
        verdict = "reported"
    effect = statistics.paired_summary(
        increase["nlms_l2"], increase["batch_prior"], generator(0, "bootstrap of figure 10")
    )
    made = ledger.judge(
        "C-Fig10a",
        verdict,
        statistic=100 * effect.median_difference,
        interval=(100 * effect.low, 100 * effect.high),
        seeds=count,
        scale=scale,
        data=data,
        measured=f"noise {found['noise'].max():g}, clean error {level:.2f} ({_reach(found, level, count)}): increase "
        f"in points, median [quartiles]: {_increases(increase)}; NLMS_L2 minus BN_Prior, paired: median "
        f"{100 * effect.median_difference:.1f} points, bootstrap interval {100 * effect.low:.1f} to "
        f"{100 * effect.high:.1f}; {_orders(increase)}",
    )
    return [made]


def level_of_all(runs: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """The clean error at which the methods are compared, and the reported runs there under the strongest noise.

    The common level, if all of the four reach it in every seed, else the easiest; both are chosen on the tuning seeds.
    """
    for level in (noise_matching.common_level(runs), noise_matching.easiest_level(runs)):
        found = noise_matching.matched(runs, level)
        found = found[found["noise"] == found["noise"].max()]
        if found.loc[found["norm"].isin(COMPARED), "reached"].all():
            break
    return level, found


def _whole(runs: pd.DataFrame, fc: str = "frozen") -> pd.DataFrame:
    """Runs with fc untrained, none of them lost.

    Raises:
        NotRunError: no runs under noise, or no tuning seeds.
        MissingArmError: one of the four methods is not there.
        LedgerError: a run is lost, or one that did not diverge has no error.
    """
    runs = runs[runs["fc"] == fc]
    coverage.need(runs, "runs under noise", role=["reported", "tuning"])
    if runs["noise"].max() <= 0:
        raise coverage.NotRunError("no runs under noise but clean ones")
    if absent := [norm for norm in COMPARED if norm not in set(runs["norm"])]:
        raise coverage.MissingArmError(f"no runs under noise of {NAMES[absent[0]]}")
    ends = noise_matching.finals(runs)
    _errors(ends, "test errors under noise")
    for role, rows in ends.groupby("role"):
        wide = rows.pivot(index=["norm", "seed"], columns=["noise", "rate"], values="test_error")
        everything = pd.MultiIndex.from_product([sorted(set(ends["norm"])), sorted(set(rows["seed"]))])
        if lost := int(wide.reindex(everything).isna().sum().sum()):
            raise LedgerError(f"runs under noise: {lost} of the {role} runs are lost.")
    return runs


def _errors(ends: pd.DataFrame, name: str) -> None:
    if not np.isfinite(numbers(ends["test_error"], name)).all():
        raise LedgerError(f"{name}: one is infinite.")


def _reach(found: pd.DataFrame, level: float, count: int) -> str:
    """Say which methods stand at the level in every seed: they come down to it, and are not below it from the start."""
    missed, told = found[~found["reached"]], []
    below = missed["clean_error"] < level
    for words, rows in (("already below it at the lowest rate", missed[below]), ("never down to it", missed[~below])):
        often = rows["norm"].value_counts()
        names = [f"{name} in {often[norm]}" for norm, name in NAMES.items() if norm in often]
        told += [f"{words} are {', '.join(names)} of {count} seeds"] if names else []
    if not told:
        return "which all come down to in every seed"
    return f"{'; '.join(told)}: a method that is so in a seed is not judged"


def _increases(increase: pd.DataFrame) -> str:
    words = []
    for norm in increase:
        q = statistics.quartiles(increase[norm])
        words.append(f"{NAMES[norm]} {100 * q.median:.1f} [{100 * q.q1:.1f}, {100 * q.q3:.1f}]")
    return ", ".join(words)


def _orders(increase: pd.DataFrame) -> str:
    others = increase[["none", "batch"]].min(axis=1)
    prior = increase["batch_prior"] < others
    least = increase["nlms_l2"] < increase[["none", "batch", "batch_prior"]].min(axis=1)
    return (
        f"order as printed in {(least & prior).sum()}, NLMS_L2 least in {least.sum()}, BN_Prior below Baseline and BN "
        f"in {prior.sum()} of {len(increase)} seeds"
    )


def settles_higher(runs: pd.DataFrame | None, epochs: int, *, scale: str, data: str) -> list[Verdict]:
    """C-Fig10b: clean error after forty epochs with fc untrained, each method at its best rate on the tuning seeds."""
    error = _settled(runs, epochs, ["none", "batch", "batch_prior"], "frozen")
    higher = error["batch"] > error[["none", "batch_prior"]].max(axis=1)
    medians = error.median()
    verdict = ledger.judge(
        "C-Fig10b",
        ledger.trend(higher),
        statistic=medians["batch"] - medians[["none", "batch_prior"]].max(),
        seeds=len(error),
        scale=scale,
        data=data,
        measured=f"median errors {medians['batch']:.2%} (BN), {medians['none']:.2%} (Baseline), "
        f"{medians['batch_prior']:.2%} (BN_Prior); BN highest in {higher.sum()} of {len(error)} seeds",
    )
    return [verdict]


def accuracies(runs: pd.DataFrame | None, epochs: int, *, scale: str, data: str) -> list[Verdict]:
    """C-99-95: the baseline's accuracy after forty epochs with fc trained and without, each at its best rate.

    The document's text names no rate, so those that give both accuracies, on the tuning seeds, are told beside it.
    """
    with_fc, without = (
        100 * (1 - _settled(runs, epochs, ["none"], fc)["none"].median()) for fc in ("trained", "frozen")
    )
    holds = abs(with_fc - TRAINED) <= WITHIN and abs(without - FROZEN) <= WITHIN
    verdict = ledger.judge(
        "C-99-95",
        ledger.identity(holds) if scale == "full" else "reported",
        statistic=without,
        seeds=runs.loc[runs["role"] == "reported", "seed"].nunique(),
        scale=scale,
        data=data,
        measured=f"baseline: {with_fc:.1f} % with fc trained, {without:.1f} % without, each at its best rate; "
        f"{at_one_rate(runs)}",
    )
    return [verdict]


def at_one_rate(runs: pd.DataFrame) -> str:
    """Say at which rates, the same for both, the baseline's two accuracies are the document's, on the tuning seeds.

    Args:
        runs: what `long_runs.long_runs` gives.
    """
    clean = noise_matching.finals(runs).query("role == 'tuning' and noise == 0 and norm == 'none'")
    both = (100 * (1 - clean.groupby(["rate", "fc"])["test_error"].median().unstack("fc"))).dropna()
    near = both[((both[["trained", "frozen"]] - [TRAINED, FROZEN]).abs() <= WITHIN).all(axis=1)]
    told = [f"{rate:g} ({row['trained']:.1f} and {row['frozen']:.1f} %)" for rate, row in near.iterrows()]
    return (
        f"with one rate for both, on the tuning seeds, both are within {WITHIN:g} points of the document's at "
        f"{listed(told) if told else f'none of {len(both)}'}"
    )


def _settled(runs: pd.DataFrame | None, epochs: int, methods: list[str], fc: str) -> pd.DataFrame:
    """Clean test errors at the end, each method at its best rate on the tuning seeds: seeds x methods.

    Raises:
        NotRunError: no long runs, or shorter ones than the document's.
        MissingArmError: a method is not there.
        LedgerError: a run is lost.
    """
    runs = coverage.need(runs, "long runs", fc=[fc], role=["reported", "tuning"])
    if epochs < DOCUMENT_EPOCHS:
        raise coverage.NotRunError(f"the long runs end after {epochs} of the document's {DOCUMENT_EPOCHS} epochs")
    clean = runs[(runs["noise"] == 0) & (runs["fc"] == fc)]
    if absent := [norm for norm in methods if norm not in set(clean["norm"])]:
        raise coverage.MissingArmError(f"no long runs of {NAMES[absent[0]]}")
    last = noise_matching.finals(clean)
    _errors(last, "test errors of the long runs")
    best = noise_matching.best_rates(clean, fc)
    own = last[(last["role"] == "reported") & (last["rate"] == last["norm"].map(best))]
    seeds = sorted(last.loc[last["role"] == "reported", "seed"].unique())
    error = own.pivot(index="seed", columns="norm", values="test_error").reindex(index=seeds)
    return coverage.paired(error, "long runs", methods)
