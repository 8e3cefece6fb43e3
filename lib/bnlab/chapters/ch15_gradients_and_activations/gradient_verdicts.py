"""What chapter 15 decides about gradients of kernels: how much of their sums cancels, structure between channels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.chapters.ch15_gradients_and_activations.arms import layer_at
from bnlab.chapters.ch15_gradients_and_activations.looks import PAIRS_LAYER
from bnlab.chapters.ch15_gradients_and_activations.printed_table import LAYERS
from bnlab.claims.criteria import by_run, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, judge, trend
from bnlab.claims.statistics import holm, paired_summary, quartiles, sign_test
from bnlab.randomness import generator

MANY = 5.0  # times the ratio without BN
NEAR = 1.5  # from the geometric mean, of the ratios over their null
DOMINANT, ALIGNED = 0.5, 0.5


def depth_of(gradients: pd.DataFrame) -> int:
    """Depth of the network whose kernels are in the table."""
    return int(numbers(rows(gradients, "gradients")["layer"], "gradients, layer").max()) + 2


def at_layer(gradients: pd.DataFrame, printed: int, value: str, arms: tuple[str, ...]) -> pd.DataFrame:
    """One number of the kernel at the place of a printed layer: a row a seed, a column an arm.

    Raises:
        LedgerError: an arm, the layer or a run is missing, or a value is not a number.
    """
    chosen = rows(gradients, "gradients", layer=layer_at(printed, depth_of(gradients)))
    chosen = chosen[chosen["arm"].isin(arms)]
    return by_run(chosen, f"gradients at layer {printed}", run="seed", arm="arm", value=value, arms=arms)


def ratios(gradients: pd.DataFrame) -> pd.DataFrame:
    """The gradients with ``ratio``, sum |d| over |sum d|, and ``null``, the ratio over the root of their number.

    Raises:
        LedgerError: a sum that is not a number.
    """
    for value in ("absolute", "net", "summands"):
        if value not in gradients:
            raise LedgerError(f"gradients: no column {value!r} in it.")
        numbers(gradients[value], f"gradients, {value}")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = gradients["absolute"] / gradients["net"]
    return gradients.assign(ratio=ratio, null=ratio / np.sqrt(gradients["summands"]))


def cancels(gradients: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Tab1."""
    found = ratios(gradients)
    pairs = {layer: at_layer(found, layer, "ratio", ("none", "all")) for layer in LAYERS}
    times = pd.DataFrame({layer: pair["all"] / pair["none"] for layer, pair in pairs.items()})
    if not np.isfinite(times.to_numpy()).all():
        raise LedgerError("gradients: a ratio is not finite, so it decides nothing.")
    logs = np.log(times)
    tests = holm([sign_test(logs[layer]).p_value for layer in LAYERS])
    least = logs.median().idxmin()
    summary = paired_summary(logs[least], np.zeros(len(logs)), generator(0, "bootstrap of table 1"))
    null = pd.Series({layer: at_layer(found, layer, "null", ("all",))["all"].median() for layer in LAYERS})
    apart = np.exp(np.abs(np.log(null) - np.log(null).mean())).max()
    verdict = trend((times >= MANY).all(axis=1))
    if verdict == "reproduced" and apart > NEAR:
        verdict = "partly"
    shown = {arm: ", ".join(f"{pairs[layer][arm].median():.3g}" for layer in LAYERS) for arm in ("none", "all")}
    held = [layer for layer in LAYERS if trend(times[layer] >= MANY) == "reproduced"]
    return judge(
        "B-Tab1",
        verdict,
        statistic=float(times[least].median()),
        interval=(float(np.exp(summary.low)), float(np.exp(summary.high))),
        settings=(len(held), len(LAYERS)),
        seeds=len(times),
        measured=f"$\\sum|d|/|\\sum d|$ at layers 18, 54, 90: {shown['all']} with BN, {shown['none']} without "
        f"(medians): at least {times.min().min():.1f} times (the smallest median, at layer {least}, has the interval "
        f"{np.exp(summary.low):.1f} to {np.exp(summary.high):.1f}; Holm's p at most {max(tests):.2g}). Over "
        f"$\\sqrt{{BHW}}$ with BN: {', '.join(f'{value:.2f}' for value in null)}, within {apart:.2f} of their mean.",
        **where,
    )


def dominated(gradients: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Fig7."""
    share = at_layer(gradients, PAIRS_LAYER, "top_share", ("none", "all"))
    middle = {arm: quartiles(share[arm]) for arm in share}
    return judge(
        "B-Fig7",
        trend((share["none"] > DOMINANT) & (share["none"] > share["all"])),
        statistic=middle["none"].median,
        interval=(middle["none"].q1, middle["none"].q3),
        seeds=len(share),
        measured=f"Share of the first singular value of $M$ at layer {PAIRS_LAYER}: {share['none'].min():.2f} to "
        f"{share['none'].max():.2f} without BN, {share['all'].min():.2f} to {share['all'].max():.2f} with it.",
        **where,
    )


def aligned(gradients: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-AppG."""
    none = at_layer(gradients, PAIRS_LAYER, "rank_correlation", ("none",))["none"]
    with_bn = at_layer(gradients, PAIRS_LAYER, "rank_correlation", ("all",))["all"]
    return judge(
        "B-AppG",
        trend(none > ALIGNED),
        statistic=quartiles(none).median,
        seeds=len(none),
        measured=f"Spearman's correlation of |mean| and $\\sum_o M_{{io}}$ at layer {PAIRS_LAYER}: {none.min():.2f} to "
        f"{none.max():.2f} without BN; {with_bn.min():.2f} to {with_bn.max():.2f} with it.",
        **where,
    )
