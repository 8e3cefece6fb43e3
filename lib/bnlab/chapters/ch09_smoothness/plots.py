"""Figures of chapter 09. Every function takes tidy tables (columns as made by this chapter) and returns a Figure."""

import numpy as np
import pandas as pd

from bnlab.chapters.ch09_smoothness import hessian_verdicts, landscape_verdicts
from bnlab.chapters.ch09_smoothness.networks import NORMS
from bnlab.figures.shapes import groups, legend_below, lines, lines_with_quartiles, plain_ticks, subplots
from bnlab.figures.style import COLOURS, GREY, line_styles

WORDS = {"none": "without BN", "batch": "with BN"}
LOOKS = line_styles(NORMS)
LOST = 4  # times the loss of guessing: what ends above stands there
STATISTICS = ("batch", "population", "running")


def gains(table: pd.DataFrame):
    """Plot the length of the gradient behind BN over that at its output, against the deviation of the unit."""
    figure, axes = subplots(height=3.8)
    lines_with_quartiles(axes, table.assign(unit="random gradients"), "deviation", "gain", "unit", spread="points")
    deviations = np.array(groups(table["deviation"]))
    axes.plot(deviations, 1 / deviations, color=GREY, lw=1.2, ls=":", label="$\\gamma/\\sigma$")
    axes.axhline(1, color=GREY, lw=0.8)
    axes.set(xlabel="deviation $\\sigma$ of the unit", ylabel="$\\Vert\\hat g\\Vert/\\Vert g\\Vert$")
    axes.set(xscale="log", yscale="log")
    axes.legend()
    return figure


def quadratic_forms(table: pd.DataFrame):
    """Plot the quadratic form along the gradient over its first term, against <g, yhat>, one mark a draw."""
    figure, axes = subplots(height=3.8)
    axes.plot(table["g_along"], table["along"] / table["plain"], ls="none", marker=".", ms=3, color=COLOURS[0])
    axes.axhline(1, color=GREY, lw=1, ls="--")
    axes.set(xlabel="$\\langle g, \\hat y\\rangle$", ylabel="form behind BN / $(\\gamma^2/\\sigma^2)\\,g^\\top H g$")
    return figure


def variation(probes: pd.DataFrame):
    """Plot the relative range of the loss along the gradient by step, a panel a rule, for the deep linear network."""
    some = probes[(probes["kind"] == "multiples") & (probes["network"] == landscape_verdicts.LINEAR)]
    some = some.assign(relative=some["range"] / some["loss"]).replace(np.inf, np.nan).dropna(subset=["relative"])
    return _by_rule(some, "relative", "range of the loss / loss")


def effective_beta(probes: pd.DataFrame):
    """Plot ||dg|| / distance at equal distances, against the distance, a panel a network; points are probes."""
    some = probes[(probes["kind"] == "distance") & (probes["rule"] == "own")].replace(np.inf, np.nan)
    networks = groups(some["network"])
    figure, panels = subplots(1, len(networks), height=4.0, sharey=True, squeeze=False)
    for axes, network in zip(panels[0], networks, strict=True):
        rows = some[some["network"] == network].dropna(subset=["beta"])
        lines_with_quartiles(axes, rows, "length", "beta", "norm", spread="points", looks=LOOKS, label=WORDS.get)
        axes.set(title=network, xlabel="distance", xscale="log", yscale="log")
    panels[0][0].set_ylabel("effective $\\beta$")
    legend_below(figure, 2)
    return figure


def ratios(curvatures: pd.DataFrame):
    """Plot lambda_1, BN over none, by whose statistics, a panel a loss; marks are seeds, one colour a depth."""
    found = np.exp(hessian_verdicts.ratios(curvatures))
    long = found.melt(ignore_index=False, value_name="ratio").reset_index()
    levels = sorted(long["level"].unique(), reverse=True)
    figure, panels = subplots(1, len(levels), height=4.2, sharey=True, squeeze=False)
    looks = line_styles(groups(long["depth"]))
    for axes, level in zip(panels[0], levels, strict=True):
        rows = long[long["level"] == level]
        for number, (depth, look) in enumerate(looks.items()):
            own = rows[rows["depth"] == depth]
            place = own["statistics"].map(STATISTICS.index) + 0.2 * (number - (len(looks) - 1) / 2)
            label = f"ResNet-{depth}"
            axes.plot(place, own["ratio"], ls="none", label=label, **{k: look[k] for k in ("color", "marker")})
        axes.axhline(1, color=GREY, lw=1)
        axes.set_xticks(range(len(STATISTICS)), STATISTICS, rotation=20)
        axes.set(title="start" if np.isinf(level) else f"loss {level:g}", yscale="log")
    panels[0][0].set_ylabel("$\\lambda_1$, BN / none")
    legend_below(figure, 3)
    return figure


def shares(curvatures: pd.DataFrame):
    """Plot the gradient's share in the top ten eigenspace, one mark a seed, by depth and whose statistics."""
    found = hessian_verdicts.shares(curvatures).melt(ignore_index=False, value_name="share").reset_index()
    figure, axes = subplots(height=3.8)
    kinds = ("none", "batch", "population")
    looks = line_styles(groups(found["depth"]))
    for number, (depth, look) in enumerate(looks.items()):
        rows = found[found["depth"] == depth]
        place = rows["statistics"].map(kinds.index) + 0.15 * (number - (len(looks) - 1) / 2)
        axes.plot(place, rows["share"], ls="none", label=f"ResNet-{depth}", color=look["color"], marker=look["marker"])
    axes.set_xticks(range(3), ["without BN", "BN, batch", "BN, population"])
    axes.set(ylabel="share of the squared gradient", ylim=(0, 1))
    axes.legend()
    return figure


def gradients(curvatures: pd.DataFrame):
    """Plot the gradient norm against the loss along the paths, a panel a depth, one line a seed."""
    paths = curvatures[curvatures["what"] == "path"]
    depths = groups(paths["depth"])
    figure, panels = subplots(1, len(depths), height=4.0, sharey=True, squeeze=False)
    for axes, depth in zip(panels[0], depths, strict=True):
        rows = paths[paths["depth"] == depth]
        lines(axes, rows, "loss", "gradient_norm", "norm", looks=LOOKS, label=WORDS.get, each="seed", marker="", lw=1)
        axes.set(title=f"ResNet-{depth}", xlabel="loss (nats)", yscale="log")
        axes.invert_xaxis()
    panels[0][0].set_ylabel("$\\Vert g\\Vert$")
    legend_below(figure, 2)
    return figure


def level_lines(planes: dict):
    """Draw the loss on the plane of two eigenvectors: norm -> (losses (n, n), the loss in the middle)."""
    figure, panels = subplots(1, len(planes), height=3.6)
    for axes, (norm, (losses, middle)) in zip(np.atleast_1d(panels), planes.items(), strict=True):
        values = np.asarray(losses)
        side = np.linspace(-1, 1, len(values))
        drawn = axes.contour(side, side, values / middle, levels=12, linewidths=1)
        axes.clabel(drawn, fontsize=8)
        axes.set(title=WORDS[norm], xlabel="top eigenvector", aspect="equal")
        axes.grid(visible=False)
    np.atleast_1d(panels)[0].set_ylabel("bottom eigenvector")
    return figure


def survival(table: pd.DataFrame):
    """Plot the loss after training against the rate, beside the lower of the two starts; lost runs stand at the top."""
    figure, axes = subplots(height=3.8)
    start = table.groupby("norm")["before"].median().min()  # a network that knows nothing, and guesses
    ceiling = LOST * start
    drawn = table.assign(after=table["after"].fillna(ceiling).clip(upper=ceiling))
    lines_with_quartiles(axes, drawn, "rate", "after", "norm", spread="points", looks=LOOKS, label=WORDS.get)
    axes.axhline(start, color=GREY, lw=1)
    axes.annotate("guessing", (table["rate"].min(), start), xytext=(0, 3), textcoords="offset points", color=GREY)
    axes.set(xlabel="learning rate", ylabel="loss after training (nats)", xscale="log", yscale="log")
    plain_ticks(axes.yaxis)
    axes.legend()
    return figure


def _by_rule(some: pd.DataFrame, value: str, words: str):
    rules = groups(some["rule"])
    figure, panels = subplots(1, len(rules), height=4.0, sharey=True, squeeze=False)
    for axes, rule in zip(panels[0], rules, strict=True):
        rows = some[some["rule"] == rule]
        lines_with_quartiles(axes, rows, "step", value, "norm", spread="points", looks=LOOKS, label=WORDS.get)
        axes.set(title="own small rate" if rule == "own" else f"rate {rule}", xlabel="step", yscale="log")
    panels[0][0].set_ylabel(words)
    legend_below(figure, 2)
    return figure
