"""What chapter 10 decides about Jacobians, shattered gradients and residual streams, from the experiments' tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch10_gradient_flow.profiles import line
from bnlab.chapters.ch10_gradient_flow.spectra import summary
from bnlab.chapters.ch10_gradient_flow.streams import STAGES
from bnlab.claims.criteria import by_run, largest, numbers, power_law, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, refutation, trend
from bnlab.claims.statistics import quartiles

EXPLODED, STAYED = 1e3, 10.0  # times the power, or the squared gradient, at the other end


def clustered(spectra: pd.DataFrame, jacobian_off: float, **where: str) -> Verdict:
    """Judge E-Sing by one BN map, whose values are off {0, 0, gamma / sigma} by so much, and by whole networks."""
    _whole(spectra)
    off = largest(jacobian_off, "Jacobian of one BN")
    found = summary(spectra)
    near, top = (
        by_run(found, "spectra", run=["depth", "seed"], arm="norm", value=value, arms=("none", "batch"))
        for value in ("near_one", "largest")
    )
    fewer = (near["batch"] <= near["none"]).unstack("depth").fillna(False).astype(bool).all(axis=1)
    shares = "; ".join(
        f"{pair['batch']:.2f} with BN and {pair['none']:.2f} without, {depth} hidden layer{'s' if depth > 1 else ''}"
        for depth, pair in near.groupby("depth").median().iterrows()
    )
    deepest = top.groupby("depth").median().iloc[-1]
    return judge(
        "E-Sing",
        refutation(off <= 1e-9 and trend(fewer) == "reproduced"),
        statistic=float(near["batch"].groupby("depth").median().iloc[-1]),
        seeds=len(fewer),
        measured=f"One BN map has the values 0, 0 and $\\gamma/\\sigma$ (to {off:.0e}). Share of a network's values "
        f"other than 0 within $[1/2, 2]$: {shares}; the largest value of the deeper one is {deepest['batch']:.0f} "
        f"against {deepest['none']:.0f} (medians).",
        **where,
    )


def _whole(spectra: pd.DataFrame) -> None:
    """Refuse spectra with a value that is no number, or with fewer values in one network than in another."""
    if "value" not in spectra:
        raise LedgerError("spectra: no column 'value' in it.")
    numbers(spectra["value"], "spectra, value")
    counts = spectra.groupby(["depth", "norm", "seed"])["rank"].agg(["size", "nunique"])
    if counts.to_numpy().min() != counts.to_numpy().max():
        raise LedgerError("spectra: networks differ in their number of values: some are lost, or there twice.")


def shapes(shattering: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Fit lines through ln of the correlations from depth 2 on, by depth and by its logarithm: a row a seed.

    Raises:
        LedgerError: the arm or a run is missing, or a correlation has no logarithm.
    """
    deep = rows(shattering[shattering["depth"] >= 2], "shattering", arm=arm)
    runs = by_run(deep, "shattering", run="seed", arm="depth", value="correlation")
    depth, found = runs.columns.to_numpy(dtype=float), {}
    for seed, run in runs.iterrows():
        with np.errstate(divide="ignore", invalid="ignore"):
            height = np.log(run.to_numpy())
        (rate, straight), (exponent, power) = line(depth, height), line(np.log(depth), height)
        found[seed] = {"rate": rate, "r_squared": straight, "exponent": exponent, "r_squared_power": power}
    made = pd.DataFrame(found).T
    numbers(made, f"shattering, fits of {arm!r}")
    return made


def shattered(shattering: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Shatter by networks without anything and by those with skip connections and BN."""
    plain, both = shapes(shattering, "none"), shapes(shattering, "skip + BN")
    exponential = plain["r_squared"] > plain["r_squared_power"]
    power = both["r_squared_power"] > both["r_squared"]
    deepest = by_run(
        rows(shattering, "shattering", depth=shattering["depth"].max()),
        "shattering",
        run="seed",
        arm="arm",
        value="correlation",
        arms=("none", "BN", "skip", "skip + BN"),
    )
    ends = ", ".join(f"{name} {value:.2f}" for name, value in deepest.median().items())
    return judge(
        "L-Shatter",
        trend(exponential & power),
        statistic=quartiles(plain["rate"]).median,
        seeds=len(plain),
        measured=f"Without norm an exponential fits better in {int(exponential.sum())} of {len(plain)} seeds (rate "
        f"{quartiles(plain['rate']).median:.4f} a block), with skip + BN a power law in {int(power.sum())} (exponent "
        f"{quartiles(both['exponent']).median:.2f}). Correlation at {shattering['depth'].max()} blocks: {ends} "
        "(medians).",
        **where,
    )


def growth(streams: pd.DataFrame, value: str) -> pd.DataFrame:
    """Power after the last block over that before the first; or squared gradient before over after: seeds by arms.

    Raises:
        LedgerError: an arm or a run is missing, or a value is not a number.
    """
    arms = ("BN", "none", "SkipInit", "zero")
    ends = [
        by_run(rows(streams, "streams", block=block), "streams", run="seed", arm="arm", value=value, arms=arms)
        for block in (0, streams["block"].max())
    ]
    return ends[1] / ends[0] if value == "power" else ends[0] / ends[1]


def remedied(streams: pd.DataFrame, **where: str) -> Verdict:
    """Judge C-Zhang by the residual streams."""
    power, gradient = growth(streams, "power"), growth(streams, "gradient")
    explodes = (power["none"] > EXPLODED) & (gradient["none"] > EXPLODED)
    stays = (power["zero"] <= STAYED) & (power["zero"] >= 1 / STAYED) & (gradient["zero"] <= STAYED)
    return judge(
        "C-Zhang",
        trend(explodes & stays),
        statistic=quartiles(power["none"]).median,
        seeds=len(power),
        measured="Power of the stream after the last block over that before the first: "
        f"{quartiles(power['none']).median:.0e} without BN, {quartiles(power['zero']).median:.2f} with every branch's "
        f"last convolution at zero, {quartiles(power['BN']).median:.0f} with BN. Squared gradient, first over last: "
        f"{quartiles(gradient['none']).median:.0e}, {quartiles(gradient['zero']).median:.2f}, "
        f"{quartiles(gradient['BN']).median:.0e} (medians).",
        **where,
    )


def share_exponents(streams: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Log-log slope of the branch's share against the block's place in its stage: a row a seed, a column a stage.

    Raises:
        LedgerError: the arm or a stage is missing, or a share is not a positive number.
    """
    found = {}
    for stage in range(1, STAGES + 1):
        inside = rows(streams[streams["place"] > 0], "streams", arm=arm, stage=stage)
        runs = by_run(inside, "streams", run="seed", arm="place", value="share")
        name = f"share in stage {stage}"
        found[stage] = {seed: power_law(runs.columns.to_numpy(), run, name).slope for seed, run in runs.iterrows()}
    return pd.DataFrame(found)


def offsets(streams: pd.DataFrame) -> pd.DataFrame:
    """Fit share = 1 / (slope (offset + place)) with BN: a row a seed and stage, with R^2 of 1 / share on a line.

    Raises:
        LedgerError: the arm or a stage is missing, or a share is not a positive number.
    """
    found = []
    for stage in range(1, STAGES + 1):
        inside = rows(streams[streams["place"] > 0], "streams", arm="BN", stage=stage)
        runs = 1 / by_run(inside, "streams", run="seed", arm="place", value="share")
        numbers(runs, "streams, 1 / share")
        place = runs.columns.to_numpy(dtype=float)
        for seed, run in runs.iterrows():
            slope, straight = line(place, run.to_numpy())
            found.append((seed, stage, run.mean() / slope - place.mean(), straight))
    return pd.DataFrame(found, columns=["seed", "stage", "offset", "r_squared"])


def shares(streams: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Share by the exponents in the three stages."""
    exponents, control = share_exponents(streams, "BN"), share_exponents(streams, "SkipInit")
    near = (exponents + 1).abs() <= 0.2
    holds = [stage for stage in near if trend(near[stage]) == "reproduced"]
    falls = int((exponents < 0).all(axis=1).sum())
    in_stages = ", ".join(f"{exponents[stage].median():.2f}" for stage in exponents)
    controls = ", ".join(f"{control[stage].median():.2f}" for stage in control)
    last = rows(streams, "streams", block=streams["block"].max())
    ends = by_run(last, "streams", run="seed", arm="arm", value="share", arms=("BN", "none", "SkipInit")).median()
    inverse = offsets(streams)
    starts = ", ".join(f"{value:.1f}" for value in inverse.groupby("stage")["offset"].median())
    return judge(
        "L-Share",
        trend(near.all(axis=1)),
        statistic=exponents[1].median(),
        settings=(len(holds), STAGES),
        seeds=len(exponents),
        measured=f"Exponents in the three stages: {in_stages} (medians); the share falls in every stage in {falls} of "
        f"{len(exponents)} seeds, as 1 over the place plus {starts} ($R^2$ at least "
        f"{inverse['r_squared'].min():.3f}). SkipInit: {controls}. Share in the last block: {ends['BN']:.3f} with BN, "
        f"{ends['none']:.2f} without, {ends['SkipInit']:.3f} with SkipInit.",
        **where,
    )
