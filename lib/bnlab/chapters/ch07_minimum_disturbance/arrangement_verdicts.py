"""Verdicts on the arrangements of figure 9: C-Fig9, C-First, C-Drift, A-NLMS."""

from __future__ import annotations

from functools import partial

import pandas as pd

from bnlab.claims import coverage, ledger
from bnlab.claims.criteria import largest
from bnlab.claims.ledger import Verdict

PLAIN, PRIOR = "a: no normalisation", "d: BN before conv2"
USUAL, SECOND = "b: BN after conv1 and conv2", "b: BN after conv2"
UNIT = (0.8, 1.25)  # power a pixel that counts as one
EXACT = 0.99  # cosine above this is the same direction
NEAR = (0.5, 2.0)  # of gamma^2 + beta^2
MOST = 0.9  # of the channels
SHARE = 1 / 3  # of the others' spread


def start(powers: pd.DataFrame, arrangement: str) -> pd.DataFrame:
    """Mean power a pixel of conv2's input before the first step, seeds x channels.

    Raises:
        MissingArmError: the arrangement is not in the table.
        LedgerError: a run is lost, or there are too few seeds.
    """
    rows = powers[(powers["arrangement"] == arrangement) & (powers["step"] == 0)]
    if rows.empty:
        raise coverage.MissingArmError(f"no powers of {arrangement}")
    seeds, channels = sorted(powers["seed"].unique()), sorted(powers["channel"].unique())
    wide = rows.pivot(index="seed", columns="channel", values="power").reindex(index=seeds)
    return coverage.paired(wide, f"powers of {arrangement}", channels)


def spreads(powers: pd.DataFrame, *, scale: str, data: str) -> list[Verdict]:
    """C-Fig9: strongest over weakest channel, below a third of the others' where BN stands before the convolution."""
    powers = coverage.need(powers, "powers", step=[0])
    at = {name: start(powers, name) for name in (PRIOR, USUAL, SECOND)}
    spread = pd.DataFrame({name: wide.max(axis=1) / wide.min(axis=1) for name, wide in at.items()})
    for name in spread:
        largest(spread[name], f"spread of powers of {name}")
    others = spread[[USUAL, SECOND]].min(axis=1)
    below = spread[PRIOR] < SHARE * others
    middle = spread.median()
    verdict = ledger.judge(
        "C-Fig9",
        ledger.trend(below),
        statistic=(spread[PRIOR] / others).median(),
        seeds=len(below),
        scale=scale,
        data=data,
        measured=f"strongest over weakest channel of a network (median): {middle[PRIOR]:.2f} before the convolution, "
        f"{middle[USUAL]:.1f} after both, {middle[SECOND]:.0f} after conv2 only, whose input stays as it was; below a "
        f"third of the others' in {below.sum()} of {len(below)} seeds; power a pixel {_range(at[PRIOR])}, "
        f"{_range(at[USUAL])} and {_range(at[SECOND])}",
    )
    return [verdict]


def exactness(
    claim: str, arrangement: str, beside: str, powers: pd.DataFrame, directions: pd.DataFrame, *, scale: str, data: str
) -> list[Verdict]:
    """C-First, A-NLMS: cosine above 0.99 with the direction of Eq. 9 before the first step; partly, if the power alone.

    ``beside`` is the arrangement that is told of as well.
    """
    cosines = {name: cosine(directions, name)[0] for name in (arrangement, beside)}
    at = {name: start(coverage.need(powers, "powers", step=[0]), name) for name in (arrangement, beside)}
    right, near = (cosines[arrangement] > EXACT).all(), at[arrangement].map(lambda power: UNIT[0] <= power <= UNIT[1])
    told = {name: f"cosine {_range(cosines[name])}, power a pixel {_range(at[name])}" for name in at}
    names = {PRIOR: "BN before the convolution", USUAL: "BN after each convolution", PLAIN: "no normalisation"}
    verdict = ledger.judge(
        claim,
        "reproduced" if right else "partly" if near.all(axis=None) else "not reproduced",
        statistic=cosines[arrangement].min() if arrangement == PRIOR else cosines[arrangement].max(),
        seeds=len(cosines[arrangement]),
        scale=scale,
        data=data,
        measured=f"{names[arrangement]}: {told[arrangement]}; {names[beside]}: {told[beside]}",
    )
    return [verdict]


first_step = partial(exactness, "C-First", PRIOR, PLAIN)
common_placement = partial(exactness, "A-NLMS", USUAL, PRIOR)


def cosine(directions: pd.DataFrame, arrangement: str, span: str = "channel") -> pd.DataFrame:
    """Cosine with the direction of NLMS, seeds x steps.

    Raises:
        MissingArmError: the arrangement is not in the table.
        LedgerError: a record is lost, or there are too few seeds.
    """
    rows = coverage.need(directions, "directions", span=[span], step=[0])
    rows = rows[(rows["arrangement"] == arrangement) & (rows["span"] == span)]
    if rows.empty:
        raise coverage.MissingArmError(f"no directions of {arrangement}")
    seeds, steps = sorted(directions["seed"].unique()), sorted(directions["step"].unique())
    wide = rows.pivot(index="seed", columns="step", values="cosine").reindex(index=seeds)
    return coverage.paired(wide, f"directions of {arrangement}", steps)


def drift(powers: pd.DataFrame, directions: pd.DataFrame, epochs: int, *, scale: str, data: str) -> list[Verdict]:
    """C-Drift: gamma^2 + beta^2 near one, and the direction no farther than in the first step, in the first epoch.

    ``epochs`` are the passes over the training images after which the tables end.
    """
    powers = coverage.need(powers, "powers", step=[0])
    one_pass = powers["step"].max() / epochs
    epoch = powers[(powers["arrangement"] == PRIOR) & (powers["step"] <= one_pass)]
    if epoch.empty:
        raise coverage.MissingArmError(f"no powers of {PRIOR}")
    sums = epoch.assign(sum=epoch["gamma"] ** 2 + epoch["beta"] ** 2)
    wide = sums.pivot(index="seed", columns=["step", "channel"], values="sum")
    wide = wide.reindex(index=sorted(powers["seed"].unique()))
    wide = coverage.paired(wide, "gamma and beta", wide.columns.tolist())
    inside = wide.map(lambda value: NEAR[0] <= value <= NEAR[1])
    held = inside.T.groupby(level="step").mean().T.min(axis=1)  # seeds
    along = cosine(directions, PRIOR)
    along = along[[step for step in along if step <= one_pass]]
    change = along.min(axis=1) - along[0]
    agree = (held >= MOST) & (change >= 0)
    verdict = ledger.judge(
        "C-Drift",
        ledger.trend(agree),
        statistic=change.min(),
        seeds=len(agree),
        scale=scale,
        data=data,
        measured=f"$\\gamma^2 + \\beta^2$ within 0.5 and 2 for at least {held.min():.0%} of channels at every step "
        f"looked at (range {_range(wide)}), for 90 % or more in {(held >= MOST).sum()} of {len(held)} seeds; cosine "
        f"with the direction of NLMS never below its first value in {(change >= 0).sum()} (lowest "
        f"{_range(along.min(axis=1))}, first {_range(along[0])}; median first {along[0].median():.2f}, last "
        f"{along[along.columns[-1]].median():.2f})",
    )
    return [verdict]


def _range(values: pd.DataFrame | pd.Series) -> str:
    low, high = values.to_numpy().min(), values.to_numpy().max()
    return f"{low:.2f} to {high:.2f}" if low >= 0.1 or low <= 0 else f"{low:.2g} to {high:.2g}"
