"""What the tables of `channel_norms` say: ratios of eigenvalues, gaps and shares of them, largest rates; tidy to tidy.

A run is named by its norm, learning rate and seed (and cap); runs of one seed are paired. A network that was lost on
the way is represented by the last state that has numbers, which understates how far it went.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.survival_arms import LOST
from bnlab.claims import statistics
from bnlab.randomness import generator
from bnlab.tables import table

RUN = ["norm", "learning_rate", "seed"]
FIFTH = 5  # the step after which figures 6 and 8b are read
BEYOND = 1e4  # stands for the logarithm of infinity where it is ranked: float64 ends at exp(709)
RUNAWAY = 10  # times its initial value: a loss above is running away


def reached(runs: pd.DataFrame, step: int, column: str) -> pd.DataFrame:
    """Value of a column after ``step`` steps, or at the last record before with a number: seeds x norms, for each rate.

    The result is indexed by learning rate and seed.

    Raises:
        ValueError: no run has a number up to that step.
    """
    known = runs[(runs["step"] <= step) & np.isfinite(runs[column])]
    if known.empty:
        raise ValueError(f"{column}: no run has a number up to step {step}")
    last = known.sort_values("step").groupby(RUN)[column].last()
    return last.unstack("norm")


def nearest_step(runs: pd.DataFrame, step: int) -> int:
    """Recorded step nearest to the one asked for, of the runs that went on to the end."""
    steps = np.unique(runs.loc[~runs["diverged"].astype(bool), "step"])
    if not len(steps):
        raise ValueError("runs: all of them diverged, so that no step was reached by all")
    return int(steps[np.abs(steps - step).argmin()])


def final_errors(runs: pd.DataFrame, keys: Sequence[str] = RUN) -> pd.DataFrame:
    """Last test error of every run, and whether the network was ``lost``: diverged, or above `LOST`."""
    runs = runs.reset_index(drop=True)  # tables put together may name two rows alike
    last = runs.loc[runs.groupby(list(keys))["step"].idxmax().sort_values()]
    lost = last["diverged"].astype(bool) | ~(last["test_error"] <= LOST)
    made = last[[*keys, "step", "test_error"]].assign(lost=lost).reset_index(drop=True)
    made.attrs["units"] = dict.fromkeys(keys, "name or count") | {
        "step": "gradient steps", "test_error": "fraction", "lost": "bool",
    }  # fmt: skip
    return made


def separation(wide: pd.DataFrame, above: Sequence[str], below: Sequence[str]) -> pd.DataFrame:
    """Smallest of the ones expected above and largest of those expected below, paired by seed.

    >>> wide = pd.DataFrame({"a": [4.0], "b": [6.0], "c": [2.0]})
    >>> separation(wide, above=["a", "b"], below=["c"]).to_dict("records")
    [{'above': 4.0, 'below': 2.0}]
    """
    return pd.DataFrame({"above": wide[list(above)].min(axis=1), "below": wide[list(below)].max(axis=1)})


def before_running_away(first_steps: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Largest eigenvalue at initialisation, at the last network whose loss had not passed `RUNAWAY` times its first.

    A record holds the network *after* a step and the loss of the batch *before* it, so the loss of a network is in the
    record of the step that follows. Columns norm, seed, initial and last (power), step (gradient steps).

    Raises:
        ValueError: the table has no run at that rate.
    """
    rows = first_steps[first_steps["learning_rate"] == rate]
    if rows.empty:
        raise ValueError(
            f"rate = {rate!r} is not in the table; it has {sorted(set(first_steps['learning_rate'].tolist()))}"
        )
    made = []
    for (norm, seed), run in rows.groupby(["norm", "seed"], sort=False):
        steps, losses, largest = (run[name].tolist() for name in ("step", "loss", "lambda_max"))
        own_loss = dict(zip(steps, losses[1:], strict=False))  # of the network after that step, if the next follows
        calm = [0]
        for here, following in zip(range(1, len(steps)), steps[2:], strict=False):
            if following != steps[here] + 1 or not own_loss[steps[here]] <= RUNAWAY * losses[0]:
                break
            calm.append(here)
        made.append((norm, seed, largest[0], largest[calm[-1]], steps[calm[-1]]))
    units = {"norm": "name", "seed": "name", "initial": "power", "last": "power", "step": "gradient steps"}
    return table(made, units)


def sides(first_steps: pd.DataFrame, norm: str = "none", threshold: float = 1.0) -> pd.DataFrame:
    """How many channels of both layers have a power above the threshold, and below, at every rate, step and seed."""
    runs = first_steps[first_steps["norm"] == norm]
    powers = runs.filter(regex=r"^power[12]_\d+$")
    made = runs[["learning_rate", "seed", "step"]].reset_index(drop=True)
    made["above"], made["below"] = ((powers > threshold).sum(axis=1).array, (powers < threshold).sum(axis=1).array)
    names = {"learning_rate": "of the convolution weights", "seed": "name", "step": "gradient steps"}
    made.attrs["units"] = {**names, "above": "channels", "below": "channels"}
    return made


def masks(first_steps: pd.DataFrame, step: int = FIFTH) -> pd.DataFrame:
    """Share of channels that the two variants normalise, and for how many batch and moving average disagree, by run."""
    rows = first_steps[(first_steps["step"] == step) & first_steps["norm"].isin(["amplify", "suppress"])]
    rows = rows.dropna(subset=["occupancy1"])
    channels = {1: 6, 2: 16}
    made = rows[RUN].reset_index(drop=True)
    for name in ("occupancy", "disagreement"):
        made[name] = (sum(rows[f"{name}{n}"] * count for n, count in channels.items()) / 22).array
    made.attrs["units"] = {**dict.fromkeys(RUN, "name or count"), "occupancy": "fraction", "disagreement": "fraction"}
    return made


def under_other_settings(
    first_steps: pd.DataFrame, sensitivity: pd.DataFrame, column: str, rate: float
) -> pd.DataFrame:
    """Ratio of an eigenvalue after five steps to the baseline's, under the settings of the sensitivity runs, by seed.

    With the variance as power the baseline is the one of the paper's setting, which has no power to measure.
    """
    plain = reached(first_steps, FIFTH, column).loc[rate]
    rows = sensitivity[sensitivity["learning_rate"] == rate]
    by_variance = rows["norm"].str.endswith("_variance")
    found = {"as in the paper": plain}
    found |= {f"initial weights × {gain:g}": reached(part, FIFTH, column).loc[rate]
              for gain, part in rows[rows["gain"] != 1].groupby("gain")}  # fmt: skip
    found |= {f"mini-batches of {size}": reached(part, FIFTH, column).loc[rate]
              for size, part in rows[rows["batch_size"] != 64].groupby("batch_size")}  # fmt: skip
    variance = reached(rows[by_variance], FIFTH, column).loc[rate].rename(columns=lambda name: name.split("_")[0])
    found["variance as power"] = variance.assign(none=plain["none"])
    made = [
        (column.removeprefix("lambda_"), rate, setting, norm, seed, ratio)
        for setting, wide in found.items()
        for norm in wide.columns.drop("none")
        for seed, ratio in (wide[norm] / wide["none"]).dropna().items()
    ]
    names = {"eigenvalue": "name", "rate": "of the convolution weights", "setting": "name", "norm": "name"}
    return table(made, {**names, "seed": "name", "ratio": "1"})


def log_ratios(above: pd.Series, below: pd.Series) -> pd.Series:
    """ln(above / below) of sizes that may be zero or infinite: two alike tie, else it is beyond every finite one.

    A dead channel's eigenvalue is exactly 0, a network without numbers is infinitely far.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(above) - np.log(below)
    return logs.where(above != below, 0.0).clip(-BEYOND, BEYOND)


def headline(pairs: Mapping[str, tuple[pd.DataFrame, str]]) -> pd.DataFrame:
    """Effect with its interval for some claims, and Holm's correction of their sign tests.

    Args:
        pairs: by claim, what `separation` gives, and how the two differ: "ratio" or "difference".
    """
    rows = []
    for claim, (found, kind) in pairs.items():
        above, below = found["above"], found["below"]
        differences = log_ratios(above, below) if kind == "ratio" else above - below
        summary = statistics.paired_summary(differences, np.zeros(len(found)), generator(0, "bootstrap"))
        effect = np.array([summary.median_difference, summary.low, summary.high])
        with np.errstate(over="ignore"):  # beyond every finite ratio is infinite
            effect = np.exp(effect) if kind == "ratio" else effect
        p_value = statistics.sign_test(differences).p_value
        rows.append((claim, kind, *effect.tolist(), summary.n, summary.positive, p_value))
    units = {"claim": "name", "kind": "name", **dict.fromkeys(("effect", "low", "high"), "1")}
    made = table(rows, {**units, "seeds": "seeds", "positive": "seeds", "p_value": "probability"})
    made["holm"] = statistics.holm(made["p_value"])
    made.attrs["units"]["holm"] = "probability"
    return made
