"""What chapter 02 decides about its claims: from what its page computes, and from the tables of its experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.chapters.ch02_inference_and_noise.comparisons import compared, in_words, race
from bnlab.chapters.ch02_inference_and_noise.inference import SCHEDULES
from bnlab.chapters.ch02_inference_and_noise.regularisation import ARMS, at_equal_loss
from bnlab.claims.criteria import by_run, checked, largest, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, identity, judge, trend

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Found:
    """What the page computes before a reader's eyes."""

    title: str  # of the data
    companies: int  # sets of batch-mates of one image
    same_bits: bool  # its logits in eval mode among them
    differ: bool  # its logits in train mode
    variances_eval: Sequence[float]  # of the logits over passes, an image each
    variances_train: Sequence[float]
    constant: bool  # an input alone gives beta and no gradient
    unreliable: Sequence[float]  # relative scatter of the variance over sqrt(2 / (m - 1)), for each m
    independent: Sequence[float]  # estimates from the truth, in standard errors, for each m
    enumerated: float  # the same, relative, over all mini-batches of a small distribution
    between: Sequence[float]  # variance of the means over the variance, there, for m = 2 and more
    printed: Sequence[float]  # estimate over variance on smooth maps, m = 1, 2, 8
    pooled: Sequence[float]  # the same, variance within plus variance between
    averages: Sequence[float]  # loop and PyTorch at 1 - d from the closed form, for each decay d
    mistaken: Sequence[float]  # PyTorch at d
    folded_single: float  # logits of the folded network, relative to the largest, float32
    folded_double: float


def quick(
    found: Found, noise: pd.DataFrame, tables: Tables, *, decay: float, target: float, error: float, seed: int
) -> list[Verdict]:
    """Judge the quick run. ``noise``: drawn, exact and asymptotic deviations by x and m; the rest: its parameters.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    checked(found)
    where = {"scale": "quick", "data": found.title}
    training = [_mismatch(tables, decay, **where), _regularisation(tables, target, seed, **where)]
    return [*_statistics(found), *_modes(found), *_noise(found, noise), *training, _race(tables, error, seed, **where)]


def full(tables: Tables, parameters: Mapping[str, object], title: str) -> list[Verdict]:
    """Judge the recorded tables by the parameters of their run; raises as `quick`."""
    where = {"scale": "full", "data": title}
    return [
        _mismatch(tables, parameters["decays"][0], **where),
        _regularisation(tables, parameters["target_loss"], parameters["seed"], **where),
        _race(tables, parameters["race_error"], parameters["seed"], **where),
    ]


def _statistics(found: Found) -> list[Verdict]:
    errors, between = numbers(found.independent, "estimates").max(), numbers(found.between, "variance of the means")
    unbiased = errors < 4 and found.enumerated < 1e-12
    off_printed, off_pooled = (
        largest(numbers(ratios, "smooth maps") - 1, "smooth maps") for ratios in (found.printed, found.pooled)
    )
    off, mistaken = largest(found.averages, "moving averages"), numbers(found.mistaken, "momentum at d").min()
    return [
        judge(
            "E-Inf1",
            "not reproduced" if not unbiased else "reproduced" if between.min() < 1e-12 else "partly",
            statistic=errors,
            measured=f"the formula is unbiased: at most {errors:.1f} standard errors off, {found.enumerated:.0e} when "
            f"enumerated; it neglects nothing: the means vary by {between[0]:.2g} of the variance at $m = 2$, which "
            "is what $m/(m-1)$ puts back",
        ),
        judge(
            "E-Inf2",
            correction(off_printed < 0.02, off_pooled < 0.02),
            statistic=off_printed,
            measured=f"printed: {', '.join(f'{ratio:.3f}' for ratio in found.printed)} of the variance at $m$ = 1, 2, "
            f"8; within plus between: off by at most {off_pooled:.1%}",
        ),
        judge(
            "E-Inf3",
            identity(off < 1e-12 and mistaken > 1e-3),
            statistic=off,
            measured=f"loop, closed form and PyTorch with momentum $1-d$ agree to {off:.0e}; with $d$ in its place "
            f"they differ by {mistaken:.2g}",
        ),
    ]


def _modes(found: Found) -> list[Verdict]:
    off_scatter = largest(numbers(found.unreliable, "scatter of the variance") - 1, "scatter of the variance")
    return [
        judge(
            "E-Inf4",
            identity(found.same_bits and found.differ),
            data=found.title,
            measured=f"{found.companies} sets of batch-mates: {'equal bit for bit' if found.same_bits else 'different'}"
            f" in eval mode, {'different' if found.differ else 'equal'} in train mode",
        ),
        judge(
            "E-Inf5",
            identity(found.folded_single < 1e-5 and found.folded_double < 1e-12),
            statistic=found.folded_single,
            data=found.title,
            measured=f"{found.folded_single:.0e} in float32, {found.folded_double:.0e} in float64",
        ),
        judge(
            "E-Inf7",
            identity(found.constant and off_scatter < 0.05),
            statistic=off_scatter,
            measured=f"$m = 1$: {'beta exactly, gradient 0' if found.constant else 'not constant'}; scatter of the "
            f"variance within {off_scatter:.1%} of $\\sqrt{{2/(m-1)}}$",
        ),
    ]


def _noise(found: Found, noise: pd.DataFrame) -> list[Verdict]:
    calm, noisy = (numbers(values, "logits") for values in (found.variances_eval, found.variances_train))
    near = rows(noise[(noise["x"].abs() <= 1) & (noise["m"] >= 128)], "noise near the mean, m of at least 128")
    expected = numbers(near["closed_form"], "closed form")
    drawn, exact = (largest(numbers(near[way], way) / expected - 1, way) for way in ("drawn", "exact"))
    far = rows(noise, "noise", x=3.0, m=32).iloc[0]
    return [
        judge(
            "E-Noise1",
            identity(max(drawn, exact) < 0.03),
            statistic=max(drawn, exact),
            measured=f"within {drawn:.1%} drawn and {exact:.1%} by quadrature; at $x = 3$, $m = 32$ it is "
            f"{far['exact']:.3f}, not {far['closed_form']:.3f}",
        ),
        judge(
            "E-Noise3",
            identity((calm == 0).all() and (noisy > 0).all()),
            data=found.title,
            measured=f"variance of the logits {calm.max():.1g} in eval mode, {noisy.min():.1g} to {noisy.max():.1g} in "
            "train mode",
        ),
    ]


def _table(tables: Tables, *names: str) -> pd.DataFrame:
    if missing := [name for name in names if name not in tables]:
        raise LedgerError(f"tables of chapter 02: no {missing[0]!r} in them.")
    return pd.concat([tables[name] for name in names])


def _mismatch(tables: Tables, decay: float, **where: str) -> Verdict:
    """Judge E-Inf6 at the end of the last stage; a run that diverged has no logits to compare. where: scale, data."""
    found = rows(_table(tables, "mismatch_decayed", "mismatch_constant"), "mismatch", decay=decay)
    found = found[found["stage"] == found["stage"].max()]
    if broken := int(found["diverged"].sum()):
        words = f"{broken} of {len(found)} runs diverged at these rates: nothing to compare"
        return judge("E-Inf6", "reported", measured=words, **where)
    constant, decayed = (rows(found, name, schedule=name) for name in (SCHEDULES["constant"], SCHEDULES["decayed"]))
    by_size = by_run(decayed, "after the decay", run="seed", arm="m", value="mismatch")
    middle = found[found["m"] == constant["m"].iloc[0]]
    by_rate = by_run(middle, "rates", run="seed", arm="schedule", value="mismatch", arms=tuple(SCHEDULES.values()))
    rate_agrees = by_rate[SCHEDULES["constant"]] > by_rate[SCHEDULES["decayed"]]
    size_agrees = by_size[min(by_size)] > by_size[max(by_size)]
    trends, worst = {trend(rate_agrees), trend(size_agrees)}, by_size.max(axis=None)
    partly = "not reproduced" if "not reproduced" in trends else "partly"
    medians = ", ".join(f"{100 * value:.2g} % (m = {m})" for m, value in by_size.median().items())
    return judge(
        "E-Inf6",
        "reproduced" if trends == {"reproduced"} and worst < 0.01 else partly,
        statistic=worst,
        seeds=len(by_size),
        **where,
        measured=f"after the last decay {medians}; larger at the constant rate in {rate_agrees.sum()} of "
        f"{len(by_rate)}, for the smallest mini-batch in {size_agrees.sum()} of {len(by_size)}",
    )


def _regularisation(tables: Tables, target: float, seed: int, **where: str) -> Verdict:
    """Judge E-Noise2; where a run did not get to the training loss nothing was tested, which is not a failure."""
    equal = at_equal_loss(_table(tables, *(f"curves_{arm}" for arm in ARMS)), target)
    difference = compared(equal, "population", "batch")
    verdict = trend(difference > 0)
    if np.isnan(difference).any():
        verdict = "reported"
    elif verdict == "reproduced" and where["scale"] == "quick":
        verdict = "partly"  # the sizes were settled after a look: a setting so chosen cannot pass its own criterion
    noise, more, without, dropout = (
        in_words(compared(equal, *pair), seed)
        for pair in (("population", "batch"), ("batch", "ghost"), ("none", "batch"), ("none", "dropout"))
    )
    return judge(
        "E-Noise2",
        verdict,
        statistic=noise.median,
        interval=noise.interval,
        seeds=len(difference),
        **where,
        measured=f"noise-free minus batch statistics {noise.words}; batch statistics minus groups of four "
        f"{more.words}; neither minus batch statistics {without.words}; neither minus dropout {dropout.words}"
        + ("; not confirmed at this scale" if verdict == "not reproduced" else ""),
    )


def _race(tables: Tables, error: float, seed: int, **where: str) -> Verdict:
    results = _table(tables, "race_none", "race_batch")
    speed = race(results, seed)
    return judge(
        "E-14x",
        "not run at full scale",
        statistic=speed.faster,
        interval=speed.interval,
        seeds=results["seed"].nunique(),
        **where,
        measured=f"a miniature: {speed.words} to {1 - error:.0%} test accuracy, each at its own best rate",
    )
