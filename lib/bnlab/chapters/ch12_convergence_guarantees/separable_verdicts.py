"""What chapter 12 decides about separable data: the pace of descent, and margins."""

from __future__ import annotations

import pandas as pd

from bnlab.chapters.ch12_convergence_guarantees.separable import NORMALISED, PLAIN, ZERO, decay_fits
from bnlab.claims.criteria import by_run, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend

BEST_FIRST = ("reproduced", "partly", "not reproduced")


def slow(descent: pd.DataFrame) -> Verdict:
    """Judge E-HS1 by the runs on separable data; the normalised run is reported."""
    fits = decay_fits(descent)
    plain, zero = (rows(fits, "separable data", data=kind) for kind in (PLAIN, ZERO))
    for column in ("exponent", "power_law", "exponential", "growth"):
        numbers(plain[column], f"separable data, {column}")
    exponent = float(numbers(zero["exponent"], "exponent at margin zero")[0])
    power = (plain["power_law"] > plain["exponential"]) & (plain["growth"] > 1) & (abs(plain["exponent"] + 1) <= 0.1)
    loss = ends(descent)
    ratio = loss[NORMALISED] / loss[PLAIN]
    return judge(
        "E-HS1",
        trend(power & (abs(exponent + 1 / 3) <= 0.02)),
        seeds=len(plain),
        statistic=plain["exponent"].median(),
        interval=(plain["exponent"].min(), plain["exponent"].max()),
        measured=f"The loss of plain descent falls as $t$ to the {plain['exponent'].min():.2f} to "
        f"{plain['exponent'].max():.2f} with a margin, and to the {exponent:.3f} without. Beside it, a normalised "
        f"output at the same rate ends at {ratio.min():.2g} to {ratio.max():.2g} times the plain loss, and is ahead in "
        f"{int((ratio < 1).sum())} of {len(ratio)} seeds.",
    )


def ends(descent: pd.DataFrame) -> pd.DataFrame:
    """Losses at the last step of plain and normalised descent: a row a seed.

    Raises:
        LedgerError: a kind or a run is missing, or a loss is not a number.
    """
    last = rows(descent, "separable data", step=descent["step"].max())
    kinds = (PLAIN, NORMALISED)
    return by_run(last[last["data"].isin(kinds)], "last losses", run="seed", arm="data", value="loss", arms=kinds)


def margin_shares(growth: pd.DataFrame) -> pd.DataFrame:
    """Share of the largest margin: a row a spread, columns (features, seed).

    Raises:
        LedgerError: an arm or a run is missing, or a value is not a number.
    """
    kinds = ("raw", "scaled")
    both = by_run(growth, "margins", run=["spread", "seed"], arm="features", value="share", arms=kinds)
    shares = both.unstack("seed")
    if lost := int(shares.isna().sum(axis=None)):
        raise LedgerError(f"margins: {lost} runs are lost: not every seed has all spreads.")
    return shares


def slowed(shares: pd.DataFrame) -> pd.DataFrame:
    """Say whether raw features are slowed: below their share at the smallest spread, and below scaled ones."""
    wider = shares.iloc[1:]
    return (wider["raw"] < shares["raw"].iloc[0]) & (wider["raw"] < wider["scaled"])


def at_every_spread(shares: pd.DataFrame) -> tuple[int, int]:
    """Count the seeds of the stronger reading: raw falls with every spread, scaled is ahead at every wider one."""
    falls = (shares["raw"].diff().iloc[1:] < 0).all()
    wins = (shares["scaled"] > shares["raw"]).iloc[1:].all()
    return int(falls.sum()), int(wins.sum())


def margins(growth: pd.DataFrame) -> Verdict:
    """Judge E-Margin by the spread that says most."""
    shares = margin_shares(growth)
    found = slowed(shares)
    if found.empty:
        raise LedgerError("margins: one spread alone shows no slowing.")
    words = {spread: trend(row) for spread, row in found.iterrows()}
    best = min(words.values(), key=BEST_FIRST.index)
    falls, wins = at_every_spread(shares)
    counts = ", ".join(f"{int(row.sum())} of {len(row)} at {spread:g}" for spread, row in found.iterrows())
    return judge(
        "E-Margin",
        best,
        seeds=found.shape[1],
        statistic=int(found.sum(axis=1).max()),
        settings=(sum(word == "reproduced" for word in words.values()), len(words)),
        measured=f"Raw features are slowed in {counts} times the smallest scale. The stronger reading: the margin "
        f"falls with every spread in {falls} seeds, and scaled features are ahead at every spread in {wins}.",
    )
