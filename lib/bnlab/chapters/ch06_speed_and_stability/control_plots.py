"""Figures of what Chai et al. 2020 do not test: the low-rate gain taken apart, stability under caps, other settings."""

import numpy as np
import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.plots import LOOKS, NAMES
from bnlab.figures.shapes import groups, legend_below, plain_ticks, quartiles, subplots
from bnlab.figures.style import COLOURS, DASHES, GREY, MARKERS

NEVER_REACHED = 1e3  # a cap above holds nothing back
MODES = {"paper": "fc as in the paper", "matched": "fc's rate matched", "frozen": "fc frozen"}


def forest(found: pd.DataFrame):
    """Plot what every arm gains over its baseline in the final test error: median, quartiles and every seed.

    One panel a treatment of fc; the dashed line is what Batch Normalization after both layers gains there. A treatment
    of a single arm has no panel: it is a row of the first one.

    Args:
        found: ``arm``, ``fc_mode``, ``seed``, ``gain`` (fraction of the test images).
    """
    found = found[found["arm"] != "baseline"]
    single = [mode for mode in MODES if len(groups(found.loc[found["fc_mode"] == mode, "arm"])) == 1]
    alone = found["fc_mode"].isin(single)
    found = found.assign(
        arm=found["arm"].where(~alone, found["arm"] + ", " + found["fc_mode"].map(MODES)),
        fc_mode=found["fc_mode"].where(~alone, "paper"),
    )
    arms = groups(found["arm"])
    modes = [mode for mode in MODES if mode in set(found["fc_mode"])]
    widths = [1.6 if mode == "paper" else 1 for mode in modes]
    grid = {"sharey": True, "width_ratios": widths, "squeeze": False}
    figure, panels = subplots(1, len(modes), height=1.3 + 0.3 * len(arms), **grid)
    for axes, mode in zip(panels[0], modes, strict=True):
        there = found[found["fc_mode"] == mode].assign(gain=lambda table: 100 * table["gain"])
        for arm, (low, middle, high) in quartiles(there, "gain", "arm").iterrows():
            gains, height = there.loc[there["arm"] == arm, "gain"], arms.index(arm)
            look = {"color": COLOURS[1] if "raised" in arm else COLOURS[0]}
            axes.plot(gains, np.full(len(gains), height), "|", ms=8, alpha=0.6, ls="none", **look)
            axes.plot([low, high], [height, height], lw=3, ls="-", solid_capstyle="butt", alpha=0.6, **look)
            axes.plot(middle, height, "D" if "raised" in arm else "o", ms=6, **look)
        both = there.loc[there["arm"] == "BN after both", "gain"]
        axes.axvline(0, color="black", lw=1, ls="-")
        if len(both):
            axes.axvline(both.median(), color="black", lw=1, ls="--")
        axes.set(xlabel="gain (points)", title=MODES[mode] if len(modes) > 1 else "")
    panels[0][0].set_yticks(range(len(arms)), [arm.replace("FC rate", "fc rate") for arm in arms])
    panels[0][0].set_ylim(len(arms) - 0.5, -0.5)
    return figure


def cause_or_effect(largest: pd.DataFrame):
    """Plot the largest eigenvalue of R(conv2) at initialisation, and at the last of four steps before a loss runs away.

    Args:
        largest: ``norm``, ``seed``, ``initial`` and ``last`` (power), of runs at one rate.
    """
    figure, axes = subplots(height=3.6)
    for place, norm in enumerate(NAMES):
        part = largest[largest["norm"] == norm]
        for shift, column in ((-0.17, "initial"), (0.17, "last")):
            filled = column == "last"
            axes.plot(place + shift + np.linspace(-0.06, 0.06, len(part)), part[column], ls="none", ms=6,
                      marker=LOOKS[norm]["marker"], color=LOOKS[norm]["color"],
                      markerfacecolor=LOOKS[norm]["color"] if filled else "white")  # fmt: skip
            axes.plot(place + shift + np.array([-0.13, 0.13]), [part[column].median()] * 2, color="black", lw=2, ls="-")
    faces = {"at initialisation": "white", "last of four steps, loss below ten times its first": GREY}
    for name, face in faces.items():
        axes.plot([], [], ls="none", marker="o", color=GREY, markerfacecolor=face, label=name)
    axes.plot([], [], color="black", lw=2, ls="-", label="median")
    axes.set(yscale="log", ylabel="$\\lambda_{\\max}$ of $R$ (power)")
    axes.set_xticks(range(len(NAMES)), NAMES.values())
    legend_below(figure, 3)
    return figure


def largest_stable_rates(found: pd.DataFrame):
    """Plot the largest rate survived: by every network, and by the plain one against the cap on conv2's eigenvalues.

    Args:
        found: ``norm``, ``cap`` (power; 0: none, conv1 at the swept rate too), ``seed``, ``largest`` (nan: none),
            ``beyond`` ("above": at least).
    """
    capped = found[found["cap"] > 0]
    count = 2 if len(capped) else 1
    figure, panels = subplots(1, count, height=3.8, squeeze=False, sharey=True)
    free = found[found["cap"] == 0]
    norms = [norm for norm in NAMES if norm in set(free["norm"])]
    for place, norm in enumerate(norms):
        _rates(panels[0][0], free[free["norm"] == norm], place + np.linspace(-0.15, 0.15, 9), LOOKS[norm])
    panels[0][0].set_xticks(range(len(norms)), [NAMES[norm].replace("_", "\n") for norm in norms])
    panels[0][0].set_xlim(-0.6, len(norms) - 0.4)
    panels[0][0].set(yscale="log", ylabel="largest rate survived")
    rates = groups(found["largest"].dropna())
    panels[0][0].set_ylim(rates[0] / 1.5, rates[-1] * 1.5)
    plain_ticks(panels[0][0].yaxis, rates, "{:.4g}".format)
    if len(capped):
        right, caps = panels[0][1], np.array(groups(capped["cap"]))
        for place, cap in enumerate(caps):
            _rates(right, capped[capped["cap"] == cap], place + np.linspace(-0.15, 0.15, 9), LOOKS["none"])
        real = caps[caps < NEVER_REACHED]
        right.set_xticks(range(len(caps)), [f"{cap:g}" if cap in real else "none" for cap in caps])
        right.set_xlim(-0.6, len(caps) - 0.4)
        right.set(xlabel="cap on conv2's eigenvalues (power)", title="Baseline, conv1 at rate 0.1")
        if len(real) > 1:
            product = (capped["largest"] * capped["cap"])[capped["cap"] < NEVER_REACHED].median()
            right.plot(range(len(real)), product / real, color="black", lw=1, ls=DASHES[1], label="∝ 1 / cap")
            right.legend(loc="lower left")
    panels[0][0].set_title("as they are")
    return figure


def _rates(axes, rows: pd.DataFrame, places: np.ndarray, look: dict) -> None:
    """Draw one point a seed; an open one with an arrow's head where the grid ended first."""
    chosen = places[np.linspace(0, len(places) - 1, len(rows)).astype(int)]
    for place, largest, beyond in zip(chosen, rows["largest"], rows["beyond"], strict=True):
        marker = "^" if beyond == "above" else look["marker"]
        face = "white" if beyond == "above" else look["color"]
        axes.plot(place, largest, marker=marker, ls="none", ms=7, color=look["color"], markerfacecolor=face)


def other_settings(found: pd.DataFrame):
    """Plot ratios of eigenvalues to the baseline's under other settings: median and quartiles over the seeds.

    Args:
        found: ``eigenvalue`` and ``rate`` (one panel each pair), ``setting``, ``norm``, ``seed``, ``ratio``.
    """
    cases = list(dict.fromkeys(zip(found["eigenvalue"], found["rate"], strict=True)))
    settings = groups(found["setting"])
    figure, panels = subplots(1, len(cases), height=1.6 + 0.5 * len(settings), sharey=True, squeeze=False)
    norms = [norm for norm in NAMES if norm in set(found["norm"])]
    for axes, (eigenvalue, rate) in zip(panels[0], cases, strict=True):
        for number, norm in enumerate(norms):
            part = found[(found["eigenvalue"] == eigenvalue) & (found["rate"] == rate) & (found["norm"] == norm)]
            spread = quartiles(part, "ratio", "setting").reindex(settings)
            reach = [spread["middle"] - spread["low"], spread["high"] - spread["middle"]]
            heights = np.arange(len(settings)) + 0.22 * (number - 1)
            look = {"color": LOOKS[norm]["color"], "marker": MARKERS[list(NAMES).index(norm)]}
            axes.errorbar(spread["middle"], heights, xerr=reach, ls="none", capsize=3, label=NAMES[norm], **look)
        axes.axvline(1, color="black", lw=1, ls="-")
        axes.set(xscale="log", xlabel=f"$\\lambda_{{\\{eigenvalue}}}$ over the baseline's", title=f"rate {rate:g}")
    panels[0][0].set_yticks(range(len(settings)), settings)
    panels[0][0].set_ylim(len(settings) - 0.5, -0.5)
    legend_below(figure, 3)
    return figure
