"""Verdicts on the formulas of section 4: Eqs. 7 to 11, what they are derived from, and the estimates behind them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bnlab.claims import coverage, ledger, statistics
from bnlab.claims.criteria import largest, numbers
from bnlab.claims.ledger import Verdict

SUMMED, EXACT = "summed, $\\mu = 1$", "affine projection"  # of the errors that share weights
PRINTED, ONE_SIGN, WHOLE = "as printed", "minus, power of the channel", "minus, whole patch"  # of Eq. 8
CONVERGES, DIVERGES = 1.9, 2.1  # rates of NLMS
KINDS = ("independent", "correlated")  # of pixels
ERRORS = 4  # standard errors that a mean may be off


@dataclass(frozen=True)
class Computed:
    """What the chapter's cells computed on the way; lengths of differences are relative to what is compared."""

    posterior: float  # error that Eq. 7 leaves
    blank: float  # share of raw patches that are zero
    off_solvers: float  # Eq. 7 from two linear solvers
    off_optimiser: float  # and from a general one
    nearest: float  # feasible neighbour, in lengths of the step of Eq. 7
    nearer: int  # neighbours nearer than that step
    scaled: pd.DataFrame  # `nlms_basics.input_scales`
    off_gradient: float  # towards d from the loss's own
    signs: pd.Series  # distance from d after a step, in units of delta, by "printed, +" and "mended, -"
    overshoot: pd.DataFrame  # form, channels, ratio
    remaining: pd.DataFrame  # form, pixels, share
    rank: int  # of one image's patches
    coupled: float  # largest eigenvalue of G
    stable: float  # largest stable rate of the summed step
    twins: float  # error that 64 equal patches leave
    normal: pd.DataFrame  # `nlms_basics.normal_patches`
    estimates: pd.DataFrame  # `nlms_basics.variance_estimates`
    off_power: float  # Eq. 11 with eps
    off_power_exact: float  # and without
    off_effective: float  # step of the effective weights
    responses: pd.DataFrame  # "step divided by", and a column for each scale of the input


def single_step(found: Computed, data: str) -> list[Verdict]:
    """C-Eq7, C-PMD, C-d4.1."""
    left, solvers, optimiser, gradient = (
        largest(getattr(found, name), name) for name in ("posterior", "off_solvers", "off_optimiser", "off_gradient")
    )
    minus = largest(found.signs["mended, -"], "signs")
    return [
        ledger.judge(
            "C-Eq7",
            ledger.identity(left < 1e-12),
            statistic=left,
            data=data,
            measured=f"{left:.0e} of the error is left; a blank patch gives no number as printed, and "
            f"{found.blank:.0%} of the raw patches are blank",
        ),
        ledger.judge(
            "C-PMD",
            ledger.identity(solvers < 1e-10 and optimiser < 1e-6 and found.nearer == 0),
            statistic=solvers,
            data=data,
            measured=f"{solvers:.0e} from KKT and least norm, {optimiser:.0e} from SLSQP; nearest of 1000 feasible "
            f"perturbations {found.nearest:.2f} times as far",
        ),
        ledger.judge(
            "C-d4.1",
            ledger.identity(gradient < 1e-10 and minus < 1e-12),
            statistic=gradient,
            data=data,
            measured=f"gradient towards $d$ and of the loss agree to {gradient:.0e}; the minus ends at $d$ to "
            f"{minus:.0e}, the plus {found.signs['printed, +']:.2f} $\\delta$ away",
        ),
    ]


def any_scale(scaled: pd.DataFrame) -> Verdict:
    """C-Nmu: the same outputs at every scale of the input; convergence at 1.9, none at 2.1."""
    nlms = scaled[scaled["rule"] == "NLMS"]
    by = nlms.pivot_table(index=["mu", "step"], columns="scale", values=["error", "output"], dropna=False)
    numbers(by, "NLMS at several scales")
    outputs, errors = by["output"], by["error"][1.0]
    apart = (outputs.max(axis=1) - outputs.min(axis=1)) / outputs[1.0].abs().clip(lower=1)
    slow, fast = errors.loc[CONVERGES], errors.loc[DIVERGES]
    never_grows = (slow.diff().dropna() < 1e-12).all()
    holds = apart.max() < 1e-9 and never_grows and slow.iloc[-1] < 1e-6 and fast.iloc[-1] > 1
    return ledger.judge(
        "C-Nmu",
        ledger.identity(holds),
        statistic=apart.max(),
        measured=f"scales from {outputs.columns.min():g} to {outputs.columns.max():g} agree to {apart.max():.0e}; "
        f"error after {slow.index.max()} steps {slow.iloc[-1]:.0e} at $\\mu = {CONVERGES}$, {fast.iloc[-1]:.0e} at "
        f"{DIVERGES}",
    )


def one_power_a_channel(overshoot: pd.DataFrame) -> Verdict:
    """C-Eq8: what is left of one pixel's error, by the number of input channels."""
    by_form = overshoot.pivot(index="channels", columns="form", values="ratio")
    for form in (PRINTED, ONE_SIGN, WHOLE):
        coverage.need(overshoot, "errors of one pixel", form=[form])
        numbers(by_form[form], form)
    off = (by_form[ONE_SIGN] - (1 - by_form.index)).abs().max()
    whole = by_form[WHOLE].abs().max()
    return ledger.judge(
        "C-Eq8",
        ledger.correction((by_form[PRINTED].abs() < 1e-10).all(), whole < 1e-10),
        statistic=by_form.loc[6, PRINTED],
        measured=f"six channels: {by_form.loc[6, PRINTED]:.0f} times the error as printed, "
        f"{by_form.loc[6, ONE_SIGN]:.0f} with the sign mended ($1 - IC$ to {off:.0e}), "
        f"{whole:.0e} with the power of the whole patch",
    )


def many_pixels(found: Computed, data: str) -> Verdict:
    """C-Eq9: what one step leaves of the errors of many pixels that share weights."""
    shares = found.remaining.pivot(index="pixels", columns="form", values="share")
    coverage.need(found.remaining, "errors of many pixels", form=[SUMMED, EXACT])
    numbers(shares[[SUMMED, EXACT]], "errors of many pixels")
    within = shares[EXACT].loc[: found.rank].max()
    return ledger.judge(
        "C-Eq9",
        ledger.correction(shares[SUMMED].loc[2:].max() < 1e-10, within < 1e-8),
        statistic=found.coupled,
        data=data,
        measured=f"largest eigenvalue of $G$ {found.coupled:.0f}, stable $\\mu$ below {found.stable:.3f}; 64 equal "
        f"patches leave {found.twins:.0f} times the error; affine projection {within:.0e} up to rank {found.rank}, and "
        f"{shares[EXACT].iloc[-1]:.0%} at {shares.index[-1]} pixels",
    )


def variance_for_power(normal: pd.DataFrame, behind_bn: str) -> Verdict:
    """C-Eq10: power of normal patches over the variance; ``behind_bn`` says what it is behind Batch Normalization."""
    rows = normal.set_index("quantity")[["measured", "standard_error", "theory"]]
    mean, scatter = rows.loc["mean"], rows.loc["coefficient of variation"]
    off = [abs(row["measured"] - row["theory"]) / row["standard_error"] for row in (mean, scatter)]
    from_one = largest(abs(mean["measured"] - 1) / mean["standard_error"], "mean power")
    return ledger.judge(
        "C-Eq10",
        ledger.correction(from_one < ERRORS, largest(off, "powers of patches") < ERRORS),
        statistic=mean["measured"],
        measured=f"$E\\Vert X\\Vert^2/\\sigma^2$ = {mean['measured']:.2f} for $Z$ = {mean['theory']:.0f}, scatter "
        f"{scatter['measured']:.3f}; {behind_bn}",
    )


def variance_estimates(estimates: pd.DataFrame) -> Verdict:
    """C-Var: scatter of a variance estimated over B small maps."""
    coverage.need(estimates, "estimates", pixels=KINDS)
    numbers(estimates[["deviation", "theory", "standard_error"]], "estimates of the variance")
    off = ((estimates["deviation"] - estimates["theory"]).abs() / estimates["standard_error"]).max()
    of = {kind: estimates[estimates["pixels"] == kind] for kind in KINDS}
    slopes = {kind: statistics.log_log_slope(rows["maps"], rows["deviation"]).slope for kind, rows in of.items()}
    worst = max(slopes.values(), key=lambda slope: abs(slope + 0.5))
    single = {kind: rows.loc[rows["maps"] == 1, "deviation"].item() for kind, rows in of.items()}
    return ledger.judge(
        "C-Var",
        ledger.identity(abs(worst + 0.5) < 0.05 and largest(off, "estimates") < ERRORS),
        statistic=worst,
        measured=f"slopes {slopes['correlated']:.3f} (correlated) and {slopes['independent']:.3f} (independent); at "
        f"most {off:.1f} standard errors from the formula; one map: {single['independent']:.2f} and "
        f"{single['correlated']:.2f}",
    )


def normalised_input(found: Computed, data: str) -> list[Verdict]:
    """C-Eq11, C-Effw."""
    power, exact, effective = (
        largest(getattr(found, name), name) for name in ("off_power", "off_power_exact", "off_effective")
    )
    return [
        ledger.judge(
            "C-Eq11",
            ledger.identity(max(power, exact) < 1e-12),
            statistic=power,
            data=data,
            measured=f"with $\\epsilon$ {power:.0e}, without {exact:.0e}; the sign of Eq. 11 and the factor $Z$ are "
            "those of Eqs. 8 and 10",
        ),
        ledger.judge(
            "C-Effw",
            ledger.identity(effective < 1e-12),
            statistic=effective,
            data=data,
            measured=f"the effective weights move by $-\\mu\\delta x/\\sigma^2$ to {effective:.0e}",
        ),
    ]


def norms(responses: pd.DataFrame, data: str) -> Verdict:
    """C-L1L2: response to one step by the scale of the input, as printed and with the squares."""
    ratios = responses.set_index("step divided by")
    printed, squares = ["L1 as printed", "L2 as printed"], ["L1 squared / Z", "L2 squared"]
    coverage.need(responses, "responses", **{"step divided by": [*printed, *squares]})
    numbers(ratios, "responses")
    spread = ratios.max(axis=1) / ratios.min(axis=1) - 1
    told = {name: ", ".join(f"{value:.2g}" for value in ratios.loc[name]) for name in ("L1 as printed", squares[0])}
    return ledger.judge(
        "C-L1L2",
        ledger.correction(spread[printed].max() < 1e-10, spread[squares].max() < 1e-10),
        statistic=spread["L1 as printed"],
        data=data,
        measured=f"responses at scales 0.1, 1, 10: L1 {told['L1 as printed']}; L1 squared / Z {told[squares[0]]}",
    )
