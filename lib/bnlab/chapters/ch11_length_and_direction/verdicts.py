"""What chapter 11 decides about its claims: from what its page has computed, and from its experiment's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bnlab.chapters.ch11_length_and_direction.comparisons import (
    collapse,
    lower_with_bn,
    robustness,
    spreads_by_rate,
    where_nobody_diverges,
)
from bnlab.claims.criteria import checked, largest, numbers
from bnlab.claims.ledger import Verdict, correction, identity, judge, refutation, trend
from bnlab.claims.statistics import quartiles

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Found:
    """What the page computes before a reader's eyes. Distances are relative."""

    title: str  # of the data
    off_corrected: Sequence[float]  # the corrected formula from PyTorch's layer, a seed each
    off_over_batch: Sequence[float]  # the printed one, its norm over the batch
    off_over_units: Sequence[float]  # its norm over the units
    off_gamma: Sequence[float]  # the output's standard deviation from gamma, worst of all lengths, a seed each
    lengths: Sequence[float]  # factors on the weights there
    off_consequences: float  # the four consequences and the step, worst of all seeds
    off_growth: float  # the law of growth, worst of all steps and seeds
    off_radial: float  # the slope along w from its formula, as `comparisons.radial` finds this and the next two
    off_own: float  # the same over the slope itself
    least_radial: float  # that slope with eps > 0


def quick(found: Found, tables: Tables) -> list[Verdict]:
    """Judge the quick run.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    checked(found)
    return [
        _formula(found),
        _output_scale(found),
        _consequences(found),
        *_networks(tables, scale="quick", data=found.title),
    ]


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables, which hold networks alone; raises as `quick`."""
    return _networks(tables, scale="full", data=title)


def _formula(found: Found) -> Verdict:
    printed = {"batch": found.off_over_batch, "units": found.off_over_units}
    worst = {over: largest(off, f"printed form over the {over}") for over, off in printed.items()}
    least = {over: numbers(off, f"printed form over the {over}").min() for over, off in printed.items()}
    off = largest(found.off_corrected, "corrected form")
    return judge(
        "E-Dec1",
        correction(min(worst.values()) <= 0.1, off < 1e-12),
        statistic=off,
        seeds=len(found.off_corrected),
        measured=f"The printed form is off by at least {least['batch']:.0%} with the norm over the batch and by "
        f"{least['units']:.0%} with the norm over the units; the corrected form by at most {off:.0e}.",
    )


def _output_scale(found: Found) -> Verdict:
    off = largest(found.off_gamma, "standard deviations")
    return judge(
        "E-Dec2",
        refutation(off < 1e-12),
        statistic=off,
        seeds=len(found.off_gamma),
        measured=f"The output's standard deviation is $\\gamma$ to {off:.0e}, for weights of "
        f"{min(found.lengths):g} to {max(found.lengths):g} times their length.",
    )


def _consequences(found: Found) -> Verdict:
    off = largest([found.off_consequences, found.off_growth], "consequences and growth")
    off_radial = largest(found.off_radial, "slopes along w")
    return judge(
        "E-Dec3",
        identity(off < 1e-9 and off_radial < 1e-9 and found.least_radial > 1e-9),
        statistic=off,
        seeds=len(found.off_corrected),
        data=found.title,
        measured=f"Relative errors are at most {off:.0e}. Relative to $\\lVert w\\rVert\\lVert\\nabla L\\rVert$, the "
        f"slope along $w$ with $\\epsilon > 0$ is as derived to {off_radial:.0e}, and the largest of a layer's units "
        f"is at least {found.least_radial:.0e} in every draw; relative to itself it is as derived to "
        f"{found.off_own:.0e}.",
    )


def _networks(tables: Tables, scale: str, data: str) -> list[Verdict]:
    return [
        _robust(tables["scales"], scale=scale, data=data),
        _collapsed(tables["rates"], scale=scale, data=data),
        _fisher(tables["fisher"], scale=scale, data=data),
    ]


def _robust(scales: pd.DataFrame, **where: str) -> Verdict:
    found = robustness(scales)
    words = {counted.verdict for counted in found.values()}
    holds = sum(counted.verdict == "reproduced" for counted in found.values())
    exact, running = found["exact"], found["running"]
    kept = where_nobody_diverges(scales)
    rest = "" if kept is None else robustness(kept)["exact"]
    told = (
        f" Without the scales at which networks without it diverge, and count as guessing: in {rest}." if rest else ""
    )
    return judge(
        "E-Dec4",
        words.pop() if len(words) == 1 else "partly",
        statistic=exact.holds / exact.draws,
        interval=exact.interval,
        seeds=exact.draws,
        settings=(holds, len(found)),
        measured="The test error's spread over initial scales with Batch Normalization is below a fifth of that "
        f"without in {exact} with exact statistics, and in {running} with running averages.{told}",
        **where,
    )


def _collapsed(rates: pd.DataFrame, **where: str) -> Verdict:
    spreads, found = spreads_by_rate(rates), collapse(rates)
    at_rate, at_effective = (quartiles(spreads[key].to_numpy()).median for key in ("rate", "effective"))
    return judge(
        "E-Dec4b",
        found.verdict,
        statistic=found.holds / found.draws,
        interval=found.interval,
        seeds=found.draws,
        measured="The test loss's spread over initial scales at equal effective rate is below a fifth of that at "
        f"equal rate in {found}; medians {at_effective:.3g} and {at_rate:.3g} nats.",
        **where,
    )


def _fisher(fisher: pd.DataFrame, **where: str) -> Verdict:
    lower = lower_with_bn(fisher)
    always = [trend(row) == "reproduced" for _, row in lower.iterrows()]
    counts = ", ".join(f"{int(row.sum())} of {len(row)} at {depth} layers" for depth, row in lower.iterrows())
    return judge(
        "E-FIM",
        "reproduced" if all(always) else "partly" if any(always) else "not reproduced",
        seeds=lower.shape[1],
        settings=(sum(always), len(always)),
        measured=f"The top eigenvalue is lower with Batch Normalization in {counts}.",
        **where,
    )
