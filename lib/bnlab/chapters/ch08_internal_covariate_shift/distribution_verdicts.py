"""What chapter 08 decides about distributions: the divergence, and the sigmoid network with and without BN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats

from bnlab.chapters.ch08_internal_covariate_shift.arms import BN, NONE
from bnlab.chapters.ch08_internal_covariate_shift.estimates import ATOM, BACKWARD, FORWARD, STANDARDISED
from bnlab.chapters.ch08_internal_covariate_shift.trajectories import PLACES, divergences, drifts
from bnlab.claims.criteria import by_run, checked, numbers, rows
from bnlab.claims.ledger import Verdict, identity, judge, trend
from bnlab.claims.statistics import quartiles

BINS = 100  # at which the estimate is held against the closed form


@dataclass(frozen=True)
class Estimates:
    """What the histogram says of the four pairs."""

    forward: float  # with one added count, at `BINS` bins
    exact: float
    backward: float  # the closed form
    empty: float  # without added counts, the other way round: infinite
    atom_slope: float  # of the estimate against the logarithm of the number of bins
    standardised: float


def estimates(cases: pd.DataFrame) -> Estimates:
    """Read the table of `estimates.kl_cases`.

    Raises:
        LedgerError: a pair is missing, or a number is none.
    """
    one = {"added": 1, "bins": BINS}
    forward = rows(cases, "estimates", case=FORWARD, **one).iloc[0]
    backward = rows(cases, "estimates", case=BACKWARD, added=0, bins=BINS).iloc[0]
    atom = rows(cases, "estimates", case=ATOM, added=1)
    slope = np.polyfit(np.log(numbers(atom["bins"], "bins")), numbers(atom["estimate"], "estimates of an atom"), 1)[0]
    standardised = rows(cases, "estimates", case=STANDARDISED, **one).iloc[0]
    return checked(Estimates(
        forward["estimate"], forward["exact"], backward["exact"], backward["estimate"], float(slope),
        standardised["estimate"],
    ))  # fmt: skip


def divergence(cases: pd.DataFrame) -> Verdict:
    """Judge E-KL."""
    found = estimates(cases)
    close = abs(found.forward / found.exact - 1) < 0.01
    fails = np.isinf(found.empty) and abs(found.atom_slope - 0.5) < 0.1
    return judge(
        "E-KL",
        identity(bool(close and fails)),
        statistic=found.forward,
        measured=f"{found.forward:.4f} nats by a histogram of {BINS} bins, {found.exact:.4f} by the closed form, "
        f"{found.backward:.4f} the other way round. It is "
        f"{'infinite' if np.isinf(found.empty) else 'finite'} where a bin is empty, grows by {found.atom_slope:.2f} "
        f"with each factor $e$ in the number of bins where one side has an atom, and is {found.standardised:.0e} "
        "between the standardised two.",
    )


def calmer(runs: pd.DataFrame, level: float, **where: str) -> list[Verdict]:
    """Judge E-KLBN by the divergence from the start at the sigmoid's input, after gamma and beta."""
    found = divergences(runs, level)
    here = rows(found, "divergences", place=PLACES[1])
    both = by_run(here, "divergences", run="seed", arm="arm", value="end", arms=(NONE, BN))
    middle = found.groupby(["place", "arm"])[["end", "level", "back"]].median()
    told = "; ".join(
        f"{place} {middle.loc[(place, BN), 'end']:.2f} against {middle.loc[(place, NONE), 'end']:.2f}"
        for place in PLACES
    )
    equal = [rows(here, "divergences", arm=arm)["level"] for arm in (BN, NONE)]
    at_level = (
        f"at equal loss {equal[0].median():.2f} against {equal[1].median():.2f}"
        if not any(values.isna().any() for values in equal)
        else "not every run reaches the loss at which they would be compared"
    )
    spread = quartiles((both[BN] / both[NONE]).to_numpy())
    return [judge(
        "E-KLBN",
        trend(both[BN] < both[NONE]),
        statistic=spread.median,
        interval=(spread.q1, spread.q3),
        seeds=len(both),
        measured=f"$D(p_1\\Vert p_k)$ with and without BN, medians: {told}; of the sigmoid's input {at_level}.",
        **where,
    )]  # fmt: skip


def drifting(runs: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge E-ICS1 by the way that the median of the last hidden layer's input to the sigmoid goes."""
    found = drifts(runs)
    last = rows(found, "drifts", layer=found["layer"].max())
    sides = {
        column: by_run(last, "drifts", run="seed", arm="arm", value=column, arms=(NONE, BN))
        for column in ("moved", "moved_own", "moved_next")
    }
    moved = sides["moved"]
    factors = {column: (side[NONE] / side[BN]).median() for column, side in sides.items()}
    spread = quartiles((moved[NONE] / moved[BN]).to_numpy())
    return [judge(
        "E-ICS1",
        trend(moved[NONE] > moved[BN]),
        statistic=spread.median,
        interval=(spread.q1, spread.q3),
        seeds=len(moved),
        measured=f"The median moves {factors['moved']:.1f} times as far without BN; {factors['moved_own']:.1f} times "
        f"in units of each unit's own deviation, and {factors['moved_next']:.1f} times after the sigmoid (medians).",
        **where,
    )]  # fmt: skip


def depth_trends(runs: pd.DataFrame, column: str = "moved") -> pd.DataFrame:
    """Drift without BN over drift with it, one row a seed, one column a layer, and Spearman's ``rho`` with the depth.

    Raises:
        LedgerError: a run is lost, a number is none.
    """
    found = drifts(runs)
    both = by_run(found, "drifts", run=["seed", "layer"], arm="arm", value=column, arms=(NONE, BN))
    ratios = (both[NONE] / both[BN]).unstack("layer")
    rho = [float(scipy.stats.spearmanr(ratios.columns, row).statistic) for row in ratios.to_numpy()]
    return ratios.assign(rho=rho)


def early(runs: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge E-ICS2 by the rank correlation of that ratio with the depth."""
    raw, own = depth_trends(runs), depth_trends(runs, "moved_own")
    rho = numbers(raw["rho"], "rank correlations")
    middle, scaled = (", ".join(f"{value:.1f}" for value in t.drop(columns="rho").median()) for t in (raw, own))
    return [judge(
        "E-ICS2",
        trend((rho < 0).tolist()),
        statistic=float(np.median(rho)),
        seeds=len(raw),
        measured=f"Drift without BN over drift with it, first to last layer: {middle} (medians), falling with depth in "
        f"{int((rho < 0).sum())} of {len(rho)} seeds. In units of each unit's own deviation: {scaled}, falling in "
        f"{int((own['rho'] < 0).sum())} of {len(rho)}.",
        **where,
    )]  # fmt: skip
