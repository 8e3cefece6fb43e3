"""What chapter 09 decides about one normalised unit, and about what Bjorck et al. argued."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.claims.criteria import largest, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, judge, refutation
from bnlab.claims.statistics import quartiles

EQUAL, AGREE = 1e-12, 1e-9  # relative


def bound(table: pd.DataFrame) -> Verdict:
    """Judge E-Sant by both sides of the bound, each reading."""
    ours, plain = (rows(table, "bound", reading=name) for name in ("at the BN output", "at the plain y"))
    exact, padded = rows(ours, "bound", eps=0.0), ours[ours["eps"] > 0]
    if padded.empty:
        raise LedgerError("bound: no row with eps > 0.")
    off = largest(numbers(exact["left"], "left") / numbers(exact["right"], "right") - 1, "equality")
    ratios = numbers(padded["left"], "left") / numbers(padded["right"], "right")
    printed = numbers(plain["left"], "left") / numbers(plain["right"], "right")
    holds = off < EQUAL and bool((ratios < 1).all())
    return judge(
        "E-Sant",
        correction(bool((printed <= 1 + EQUAL).all()), holds),
        statistic=float(printed.max()),
        seeds=table["seed"].nunique(),
        measured=f"Read at the output of BN the two sides are equal at $\\varepsilon = 0$, to {off:.0e}, and the left "
        f"one is smaller by at least {1 - ratios.max():.0e} of it for $\\varepsilon > 0$. Read as the plain network's "
        f"gradient at the same $y$ the left side is up to {printed.max():.3g} times the right one.",
    )


def gains(table: pd.DataFrame) -> Verdict:
    """Judge E-SantG by the gain of a unit at several deviations."""
    gain = numbers(table["gain"], "gain")
    at = table.loc[int(np.argmax(gain))]
    return judge(
        "E-SantG",
        refutation(bool((gain > 1).any())),
        statistic=float(gain.max()),
        measured=f"At a deviation of {at['deviation']:g} the gradient is {gain.max():.2f} times as long behind BN as "
        f"at its output, at {table['deviation'].max():g} it is {gain.min():.2f} times.",
    )


def hessian(table: pd.DataFrame) -> Verdict:
    """Judge E-SantH by the bound's analogue for the quadratic form; its corrected form is the exact Hessian."""
    off = largest(table["deviation"], "deviation")
    along, plain = numbers(table["along"], "along"), numbers(table["plain"], "plain")
    ratios = quartiles(along / plain)
    return judge(
        "E-SantH",
        correction(bool((along <= plain).all()), off < AGREE),
        statistic=off,
        measured=f"The quadratic form along the gradient lies above $(\\gamma^2/\\sigma^2)\\,g^\\top H g$ in "
        f"{(along > plain).mean():.1%} of {len(table)} random losses, so that it bounds nothing (median ratio "
        f"{ratios.median:.2g}, quartiles {ratios.q1:.2g} and {ratios.q3:.2g}). The exact form agrees with automatic "
        f"differentiation to {off:.0e}.",
    )


def bjorck(conditions: pd.DataFrame, **where: str) -> Verdict:
    """Pronounce on E-Bjorck, which the text decides; condition numbers of the ResNet's layer stand beside it."""
    kappa = rows(conditions, "conditions", network="ResNet-8")
    plain, batch = (quartiles(numbers(rows(kappa, "kappa", norm=n)["kappa"], "kappa")) for n in ("none", "batch"))
    return judge(
        "E-Bjorck",
        "refuted",
        seeds=kappa["seed"].nunique(),
        measured='Bjorck et al. name "conditioning" among the explanations of others, and argue that BN allows larger '
        f"learning rates. Condition number of a layer's Hessian in a small ResNet: {plain.median:.2g} without BN, "
        f"{batch.median:.2g} with it (medians).",
        **where,
    )
