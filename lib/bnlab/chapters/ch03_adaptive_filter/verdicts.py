"""What chapter 03 decides about its claims, from what its page computes; all of it are identities and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bnlab.claims.criteria import by_run, checked, largest, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, identity, judge

LAYERS = (("conv1", 28), ("conv1", 32), ("conv2", 12), ("conv2", 14))  # of LeNet, with the width of their input
POSITIONS = (576, 784, 64, 100)  # M, of each of them
CONV2 = {"patches": (150, 100), "outputs": (16, 100)}  # shapes of an image of 32 pixels: (K, M) and (OC, M)
PLAIN, NORMALISED = "convolution", "convolution + BN"  # arms of the coupling between images
COMPARED = ("own layer", "LeNet conv1", "LeNet conv2")  # layers whose gradient is formed by Eq. 1
FOLLOWED = ("softmax layer", "LeNet, conv2")  # networks whose target is followed


@dataclass(frozen=True)
class Found:
    """What the page computes before a reader's eyes. Differences are relative unless they say otherwise."""

    title: str  # of the data
    hand_autograd: Sequence[float]  # -2 E[X eps] from automatic differentiation, a seed each
    hand_differences: Sequence[float]  # from central differences
    printed: Sequence[float]  # J after one printed step over J before, a seed each
    corrected: Sequence[float]  # the same, with + 2 mu E[X eps]
    missed: Sequence[float]  # |W(n+1) X(n) - d| of LMS where 2 mu |X|^2 is not 1, absolute
    met: Sequence[float]  # the same of LMS at 1 and of NLMS; LMS from its formula, at every step size
    shares_apart: float  # shares of pixels as counted from the formula, absolute
    positions: Sequence[int]  # M of LeNet's layers, in the order of LAYERS
    patches_shape: Sequence[int]  # (K, M) of conv2, images of 32 pixels
    outputs_shape: Sequence[int]  # (OC, M)
    errors_shape: Sequence[int]  # (OC, M)
    identity: float  # gradient of 1/2 E|D - Y|^2, D frozen, from the true one: largest over steps, networks, seeds
    steps: int  # over which the target is followed


@dataclass(frozen=True)
class Tables:
    """The page's tables."""

    shares: pd.DataFrame  # layer, size, share of pixels that stand in every row of X
    restructured: pd.DataFrame  # largest difference of the product from torch, and from the definition; a geometry each
    coupled: pd.DataFrame  # arm, output, input, norm: slope of one image's output by another's pixels
    channels: pd.DataFrame  # norm, change of a channel's gradient "at given errors"
    equation_1: pd.DataFrame  # layer, seed, autograd, differences, weights (compared), with E = D - Y
    downstream: pd.DataFrame  # layer, seed, identical, largest difference
    moved: pd.DataFrame  # network, seed, drift: way of P in the steps followed, over its norm


def quick(found: Found, tables: Tables) -> list[Verdict]:
    """Judge the page; no full-scale run exists.

    Raises:
        LedgerError: a number that decides is not a number, or an arm or a run is missing.
    """
    checked(found)
    windows = [_sliding(found, tables.shares), *_unrolling(found, tables.restructured)]
    eq_1 = [_independence(found, tables), _equation_1(found, tables.equation_1)]
    return [*_filter(found), *windows, *eq_1, _downstream(found, tables.downstream), _target(found, tables.moved)]


def _filter(found: Found) -> list[Verdict]:
    autograd, central = (largest(off, "-2 E[X eps]") for off in (found.hand_autograd, found.hand_differences))
    printed, corrected = (numbers(ratios, "J after a step") for ratios in (found.printed, found.corrected))
    missed, met = largest(found.missed, "LMS"), largest(found.met, "NLMS")
    return [
        judge(
            "C-2.1def",
            identity(autograd < 1e-12 and central < 1e-8),
            statistic=autograd,
            seeds=len(found.hand_autograd),
            measured=f"largest relative difference {autograd:.0e} from autograd, {central:.0e} from differences",
        ),
        judge(
            "C-2.1upd",
            correction(printed.max() < 1, printed.min() > 1 and corrected.max() < 1),
            statistic=printed.min(),
            seeds=len(printed),
            measured=f"one step: $J$ times {printed.min():.2f} or more as printed, {corrected.max():.2f} or less "
            "corrected",
        ),
        judge(
            "C-2.1d",
            correction(missed < 1e-10, met < 1e-10),
            statistic=min(found.missed),
            seeds=1,
            measured=f"LMS misses $d$ by {min(found.missed):.2f} or more; the formula, and NLMS with $d$, hold to "
            f"{met:.0e}",
        ),
    ]


def _sliding(found: Found, shares: pd.DataFrame) -> Verdict:
    counted = [rows(shares, "shares", layer=layer, size=size).iloc[0]["share"] for layer, size in LAYERS]
    above = [share > 0.5 for share in numbers(counted, "shares")]
    most = "reproduced" if all(above) else "partly" if all(above[:2]) or all(above[2:]) else "not reproduced"
    shown = ", ".join(f"{share:.2f} ({name}, {size} px)" for (name, size), share in zip(LAYERS, counted, strict=True))
    return judge(
        "C-Fig1",
        most if found.shares_apart < 1e-12 else "not reproduced",
        statistic=min(counted),
        measured=f"share {shown}; count and formula differ by {found.shares_apart:.0e}",
    )


def _unrolling(found: Found, restructured: pd.DataFrame) -> list[Verdict]:
    off = largest(restructured[["torch", "definition"]].to_numpy(), "product and convolution")
    shapes = {"patches": found.patches_shape, "outputs": found.outputs_shape, "errors": found.errors_shape}
    right = CONV2 | {"errors": CONV2["outputs"]}
    hold = {name: tuple(shape) == right[name] for name, shape in shapes.items()}
    return [
        judge(
            "C-Fig2",
            identity(off < 1e-12),
            statistic=off,
            seeds=1,
            measured=f"largest difference {off:.0e} from torch and from the definition, {len(restructured)} layers",
        ),
        judge(
            "C-Shape",
            identity(tuple(found.positions) == POSITIONS and all(hold.values())),
            measured=f"$M$ = {', '.join(map(str, found.positions))}; "
            + ", ".join(f"shape of the {name} {'as stated' if good else 'another'}" for name, good in hold.items()),
        ),
    ]


def _independence(found: Found, tables: Tables) -> Verdict:
    """Judge C-Ind: between images, and between channels at given errors, without and with Batch Normalization."""
    changes = [rows(tables.channels, "channels", norm=norm)["at given errors"].iloc[0] for norm in ("none", "batch")]
    still = largest(changes, "channels") == 0
    slopes, apart = {}, {}
    for arm in (PLAIN, NORMALISED):
        of_arm = rows(tables.coupled, "coupling", arm=arm)
        own = of_arm["output"] == of_arm["input"]
        between, within = (numbers(of_arm[which]["norm"], f"coupling, {arm}") for which in (~own, own))
        apart[arm], slopes[arm] = between.max() == 0, pd.Series(between).median() / pd.Series(within).median()
    independent = "reproduced" if apart[PLAIN] and apart[NORMALISED] else "partly" if apart[PLAIN] else "not reproduced"
    return judge(
        "C-Ind",
        independent if still else "not reproduced",
        statistic=slopes[NORMALISED],
        seeds=1,
        data=found.title,
        measured=f"{'exact zeros' if apart[PLAIN] and still else 'no zeros'} for the convolution; with BN, slopes "
        f"between images {100 * slopes[NORMALISED]:.2g} % of within",
    )


def _equation_1(found: Found, agreement: pd.DataFrame) -> Verdict:
    """Judge C-Eq1; central differences count where a step crosses no kink, which leaves some weights of every layer."""
    sides = {"run": "seed", "arm": "layer", "arms": COMPARED}
    if (by_run(agreement, "Eq. 1", value="weights", **sides) < 1).any(axis=None):
        raise LedgerError("Eq. 1: a layer has no weight whose small step switches no ReLU, so nothing is compared.")
    autograd, central = (
        largest(by_run(agreement, "Eq. 1", value=way, **sides), way) for way in ("autograd", "differences")
    )
    as_defined = by_run(agreement, "Eq. 1", value="with E = D − Y", **sides).to_numpy()
    return judge(
        "C-Eq1",
        correction(as_defined.max() < 1e-10, autograd < 1e-10 and central < 1e-6),
        statistic=as_defined.min(),
        seeds=len(as_defined),
        data=found.title,
        measured=f"$E = D - Y$ is off by {as_defined.min():.1f} gradients; $e = Y - D$ by {autograd:.0e} from "
        f"autograd, {central:.0e} from differences",
    )


def _downstream(found: Found, downstream: pd.DataFrame) -> Verdict:
    sides = {"run": "seed", "arm": "layer", "arms": ("conv1", "conv2")}
    off = by_run(downstream, "downstream", value="largest difference", **sides)
    same = int(numbers(downstream["identical"], "downstream").sum())
    return judge(
        "C-Loc",
        identity(same == len(downstream)),
        statistic=largest(off, "downstream"),
        seeds=len(off),
        data=found.title,
        measured=f"identical in {same} of {len(downstream)} cases",
    )


def _target(found: Found, moved: pd.DataFrame) -> Verdict:
    ways = by_run(moved, "drift of P", run="seed", arm="network", value="drift", arms=FOLLOWED)
    medians = ", ".join(f"{100 * ways[network].median():.0f} % ({network})" for network in ways)
    return judge(
        "C-D",
        "not reproduced" if found.identity >= 1e-10 else "reproduced" if ways.max(axis=None) < 0.1 else "partly",
        statistic=ways.min(axis=None),
        seeds=len(ways),
        data=found.title,
        measured=f"gradient equal to {found.identity:.0e} at every step; in {found.steps} steps $P$ moves by a median "
        f"{medians}",
    )
