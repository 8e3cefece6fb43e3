"""What chapter 15 decides about moments against depth and about the outputs, from the tables of its looks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch

from bnlab.chapters.ch15_gradients_and_activations.output_gradients import log_misplaced, output_gradients
from bnlab.claims.criteria import by_run, largest, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, identity, judge, trend
from bnlab.claims.statistics import quartiles

STRAIGHT = 0.9  # R^2 above which a profile is exponential
LEVEL = 10.0  # largest over smallest: below it a profile is roughly constant
ROUNDING = 1e-12
PLACES = {"none": ("convolution", "stream"), "all": ("convolution", "norm", "stream")}
WORDS = {"convolution": "the convolutions' outputs", "norm": "BN's outputs", "stream": "the residual stream"}


def profile(moments: pd.DataFrame, arm: str, place: str, value: str = "variance") -> pd.DataFrame:
    """One column of the moments at one place: a row a seed, a column a layer.

    Raises:
        LedgerError: the arm, the place or a layer is missing, or a value is not a number.
    """
    chosen = rows(moments, "moments", arm=arm, place=place)
    return by_run(chosen, f"moments at {place} of {arm}", run="seed", arm="layer", value=value)


def fits(variances: pd.DataFrame) -> pd.DataFrame:
    """Lines through the logarithm of a profile: a row a seed, ``slope`` in nats a layer and ``r_squared``.

    Raises:
        LedgerError: a variance that has no finite logarithm.
    """
    layer = variances.columns.to_numpy(dtype=float)
    with np.errstate(divide="ignore"):
        heights = np.log(variances.to_numpy())
    if not np.isfinite(heights).all():
        raise LedgerError("moments: a variance is 0 or infinite, so no line goes through its logarithm.")
    found = []
    for height in heights:
        slope, shift = np.polyfit(layer, height, 1)
        left, spread = np.square(height - slope * layer - shift).sum(), np.square(height - height.mean()).sum()
        found.append((slope, 1 - left / spread if spread > 0 else 1.0))
    return pd.DataFrame(found, index=variances.index, columns=["slope", "r_squared"])


def constant(moments: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Fig5."""
    lines = {place: fits(profile(moments, "none", place)) for place in PLACES["none"]}
    grows = pd.DataFrame({p: (f["slope"] > 0) & (f["r_squared"] > STRAIGHT) for p, f in lines.items()}).all(axis=1)
    with_bn = {place: profile(moments, "all", place) for place in PLACES["all"]}
    spans = pd.DataFrame({place: v.max(axis=1) / v.min(axis=1) for place, v in with_bn.items()})
    if not spans.index.equals(grows.index):
        raise LedgerError("moments: the two networks do not have the same seeds.")
    level = spans < LEVEL
    holds = [place for place in level if trend(level[place]) == "reproduced"]
    verdict = trend(grows & level.all(axis=1))
    if verdict == "not reproduced" and trend(grows) == "reproduced" and holds:
        verdict = "partly"
    stream, straight = profile(moments, "none", "stream"), min(f["r_squared"].min() for f in lines.values())
    means = {arm: profile(moments, arm, "stream", "largest_mean").iloc[:, -1].median() for arm in PLACES}
    found = "; ".join(f"{spans[place].median():.3g} at {WORDS[place]}" for place in spans)
    return judge(
        "B-Fig5",
        verdict,
        statistic=lines["stream"]["slope"].median(),
        settings=(len(holds), len(PLACES["all"])),
        seeds=len(grows),
        measured=f"Without BN the stream's variance goes from {stream.iloc[:, 0].median():.2g} to "
        f"{stream.iloc[:, -1].median():.2g}, along a line of its logarithm ($R^2$ at least {straight:.3f}). With BN "
        f"the largest variance over the smallest is {found}. Largest channel mean at the end: {means['none']:.0f} "
        f"without BN, {means['all']:.1f} with (medians).",
        **where,
    )


def logits(outputs: pd.DataFrame, arm: str) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Logits (B, C) float64 and labels (B,) of each seed's batch.

    Raises:
        LedgerError: the arm is missing, an output is missing or there twice, or a logit is not a finite number.
    """
    chosen = rows(outputs, "outputs", arm=arm)
    table = by_run(chosen, f"outputs of {arm}", run=["seed", "image", "label"], arm="output", value="logit")
    if not np.isfinite(table.to_numpy()).all():
        raise LedgerError(f"outputs of {arm}: a logit is not finite, so it predicts nothing.")
    found = {}
    for seed, part in table.groupby(level="seed"):
        labels = torch.tensor(part.index.get_level_values("label").to_numpy())
        found[int(seed)] = torch.tensor(part.to_numpy()), labels.long()
    return found


def rows_of_figure(outputs: pd.DataFrame) -> pd.DataFrame:
    """Facts of Figure 6 for each arm and seed: a row each.

    ``modal``: share of images for which the most frequent prediction is made; ``cosine``: mean cosine between the rows
    that are not 0; ``loss``: mean cross-entropy; ``float32``: share of rows with exactly one negative entry if softmax
    minus one-hot is taken in float32; ``off``: largest modulus of a row's sum in float64; ``signs``: whether no entry
    but the label's is negative and the logarithm of the label's modulus is finite, in all rows.
    """
    if "arm" not in outputs:
        raise LedgerError("outputs: no column 'arm' in it.")
    found = []
    for arm in outputs["arm"].unique():
        for seed, (values, labels) in logits(outputs, arm).items():
            slopes = output_gradients(values, labels)
            own = torch.nn.functional.one_hot(labels, values.shape[1]).bool()
            signs = bool((slopes[~own] >= 0).all() and log_misplaced(values, labels).isfinite().all())
            single = values.float().softmax(1) - own.float()
            units = slopes[slopes.any(1)]
            units = units / units.norm(dim=1, keepdim=True)
            pairs = len(units) * (len(units) - 1)
            cosine = (units.sum(0).square().sum().item() - len(units)) / pairs if pairs else math.nan
            found.append(
                {
                    "arm": arm,
                    "seed": seed,
                    "modal": values.argmax(1).bincount().max().item() / len(values),
                    "cosine": cosine,
                    "loss": torch.nn.functional.cross_entropy(values, labels).item(),
                    "float32": ((single < 0).sum(1) == 1).double().mean().item(),
                    "off": slopes.sum(1).abs().max().item(),
                    "signs": signs,
                }
            )
    return pd.DataFrame(found)


def one_negative(outputs: pd.DataFrame, off: float, **where: str) -> Verdict:
    """Judge B-Fig6a; ``off`` is how far the formula is from automatic differentiation."""
    facts = rows_of_figure(outputs)
    worst = max(largest(off, "derivative at the outputs"), largest(facts["off"], "sums of rows"))
    shown = by_run(facts, "outputs", run="seed", arm="arm", value="float32", arms=("none", "all")).min()
    return judge(
        "B-Fig6a",
        identity(bool(facts["signs"].all()) and worst <= ROUNDING),
        statistic=worst,
        seeds=int(facts["seed"].nunique()),
        measured=f"In every row one negative entry, the label's, and a sum of 0 (to {worst:.0e}). In float32 "
        f"{shown['none']:.0%} of the rows show it without BN, {shown['all']:.0%} with it (the least of the seeds): the "
        "rest is rounded to a row of zeros.",
        **where,
    )


def one_class(outputs: pd.DataFrame, **where: str) -> Verdict:
    """Judge B-Fig6b."""
    facts = rows_of_figure(outputs)
    modal = by_run(facts, "outputs", run="seed", arm="arm", value="modal", arms=("none", "all"))
    cosine = facts.groupby("arm")["cosine"].median()
    middle = {arm: quartiles(modal[arm]) for arm in modal}
    numbers(cosine[["none", "all"]], "cosine of the rows")
    return judge(
        "B-Fig6b",
        trend(modal["none"] > modal["all"]),
        statistic=middle["all"].median,
        interval=(middle["all"].q1, middle["all"].q3),
        seeds=len(modal),
        measured=f"One class is predicted for {middle['none'].median:.0%} of the images without BN and for "
        f"{middle['all'].median:.0%} with it (medians; lowest {modal['none'].min():.0%} and {modal['all'].min():.0%}); "
        f"mean cosine of the rows {cosine['none']:.2f} and {cosine['all']:.2f}.",
        **where,
    )
