"""Verdicts on what the first five steps do to powers and eigenvalues: C-Fig5, C-Fig6, C-Fig8b."""

from __future__ import annotations

import math

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import comparisons, effects
from bnlab.claims import coverage, ledger
from bnlab.claims.criteria import numbers
from bnlab.claims.ledger import LedgerError, Verdict

FACTOR = 10  # between the largest eigenvalues, C-Fig8b


def powers(first_steps: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """C-Fig5: powers on both sides of the threshold at initialisation and after five steps at every rate."""
    first_steps = coverage.need(first_steps, "first steps")
    if "none" not in set(first_steps["norm"]):
        raise coverage.MissingArmError("no first steps of none")
    straddling = _straddling(first_steps)  # seeds x (step, rate), of bool
    if len(straddling) < coverage.SEEDS:
        raise LedgerError(f"first steps: {len(straddling)} paired seeds are fewer than {coverage.SEEDS}.")
    at_start, after = int(straddling[0].sum().min()), straddling[effects.FIFTH].sum()
    in_all = [f"{rate:g}" for rate, seeds in after.items() if seeds == len(straddling)]
    everywhere = at_start == len(straddling) and len(in_all) == len(after)
    verdict = ledger.judge(
        "C-Fig5",
        "reproduced" if everywhere else "partly" if in_all else "not reproduced",
        statistic=at_start,
        seeds=len(straddling),
        settings=(len(in_all), len(after)),
        scale=scale,
        data=data,
        measured=f"on both sides at initialisation in {at_start} of {len(straddling)} seeds; after 5 steps in all "
        f"seeds at these of the {len(after)} rates: {', '.join(in_all) or 'none'}",
    )
    return [verdict]


def _straddling(first_steps: pd.DataFrame) -> pd.DataFrame:
    """Whether the plain network has powers on both sides: seeds x (step, rate); not where it diverged before.

    Raises:
        LedgerError: a run is lost, or one that went on has a power that is not a number.
    """
    plain = first_steps[(first_steps["norm"] == "none") & first_steps["step"].isin([0, effects.FIFTH])]
    gone_on = plain[~plain["diverged"].astype(bool)]
    numbers(gone_on.filter(regex=r"^power[12]_\d+$"), "powers in the first steps")
    sides = effects.sides(plain).assign(diverged=plain["diverged"].astype(bool).array)
    sides["both"] = (sides["above"] > 0) & (sides["below"] > 0)
    wide = sides.pivot(index="seed", columns=["step", "learning_rate"], values="both")
    rates, seeds = sorted(first_steps["learning_rate"].unique()), sorted(first_steps["seed"].unique())
    wide = wide.reindex(index=seeds, columns=pd.MultiIndex.from_product([[0, effects.FIFTH], rates])).astype(object)
    ended = first_steps[(first_steps["norm"] == "none") & first_steps["diverged"].astype(bool)]
    for seed, rate in set(zip(ended["seed"], ended["learning_rate"], strict=True)):
        if pd.isna(wide.loc[seed, (effects.FIFTH, rate)]):
            wide.loc[seed, (effects.FIFTH, rate)] = False
    if lost := int(wide.isna().sum().sum()):
        raise LedgerError(f"first steps: {lost} records of the plain network are lost.")
    return wide.astype(bool)


def smallest_eigenvalues(first_steps: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """C-Fig6: BN and BN_Amplify above Baseline and BN_Suppress at the two lowest rates."""
    coverage.need(first_steps, "first steps", learning_rate=comparisons.LOWEST)
    pairs = [comparisons.smallest(first_steps, rate) for rate in comparisons.LOWEST]
    agree = agreement([pair["above"] > pair["below"] for pair in pairs])
    ratio = effects.log_ratios(pairs[-1]["above"], pairs[-1]["below"])
    effect = effects.headline({"C-Fig6": (pairs[-1], "ratio")}).iloc[0]
    low, high = (f"{rate:g}" for rate in comparisons.LOWEST)
    verdict = ledger.judge(
        "C-Fig6",
        ledger.trend(agree),
        statistic=finite(effect["effect"]),
        interval=effect[["low", "high"]].tolist(),
        seeds=len(agree),
        scale=scale,
        data=data,
        measured=f"the lower of BN and BN_Amplify is above the higher of Baseline and BN_Suppress at both rates, "
        f"{low} and {high}, in {agree.sum()} of {len(agree)} seeds; at {high} by a factor of {effect['effect']:.2g} "
        f"(median), above 2 in {int((ratio > math.log(2)).sum())}",
    )
    return [verdict]


def largest_eigenvalues(
    first_steps: pd.DataFrame | None,
    runs: pd.DataFrame | None,
    stability: pd.DataFrame | None,
    *,
    scale: str,
    data: str,
) -> list[Verdict]:
    """C-Fig8b: Baseline and BN_Amplify ten times above BN and BN_Suppress at each rate at which Baseline is lost."""
    swept = coverage.need(first_steps, "first steps")["learning_rate"].unique().tolist()
    rates = comparisons.losing_rates(swept, runs, stability)
    if not rates:
        raise coverage.NotRunError("no first steps at a rate at which Baseline is known to be lost")
    pairs = {rate: comparisons.largest(first_steps, rate) for rate in rates}
    agree = {rate: reaches(pair, FACTOR) for rate, pair in pairs.items()}
    found = {rate: ledger.trend(held) for rate, held in agree.items()}
    effect = effects.headline({str(rate): (pair, "ratio") for rate, pair in pairs.items()}).iloc[0]
    told = [
        f"at rate {rate:g} at least {FACTOR} times in {held.sum()} of {len(held)} seeds" for rate, held in agree.items()
    ]
    verdict = ledger.judge(
        "C-Fig8b",
        common(list(found.values())),
        statistic=finite(effect["effect"]),
        interval=effect[["low", "high"]].tolist(),
        seeds=min(len(held) for held in agree.values()),
        settings=(sum(word == "reproduced" for word in found.values()), len(found)),
        scale=scale,
        data=data,
        measured=f"the lower of Baseline and BN_Amplify over the higher of BN and BN_Suppress: {'; '.join(told)} "
        f"(median {effect['effect']:.2g} at {rates[0]:g}); medians of the largest eigenvalue at rate {rates[0]:g} at "
        f"the start, then at the last of four steps below ten times its loss: {_beginnings(first_steps, rates[0])}",
    )
    return [verdict]


def reaches(pair: pd.DataFrame, factor: float) -> pd.Series:
    """Whether ``above`` is at least so many times ``below``, by seed; two zeros, or two infinities, are no multiple."""
    return (pair["above"] >= factor * pair["below"]) & (pair["above"] > pair["below"])


def common(words: list[str]) -> str:
    """One verdict of several settings: what all of them say, else partly.

    >>> common(["reproduced", "not reproduced"])
    'partly'
    """
    return words[0] if len(set(words)) == 1 else "partly"


def agreement(held: list[pd.Series]) -> pd.Series:
    """Whether all of the conditions held, by seed.

    Raises:
        LedgerError: they are not of the same seeds.
    """
    if any(not condition.index.equals(held[0].index) for condition in held[1:]):
        raise LedgerError("what is compared has not the same seeds everywhere.")
    return pd.concat(held, axis=1).all(axis=1)


def finite(value: float) -> float | None:
    """The number, or None where it is infinite and only its direction counts."""
    return None if math.isinf(value) else float(value)


def _beginnings(first_steps: pd.DataFrame, rate: float) -> str:
    early = effects.before_running_away(first_steps, rate).groupby("norm")[["initial", "last"]].median().round()
    return "; ".join(
        f"{name} {early['initial'][norm]:g}, then {early['last'][norm]:g}" for norm, name in comparisons.NAMES.items()
    )
