"""What chapter 16 decides about conditioning: with depth, for gradient descent, and by scheme of initialisation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bnlab.claims.criteria import by_run, largest, numbers, power_law, rows
from bnlab.claims.ledger import Verdict, identity, judge, trend

ROUNDING = np.finfo(np.float64).eps
FEW_FACTORS = 20  # from which on the slope of ln kappa is compared with its limit
# Four standard errors, at most, of a share among the million rows that `conditioning.zero_or_value` draws.
SHARE_ERROR = 4 * 0.5 / 1_000_000**0.5


def lyapunov_slopes(depth: pd.DataFrame) -> dict[int, float]:
    """Slope of ln kappa per factor from twenty factors on, over its limit, by side of the matrices.

    Raises:
        LedgerError: ln kappa is not a number, or no product has so many factors.
    """
    deep = rows(depth[depth["M"] >= FEW_FACTORS], f"products of at least {FEW_FACTORS} factors")
    slopes = {}
    for side, chains in deep.groupby("N"):
        values = numbers(chains["log_kappa"], "ln(condition number)")
        slope = np.polyfit(chains["M"], values, 1)[0] if np.isfinite(values).all() else np.inf
        slopes[int(side)] = float(slope / numbers(chains["gap"], "limit of the slope")[0])
    return slopes


def with_depth(chains: pd.DataFrame, scale: str) -> Verdict:
    """Judge B-Kappa by the table of products of many factors."""
    log_kappa = by_run(chains, "chains of factors", run=["N", "run"], arm="M", value="log_kappa")
    medians = log_kappa.groupby("N").median().sort_index(axis=1)
    rising = (np.diff(medians, axis=1) > 0).all()
    slopes = list(lyapunov_slopes(chains).values())
    return judge(
        "B-Kappa",
        identity(rising and largest(np.array(slopes) - 1, "slopes") < 0.05),
        measured=f"medians {'rise' if rising else 'do not rise'} with every added depth; slope from {FEW_FACTORS} "
        f"factors on {min(slopes):.3f} to {max(slopes):.3f} of the difference of the extreme Lyapunov exponents",
        statistic=min(slopes),
        seeds=chains["run"].nunique(),
        scale=scale,
    )


def descent_steps(descent: pd.DataFrame, scale: str) -> Verdict:
    """Judge B-GD1 by the steps of gradient descent."""
    slopes = [
        power_law(found["kappa"], found["iterations"], f"steps at {rule}").slope
        for rule, found in descent.groupby("learning_rate", sort=False)
    ]
    off = largest(np.array(slopes) - 2, "exponents of the steps")
    return judge(
        "B-GD1",
        identity(off < 0.05 and len(slopes) == 2),
        measured=f"steps proportional to $\\kappa^2$ for the squared norm: exponents within {off:.3f} of 2",
        statistic=slopes[0],
        scale=scale,
    )


def stable_rates(rates: pd.DataFrame, scale: str) -> Verdict:
    """Judge B-GD2 by the largest stable rates and the ratios of gradients."""
    slopes = {}
    for end in ("min", "max"):
        found = rows(rates, "stable rates", normalisation=f"s_{end} = 1")
        slopes[end] = power_law(found["kappa"], found["largest_rate"], f"stable rates, s_{end} fixed").slope
    off_ratio = largest(rates["gradient_ratio"] / rates["kappa_squared"] - 1, "ratios of gradients")
    falls, stays = abs(slopes["min"] + 2) < 0.05 and off_ratio < 1e-9, abs(slopes["max"]) < 0.05
    return judge(
        "B-GD2",
        "partly" if falls and stays else "reproduced" if falls and slopes["max"] < 0 else "not reproduced",
        measured=f"gradient ratio is $\\kappa^2$; the stable rate falls (exponent {slopes['min']:.2f}) with "
        f"$s_{{\\min}}$ fixed and {'does not' if stays else 'moves'} ({slopes['max']:.2f}) with $s_{{\\max}}$ fixed",
        statistic=slopes["max"],
        scale=scale,
    )


def schemes(found: pd.DataFrame, scale: str) -> Verdict:
    """Judge B-Xav by the table of initialisations."""
    slopes = [
        power_law(layers["n"], layers["standard_deviation"], f"deviations, {name}").slope
        for name, layers in found.groupby("scheme")
    ]
    log_kappa = by_run(found, "products of three layers", run="n", arm="scheme", value="log_kappa_product")
    apart, n = log_kappa.max(axis=1) - log_kappa.min(axis=1), log_kappa.index.to_numpy()
    # What float64 may lose on the smallest singular value of a product of n x n matrices, relative to it.
    share = largest(apart / (n * np.exp(log_kappa.max(axis=1)) * ROUNDING), "ln kappa over its rounding error")
    return judge(
        "B-Xav",
        identity(largest(np.array(slopes) + 0.5, "exponents") < 1e-9 and share < 1),
        measured=f"exponents of n: all $-1/2$; $\\ln\\kappa$ of three layers equal for all {log_kappa.shape[1]} "
        f"schemes to {apart.max():.0e}, at most {share:.1g} of what rounding may do",
        statistic=share,
        scale=scale,
    )


def pathological(found: pd.DataFrame, scale: str) -> Verdict:
    """Judge B-0100 by the weights that are 0 or a value."""
    moment, error = (numbers(found[name], name) for name in ("measured_moment", "standard_error"))
    within = largest((moment - 1) / error, "moments in standard errors")
    empty = numbers(found["zero_row"], "empty rows")
    off_share = largest(numbers(found["measured_zero_row"], "empty rows drawn") - empty, "shares of empty rows")
    exact = (numbers(found["second_moment"], "second moment") == 1).all()
    return judge(
        "B-0100",
        identity(within < 4 and exact and off_share < SHARE_ERROR),
        measured=f"second moment 1 exactly, sampled within {within:.1f} standard errors; at the value 100, "
        f"{empty[-1]:.4f} of the rows are empty; shares drawn are off by at most {off_share:.0e}",
        statistic=empty[-1],
        scale=scale,
    )


def deep_networks(stable: pd.DataFrame) -> Verdict:
    """Judge B-Deep by the largest stable rates of deep linear networks."""
    by_depth = by_run(stable, "deep linear networks", run="run", arm="depth", value="largest_rate")
    falls = (np.diff(by_depth.sort_index(axis=1), axis=1) < 0).all(axis=1)
    return judge(
        "B-Deep",
        trend(falls),
        measured="the largest stable rate of deep linear networks falls with every doubling of depth in "
        f"{int(falls.sum())} of {len(falls)} draws",
        seeds=len(falls),
    )
