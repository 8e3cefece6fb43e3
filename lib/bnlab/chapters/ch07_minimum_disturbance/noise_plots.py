"""Figures of noise in the local error: the ratio in one update, clean against noisy error, matched, and long runs.

Every function takes tidy tables (those of `noise_sensitivity` and `noise_matching`) and returns a
closed matplotlib Figure; the same function draws the quick and the recorded run.
"""

import pandas as pd

from bnlab.figures.style import line_styles

NAMES = {
    "none": "Baseline",
    "batch": "BN after",
    "batch_prior": "BN before (BN_Prior)",
    "nlms_l1": "NLMS, L1 as printed",
    "nlms_l1_squared": "NLMS, L1 squared",
    "nlms_l2": "NLMS, L2",
    "nlms_l2_patch": "NLMS, L2, whole patch",
}
LOOKS = line_styles(list(NAMES))  # one look a method, in every figure


def noise_in_an_update(ratios: pd.DataFrame):
    """Plot the noise-to-signal ratio of an update for every method: against the noise scale, against the batch.

    Args:
        ratios: table ``noise_ratio``: ``weights``, ``norm``, ``seed``, ``batch_size``, ``noise``, ``ratio``.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 4.8), sharey=True)
    middle = ratios[ratios["batch_size"] == ratios["batch_size"].max()]
    names = [name for name in NAMES if name in set(ratios["norm"])]
    titles = {"initial": "weights as drawn", "trained": "weights trained a little"}
    for axes, (weights, title) in zip(panels, titles.items(), strict=True):
        rows = middle[middle["weights"] == weights]
        for name in names:
            median = rows[rows["norm"] == name].groupby("noise")["ratio"].quantile([0.25, 0.5, 0.75]).unstack()
            axes.loglog(median.index, median[0.5], label=NAMES[name], **LOOKS[name])
            axes.fill_between(median.index, median[0.25], median[0.75], color=LOOKS[name]["color"], alpha=0.12, lw=0)
        axes.axhline(1, color="black", lw=1, ls="-", zorder=0)
        scales = sorted(rows["noise"].unique())
        axes.set_xticks(scales, [f"{scale:g}" for scale in scales])
        axes.minorticks_off()
        axes.set(xlabel="noise, in std of $\\delta$", title=title)
    panels[0].set_ylabel("noise / signal in the outputs")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=10)
    plt.close(figure)
    return figure


def frontier(finals: pd.DataFrame, noise: float, level: float):
    """Plot noisy against clean test error of every method, one point a rate (median of the seeds, quartile bars).

    Args:
        finals: `noise_matching.finals` of the runs.
        noise: which scale to draw.
        level: the clean error at which methods are compared.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 5.2))
    runs = finals[(finals["role"] == "reported") & (finals["fc"] == "frozen")]
    keys = ["norm", "rate", "seed"]
    pairs = runs[runs["noise"] == 0].merge(runs[runs["noise"] == noise], on=keys, suffixes=("_clean", "_noisy"))
    for name in (name for name in NAMES if name in set(pairs["norm"])):
        groups = pairs[pairs["norm"] == name].groupby("rate")
        clean = groups["test_error_clean"].median()
        noisy = groups["test_error_noisy"].quantile([0.25, 0.5, 0.75]).unstack()
        spread = [noisy[0.5] - noisy[0.25], noisy[0.75] - noisy[0.5]]
        axes.errorbar(clean, noisy[0.5], spread, capsize=3, label=NAMES[name], **LOOKS[name])
    axes.plot([0, 0.95], [0, 0.95], color="black", lw=1, ls="-", zorder=0)
    axes.axvline(level, color="#888888", lw=1, ls=":", zorder=0)
    axes.set(xlabel="test error without noise", ylabel=f"test error, noise {noise:g}", xlim=(0, 0.95), ylim=(0, 0.95))
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
    plt.close(figure)
    return figure


def increases(matched: pd.DataFrame):
    """Plot the increase of the error by noise at one clean error: every seed, and the median with its quartiles.

    Args:
        matched: `noise_matching.matched` of the runs: ``norm``, ``noise``, ``seed``, ``increase``.
    """
    import matplotlib.pyplot as plt

    names = [name for name in NAMES if name in set(matched["norm"])]
    noises = sorted(matched["noise"].unique())
    figure, panels = plt.subplots(1, len(noises), figsize=(7, 0.5 * len(names) + 1.6), sharey=True, squeeze=False)
    for axes, noise in zip(panels[0], noises, strict=True):
        for height, name in enumerate(names):
            values = matched[(matched["norm"] == name) & (matched["noise"] == noise)]["increase"]
            low, middle, high = values.quantile([0.25, 0.5, 0.75])
            look = LOOKS[name]
            axes.plot([low, high], [height, height], color=look["color"], lw=7, alpha=0.25, ls="-")
            axes.plot(middle, height, "|", color=look["color"], ms=18, mew=2.5, ls="none")
            axes.plot(values, [height] * len(values), look["marker"], color=look["color"], ms=5, ls="none")
        axes.axvline(0, color="black", lw=1, ls="-")
        axes.set(xlabel="increase of the test error", title=f"noise {noise:g}")
    panels[0][0].set_yticks(range(len(names)), [NAMES[name] for name in names])
    panels[0][0].invert_yaxis()
    plt.close(figure)
    return figure


def long_runs(runs: pd.DataFrame, rates: dict[str, float]):
    """Plot test errors over the epochs, without noise and with the largest, each method at its own rate.

    Args:
        runs: table ``long_runs``: ``norm``, ``noise``, ``rate``, ``seed``, ``fc``, ``role``, ``step``, ``test_error``.
        rates: which rate to draw, by norm.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 4.6), sharey=True)
    own = runs[(runs["role"] == "reported") & (runs["fc"] == "frozen") & (runs["rate"] == runs["norm"].map(rates))]
    for axes, noise in zip(panels, (0.0, own["noise"].max()), strict=True):
        rows = own[own["noise"] == noise]
        for name in (name for name in NAMES if name in set(rows["norm"])):
            bands = rows[rows["norm"] == name].groupby("step")["test_error"].quantile([0.25, 0.5, 0.75]).unstack()
            axes.semilogy(bands.index, bands[0.5], label=NAMES[name], **LOOKS[name] | {"marker": ""})
            axes.fill_between(bands.index, bands[0.25], bands[0.75], color=LOOKS[name]["color"], alpha=0.2, lw=0)
        axes.set(xlabel="gradient steps", title=f"noise {noise:g}")
    panels[0].set_ylabel("test error")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=10)
    plt.close(figure)
    return figure
