"""Figures of layers that were trained: slopes of their modes, LMS noise, two levers, and where the frozen picture ends.

Every function takes tidy tables (those of `natural_modes`, unless a docstring says otherwise) and
returns a closed matplotlib Figure; the same function draws the quick and the recorded run.
"""

import pandas as pd

from bnlab.figures.style import COLOURS, MARKERS, line_styles


def layer_decay(trajectories: pd.DataFrame, fits: pd.DataFrame, rate: float):
    """Plot |v_k(n)| of a trained layer on the law, and the measured slope of every mode and rate against the predicted.

    Args:
        trajectories: columns ``rate``, ``step``, ``mode``, ``weight_error``, ``theory``.
        fits: columns ``rate``, ``mode``, ``eigenvalue``, ``slope``, ``theory`` (of ln|v_k| a step).
        rate: which one to draw on the left, in units of 1 / lambda_max.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.4))
    rows = trajectories[trajectories["rate"] == rate]
    biggest = rows["mode"].max()
    for number, rank in enumerate(sorted({1, 2, 3, 5, 8, biggest + 1} & set(range(1, biggest + 2)))):
        mode = rows[rows["mode"] == biggest + 1 - rank]
        start = abs(mode["theory"].iloc[0])
        visible = mode[(mode["step"] > 0) & (mode["theory"].abs() > 1e-9 * start)]
        left.loglog(visible["step"], visible["theory"].abs() / start, color=COLOURS[number], ls="-", lw=1.2)
        left.loglog(visible["step"], visible["weight_error"].abs() / start, color=COLOURS[number],
                    marker=MARKERS[number], ls="none", label=f"{rank}")  # fmt: skip
    left.set(xlabel="step $n$", ylabel="$|v_k(n)| / |v_k(0)|$", ylim=(1e-9, 3))
    left.set_title(f"rate {rate:g} / $\\lambda_{{\\max}}$")
    below = {"fontsize": 10, "loc": "upper center", "bbox_to_anchor": (0.5, -0.18), "ncols": 3}
    left.legend(title="mode", **below)
    known = fits.dropna(subset=["slope"])
    for drawn, look in line_styles(sorted(known["rate"].unique())).items():
        part = known[known["rate"] == drawn]
        right.loglog(part["theory"].abs(), part["slope"].abs(), label=f"{drawn:g}", **look | {"linestyle": "none"})
    ends = [known["theory"].abs().min() / 2, known["theory"].abs().max() * 2]
    right.loglog(ends, ends, color="#444444", lw=1, ls="-", zorder=0)
    right.set(xlabel="predicted $|\\ln|1 - \\mu\\lambda_k||$", ylabel="measured slope a step")
    right.set_title("all modes, all rates")
    right.legend(title="rate (in $1/\\lambda_{\\max}$)", **below)
    plt.close(figure)
    return figure


def lms_noise(modes: pd.DataFrame, spread: pd.DataFrame):
    """Plot LMS in the mean (the largest mode beside its law, smallest rate) and in the mean square (every rate).

    Args:
        modes: table ``lms_modes``: ``share``, ``order``, ``seed``, ``step``, ``mode``, ``mean``, ``theory``,
            ``standard_error``.
        spread: table ``lms_spread``: ``share``, ``order``, ``seed``, ``step``, ``mean_square``, ``median_square``.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.6))
    rows = modes[(modes["share"] == modes["share"].min()) & (modes["seed"] == modes["seed"].min())]
    rows = rows[rows["mode"] == rows["mode"].max()]
    orders = line_styles(sorted(rows["order"].unique()))
    law = rows.drop_duplicates("step")
    left.semilogx(law["step"], law["theory"], color="black", ls="-", lw=1.2, label="Eq. 6")
    for number, (order, look) in enumerate(orders.items()):
        part = rows[rows["order"] == order]
        left.errorbar(part["step"] * 1.08**number, part["mean"], 4 * part["standard_error"], capsize=3,
                      label=f"{order} patches", **look | {"linestyle": "none"})  # fmt: skip
    left.set(xlabel="step $n$", ylabel="mean of $v_1(n)$ (weight)", title=f"rate {rows['share'].iloc[0]:g} × 2/tr R")
    cases = [(share, order) for share in sorted(spread["share"].unique()) for order in orders]
    looks = line_styles([f"{share:g} × 2/tr R, {order}" for share, order in cases])
    for (share, order), (name, look) in zip(cases, looks.items(), strict=True):
        part = spread[(spread["share"] == share) & (spread["order"] == order) & (spread["step"] > 0)]
        by_step = part.groupby("step")["mean_square"].median()
        shown = by_step[by_step < 1e12]
        right.loglog(shown.index, shown, label=name, **look)
    right.set(xlabel="step $n$", ylabel="mean of $\\|C(n)\\|^2$ (weight$^2$)", title="mean square")
    for axes in (left, right):
        axes.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    plt.close(figure)
    return figure


def two_levers(convergence: pd.DataFrame, largest_rate: pd.DataFrame):
    """Plot steps to convergence against lambda_min, and the largest stable rate against lambda_max.

    Args:
        convergence: columns ``smallest_eigenvalue`` (power), ``steps``.
        largest_rate: columns ``largest_eigenvalue`` (power), ``largest_rate`` and ``bound`` (1 / power).
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
    left.loglog(convergence["smallest_eigenvalue"], convergence["steps"], "o-", color=COLOURS[0])
    floors = convergence["smallest_eigenvalue"]
    left.set_xticks(floors, [f"{floor:.2g}" for floor in floors])
    left.minorticks_off()  # over little more than a decade matplotlib would label every one of them
    left.set(xlabel="$\\lambda_{\\min}$ (power)", ylabel="steps until all modes are done")
    top = largest_rate["largest_eigenvalue"]
    right.loglog(top, largest_rate["bound"], color=COLOURS[1], label="$2/\\lambda_{\\max}$", ls="-")
    right.loglog(top, largest_rate["largest_rate"], "o", color=COLOURS[0], label="measured")
    right.set(xlabel="$\\lambda_{\\max}$ (power)", ylabel="largest stable $\\mu$ (1 / power)")
    right.legend()
    plt.close(figure)
    return figure


def forecast_and_truth(drift: pd.DataFrame):
    """Plot how far a trained layer's weights are from the forecast of equation 6 with everything frozen at n = 0.

    Args:
        drift: columns ``loss`` (its name), ``n`` (steps), ``error`` (distance of forecast and weights, in units of the
            distance travelled).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.6))
    for loss, look in line_styles(list(dict.fromkeys(drift["loss"]))).items():
        rows = drift[drift["loss"] == loss]
        axes.semilogy(rows["n"], rows["error"].clip(lower=1e-17), label=loss, markevery=max(1, len(rows) // 12), **look)
    axes.set(xlabel="step $n$", ylabel="error of the forecast")
    figure.legend(loc="outside lower center", ncols=1)
    plt.close(figure)
    return figure


def hessian_spectra(spectra: pd.DataFrame):
    """Plot the eigenvalues of R beside those of Hessians of the same layer's weights.

    Args:
        spectra: columns ``matrix``, ``rank`` (1 = largest), ``eigenvalue`` (power of the input).
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.8))
    for matrix, look in line_styles(list(dict.fromkeys(spectra["matrix"]))).items():
        rows = spectra[spectra["matrix"] == matrix]
        axes.semilogy(rows["rank"], rows["eigenvalue"], label=matrix, markevery=max(1, len(rows) // 15), **look)
    axes.set(xlabel="rank of the eigenvalue", ylabel="eigenvalue (power)")
    figure.legend(loc="outside lower center", ncols=1)
    plt.close(figure)
    return figure
