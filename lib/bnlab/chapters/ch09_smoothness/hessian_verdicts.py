"""What chapter 09 decides about Hessians: condition numbers of layers, ends of spectra, gradients at equal loss."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch09_smoothness.settings import across, paired
from bnlab.claims.criteria import by_run, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend
from bnlab.claims.statistics import quartiles, sign_test

DRAWS = 20  # of the weights, for a condition number
LEVELS = 20  # losses at which gradients are compared
SIGNIFICANT, OF_CELLS = 0.05, 0.9


def conditions(table: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-HessK by the blocks of the small fully connected network."""
    kappa = rows(table, "conditions", network="MLP")
    logs = kappa.assign(log=np.log(numbers(kappa["kappa"], "kappa")))
    means = logs.groupby(["norm", "seed"], as_index=False, sort=False)["log"].mean()
    side = paired(means, "conditions", ["seed"], "log")
    if len(side) < DRAWS:
        raise LedgerError(f"conditions: {DRAWS} draws are asked for, not {len(side)}.")
    change = (side["batch"] - side["none"]).to_numpy()
    ratio, test = quartiles(change), sign_test(change, "less")
    return judge(
        "E-HessK",
        "reproduced" if ratio.median < 0 and test.p_value < SIGNIFICANT else "not reproduced",
        statistic=float(np.exp(ratio.median)),
        interval=(float(np.exp(ratio.q1)), float(np.exp(ratio.q3))),
        seeds=len(side),
        measured=f"BN over none: {np.exp(ratio.median):.2g} (median), smaller with BN in {test.negative} of "
        f"{len(side)} draws (sign test: $p$ = {test.p_value:.2g}).",
        **where,
    )


def ratios(curvatures: pd.DataFrame, scaled: bool = False) -> pd.DataFrame:
    """Log ratios of lambda_1, BN over none: a row a depth, statistics and level, a column a seed.

    ``scaled``: of lambda_1 ||w||^2. Levels that not all runs of a depth have reached are left out.

    Raises:
        LedgerError: nothing is left, or an eigenvalue is not positive, which has no logarithm.
    """
    some = reached(curvatures)
    value = numbers(some["largest"], "largest") * (some["weight_norm"] ** 2 if scaled else 1)
    if not (value > 0).all():
        raise LedgerError("curvatures: a largest eigenvalue is not positive, so it has no logarithm.")
    some = some.assign(log=np.log(value))
    arms = by_run(some, "curvatures", run=["depth", "level", "seed"], arm="statistics", value="log")
    if "none" not in arms or len(arms.columns) < 2:
        raise LedgerError("curvatures: networks without BN, or with it, are missing.")
    found = arms.drop(columns="none").sub(arms["none"], axis=0)
    long = found.melt(ignore_index=False, value_name="log")  # a row a depth, level, seed and statistics
    return long.set_index("statistics", append=True)["log"].unstack("seed")


def reached(curvatures: pd.DataFrame) -> pd.DataFrame:
    """Rows of spectra at the start and at levels that all runs of a depth have reached."""
    some = rows(curvatures, "curvatures", what="spectrum")
    runs = some.groupby("depth")[["norm", "seed"]].apply(lambda part: len(part.drop_duplicates()))
    there = some.groupby(["depth", "level"])[["norm", "seed"]].apply(lambda part: len(part.drop_duplicates()))
    complete = [key for key, count in there.items() if count == runs[key[0]]]
    kept = some[[(d, level) in complete for d, level in zip(some["depth"], some["level"], strict=True)]]
    if not np.isfinite(kept["level"]).any():
        raise LedgerError("curvatures: there is no level that all runs have reached.")
    return kept


def cells(curvatures: pd.DataFrame) -> pd.DataFrame:
    """Log ratios as `ratios`, without running statistics at the start, which are those of no data."""
    found = ratios(curvatures)
    level, statistics = found.index.get_level_values("level"), found.index.get_level_values("statistics")
    return found[~(np.isinf(level) & (statistics == "running"))]


def depth(curvatures: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Yao with running statistics; the other statistics stand beside it."""
    found = ratios(curvatures)
    found = found[np.isfinite(found.index.get_level_values("level"))]
    depths = sorted(found.index.get_level_values("depth").unique())
    if len(depths) < 2:
        raise LedgerError("curvatures: one depth alone.")
    held = {}
    for statistics in ("running", "batch", "population"):
        part = found.xs(statistics, level="statistics")
        shallow, deep = part.xs(depths[0], level="depth"), part.xs(depths[-1], level="depth")
        held[statistics] = (shallow >= 0).all() & (deep < 0).all()
    medians = np.exp(found.median(axis=1)).groupby(["depth", "statistics"]).median().unstack("depth")
    told = "; ".join(
        f"{name}: {', '.join(f'{row[d]:.2g} at depth {d}' for d in depths)}" for name, row in medians.iterrows()
    )
    return judge(
        "L-Yao",
        trend(held["running"]),
        seeds=len(found.columns),
        settings=(sum(trend(held[name]) == "reproduced" for name in held), len(held)),
        measured=f"$\\lambda_1$ at equal loss, BN over none (medians). {told}.",
        **where,
    )


def consistency(curvatures: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Kaur by the share of cells whose median is smaller with BN."""
    found = cells(curvatures)
    if len(found.columns) < 5:
        raise LedgerError(f"curvatures: five seeds are asked for, not {len(found.columns)}.")
    smaller = int((found.median(axis=1) < 0).sum())
    return judge(
        "L-Kaur",
        "reproduced" if smaller < OF_CELLS * len(found) else "not reproduced",
        statistic=smaller / len(found),
        seeds=len(found.columns),
        settings=(smaller, len(found)),
        measured=f"$\\lambda_1$ is smaller with BN in {smaller} of {len(found)} cells of depth, statistics and loss.",
        **where,
    )


def shares(curvatures: pd.DataFrame) -> pd.DataFrame:
    """Share of the gradient in the top eigenspace: a row a depth and seed, a column none, batch, population."""
    some = reached(curvatures)
    some = some[some["share"].notna()]
    if some.empty:
        raise LedgerError("curvatures: no share of the gradient in it.")
    arms = ("none", "batch", "population")
    return by_run(some, "curvatures", run=["depth", "seed"], arm="statistics", value="share", arms=arms)


def concentration(curvatures: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Ghor by the gradient's share in the top eigenspace."""
    found = shares(curvatures)
    lower = {name: (found[name] < found["none"]).groupby("seed").all() for name in ("batch", "population")}
    first, second = (trend(lower[name]) for name in ("batch", "population"))
    verdict = "not reproduced" if first == "not reproduced" else "partly"
    if first == "reproduced" and second != "reproduced":
        verdict = "reproduced"
    medians = found.median()
    return judge(
        "L-Ghor",
        verdict,
        statistic=float(medians["batch"]),
        seeds=len(lower["batch"]),
        measured=f"Share in the top ten eigenspace: {medians['none']:.2f} without BN, {medians['batch']:.2f} with "
        f"statistics of the batch, {medians['population']:.2f} with those of the population (medians). Lower than "
        f"without BN at every depth in {int(lower['batch'].sum())} and {int(lower['population'].sum())} seeds.",
        **where,
    )


def gradients_at_equal_loss(curvatures: pd.DataFrame, scaled: bool = False) -> pd.DataFrame:
    """Largest and median gradient norm over equal losses: a row a depth and seed, columns (statistic, norm)."""
    paths = rows(curvatures, "curvatures", what="path")
    found = {}
    for (deep, seed), part in paths.groupby(["depth", "seed"]):
        pair = {norm: rows(part, "paths", norm=norm).sort_values("step") for norm in ("none", "batch")}
        losses = {norm: numbers(run["loss"], "loss") for norm, run in pair.items()}
        high, low = min(loss.max() for loss in losses.values()), max(loss.min() for loss in losses.values())
        if not low < high:
            raise LedgerError(f"paths: depth {deep}, seed {seed}: the two networks pass no loss in common.")
        for norm, run in pair.items():
            norms = numbers(run["gradient_norm"] * (run["weight_norm"] if scaled else 1), "gradient norm")
            first = [int(np.argmax(losses[norm] <= level)) for level in np.linspace(high, low, LEVELS)]
            found[deep, seed, norm] = {"largest": norms[first].max(), "median": float(np.median(norms[first]))}
    return pd.DataFrame(found).T.rename_axis(["depth", "seed", "norm"]).unstack("norm")


def lipschitz(curvatures: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-Lip by gradients at equal loss; the scale-normalised form stands beside it."""
    found, scaled = gradients_at_equal_loss(curvatures), gradients_at_equal_loss(curvatures, scaled=True)

    def smaller(made: pd.DataFrame) -> pd.Series:
        return (made["largest", "batch"] < made["largest", "none"]) & (made["median", "batch"] < made["median", "none"])

    signs = smaller(found)
    verdict, settings = across({deep: list(part) for deep, part in signs.groupby("depth")})
    change = np.log(found["median", "batch"] / found["median", "none"])
    ratio = quartiles(change.to_numpy())
    return judge(
        "E-Lip",
        verdict,
        statistic=float(np.exp(ratio.median)),
        interval=(float(np.exp(ratio.q1)), float(np.exp(ratio.q3))),
        seeds=signs.index.get_level_values("seed").nunique(),
        settings=settings,
        measured=f"Gradient norm at equal loss, BN over none {np.exp(ratio.median):.2g} (median); largest and median "
        f"smaller with BN in {int(signs.sum())} of {len(signs)} pairs, scale-normalised in "
        f"{int(smaller(scaled).sum())}.",
        **where,
    )
