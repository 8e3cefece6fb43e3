"""What chapter 14 decides about single looks at a ResNet: its gradients, the loss along them, a diverging update."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import scipy.stats

from bnlab.chapters.ch14_divergence.looks import FIGURE_4, PLAIN, WITH_BN
from bnlab.chapters.ch14_divergence.networks import BN, NONE
from bnlab.claims.criteria import by_run, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend
from bnlab.claims.statistics import quartiles
from bnlab.training.stable_rates import GROWTH
from bnlab.training.train import DIVERGED

LARGER, FURTHER, HIGHER = 10.0, 30.0, 100.0  # times: scale of the gradient, step along it, variance in the depth
CENTRED, UNIT = 1e-3, 0.01  # distances of a normalised output's mean from 0 and variance from 1


def pairs(gradients: pd.DataFrame, layer: int, value: str) -> pd.DataFrame:
    """One number of a layer's gradient by seed and mini-batch, a column an arm.

    Raises:
        LedgerError: an arm or a look is missing, or a value is not a number.
    """
    chosen = rows(gradients, "gradients", layer=layer)
    return by_run(chosen, "gradients", run=["seed", "batch"], arm="arm", value=value, arms=(NONE, BN))


def comparisons(gradients: pd.DataFrame, layer: int) -> pd.DataFrame:
    """Whether the three statements about a layer's gradients hold, for each seed and mini-batch: a row a look."""
    found = {name: pairs(gradients, layer, name) for name in ("scale", "kurtosis", "tail")}
    return pd.DataFrame(
        {
            "larger": found["scale"][NONE] >= LARGER * found["scale"][BN],
            "kurtosis": found["kurtosis"][NONE] > found["kurtosis"][BN],
            "tail": found["tail"][NONE] < found["tail"][BN],
        }
    )


def gradient_tails(gradients: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Fig2 by the gradients of the middle layer."""
    if lost := lost_seeds(gradients, ("scale", "kurtosis", "tail")):
        return undecided("B-Fig2", "A gradient", lost, **where)
    layers = sorted(gradients["layer"].unique())
    middle = (len(layers) + 1) // 2
    found = by_seed(comparisons(gradients, middle))
    trends = [trend(found[name]) for name in found]
    if set(trends) == {"reproduced"}:
        verdict = "reproduced"
    else:
        verdict = "partly" if trends[0] == "reproduced" else "not reproduced"
    scale, kurtosis, tail = (pairs(gradients, middle, name) for name in ("scale", "kurtosis", "tail"))
    ratio = quartiles(scale[NONE] / scale[BN])
    elsewhere = pd.DataFrame({layer: by_seed(comparisons(gradients, layer)).all() for layer in layers}).T
    return judge(
        "B-Fig2",
        verdict,
        statistic=ratio.median,
        interval=(ratio.q1, ratio.q3),
        seeds=len(found),
        measured=f"Layer {middle}: standard deviation {ratio.median:.0f} times as large without Batch Normalization "
        f"(quartiles {ratio.q1:.0f} to {ratio.q3:.0f}); excess kurtosis {kurtosis[NONE].median():.1f} against "
        f"{kurtosis[BN].median():.1f}, tail index {tail[NONE].median():.2f} against {tail[BN].median():.2f} (medians). "
        f"In all seeds larger scale holds in {_percent(elsewhere['larger'])} of the layers, larger kurtosis in "
        f"{_percent(elsewhere['kurtosis'])}, smaller tail index in {_percent(elsewhere['tail'])}.",
        **where,
    )


def largest_steps(walks: pd.DataFrame) -> pd.DataFrame:
    """Largest step such that it and all smaller ones lower the loss, by seed and mini-batch; a column an arm.

    Where not even the smallest does, it is that smallest one without Batch Normalization, and 0 with it.

    Raises:
        LedgerError: an arm or a look is missing, a step is there twice, or a ratio is not a number.
    """
    found = {}
    for arm in (NONE, BN):
        steps = by_run(
            rows(walks, "walks", arm=arm), "walks", run=["seed", "batch"], arm="step_size", value="ratio"
        )  # columns ascending
        good = (steps < 1).cumprod(axis=1).sum(axis=1)
        sizes = [float(size) for size in steps.columns]
        least = sizes[0] if arm == NONE else 0.0
        found[arm] = good.map(lambda count, sizes=sizes, least=least: sizes[count - 1] if count else least)
    made = pd.DataFrame(found)
    if made.isna().any(axis=None):
        raise LedgerError("walks: the arms do not share all looks.")
    return made


def forgiving(walks: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Fig3 by the largest steps that lower the loss."""
    steps = largest_steps(walks)
    ratio = steps[BN] / steps[NONE]
    holds = (ratio >= FURTHER).groupby("seed").all()
    middle = quartiles(ratio)
    return judge(
        "B-Fig3",
        trend(holds),
        statistic=middle.median,
        interval=(ratio.min(), ratio.max()),
        seeds=len(holds),
        measured="Largest step that lowers the loss, on the grid: "
        f"{steps[BN].min():g} to {steps[BN].max():g} with Batch Normalization, {steps[NONE].min():g} to "
        f"{steps[NONE].max():g} without; ratio {ratio.min():.0f} to {ratio.max():.0f}, median {middle.median:.0f}, "
        f"over {len(ratio)} mini-batches.",
        **where,
    )


def along_update(updates: pd.DataFrame, network: str, value: str, fraction: float) -> pd.DataFrame:
    """One number of every layer at a fraction of the update: a row a seed, a column a layer.

    Raises:
        LedgerError: a layer or a seed is missing, or a value is not a number.
    """
    chosen = rows(updates, "updates", network=network, fraction=fraction)
    return by_run(chosen, "updates", run="seed", arm="layer", value=value)


def explodes_in_depth(updates: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Fig4 by the variances of layers 8, 44 and 80."""
    if said := not_to_judge("B-Fig4", updates, ("variance",), **where):
        return said
    before, after = (along_update(updates, PLAIN, "variance", fraction) for fraction in (0.0, 1.0))
    low, middle, high = FIGURE_4
    if missing := [layer for layer in FIGURE_4 if layer not in after]:
        raise LedgerError(f"updates: layer {missing[0]} is not among those looked at.")
    ratio, at_start = after[high] / after[low], before[high] / before[low]
    holds = (ratio >= HIGHER) & (after[low] < after[middle]) & (after[middle] < after[high])
    grown = (after / before).median()
    each = ", ".join(f"{grown[layer]:.1e}" for layer in FIGURE_4)
    return judge(
        "B-Fig4",
        trend(holds),
        statistic=quartiles(ratio).median,
        interval=(ratio.min(), ratio.max()),
        seeds=len(ratio),
        measured=f"Variance in layer {high} over that in layer {low}: {quartiles(ratio).median:.1e} at the end of the "
        f"update, {quartiles(at_start).median:.1e} before it; the update multiplies the variances of layers {low}, "
        f"{middle} and {high} by {each} (medians).",
        **where,
    )


def kept_normalised(updates: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Mech by the moments of normalised outputs at the end of the update that makes the other net diverge."""
    if said := not_to_judge("B-Mech", updates, (), **where):
        return said
    moments = {name: along_update(updates, WITH_BN, name, 1.0) for name in ("off_mean", "off_variance")}
    holds = (moments["off_mean"] < CENTRED).all(axis=1) & (moments["off_variance"] < UNIT).all(axis=1)
    losses = rows(updates, "updates", network=WITH_BN, fraction=1.0).groupby("seed")["loss"].first()
    plain = rows(updates, "updates", network=PLAIN, fraction=1.0).groupby("seed")["loss"].first()
    return judge(
        "B-Mech",
        trend(holds),
        statistic=float(moments["off_variance"].to_numpy().max()),
        seeds=len(holds),
        measured=f"Over all channels of {moments['off_mean'].shape[1]} layers, means of the normalised outputs are "
        f"within {moments['off_mean'].to_numpy().max():.0e} of 0 and variances within "
        f"{moments['off_variance'].to_numpy().max():.0e} of 1. The loss after the update is {losses.median():.2g} "
        f"(largest {losses.max():.2g}), without Batch Normalization {plain.median():.0e} (medians).",
        **where,
    )


def subset(updates: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Subset by the share of channels that carry most of the power."""
    if said := not_to_judge("B-Subset", updates, ("share",), **where):
        return said
    before, after = (along_update(updates, PLAIN, "share", fraction) for fraction in (0.0, 1.0))
    depth = after.apply(lambda run: scipy.stats.spearmanr(after.columns, run).statistic, axis=1)
    numbers(depth, "updates, correlation of the share with depth")
    concentrates = after.mean(axis=1) < before.mean(axis=1)
    parts = [trend(depth < 0), trend(concentrates)]
    count = parts.count("reproduced")
    first, last = after.columns[0], after.columns[-1]
    return judge(
        "B-Subset",
        ("not reproduced", "partly", "reproduced")[count],
        statistic=quartiles(depth).median,
        interval=(depth.min(), depth.max()),
        seeds=len(depth),
        measured=f"Channels that carry 90 % of the power, mean over the layers: {_share(before.mean(axis=1))} before "
        f"the update, {_share(after.mean(axis=1))} at its end (smaller in {int(concentrates.sum())} of {len(depth)} "
        f"seeds); at the end {_share(after[first])} in layer {first} and {_share(after[last])} in layer {last}; "
        f"Spearman's correlation with depth {quartiles(depth).median:.2f} (medians).",
        **where,
    )


def by_seed(looks: pd.DataFrame) -> pd.DataFrame:
    """Whether a statement holds on all mini-batches of a seed: a row a seed."""
    return looks.groupby("seed").all()


def lost_seeds(table: pd.DataFrame, values: Sequence[str]) -> int:
    """In how many seeds one of some columns has overflowed to infinity.

    Raises:
        LedgerError: a column is missing, or holds what is not a number.
    """
    for name in values:
        if name not in table:
            raise LedgerError(f"table: no column {name!r} in it.")
        numbers(table[name], f"table, {name}")
    return int(table.loc[table[list(values)].map(math.isinf).any(axis=1), "seed"].nunique()) if values else 0


def undecided(claim: str, what: str, lost: int, **where: str) -> Verdict:
    """Say that numbers overflowed, which decides nothing."""
    return judge(
        claim, "reported", measured=f"{what} overflows in {lost} of the seeds, so nothing is decided.", **where
    )


def not_to_judge(claim: str, updates: pd.DataFrame, values: Sequence[str], **where: str) -> Verdict | None:
    """Say why an update decides nothing: a number overflows on its way, or the loss does not diverge; else None."""
    plain = rows(updates, "updates", network=PLAIN)
    if lost := lost_seeds(plain, values):
        return undecided(claim, "A layer", lost, **where)
    first, last = (
        by_run(rows(plain, "updates", fraction=fraction), "updates", run="seed", arm="layer", value="loss").iloc[:, 0]
        for fraction in (0.0, 1.0)
    )
    if calm := int((last <= (GROWTH * first).clip(lower=DIVERGED)).sum()):
        said = f"In {calm} of {len(last)} seeds the update is no diverging one, so nothing is decided."
        return judge(claim, "reported", measured=said, **where)
    return None


def _percent(holds: pd.Series) -> str:
    return f"{100 * holds.mean():.0f} %"


def _share(values: pd.Series) -> str:
    return f"{100 * values.median():.0f} %"
