"""What chapter 01 decides about its claims: from what its page computes, and from the tables of its experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.chapters.ch01_algorithm.batch_sizes import ARMS, rank_correlations
from bnlab.claims.criteria import by_run, checked, largest, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, identity, judge, trend

Tables = Mapping[str, pd.DataFrame]
PLACES = ("before the nonlinearity", "after the nonlinearity", "before the linear map")  # of the layer
ROUNDING, DIFFERENCES = 1e-12, 1e-6  # float64 with itself, and with central differences


@dataclass(frozen=True)
class Found:
    """What the page computes before a reader's eyes: the largest difference, in float64, unless it says otherwise."""

    title: str  # of the data
    forward: Sequence[float]  # the four formulas from PyTorch's kernel and from this layer, on several inputs
    mean: float  # of a normalised feature
    off_one: float  # variance of a normalised feature from 1
    off_corrected: float  # from s2 / (s2 + eps)
    restored: float  # output from input, at gamma = sqrt(s2 + eps) and beta = mu
    starts: Sequence[bool]  # whether a new layer has gamma = 1 and beta = 0, a library each
    as_table: Sequence[float]  # maps from the same numbers as a table, relative: this library, PyTorch
    as_table_single: float  # the same in float32, this library
    parameters: int
    channels: int
    written_out: float  # Eq. 1 with its sums as loops from the layer
    unmoved: int  # outputs of the changed pixel's channel that stayed
    moved: int  # outputs of other channels that moved
    input_autograd: float  # printed dL/dx from automatic differentiation, relative
    input_differences: Sequence[float]  # dL/dxhat, dL/ds2, dL/dmu, dL/dx from central differences, relative
    parameters_autograd: float  # dL/dgamma, dL/dbeta
    parameters_differences: Sequence[float]
    first_terms: Sequence[float]  # of dL/dmu in each channel: what it adds up, in magnitude
    second_terms: Sequence[float]  # of dL/dmu in each channel
    compact: float  # compact form from automatic differentiation, relative
    singular: float  # singular values of the Jacobian from 0, 0, and gamma/sigma, in units of the latter
    time_slopes: Sequence[float]  # log-log, against m and against d
    count_slopes: Sequence[float]  # of the values read and written
    bias_shares: Sequence[float]  # gradient of b over what it adds up, in each of PLACES
    means_seen: Sequence[float]  # mean of what the nonlinearity sees, in each of PLACES
    one_is_beta: bool  # a mini-batch of one: output beta, gradient 0
    two: float  # a mini-batch of two at eps = 0: |output| from |gamma|, gradient from 0


def quick(found: Found, tables: Tables) -> list[Verdict]:
    """Judge the quick run.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    checked(found)
    backward = [_printed_backward(found), _second_term(found), *_other_gradients(found)]
    batches = _batch_sizes(found, tables, scale="quick", data=found.title)
    return [*_forward(found), *_channels(found), *backward, _cost(found), _place(found), batches]


def full(found: Found, tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables; raises as `quick`."""
    return [_batch_sizes(checked(found), tables, scale="full", data=title)]


def _forward(found: Found) -> list[Verdict]:
    off = largest(found.forward, "the four formulas")
    printed, corrected = max(found.mean, found.off_one), max(found.mean, found.off_corrected)
    return [
        judge(
            "E-Fwd1",
            identity(off < ROUNDING),
            statistic=off,
            data=found.title,
            measured=f"Largest difference {off:.1e}, on images and random inputs.",
        ),
        judge(
            "E-Fwd2",
            correction(printed < ROUNDING, corrected < ROUNDING),
            statistic=found.off_one,
            data=found.title,
            measured=f"Mean 0 to {found.mean:.1e}. The variance is short of 1 by up to {found.off_one:.2g}, and "
            f"equals the corrected form to {found.off_corrected:.1e}.",
        ),
        judge(
            "E-Fwd3",
            identity(found.restored < ROUNDING),
            statistic=found.restored,
            data=found.title,
            measured=f"Identity to {found.restored:.1e}, for the mini-batch whose statistics are used.",
        ),
        judge(
            "E-Init",
            identity(all(found.starts)),
            measured=f"Every entry of a new layer is as stated in {sum(found.starts)} of {len(found.starts)} "
            "libraries, this one and PyTorch.",
        ),
    ]


def _channels(found: Found) -> list[Verdict]:
    off, count = largest(found.as_table, "maps as a table"), found.parameters
    same = off < ROUNDING and found.as_table_single < 1e-6
    return [
        judge(
            "E-Conv",
            identity(same and count == 2 * found.channels),
            statistic=off,
            data=found.title,
            measured=f"{off:.1e} in float64, {found.as_table_single:.1e} in float32; {count} parameters for "
            f"{found.channels} channels.",
        ),
        judge(
            "B-Eq1",
            identity(found.written_out < ROUNDING and found.unmoved == 0 and found.moved == 0),
            statistic=found.written_out,
            data=found.title,
            measured=f"Sums written out: {found.written_out:.1e}. One pixel changed: {found.unmoved} outputs of its "
            f"channel stayed, {found.moved} of other channels moved.",
        ),
    ]


def _printed_backward(found: Found) -> Verdict:
    central = largest(found.input_differences, "printed derivatives")
    return judge(
        "E-Bwd1",
        identity(found.input_autograd < ROUNDING and central < DIFFERENCES),
        statistic=found.input_autograd,
        data=found.title,
        measured=f"{found.input_autograd:.1e} against automatic differentiation; {central:.0e} against central "
        "differences.",
    )


def _second_term(found: Found) -> Verdict:
    """Judge E-Bwd2. A channel that no gradient reaches has both terms 0: it meets the criterion and shows nothing."""
    first = numbers(found.first_terms, "first terms of dL/dmu")
    second = np.abs(numbers(found.second_terms, "second terms of dL/dmu"))
    reached = first > 0
    if len(first) != len(second) or not reached.any():
        raise LedgerError(f"terms of dL/dmu: {reached.sum()} of {len(second)} channels have a gradient to compare.")
    share = float((second[reached] / first[reached]).max())
    return judge(
        "E-Bwd2",
        identity((second <= ROUNDING * first).all()),
        statistic=share,
        data=found.title,
        measured=f"At most {share:.1e} of what the first term adds up: {second.max():.1e} beside {first.max():.1e}, "
        f"the largest of either, in {reached.sum()} of {len(first)} channels that a gradient reaches.",
    )


def _other_gradients(found: Found) -> list[Verdict]:
    central = largest(found.parameters_differences, "gradients of gamma and beta")
    return [
        judge(
            "E-Bwd3",
            identity(found.parameters_autograd < ROUNDING and central < DIFFERENCES),
            statistic=found.parameters_autograd,
            data=found.title,
            measured=f"{found.parameters_autograd:.1e} against automatic differentiation; {central:.0e} against "
            "central differences.",
        ),
        judge(
            "E-Bwd4",
            identity(found.compact < ROUNDING and found.singular < ROUNDING),
            statistic=found.compact,
            data=found.title,
            measured=f"{found.compact:.1e} against automatic differentiation; singular values to {found.singular:.1e}.",
        ),
    ]


def _cost(found: Found) -> Verdict:
    (by_m, by_d), counts = numbers(found.time_slopes, "slopes of time").tolist(), found.count_slopes
    linear = [0.7 <= slope <= 1.3 for slope in (by_m, by_d)]
    return judge(
        "E-Cost",
        "reproduced" if all(linear) else "partly" if any(linear) else "not reproduced",
        statistic=max(by_m, by_d),
        interval=(min(by_m, by_d), max(by_m, by_d)),
        measured=f"Slope of time {by_m:.2f} against $m$ and {by_d:.2f} against $d$; of the values touched, "
        f"{counts[0]:.2f} and {counts[1]:.2f}.",
    )


def _place(found: Found) -> Verdict:
    (right, *wrong), (centred, *shifted) = found.bias_shares, found.means_seen
    redundant = right < ROUNDING and centred < ROUNDING
    alone = min(wrong) > 1e-6 and min(shifted) > 1e-6
    return judge(
        "E-Plc",
        identity(redundant and alone),
        statistic=right,
        data=found.title,
        measured="Bias gradient, as a share of what it adds up: "
        + ", ".join(f"{share:.0e} {place}" for share, place in zip(found.bias_shares, PLACES, strict=True))
        + f". Only in the first place is the mean of what the nonlinearity sees zero ({centred:.0e}, then "
        f"{shifted[0]:.2g} and {shifted[1]:.2g}).",
    )


def _batch_sizes(found: Found, tables: Tables, **where: str) -> Verdict:
    """Judge E-Batch on the exact parts and on mini-batches of m; the other arms are reported; where: scale and data."""
    if missing := [arm for arm in ARMS if arm not in tables]:
        raise LedgerError(f"tables of chapter 01: no {missing[0]!r} in them.")
    for arm, name in ARMS.items():
        by_run(rows(tables[arm], arm, arm=name), name, run="seed", arm="m", value="test_error")
    correlations = rank_correlations(pd.concat([tables[arm] for arm in ARMS]))
    by_seed = by_run(correlations, "arms", run="seed", arm="arm", value="spearman", arms=list(ARMS.values()))
    judged, exact = by_seed[ARMS["batch_norm"]], found.one_is_beta and found.two < ROUNDING
    decided = trend(judged < 0)
    limits = "as the formulas say" if exact else "otherwise than the formulas say"
    shown = "; ".join(f"{arm} {by_seed[arm].median():+.2f} (falls in {(by_seed[arm] < 0).sum()})" for arm in by_seed)
    return judge(
        "E-Batch",
        decided if exact else "not reproduced",
        statistic=judged.median(),
        interval=(judged.min(), judged.max()),
        seeds=len(judged),
        **where,
        measured=f"Mini-batches of one and two behave {limits}. Median Spearman correlation of test error with $m$: "
        f"{shown}.",
    )
