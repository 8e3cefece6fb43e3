"""What chapter 04 decides about a trained layer: its modes, those under stochastic updates, and what sets its pace."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch04_natural_modes.lms_modes import ORDERS
from bnlab.chapters.ch04_natural_modes.natural_modes import FEWEST_POINTS
from bnlab.claims.criteria import by_run, largest, numbers, power_law, rows
from bnlab.claims.ledger import Verdict, identity, judge, trend

Tables = Mapping[str, pd.DataFrame]


def of_layer(tables: Tables, fits: pd.DataFrame, **where: str) -> list[Verdict]:
    """Judge a trained layer, quick or recorded; where: scale and data. Raises LedgerError, as `verdicts.quick` does."""
    # A mode that is gone in a step or two leaves no line, and one without power has no slope to compare.
    lines = rows(fits[(fits["points"] >= FEWEST_POINTS) & (fits["eigenvalue"] > 0)], "lines through ln|v_k|")
    off_slope = largest(numbers(lines["slope"], "slopes") / numbers(lines["theory"], "Eq. 6") - 1, "slopes over Eq. 6")
    r_squared = numbers(lines["r_squared"], "R² of the lines").min()
    return [
        judge(
            "C-ConvModes",
            identity(off_slope < 0.01 and r_squared > 0.999),
            statistic=off_slope,
            **where,
            measured=f"{len(lines)} lines (modes and rates): slopes off by at most {off_slope:.1g} of themselves, "
            f"R² at least 1 - {max(1 - r_squared, 0):.0e}",
        ),
        _stochastic(tables, **where),
        _levers(tables, **where),
    ]


def _stochastic(tables: Tables, **where: str) -> Verdict:
    noisy = tables["lms_modes"]
    share = numbers(noisy["share"], "rates of LMS").min()
    calm = noisy[noisy["share"] == share].assign(off=lambda calm: calm["distance"].abs())
    far = by_run(calm, "LMS", run=["step", "mode", "seed"], arm="order", value="off", arms=ORDERS)
    worst = far.groupby("seed").max()
    bound = numbers(tables["lms_bounds"]["mu"], "bounds of LMS")
    printed, mended = trend(worst["sliding"] < 4), trend(worst["independent"] < 4)
    return judge(
        "C-SGD",
        "corrected" if (printed, mended) == ("not reproduced", "reproduced") else printed,
        statistic=worst["sliding"].median(),
        seeds=len(worst),
        **where,
        measured=f"with the sliding window up to {worst['sliding'].max():.0f} standard errors from Eq. 6 (largest of a "
        f"seed: median {worst['sliding'].median():.1f}, least {worst['sliding'].min():.1f}), with independent patches "
        f"at most {worst['independent'].max():.1f}, at {share:.2g} of $2/\\mathrm{{tr}}\\,R$; "
        f"bounds on $\\mu$: in the mean, $2/\\lambda_{{\\max}}$ = {bound[0]:.3g}; in the mean square, by the textbook "
        f"$2/\\mathrm{{tr}}\\,R$ = {bound[1]:.3g}, by the sharp bound {bound[2]:.3g}",
    )


def _levers(tables: Tables, **where: str) -> Verdict:
    raised, capped = tables["convergence"], tables["largest_rate"]
    slopes = [
        power_law(raised["smallest_eigenvalue"], raised["steps"], "steps against the smallest eigenvalue").slope,
        power_law(capped["largest_eigenvalue"], capped["largest_rate"], "rates against the largest eigenvalue").slope,
    ]
    return judge(
        "C-FastTrain",
        identity(largest([slope + 1 for slope in slopes], "slopes") < 0.02),
        statistic=slopes[0],
        **where,
        measured=f"log-log slopes {slopes[0]:.3f} (steps against $\\lambda_{{\\min}}$) and {slopes[1]:.3f} (largest "
        "rate against $\\lambda_{\\max}$)",
    )
