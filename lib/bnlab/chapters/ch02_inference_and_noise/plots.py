"""Figures of inference with Batch Normalization: estimates, moving averages, folding, noise, regularisation, speed.

Every function takes tidy tables and returns a closed matplotlib Figure; the same function draws the quick and the
recorded run.
"""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, line_styles

BELOW = {"fontsize": 10, "loc": "outside lower center"}


def estimates(ratios: pd.DataFrame):
    """Plot estimates of the variance over the true one against the mini-batch size, one panel a kind of data.

    Args:
        ratios: columns ``data`` (the panel's title), ``m`` (images), ``estimate`` (its name), ``ratio``.
    """
    import matplotlib.pyplot as plt

    panels = list(dict.fromkeys(ratios["data"]))
    figure, every = plt.subplots(1, len(panels), figsize=(7, 4.2), sharey=True, squeeze=False)
    styles = line_styles(list(dict.fromkeys(ratios["estimate"])))
    for axes, panel in zip(every[0], panels, strict=True):
        axes.axhline(1, color="#444444", lw=1)
        for name, look in styles.items():
            rows = ratios[(ratios["data"] == panel) & (ratios["estimate"] == name)]
            middle = rows.groupby("m")["ratio"].median()
            axes.semilogx(middle.index, middle, base=2, label=name, **look)
        sizes = sorted(ratios.loc[ratios["data"] == panel, "m"].unique())
        axes.set_xticks(sizes, [f"{m}" for m in sizes])
        axes.set(xlabel="images $m$", title=panel)
    every[0, 0].set(ylabel="estimate / true variance", ylim=(0, None))
    figure.legend(*every[0, 0].get_legend_handles_labels(), **BELOW)
    plt.close(figure)
    return figure


def moving_averages(weights: pd.DataFrame, tracks: pd.DataFrame, boundaries: list[int]):
    """Plot what a moving average consists of, and one channel's mean as moving averages follow it in training.

    Args:
        weights: columns ``reading`` (its name), ``age`` (batches), ``weight``.
        tracks: table ``tracks`` of `inference`.
        boundaries: steps after which the learning rate fell.
    """
    import matplotlib.pyplot as plt

    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 6.6))
    for name, look in line_styles(list(dict.fromkeys(weights["reading"]))).items():
        rows = weights[weights["reading"] == name]
        top.semilogy(rows["age"], rows["weight"], label=name, markevery=5, **look)
    top.set(xlabel="age of the mini-batch (steps)", ylabel="its weight", ylim=(1e-4, 2))
    top.legend(fontsize=10)
    names = list(dict.fromkeys(tracks["series"]))
    looks = dict(zip(names, line_styles(names).values(), strict=True))
    for name in sorted(names, key=lambda name: name != "mini-batch"):  # the cloud of batches behind the lines
        rows, look = tracks[tracks["series"] == name], looks[name]
        if name == "mini-batch":
            bottom.plot(rows["step"], rows["value"], ".", color="#999999", markersize=4, label=name)
        elif name.startswith("exact"):
            bottom.plot(rows["step"], rows["value"], "D", color="black", ms=8, mfc="white", label=name, zorder=5)
        else:
            bottom.plot(rows["step"], rows["value"], label=name, markevery=max(1, len(rows) // 12), **look)
    for boundary in boundaries:
        bottom.axvline(boundary, color="#444444", lw=1, ls=":")
    bottom.set(xlabel="gradient step (dotted: the rate falls)", ylabel="channel mean\n(standard deviations)")
    bottom.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    plt.close(figure)
    return figure


def filters(weights: pd.DataFrame, biases: pd.DataFrame):
    """Draw filters before and after folding on one scale, each with its bias below.

    Args:
        weights: columns ``version``, ``filter``, ``row``, ``column``, ``weight``.
        biases: columns ``version``, ``filter``, ``bias``.
    """
    import matplotlib.pyplot as plt

    versions, count = list(dict.fromkeys(weights["version"])), weights["filter"].nunique()
    figure, every = plt.subplots(len(versions), count, figsize=(7, 1.4 * len(versions)), squeeze=False)
    limit = weights["weight"].abs().max()
    for version, line in zip(versions, every, strict=True):
        for number, axes in enumerate(line):
            rows = weights[(weights["version"] == version) & (weights["filter"] == number)]
            shown = axes.imshow(rows.pivot_table(index="row", columns="column", values="weight"), cmap="RdBu_r",
                                vmin=-limit, vmax=limit)  # fmt: skip
            bias = biases[(biases["version"] == version) & (biases["filter"] == number)]["bias"].iloc[0]
            axes.set_xlabel(f"{bias:+.2f}", fontsize=10)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        line[0].set_ylabel(version)
    figure.colorbar(shown, ax=every, label="weight", shrink=0.8)
    plt.close(figure)
    return figure


def mismatch(runs: pd.DataFrame, decay: float):
    """Plot the distance of logits by moving averages from those by exact statistics, stage by stage of the rate.

    Args:
        runs: tables ``mismatch_decayed`` and ``mismatch_constant`` of `inference`, together.
        decay: which moving average.
    """
    import matplotlib.pyplot as plt

    rows = runs[runs["decay"] == decay]
    figure, axes = plt.subplots(figsize=(7, 4.6))
    cases = list(dict.fromkeys(zip(rows["schedule"], rows["m"], strict=True)))
    looks = line_styles([f"mini-batches of {m}, rate {schedule}" for schedule, m in cases])
    for number, ((schedule, m), (name, look)) in enumerate(zip(cases, looks.items(), strict=True)):
        part = rows[(rows["schedule"] == schedule) & (rows["m"] == m)].dropna(subset=["mismatch"])
        stats = part.groupby("stage")["mismatch"].quantile([0.25, 0.5, 0.75]).unstack()
        if stats.empty:  # every run diverged
            axes.plot([], [], label=name, **look)
        else:
            bars = [stats[0.5] - stats[0.25], stats[0.75] - stats[0.5]]
            axes.errorbar(stats.index + 0.04 * number, stats[0.5], bars, capsize=3, label=name, **look)
    axes.axhline(0.01, color="#444444", lw=1, ls=":")
    decayed = rows[rows["schedule"] != "constant"].drop_duplicates("stage")
    axes.set_xticks(decayed["stage"], [f"stage {s + 1}\n(decayed: {r:g})" for s, r in
                                       zip(decayed["stage"], decayed["rate"], strict=True)])  # fmt: skip
    axes.set(yscale="log", ylabel="mismatch\n(standard deviations of the logits)", xlabel="learning rate")
    figure.legend(**BELOW)
    plt.close(figure)
    return figure


def noise(deviations: pd.DataFrame):
    """Plot the standard deviation of a fixed input's normalised value against the mini-batch size.

    Args:
        deviations: columns ``x``, ``m`` and ``drawn``, ``exact``, ``closed_form`` (standard deviations).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4))
    for number, (x, rows) in enumerate(deviations.groupby("x")):
        colour, marker = COLOURS[number], "osD^v"[number % 5]
        axes.loglog(rows["m"], rows["closed_form"], ls="--", color=colour, lw=1.2)
        axes.loglog(rows["m"], rows["exact"], ls="-", color=colour)
        axes.loglog(rows["m"], rows["drawn"], ls="none", marker=marker, color=colour, label=f"$x$ = {x:g}, drawn")
    axes.plot([], [], "k-", label="exact")
    axes.plot([], [], "k--", lw=1.2, label="closed form $\\sqrt{(1+x^2/2)/m}$")
    sizes = sorted(deviations["m"].unique())
    axes.set_xticks(sizes, [f"{m}" for m in sizes])
    axes.minorticks_off()
    axes.set(xlabel="mini-batch size $m$", ylabel="standard deviation of $\\hat{x}$")
    axes.legend(fontsize=10)
    plt.close(figure)
    return figure


def spread(logits: pd.DataFrame):
    """Plot one image's logits among many sets of batch-mates, class by class, beside those of eval mode.

    Args:
        logits: columns ``mode`` ("train" or "eval"), ``class``, ``logit``.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.8))
    train, fixed = (logits[logits["mode"] == mode] for mode in ("train", "eval"))
    order = list(dict.fromkeys(logits["class"]))
    axes.boxplot([train.loc[train["class"] == name, "logit"] for name in order], positions=range(len(order)),
                 widths=0.6, patch_artist=True, boxprops={"facecolor": "#A9CBE3"}, medianprops={"color": "black"},
                 flierprops={"markersize": 2})  # fmt: skip
    axes.set_xticks(range(len(order)), [str(name) for name in order], rotation=30 if max(map(len, order)) > 3 else 0)
    values = fixed.drop_duplicates("class").set_index("class").loc[order, "logit"]
    axes.plot(np.arange(len(order)), values, "D", color=COLOURS[1], label="eval mode: the same every time", zorder=5)
    axes.plot([], [], "s", color="#A9CBE3", markersize=9, label="train mode, among random batch-mates")
    axes.set(xlabel="class", ylabel="logit")
    figure.legend(**BELOW)
    plt.close(figure)
    return figure


def regularisation(levels: pd.DataFrame, target: float):
    """Plot test loss at equal training loss (medians over seeds), and the gap of every run at one training loss.

    Args:
        levels: `at_equal_loss` of `regularisation` at several levels, with the column ``train_loss``;
            a level that not every run of an arm reached is left out of its curve.
        target: the level of the lower panel.
    """
    import matplotlib.pyplot as plt

    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 8), height_ratios=(1.1, 1))
    arms = list(dict.fromkeys(levels["arm"]))
    styles = line_styles(arms)
    for arm in arms:
        wide = levels[levels["arm"] == arm].pivot_table(index="train_loss", columns="seed", values="test_loss")
        middle = wide.dropna().median(axis=1)
        top.loglog(middle.index, middle, label=arm, markevery=max(1, len(middle) // 6), **styles[arm])
    top.axvline(target, color="#444444", lw=1, ls=":")
    top.invert_xaxis()
    top.set(xlabel="training loss (nats; training goes to the right)", ylabel="test loss (nats)")
    top.legend(fontsize=10, ncols=2)
    table = levels[levels["train_loss"] == target].pivot_table(index="seed", columns="arm", values="gap", dropna=False)
    places = [arm for arm in arms if arm in table]
    for _, row in table.iterrows():
        bottom.plot(row[places].to_numpy(), np.arange(len(places)), "-", color="#BBBBBB", lw=1)
    for place, arm in enumerate(places):
        bottom.plot(table[arm], np.full(len(table), place), styles[arm]["marker"], color=styles[arm]["color"])
        bottom.plot(table[arm].median(), place, "|", color="black", markersize=22)
    bottom.set_yticks(range(len(places)), places)
    bottom.invert_yaxis()
    bottom.set(xlabel=f"test loss minus training loss (nats) at a training loss of {target:g}")
    plt.close(figure)
    return figure


def races(results: pd.DataFrame, most: int):
    """Plot steps to an accuracy against the learning rate; runs that never get there stand on the upper edge.

    Args:
        results: tables ``race_none`` and ``race_batch`` of `regularisation`, together.
        most: steps after which a run was stopped.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for number, (arm, look) in enumerate(line_styles(list(dict.fromkeys(results["arm"]))).items()):
        rows = results[results["arm"] == arm]
        shown = rows["steps"].clip(upper=1.3 * most)
        middle = shown.groupby(rows["rate"]).median()
        aside = 1.04**number
        axes.loglog(rows["rate"] * aside, shown, ls="none", marker=look["marker"], color=look["color"], alpha=0.4)
        axes.loglog(middle.index * aside, middle, label=arm, **look)
    axes.axhline(most, color="#444444", lw=1, ls=":")
    rates = sorted(results["rate"].unique())
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    axes.set(xlabel="learning rate", ylabel="gradient steps (above the dotted line: never)")
    axes.legend(fontsize=10)
    plt.close(figure)
    return figure
