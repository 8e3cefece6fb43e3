"""Who is compared with whom in chapter 06, at which learning rate: runs set side by side, none of them lost.

Of the networks expected above the lowest is taken, of those expected below the highest, paired by seed. A network that
diverged is a result and stands with the last it had; a run that is not there is an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import effects
from bnlab.chapters.ch06_speed_and_stability.channel_norms import NETWORKS
from bnlab.claims.coverage import NotRunError, need, paired
from bnlab.claims.ledger import LedgerError

NAMES = {"none": "Baseline", "batch": "BN", "amplify": "BN_Amplify", "suppress": "BN_Suppress"}
LOWEST = (1e-4, 1e-3)  # the two lowest rates of the first steps
LOW, HIGH = 1e-3, 3.0
FAST, SLOW = ["batch", "amplify"], ["none", "suppress"]  # at low rates
CALM, WILD = ["batch", "suppress"], ["none", "amplify"]  # at high ones
EARLY = 300  # steps after which speed is read
CHANCE = 0.9  # error of a network of ten classes without a number


def smallest(first_steps: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Smallest eigenvalues after five steps, fast networks ``above`` and slow ones ``below``, by seed.

    Raises:
        NotRunError: no first steps at that rate.
        LedgerError: a run is lost, or has no number after the fifth step.
    """
    values, gone = _after_five(first_steps, rate, "lambda_min")
    if gone.any(axis=None):
        raise LedgerError(f"first steps at rate {rate:g}: a network has no eigenvalues after five of them.")
    return effects.separation(values, FAST, SLOW)


def largest(first_steps: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Largest eigenvalues after five steps, wild networks ``above`` and calm ones ``below``, by seed.

    A wild network without numbers stands with its last, which understates it; a calm one is then infinitely far.

    Raises:
        NotRunError: no first steps at that rate.
        LedgerError: a run is lost.
    """
    values, gone = _after_five(first_steps, rate, "lambda_max")
    values[CALM] = values[CALM].where(~gone[CALM], np.inf)
    return effects.separation(values, WILD, CALM)


def _after_five(first_steps: pd.DataFrame, rate: float, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Last number up to the fifth step, seeds x networks, and whether it is of an earlier step."""
    runs = _at(first_steps, "first steps", rate)
    known = runs[(runs["step"] <= effects.FIFTH) & np.isfinite(runs[column])]
    wide = _wide(_last(known), [column, "step"], runs)
    values = paired(wide[column], f"first steps at rate {rate:g}", NETWORKS)
    return values, wide["step"][list(NETWORKS)] < effects.FIFTH


def errors_after(
    runs: pd.DataFrame, step: int, rate: float, networks: Sequence[str] = NETWORKS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test errors after so many steps, seeds x networks, and which of the networks are lost.

    Lost is what has diverged by then, or only guesses; where it has no number, its error is `CHANCE`.

    Raises:
        NotRunError: no whole trainings at that rate.
        LedgerError: a run is not there, or has no record at that step though it did not diverge.
    """
    own = _at(runs, "whole trainings", rate)
    last = _last(own[own["step"] <= step])
    diverged = last["diverged"].astype(bool) & ((last["step"] < step) | ~np.isfinite(last["test_error"]))
    known = np.isfinite(last["test_error"])
    error = last["test_error"].where(known, np.nan).where(known | ~diverged, CHANCE)
    last = last.assign(test_error=error.where(diverged | (last["step"] == step)))
    last["lost"] = (diverged | (last["test_error"] > effects.LOST)).astype(float)  # beside errors, in one pivot
    wide = _wide(last, ["test_error", "lost"], own)
    errors = paired(wide["test_error"], f"whole trainings at rate {rate:g}", networks)
    return errors, wide["lost"][list(networks)].astype(bool)


def last_step(runs: pd.DataFrame) -> int:
    """Step at which the runs of a table end, those that did not diverge."""
    whole = runs.loc[~runs["diverged"].astype(bool), "step"]
    if whole.empty:
        raise NotRunError("no whole training that did not diverge")
    return int(whole.max())


def early(runs: pd.DataFrame, rate: float) -> tuple[int, pd.DataFrame]:
    """The recorded step nearest to `EARLY`, and the test errors there, seeds x networks.

    Raises:
        NotRunError: no whole trainings at that rate, or all of them diverged.
        LedgerError: a run is not there.
    """
    last_step(need(runs, "whole trainings", learning_rate=[rate]))
    step = effects.nearest_step(runs, EARLY)
    return step, errors_after(runs, step, rate)[0]


def headline_pairs(first_steps: pd.DataFrame | None, runs: pd.DataFrame | None) -> dict[str, tuple[pd.DataFrame, str]]:
    """The four headline comparisons that can be made, as `effects.headline` takes them."""
    makers = {
        "C-Fig6": (lambda: smallest(first_steps, LOW), "ratio"),
        "C-Fig8b": (lambda: largest(first_steps, HIGH), "ratio"),
        "C-Fig7": (lambda: effects.separation(early(runs, LOW)[1], SLOW, FAST), "difference"),
        "C-Fig8a": (lambda: effects.separation(errors_after(runs, last_step(runs), HIGH)[0], WILD, CALM), "difference"),
    }
    pairs = {}
    for claim, (make, kind) in makers.items():
        try:
            pairs[claim] = make(), kind
        except NotRunError:
            continue
    return pairs


def losing_rates(
    rates: Sequence[float], runs: pd.DataFrame | None, stability: pd.DataFrame | None, norm: str = "none"
) -> list[float]:
    """Those of the rates at which a network is lost in all seeds but at most one.

    Looked up in whole trainings at that rate; where there are none, in the survival runs at the largest rate of their
    grid that is not above it (what is lost there is taken to be lost at more).
    """
    trained = {} if runs is None else _losses(runs[runs["norm"] == norm])
    free = None if stability is None else stability[(stability["norm"] == norm) & (stability["cap"] == 0)]
    survival = {} if free is None else _losses(free)
    losing = []
    for rate in sorted(rates):
        below = [known for known in survival if known <= rate]
        found = trained.get(rate, survival[max(below)] if below else False)
        losing += [rate] if found else []
    return losing


def _losses(runs: pd.DataFrame) -> dict[float, bool]:
    """Whether all runs at a rate but at most one are lost."""
    if runs.empty:
        return {}
    lost = effects.final_errors(runs, ("learning_rate", "seed")).groupby("learning_rate")["lost"]
    return {float(rate): bool(part.sum() >= len(part) - 1) for rate, part in lost}


def _at(runs: pd.DataFrame | None, name: str, rate: float) -> pd.DataFrame:
    runs = need(runs, name, learning_rate=[rate])
    return runs[runs["learning_rate"] == rate]


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("step").drop_duplicates(["norm", "seed"], keep="last")


def _wide(rows: pd.DataFrame, columns: list[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Columns, each seeds x networks, with a row for every seed that any of the runs has."""
    return rows.pivot(index="seed", columns="norm", values=columns).reindex(sorted(runs["seed"].unique()))
