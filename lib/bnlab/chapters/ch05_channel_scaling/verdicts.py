"""What chapter 05 decides about its claims: from what its page has computed, and from its experiment's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlab.chapters.ch05_channel_scaling.channel_scaling import VARIANTS
from bnlab.chapters.ch05_channel_scaling.random_scalings import ROUNDING
from bnlab.claims.criteria import by_run, checked, largest, numbers, rows
from bnlab.claims.ledger import LedgerError, Verdict, correction, identity, judge, refutation, trend

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Violations:
    """Eigenvalues of random matrices that went where no eigenvalue should, under random gains."""

    eigenvalues: int  # looked at, under any gains
    outside: int  # of them outside of Ostrowski's bounds
    fallen: int  # under gains of at least 1
    risen: int  # under gains of at most 1


@dataclass(frozen=True)
class Found:
    """What the page computes before a reader's eyes. Distances are relative unless they say otherwise."""

    title: str  # of the data
    astray: int  # pixels outside the block of their channel, or missing
    geometries: int  # windows tried
    off_blocks: Sequence[Sequence[float]]  # (C, C) distance of block ij of the scaled R from R_ij / (a_i a_j)
    off_printed: float  # largest distance of eigenvalues' ratios from 1 / a_i
    off_squared: float  # from 1 / a_i^2
    off_slope: float  # d ln lambda_k / d ln d_i^2 by differences, minus the participation
    purity: Sequence[float]  # median largest participation, as the off-diagonal blocks shrink
    off_kappa_slope: float  # d ln kappa / d ln d_i^2 by differences, minus the difference of participations
    kappa_decorrelated: Sequence[float]  # before and after unit power: channels of power 0.1 and 10, kappa 3 within
    kappa_alike: Sequence[float]  # before and after: two channels of unit power with correlation 0.99
    kappa_nudged: Sequence[float]  # both extremes (0.1 and 10) in one channel, under gains within 10 % of 1
    draws: int  # random matrices
    centred_above: int  # of them with an eigenvalue of R - mm^T above its own of R
    centred_below: int  # below its lower neighbour's
    amplify_falls: int  # of them with an eigenvalue that falls though only channels of small power were normalised
    suppress_rises: int
    passes: float  # R behind ReLU and pooling from D R D
    moments: Sequence[float]  # of rectified Gaussians, distance from closed forms in standard errors
    pooled: Sequence[float]  # power behind pooling at correlation 0 and 1
    minors: Sequence[int]  # leading principal minors of the integer matrix, exact
    kappa_integers: Sequence[float]  # its condition number, at unit variance, and at best
    rising: Sequence[float]  # percent of Wishart matrices whose kappa rises, d = 3, 10, 50
    largest_share: float  # of van der Sluis' bound
    bound_matrices: int  # on which it was tried, d = 3 and 10, nu = 2 d


def violations(scaled: pd.DataFrame) -> Violations:
    """Count in the table of `random_scalings.gains_and_eigenvalues`.

    A position is nan where all gains are 1, which leaves no room between the bounds: there the ratio has to be 1.

    Raises:
        LedgerError: a ratio is not a number, or a position where there is room.
    """
    ratio = numbers(scaled["ratio"], "ratios of eigenvalues")
    kind, position = scaled["gains"].to_numpy(), scaled["position"].to_numpy()
    lost = np.isnan(position) & (np.abs(ratio - 1) > ROUNDING)
    if lost.any():
        raise LedgerError(f"positions between the bounds: {int(lost.sum())} values are not a number.")
    outside = (position < -ROUNDING) | (position > 1 + ROUNDING)
    return Violations(
        eigenvalues=int((~np.isnan(position)).sum()),
        outside=int(outside.sum()),
        fallen=int(((kind == "at least 1") & (ratio < 1 - ROUNDING)).sum()),
        risen=int(((kind == "at most 1") & (ratio > 1 + ROUNDING)).sum()),
    )


def layer_facts(tables: Tables) -> dict[str, float]:
    """Say how near LeNet's second convolution is to the simple case: medians over seeds, weights as drawn."""
    drawn = {name: rows(table, name, weights="as drawn") for name, table in tables.items() if "weights" in table}
    views = ("plain", "scaled", "normalised")
    kappa = by_run(drawn["summary"], "summary", run="seed", arm="view", value="kappa", arms=views)
    plain, best = (drawn["summary"][drawn["summary"]["view"] == view].set_index("seed") for view in ("plain", "best"))
    purest = drawn["participation"].groupby(["seed", "rank"])["participation"].max().unstack()
    entering = drawn["channels"]["entering_normalised"]
    return {
        "coherence": plain["coherence"].median(),
        "leverage": plain["leverage"].median(),
        "kappa": kappa["plain"].median(),
        "level": (drawn["spectra"]["scaled"] / drawn["spectra"]["plain"]).median(),
        "kappa_scaled": (kappa["scaled"] / kappa["plain"]).median(),
        "kappa_norm": (kappa["normalised"] / kappa["plain"]).median(),
        "kappa_best": (best["kappa"] / kappa["plain"]).median(),  # nan where every R is singular
        "kappa_floor": (plain["floor"] / plain["kappa"]).median(),
        "worse": int((kappa["normalised"] > kappa["plain"]).sum()),
        "seeds": len(kappa),
        "purity": purest.median().median(),
        "purity_first": purest[1].median(),
        "purity_last": purest[purest.columns[-1]].median(),
        "entering_low": entering.min(),
        "entering_high": entering.max(),
        "top_left": 100 * drawn["centring"]["largest_left"].median(),
    }


def quick(found: Found, crossed: Violations, tables: Tables) -> list[Verdict]:
    """Judge the quick run.

    Raises:
        LedgerError: a number that decides is not a number, an arm or a run is missing, or seeds are too few.
    """
    checked(found)
    facts = layer_facts(tables)
    return [
        *_blocks(found),
        *_gains(found, crossed, facts),
        *_centring(found, crossed, tables["centring"], facts),
        _between(found),
        _response(tables, scale="quick", data=found.title),
        _condition(found),
    ]


def full(tables: Tables, title: str) -> list[Verdict]:
    """Judge the recorded tables; raises as `quick`."""
    return [_response(tables, scale="full", data=title)]


def _blocks(found: Found) -> list[Verdict]:
    off, own = largest(found.off_blocks, "blocks"), largest(np.diagonal(found.off_blocks), "diagonal blocks")
    return [
        judge(
            "C-Fig4",
            identity(found.astray == 0),
            measured=f"{found.astray} pixels outside the block of their channel, in {found.geometries} geometries",
        ),
        judge(
            "C-Blk",
            identity(off < 1e-12),
            statistic=off,
            data=found.title,
            measured=f"diagonal blocks to {own:.0e}; all blocks, $D R D$, to {off:.0e}",
        ),
        judge(
            "C-Decor",
            correction(found.off_printed < 1e-10, found.off_squared < 1e-10),
            statistic=found.off_squared,
            measured=f"$1/a_i$ as printed: wrong by up to {100 * found.off_printed:.0f} %; $1/a_i^2$ holds to "
            f"{found.off_squared:.0e}",
        ),
    ]


def _gains(found: Found, crossed: Violations, facts: Mapping[str, float]) -> list[Verdict]:
    purity = numbers(found.purity, "largest participations")
    purer = bool((np.diff(purity) > 0).all() and purity[-1] > 0.999)
    (apart, together), alike = found.kappa_decorrelated, found.kappa_alike
    off = [together / 3, *(kappa / 199 for kappa in alike), *(kappa / 100 for kappa in found.kappa_nudged)]
    in_one = max(found.kappa_nudged, key=lambda kappa: abs(kappa - 100))
    both_sides = largest(np.array(off) - 1, "condition numbers") < 1e-10
    return [
        judge(
            "C-Mix",
            identity(crossed.outside == 0 and found.off_slope < 1e-6 and purer),
            statistic=found.off_slope,
            measured=f"{crossed.outside} of {crossed.eigenvalues} eigenvalues outside the bounds; slopes are "
            f"participations to {found.off_slope:.0e}; largest participation {purity[0]:.2f}, rising to "
            f"{purity[-1]:.5f} as the off-diagonal blocks vanish",
        ),
        judge(
            "C-Ctl",
            identity(both_sides and found.off_kappa_slope < 1e-6),
            statistic=found.off_kappa_slope,
            measured=f"decorrelated: {apart:.0f} to {together:.3g}; near copies of equal power: {alike[0]:.0f} to "
            f"{alike[1]:.0f}; both extremes in one channel, gains within 10 % of 1: 100 to {in_one:.6g}; slopes of "
            f"$\\ln\\kappa$ to {found.off_kappa_slope:.0e}. LeNet's second layer: coherence "
            f"{facts['coherence']:.2f}, leverage {facts['leverage']:.2f}",
        ),
    ]


def _centring(found: Found, crossed: Violations, layers: pd.DataFrame, facts: Mapping[str, float]) -> list[Verdict]:
    scaling_holds = crossed.fallen == crossed.risen == 0
    centring_holds = found.amplify_falls == found.suppress_rises == 0
    excess = max(numbers(layers[side], f"eigenvalues {side}").max() for side in ("above", "below"))
    wrong = found.centred_above + found.centred_below
    layer = "no violation" if excess < 1e-10 else f"an eigenvalue out by {excess:.0e} of $\\lambda_{{\\max}}$"
    return [
        judge(
            "C-Amp0",
            "not reproduced" if not scaling_holds else "reproduced" if centring_holds else "partly",
            statistic=found.amplify_falls / found.draws,
            measured=f"scaling alone: {crossed.fallen} eigenvalues fell under gains of at least 1, {crossed.risen} "
            "rose under gains of at most 1; with centring, some eigenvalue goes the wrong way in "
            f"{found.amplify_falls} (amplifying) and {found.suppress_rises} (suppressing) of {found.draws}",
        ),
        judge(
            "C-Cent",
            identity(found.centred_above == found.centred_below == 0 and excess < 1e-10),
            statistic=excess,
            data=found.title,
            measured=f"{wrong} violations in {found.draws} draws; LeNet: {layer}; centring leaves "
            f"{facts['top_left']:.0f} % of its $\\lambda_{{\\max}}$",
        ),
    ]


def _between(found: Found) -> Verdict:
    worst = largest(found.moments, "moments")
    return judge(
        "C-ReLU",
        identity(found.passes < 1e-10 and worst < 4),
        statistic=found.passes,
        data=found.title,
        measured=f"$D R D$ to {found.passes:.0e}; Gaussian moments within {worst:.1f} standard errors: power "
        f"{found.pooled[0]:.3f} to {found.pooled[1]:.3f} behind pooling",
    )


def _response(tables: Tables, **where: str) -> Verdict:
    """Judge which layer's R responds to a normalisation, quick or recorded; where: scale and data."""
    responses, arms = tables["responses"], {"run": "seed", "arm": "variant", "arms": list(VARIANTS)}
    same = {
        layer: by_run(rows(responses, "responses", layer=layer), layer, value="identical", **arms)
        for layer in ("conv1", "conv2")
    }
    unmoved, stays = same["conv1"].eq(1), same["conv2"]["BatchNorm"].eq(1)
    if not unmoved.index.equals(stays.index):
        raise LedgerError("responses: runs are lost, the two layers do not have the same seeds.")
    others = unmoved.drop(columns="Baseline")  # that is itself in every seed
    off = numbers(rows(responses, "responses", layer="conv2", variant="BatchNorm")["distance"], "distances")
    finite = np.isfinite(off).all()  # else a network has diverged: its R differs, by no finite distance
    return judge(
        "C-Conv1",
        identity(trend(unmoved.all(axis=1) & ~stays) == "reproduced"),
        seeds=len(unmoved),
        statistic=np.median(off) if finite else None,
        interval=(off.min(), off.max()) if finite else None,
        **where,
        measured=f"first convolution: {int(others.to_numpy().sum())} of {others.size} matrices of the other networks "
        f"bit for bit the Baseline's; second convolution with BatchNorm: {off.min():.2g} to {off.max():.2g} off, "
        "relative",
    )


def _condition(found: Found) -> Verdict:
    before, after, best = found.kappa_integers
    return judge(
        "E-Kappa",
        refutation(min(found.minors) > 0 and after > before),
        statistic=after / before,
        measured=f"$\\kappa$ from {before:.1f} to {after:.1f} (best scaling: {best:.1f}); rises for "
        f"{', '.join(f'{share:.1f} %' for share in found.rising)} of Wishart matrices with $d = 3, 10, 50$, "
        f"$\\nu = 2d$; at most {100 * found.largest_share:.0f} % of van der Sluis' bound, on {found.bound_matrices} "
        "with $d = 3, 10$",
    )
