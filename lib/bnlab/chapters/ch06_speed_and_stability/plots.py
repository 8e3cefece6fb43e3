"""Figures 5 to 8 of Chai et al. 2020, from the tables of `channel_norms`, quick or recorded."""

import numpy as np
import pandas as pd

from bnlab.figures.style import COLOURS, line_styles

NAMES = {"none": "Baseline", "batch": "BN", "amplify": "BN_Amplify", "suppress": "BN_Suppress"}
LOOKS = dict(zip(NAMES, line_styles(list(NAMES)).values(), strict=True))
BELOW = {"fontsize": 10, "loc": "outside lower center"}
THRESHOLD = {"color": "black", "ls": "--", "lw": 1}


def channel_powers(first_steps: pd.DataFrame, rates: list[float], step: int = 5, norm: str = "none"):
    """Plot every channel's power on both sides of the threshold: at initialisation, and after some steps (Figure 5).

    Args:
        first_steps: ``norm``, ``learning_rate``, ``seed``, ``step``, ``power1_0`` ... ``power2_15``.
        rates: after ``step`` steps at which of the table's learning rates.
        step: how many.
        norm: of which network.
    """
    import matplotlib.pyplot as plt

    runs = first_steps[first_steps["norm"] == norm]
    cases = [("at initialisation", runs[(runs["step"] == 0) & (runs["learning_rate"] == rates[0])])]
    cases += [(f"{step} steps at rate {rate:g}", runs[(runs["step"] == step) & (runs["learning_rate"] == rate)])
              for rate in rates]  # fmt: skip
    figure, axes = plt.subplots(figsize=(7, 1.4 + 0.55 * len(cases)))
    for height, (_, part) in enumerate(cases):
        powers = part.filter(regex=r"^power[12]_\d+$").to_numpy()  # (seeds, 22)
        powers = powers[np.isfinite(powers).all(1)]
        spread = np.linspace(-0.3, 0.3, len(powers))[:, None] + np.zeros_like(powers)
        for side, colour, marker, name in (
            (powers > 1, COLOURS[3], "^", "above"),
            (powers <= 1, COLOURS[0], "o", "below"),
        ):
            axes.plot(powers[side], (height + spread)[side], marker, color=colour, ms=3.5, alpha=0.7, ls="none",
                      label=f"{name} the threshold" if not height else None)  # fmt: skip
        share = (powers > 1).mean() if powers.size else np.nan
        axes.text(1.01, height, f"{100 * share:.0f} %", transform=axes.get_yaxis_transform(), va="center")
    axes.text(1.01, -0.75, "above", transform=axes.get_yaxis_transform(), va="center")
    axes.axvline(1, **THRESHOLD)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [name for name, _ in cases])
    axes.set_ylim(len(cases) - 0.5, -1)
    axes.set(xlabel="power of a channel, mean square")
    figure.legend(ncols=2, **BELOW)
    plt.close(figure)
    return figure


def masks(found: pd.DataFrame):
    """Plot the share of channels that the variants normalise, and where batch and moving average disagree, by rate.

    Args:
        found: ``norm``, ``learning_rate``, ``seed``, ``occupancy``, ``disagreement`` (fractions).
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 3.4), sharex=True)
    for axes, column in zip(panels, ("occupancy", "disagreement"), strict=True):
        for number, norm in enumerate(("amplify", "suppress")):
            _with_quartiles(axes, found[found["norm"] == norm], column, norm, 1.12**number, 100)
        axes.set(xlabel="learning rate of the convolutions", xscale="log", ylim=(-5, 105))
    panels[0].set(ylabel="share of the channels (%)", title="normalised")
    panels[1].set(title="batch and average disagree")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=2, **BELOW)
    plt.close(figure)
    return figure


def eigenvalues(first_steps: pd.DataFrame, step: int = 5):
    """Plot smallest and largest eigenvalue of R(conv2) after some steps against the learning rate (Figures 6 and 8b).

    Args:
        first_steps: ``norm``, ``learning_rate``, ``seed``, ``step``, ``lambda_min``, ``lambda_max`` (power).
        step: how many. A network that has no numbers any more by then is shown as it last was.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 3.8))
    reached = first_steps[(first_steps["step"] <= step) & np.isfinite(first_steps["lambda_max"])]
    ends = reached.loc[reached.groupby(["norm", "learning_rate", "seed"])["step"].idxmax()]
    for axes, column, name in zip(panels, ("lambda_min", "lambda_max"), ("min", "max"), strict=True):
        for number, norm in enumerate(NAMES):
            _with_quartiles(axes, ends[ends["norm"] == norm], column, norm, 1.15**number)
        axes.set(xlabel="learning rate of the convolutions", ylabel=f"$\\lambda_{{\\{name}}}$ of $R$ (power)")
        axes.set(xscale="log", yscale="log")
    panels[0].set_title("smallest eigenvalue (Figure 6)")
    panels[1].set_title("largest eigenvalue (Figure 8b)")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=4, **BELOW)
    plt.close(figure)
    return figure


def training_curves(long_runs: pd.DataFrame, rates: list[float], steps_of_an_epoch: float):
    """Plot the test error against the epoch, one panel a rate: median and quartiles over the seeds (Figure 7).

    Args:
        long_runs: ``norm``, ``learning_rate``, ``seed``, ``step``, ``test_error`` (fraction).
        rates: one panel each.
        steps_of_an_epoch: gradient steps of one pass.
    """
    import matplotlib.pyplot as plt

    columns = min(len(rates), 2)
    rows = -(-len(rates) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(7, 1 + 2.3 * rows), sharex=True, squeeze=False)
    for axes, rate in zip(panels.flat, rates, strict=False):
        lost = []
        for norm in NAMES:
            part = long_runs[(long_runs["norm"] == norm) & (long_runs["learning_rate"] == rate)]
            by_step = (100 * part[part["step"] > 0].set_index("step")["test_error"]).groupby("step")
            everyone = by_step.count() == part["seed"].nunique()  # steps that a diverged run never reached are not told
            low, middle, high = (by_step.quantile(q)[everyone] for q in (0.25, 0.5, 0.75))
            look = LOOKS[norm]
            if not everyone.iloc[-1] or middle.iloc[-1] > 80:
                lost.append(NAMES[norm])
            axes.plot(middle.index / steps_of_an_epoch, middle, label=NAMES[norm], **look)
            axes.fill_between(middle.index / steps_of_an_epoch, low, high, color=look["color"], alpha=0.2, lw=0)
        if lost:
            axes.annotate(f"lost: {', '.join(lost)}", (0.98, 0.88), xycoords="axes fraction", ha="right", va="top")
        axes.set(yscale="log", title=f"rate {rate:g}")
        _plain_percent(axes)
    for axes in panels.flat[len(rates) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    for axes in panels[:, 0]:
        axes.set_ylabel("test error (%)")
    figure.legend(*panels.flat[0].get_legend_handles_labels(), ncols=4, **BELOW)
    plt.close(figure)
    return figure


def final_errors(ends: pd.DataFrame):
    """Plot the final test error against the learning rate, every seed and the median (Figure 8a).

    Args:
        ends: ``norm``, ``learning_rate``, ``seed``, ``test_error`` (fraction).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.8))
    for number, norm in enumerate(NAMES):
        part = ends[ends["norm"] == norm]
        shift = 1.15**number
        axes.plot(part["learning_rate"] * shift, 100 * part["test_error"], ls="none", marker=LOOKS[norm]["marker"],
                  color=LOOKS[norm]["color"], ms=3, alpha=0.5)  # fmt: skip
        _with_quartiles(axes, part, "test_error", norm, shift, 100)
    axes.axhline(90, color="#666666", ls=":", lw=1)
    axes.annotate("guessing", (0.01, 90), xycoords=("axes fraction", "data"), va="bottom", color="#444444")
    axes.set(xlabel="learning rate of the convolutions", ylabel="final test error (%)", xscale="log", yscale="log")
    _plain_percent(axes)
    figure.legend(ncols=4, **BELOW)
    plt.close(figure)
    return figure


def _with_quartiles(axes, rows: pd.DataFrame, column: str, norm: str, shift: float, scale: float = 1) -> None:
    """Draw median and quartiles over the seeds against the rate, moved a little so that equal values stay visible."""
    by_rate = (scale * rows.set_index("learning_rate")[column]).groupby("learning_rate")
    low, middle, high = (by_rate.quantile(q) for q in (0.25, 0.5, 0.75))
    spread = np.stack([middle - low, high - middle])
    axes.errorbar(middle.index * shift, middle, spread, label=NAMES[norm], capsize=2, elinewidth=1, **LOOKS[norm])


def _plain_percent(axes) -> None:
    """Label a logarithmic axis of percentages with plain numbers."""
    low, high = axes.get_ylim()
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
