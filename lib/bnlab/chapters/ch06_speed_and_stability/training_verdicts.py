"""Verdicts on whole trainings: C-Fig7 (speed), C-Fig8a and C-Def (stability), C-Order (BN beside BN_Suppress)."""

from __future__ import annotations

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import comparisons, effects
from bnlab.chapters.ch06_speed_and_stability.comparisons import CALM, FAST, HIGH, LOW, SLOW, WILD
from bnlab.chapters.ch06_speed_and_stability.eigenvalue_verdicts import agreement
from bnlab.claims import coverage, ledger, statistics
from bnlab.claims.ledger import Verdict

LOW_RATES, CAUGHT_UP = (LOW, 0.01), 0.1
STABLE = 0.15  # a test error below this is that of a network that has learned
FROM_EPOCH = 5  # after which BN is to match BN_Suppress


def speed(runs: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """C-Fig7: faster at the two low rates, and a gap that closes towards rate 0.1."""
    coverage.need(runs, "whole trainings", learning_rate=[*LOW_RATES, CAUGHT_UP])
    found = {rate: comparisons.early(runs, rate) for rate in (*LOW_RATES, CAUGHT_UP)}
    errors = {rate: error for rate, (_, error) in found.items()}
    pairs = [effects.separation(errors[rate], SLOW, FAST) for rate in LOW_RATES]
    agree = agreement([pair["above"] > pair["below"] for pair in pairs])
    gap_low, gap_high = (100 * (errors[r]["none"] - errors[r]["batch"]).median() for r in (LOW, CAUGHT_UP))
    sign, closes = ledger.trend(agree), abs(gap_high) < gap_low / 3
    both, neither = sign == "reproduced" and closes, sign == "not reproduced" and not closes
    effect = effects.headline({"C-Fig7": (pairs[0], "difference")}).iloc[0]
    verdict = ledger.judge(
        "C-Fig7",
        "reproduced" if both else "not reproduced" if neither else "partly",
        statistic=100 * effect["effect"],
        interval=(100 * effect[["low", "high"]]).tolist(),
        seeds=len(agree),
        scale=scale,
        data=data,
        measured=f"after {found[LOW][0]} steps BN and BN_Amplify are ahead at both rates, {LOW:g} "
        f"and {LOW_RATES[1]:g}, in {agree.sum()} of {len(agree)} seeds, at {LOW:g} by {100 * effect['effect']:.1f} "
        f"points (median); the gap of Baseline and BN is {gap_low:.1f} points at {LOW:g} and {gap_high:.1f} at "
        f"{CAUGHT_UP:g}",
    )
    return [verdict]


def stability(runs: pd.DataFrame | None, *, scale: str, data: str) -> list[Verdict]:
    """C-Fig8a and C-Def: who learns at the high rate and who is lost, and what the two words mean then."""
    coverage.need(runs, "whole trainings", learning_rate=[HIGH])
    step = comparisons.last_step(runs)
    error, gone = comparisons.errors_after(runs, step, HIGH)
    count, worst, lost = len(error), 100 * error.max(), gone.sum()
    stable, unstable = error.max() < STABLE, lost >= count - 1
    halves = stable[CALM].all(), unstable[WILD].all()
    effect = effects.headline({"C-Fig8a": (effects.separation(100 * error, WILD, CALM), "difference")}).iloc[0]
    where = {"seeds": count, "scale": scale, "data": data}
    return [
        ledger.judge(
            "C-Fig8a",
            "reproduced" if all(halves) else "partly" if any(halves) else "not reproduced",
            statistic=effect["effect"],
            interval=effect[["low", "high"]].tolist(),
            **where,
            measured=f"largest error after {step} steps: BN {worst['batch']:.1f} %, BN_Suppress "
            f"{worst['suppress']:.1f} %; lost, of {count}: Baseline {lost['none']}, BN_Amplify {lost['amplify']}",
        ),
        ledger.judge(
            "C-Def",
            ledger.correction(stable["amplify"] and unstable["suppress"], stable["suppress"] and unstable["amplify"]),
            **where,
            measured=f"normalising below 1 (BN_Suppress as printed): {lost['amplify']} of {count} lost; above 1 "
            f"(BN_Amplify as printed): {lost['suppress']} lost, errors up to {worst['suppress']:.1f} %",
        ),
    ]


def equivalence(runs: pd.DataFrame, epochs: int) -> pd.DataFrame:
    """BN beside BN_Suppress at rate 3 at every recorded epoch: two one-sided t tests, margin half of BN's error.

    Columns epoch, difference (median of BN minus BN_Suppress), margin (half of BN's median error) and p_value. Where BN
    makes no error nothing lies within the margin, and the p value is 1.

    Args:
        runs: whole trainings.
        epochs: passes over the training images after which the runs end.
    """
    coverage.need(runs, "whole trainings", learning_rate=[HIGH])
    of_an_epoch, rows = comparisons.last_step(runs) / epochs, []
    for step in sorted(set(runs.loc[~runs["diverged"].astype(bool), "step"])):
        epoch = step / of_an_epoch
        if epoch < 1 or epoch != round(epoch):
            continue
        error, _ = comparisons.errors_after(runs, step, HIGH, CALM)
        difference, margin = error["batch"] - error["suppress"], error["batch"].median() / 2
        p_value = statistics.equivalence_p_value(difference, margin) if margin > 0 else 1.0
        rows.append((round(epoch), difference.median(), margin, p_value))
    return pd.DataFrame(rows, columns=["epoch", "difference", "margin", "p_value"])


def order(runs: pd.DataFrame | None, epochs: int, *, scale: str, data: str) -> list[Verdict]:
    """C-Order: BN equivalent to BN_Suppress at every recorded epoch after the fifth."""
    curve = equivalence(coverage.need(runs, "whole trainings", learning_rate=[HIGH]), epochs)
    told = ", ".join(f"{row.p_value:.2g} after {row.epoch}" for row in curve.itertuples())
    late = curve[curve["epoch"] > FROM_EPOCH]
    if late.empty:
        raise coverage.NotRunError(
            f"the runs end after {epochs} epochs, and the criterion begins after the fifth; p of a difference of half "
            f"of BN's error or more, by epoch: {told or 'none'}"
        )
    worst = late["p_value"].max()
    verdict = ledger.judge(
        "C-Order",
        ledger.identity(worst < 0.05),
        statistic=worst,
        seeds=runs.loc[runs["learning_rate"] == HIGH, "seed"].nunique(),
        settings=(int((late["p_value"] < 0.05).sum()), len(late)),
        scale=scale,
        data=data,
        measured=f"BN minus BN_Suppress: median {100 * late['difference'].iloc[-1]:.2f} points at the end, margin "
        f"{100 * late['margin'].iloc[-1]:.2f}; p of a difference of half of BN's error or more, by epoch: {told}",
    )
    return [verdict]
