"""What chapter 10 decides about the profiles of gradients, from the experiments' tables."""

from __future__ import annotations

import math

import pandas as pd

from bnlab.chapters.ch10_gradient_flow.profiles import ACTIVATIONS, slopes
from bnlab.claims.criteria import by_run, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, identity, judge, refutation, trend
from bnlab.claims.statistics import quartiles
from bnlab.theory.mean_field import normalised_rate, plain_rate

GAIN_1, HE = "Gaussian, gain 1", "Gaussian"
STRAIGHT = 0.98  # R^2 above which a profile is exponential
NEAR = 0.05  # relative distance of a factor from its theory
GROWS = 0.1  # nats a layer: above it a profile grows, below minus it a profile decays
FLAT = 0.02  # nats a layer: bounded over 90 layers up to a factor 6


def by_seed(profiles: pd.DataFrame, name: str, value: str, **where: str) -> pd.Series:
    """One number of `profiles.slopes` a seed, for one kind of network.

    Raises:
        LedgerError: the network or a layer of it is missing, it has a seed twice, or its number is not a number.
    """
    chosen = rows(profiles, name, **where)
    by_run(chosen, name, run="seed", arm="layer", value="gradient")
    table = by_run(slopes(chosen), name, run="seed", arm="arm", value=value)
    return table.iloc[:, 0]


def paired(name: str, **columns: pd.Series) -> pd.DataFrame:
    """Numbers of several networks side by side: a row a seed.

    Raises:
        LedgerError: a network lacks a seed that another has.
    """
    table = pd.DataFrame(columns)
    if lost := int(table.isna().sum(axis=None)):
        raise LedgerError(f"{name}: {lost} runs are lost: not every network has all seeds.")
    return table


def vanishing(rectifiers: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-Van by wide ReLU networks without normalisation."""
    plain = {"arm": "none", "activation": "relu"}
    found = paired(
        "rectifiers",
        small=by_seed(rectifiers, "rectifiers", "slope", weights=GAIN_1, **plain),
        straight=by_seed(rectifiers, "rectifiers", "r_squared", weights=GAIN_1, **plain),
        he=by_seed(rectifiers, "rectifiers", "slope", weights=HE, **plain),
    )
    straight = found["straight"]
    factors = [math.exp(quartiles(found[key]).median) for key in ("small", "he")]
    theory = [plain_rate("relu", variance) for variance in (1.0, 2.0)]
    near = all(abs(factor / right - 1) <= NEAR for factor, right in zip(factors, theory, strict=True))
    return judge(
        "E-Van",
        identity(near and trend(straight > STRAIGHT) == "reproduced"),
        statistic=factors[0],
        seeds=len(found),
        measured=f"Squared gradients are multiplied by {factors[0]:.3f} a layer towards the input with weights of "
        f"gain 1 (theory {theory[0]:g}; $R^2$ at least {straight.min():.3f}) and by {factors[1]:.3f} with He's "
        f"(theory {theory[1]:g}; medians).",
        **where,
    )


def exploding(rectifiers: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-BNexp by wide ReLU networks with Batch Normalization."""
    chain = {"arm": "BN", "activation": "relu", "weights": HE}
    found = paired(
        "rectifiers",
        slope=by_seed(rectifiers, "rectifiers", "slope", **chain),
        total=by_seed(rectifiers, "rectifiers", "total", **chain),
        plain=by_seed(rectifiers, "rectifiers", "total", arm="none", activation="relu", weights=HE),
    )
    slope, plain = found["slope"], found["plain"]
    factor, theory = math.exp(quartiles(slope).median), normalised_rate("relu")
    explodes = trend(slope > math.log(1.3)) == "reproduced" and abs(factor / theory - 1) <= NEAR
    return judge(
        "E-BNexp",
        refutation(explodes),
        statistic=factor,
        seeds=len(slope),
        measured=f"Squared gradients are multiplied by {factor:.3f} a layer towards the input (median; "
        f"theory $\\pi/(\\pi - 1) = {theory:.3f}$), by {found['total'].min():.1e} or more in all; "
        f"He's weights alone: {quartiles(plain).median:.2g}.",
        **where,
    )


def ninety(images: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-90 by deep networks on images, weights of gain 1."""
    found = {
        (activation, arm): by_seed(images, "images", "slope", activation=activation, arm=arm, weights=GAIN_1)
        for activation in ACTIVATIONS
        for arm in ("none", "BN")
    }
    table = paired("images", **{f"{activation} {arm}": column for (activation, arm), column in found.items()})
    decays = [name for name in ACTIVATIONS if (table[f"{name} none"] < -GROWS).all()]
    prevented = pd.Series(bool(decays), index=table.index)
    for name in decays:
        prevented &= table[f"{name} BN"] > -FLAT
    grows = [name for name in ACTIVATIONS if (table[f"{name} BN"] > GROWS).all()]
    may = pd.DataFrame({name: table[f"{name} BN"] > GROWS for name in ACTIVATIONS}).any(axis=1)
    medians = table.median()
    each = "; ".join(
        f"{name} {medians[f'{name} none']:+.3f} without, {medians[f'{name} BN']:+.3f} with" for name in ACTIVATIONS
    )
    return judge(
        "E-90",
        trend(prevented & may),
        statistic=medians["relu BN"],
        seeds=len(table),
        measured=f"Nats a layer towards the input: {each} (medians). Exponential decay without BN: "
        f"{', '.join(decays) or 'none'}; growth with BN: {', '.join(grows) or 'none'}.",
        **where,
    )


def stable(residual: pd.DataFrame, **where: str) -> Verdict:
    """Judge E-Res by deep residual networks."""
    chain = {"activation": "relu", "weights": HE}
    with_bn, without = (rows(residual, "residual", arm=arm, **chain) for arm in ("skip + BN", "skip"))
    found = paired(
        "residual",
        plain=by_seed(without, "residual", "total"),
        **{
            value: by_seed(with_bn, "residual", value)
            for value in ("r_squared", "r_squared_power", "exponent", "total")
        },
    )
    line, power, exponent = found["r_squared"], found["r_squared_power"], found["exponent"]
    return judge(
        "E-Res",
        trend(power > line),
        statistic=quartiles(exponent).median,
        interval=(exponent.min(), exponent.max()),
        seeds=len(line),
        measured=f"Over {with_bn['layer'].max()} blocks the squared gradient grows "
        f"{quartiles(found['total']).median:.0f} times with BN, as a power of the depth ($R^2$ {power.min():.3f} at "
        f"least, against {line.max():.3f} at most for an exponential), and "
        f"{quartiles(found['plain']).median:.0e} times without (medians).",
        **where,
    )


def orthogonal(profiles: pd.DataFrame, images: pd.DataFrame, **where: str) -> Verdict:
    """Judge L-Ortho by networks on independent inputs; the same on images is reported."""
    linear = {"activation": "linear", "arm": "BN", "weights": "orthogonal"}
    found = paired(
        "profiles",
        flat=by_seed(profiles, "profiles", "slope", **linear),
        gaussian=by_seed(profiles, "profiles", "slope", activation="relu", arm="BN", weights=HE),
    )
    flat, gaussian = found["flat"], found["gaussian"]
    theory = math.log(normalised_rate("relu"))
    on_images = by_seed(images, "images", "slope", **linear)
    return judge(
        "L-Ortho",
        trend((flat.abs() < FLAT) & ((gaussian - theory).abs() <= 0.1 * theory)),
        statistic=quartiles(flat).median,
        seeds=len(flat),
        measured=f"Nats a layer towards the input: {flat.min():+.3f} to {flat.max():+.3f} for linear + BN + orthogonal "
        f"weights, {gaussian.min():.3f} to {gaussian.max():.3f} for ReLU + BN + Gaussian (theory {theory:.3f}). On "
        f"images the first is {quartiles(on_images).median:+.3f} (median).",
        **where,
    )


def double_counted(found: object, **where: str) -> Verdict:
    """Judge E-1sig by what the page has found: fields ``corrected_off``, ``scaled_off`` and ``printed_off``."""
    off = {name: numbers(getattr(found, name), name) for name in ("corrected_off", "scaled_off", "printed_off")}
    return judge(
        "E-1sig",
        correction(bool(off["printed_off"].max() < 1e-9), bool(off["corrected_off"].max() < 1e-10)),
        statistic=float(off["printed_off"].max()),
        seeds=len(off["corrected_off"]),
        measured=f"Relative errors: as printed, $1/\\sigma$ twice, up to {off['printed_off'].max():.1f}; "
        f"$\\gamma/\\sigma$ without the projection {off['scaled_off'].min():.2f} to {off['scaled_off'].max():.2f}; "
        f"with it at most {off['corrected_off'].max():.0e}.",
        **where,
    )
