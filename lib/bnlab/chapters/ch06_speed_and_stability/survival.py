"""What the tables of `survival_arms` say: largest rates survived in octaves, and what the survivors are worth.

An octave is the logarithm to base 2 of a rate. A network that survived all rates it was run at has a lower bound, one
that survived none an upper one, an octave below the least: bounds take part in medians, and are counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bnlab.chapters.ch06_speed_and_stability.survival_arms import LOST
from bnlab.claims import statistics
from bnlab.claims.coverage import MissingArmError
from bnlab.claims.ledger import LedgerError
from bnlab.randomness import generator
from bnlab.tables import table

NAMES = {
    "none": "Baseline",
    "gain_channel": "constant gain",
    "weight_norm": "normalised weights",
    "batch_frozen_gain": "BN with frozen backward gain",
    "batch_detached": "BN with detached statistics",
    "batch": "BN",
}
PLACES = {"both": "both convolutions", "conv1": "conv1 alone", "conv2": "conv2 alone"}
OCTAVES, DEGREES = "octaves of the rate", "degrees a step"


def learning(survival: pd.DataFrame, learns: str = "all") -> pd.DataFrame:
    """Runs in which "all" learns, or the "weights" alone: all other functions take the one or the other."""
    return survival[survival["learns"] == learns]


def lengths(survival: pd.DataFrame) -> list[int]:
    """Steps of the runs whose convolutions learn, from short to long.

    Raises:
        MissingArmError: there are none.
    """
    found = sorted(set(survival.loc[survival["swept"] != "neither", "steps"]))
    if not found:
        raise MissingArmError("no survival runs of convolutions that learn")
    return found


def spacing(survival: pd.DataFrame) -> float:
    """Octaves from one rate of the short runs to the next, where they are nearest; 1 of a single rate."""
    runs = survival[(survival["swept"] != "neither") & (survival["steps"] == lengths(survival)[0])]
    gaps = np.diff(np.log2(np.unique(runs["learning_rate"])))
    return float(gaps.min()) if len(gaps) else 1.0


def states(runs: pd.DataFrame, step: int, keys: Sequence[str]) -> pd.DataFrame:
    """Every run after ``step`` steps, or where it diverged before, and whether it was ``lost`` by then.

    Lost is what diverged, or errs above `LOST` as guessing does.

    Raises:
        LedgerError: a run ends before that step without having diverged, or one that goes on has no test error.
    """
    runs = runs.assign(end=runs.groupby(list(keys))["step"].transform("max")).reset_index(drop=True)
    here = runs[runs["step"] <= step]
    last = here.loc[here.groupby(list(keys), sort=False)["step"].idxmax()]
    over = last["diverged"].astype(bool) & (last["step"] == last["end"])
    if short := int((~over & (last["step"] < step)).sum()):
        raise LedgerError(f"survival runs: {short} of {len(last)} were cut short of {step} steps.")
    if unknown := int((~over & ~np.isfinite(last["test_error"])).sum()):
        raise LedgerError(f"survival runs: {unknown} of {len(last)} have no test error after {step} steps.")
    return last.assign(lost=over | (last["test_error"] > LOST)).drop(columns="end")


def largest(found: pd.DataFrame, groups: Sequence[str], end: float | None = None) -> pd.DataFrame:
    """Largest octave survived, all smaller ones that were run survived too: one row a group and seed.

    ``beyond``: "above" where every rate was survived, "below" where none was. ``share``: of the rates that were run,
    whatever was lost below.

    Args:
        found: what `states` gives.
        groups: columns that name an arm.
        end: the largest rate of the grid, where a group that is not lost must have been run up to it.

    Raises:
        LedgerError: a run is missing; or a group ends before the grid though a seed had survived all its rates.
    """
    rows, seeds = [], np.unique(found["seed"])
    for names, part in found.groupby(list(groups), sort=False):
        rates, arm = np.unique(part["learning_rate"]), ", ".join(map(str, names))
        lost = np.full((len(seeds), len(rates)), math.nan)
        at = np.searchsorted(seeds, part["seed"]), np.searchsorted(rates, part["learning_rate"])
        lost[at] = part["lost"].astype(float)
        if missing := int(np.isnan(lost).sum()):
            raise LedgerError(f"survival runs of {arm}: {missing} are missing.")
        counts = np.cumprod(1 - lost, axis=1).sum(axis=1).astype(int)
        if end is not None and rates[-1] < end and (counts == len(rates)).any():
            raise LedgerError(f"survival runs of {arm}: those above {math.log2(rates[-1]):g} are missing.")
        octaves = np.log2(rates)
        octaves = [octaves[0] - 1, *octaves]
        for seed, count, share in zip(seeds, counts, 1 - lost.mean(axis=1), strict=True):
            beyond = "below" if not count else "above" if count == len(rates) else ""
            rows.append((*names, seed, octaves[count], beyond, share))
    units = {"seed": "name", "octave": OCTAVES, "beyond": "name", "share": "fraction of the rates"}
    return table(rows, {**dict.fromkeys(groups, "name"), **units})


def edges(survival: pd.DataFrame, steps: int) -> pd.DataFrame:
    """Largest octave that every arm survives ``steps`` steps, by ``norm``, ``swept`` and ``seed``.

    ``share``: of the grid's rates (of the long runs: of those that were run), whatever was lost below.
    ``relative``: the octave at which the plain network's first step would be as long, its first gradient being another:
    octave + log2(first gradient of the swept weights / the plain network's); nan where that was not run alike.
    """
    runs = survival[(survival["steps"] == steps) & (survival["swept"] != "neither")]
    short = steps == lengths(survival)[0]  # the long runs go from these edges outwards
    found = states(runs, steps, ["norm", "swept", "learning_rate", "seed"])
    made = largest(found, ["norm", "swept"], runs["learning_rate"].max() if short else None)
    first = _twins(survival, 1)
    first["gradient_both"] = np.hypot(first["gradient1"], first["gradient2"])
    column = {"both": "gradient_both", "conv1": "gradient1", "conv2": "gradient2"}
    plain = first.loc["none"] if "none" in first.index.levels[0] else None
    factors = [math.nan if plain is None else first.loc[(norm, seed), column[swept]] / plain.loc[seed, column[swept]]
               for norm, swept, seed in made[["norm", "swept", "seed"]].itertuples(index=False)]  # fmt: skip
    made.insert(4, "relative", made["octave"] + np.log2(factors))
    if short:  # rates that were no longer run count as lost
        rates = found.groupby(["norm", "swept"])["learning_rate"].nunique()
        run = rates.loc[[tuple(key) for key in made[["norm", "swept"]].itertuples(index=False)]].array
        made["share"] *= np.asarray(run) / runs["learning_rate"].nunique()
    made.attrs["units"] = {"norm": "name", "swept": "name", "seed": "name", "octave": OCTAVES, "relative": OCTAVES,
                           "beyond": "name", "share": "fraction of the rates"}  # fmt: skip
    return made


def edge_summary(found: pd.DataFrame, groups: Sequence[str] = ("swept", "norm")) -> pd.DataFrame:
    """Median octave with a bootstrap interval, where they are known the medians of relative and share; a row an arm.

    ``whole_grid`` and ``none_of_it`` count the seeds that survived these, of ``seeds``.
    """
    rows, with_relative = [], "relative" in found
    for names, part in found.groupby(list(groups), sort=False):
        told = statistics.paired_summary(part["octave"], np.zeros(len(part)), generator(0, "bootstrap"))
        relative = [part[name].median() for name in ("relative", "share") if with_relative]
        counts = [int((part["beyond"] == beyond).sum()) for beyond in ("above", "below")]
        rows.append((*names, told.median_difference, told.low, told.high, *relative, *counts, len(part)))
    measured = dict.fromkeys(("octave", "low", "high"), OCTAVES)
    measured |= {"relative": OCTAVES, "share": "fraction of the rates"} if with_relative else {}
    return table(rows, {**dict.fromkeys(groups, "name"), **measured,
                        **dict.fromkeys(("whole_grid", "none_of_it", "seeds"), "seeds")})  # fmt: skip


def worth(survival: pd.DataFrame, steps: int, swept: str = "both") -> pd.DataFrame:
    """What an arm reaches at its largest rate survived, by ``norm`` and ``seed``; who survived none is left out.

    ``loss`` and ``twin``: test loss, and that of the twin whose convolutions never learn. ``lambda_max``: largest
    eigenvalue of conv2's input over the initial one. ``growth1``: length of the weights of conv1 over their initial
    one; ``turn1``: angle of its filters' last step; ``radial1``: cosine of gradient and weights; the same of conv2.
    """
    runs = survival[(survival["steps"] == steps) & (survival["swept"] == swept)]
    found = states(runs, steps, ["norm", "learning_rate", "seed"])
    tops = edges(survival, steps)
    tops = tops[(tops["swept"] == swept) & (tops["beyond"] != "below")]
    made = tops.assign(learning_rate=2.0 ** tops["octave"]).merge(found, on=["norm", "learning_rate", "seed"])
    first, twins = _twins(survival, 0), _twins(survival, steps)
    at = [tuple(key) for key in made[["norm", "seed"]].itertuples(index=False)]
    columns = {"norm": made["norm"], "seed": made["seed"], "octave": made["octave"], "loss": made["test_loss"],
               "twin": twins["test_loss"].loc[at].array,
               "lambda_max": made["lambda_max"] / first["lambda_max"].loc[at].array}  # fmt: skip
    for n in (1, 2):
        columns |= {f"growth{n}": made[f"length{n}"] / first[f"length{n}"].loc[at].array,
                    f"turn{n}": made[f"turn{n}"], f"radial{n}": made[f"radial{n}"]}  # fmt: skip
    told = pd.DataFrame(columns)
    told.attrs["units"] = {
        "norm": "name",
        "seed": "name",
        "octave": OCTAVES,
        "loss": "nats",
        "twin": "nats",
        "lambda_max": "1",
    } | {
        f"{name}{n}": unit for n in (1, 2) for name, unit in (("growth", "1"), ("turn", DEGREES), ("radial", "cosine"))
    }
    return told


def curves(survival: pd.DataFrame, steps: int, swept: str = "both") -> pd.DataFrame:
    """Test loss of the survivors after ``steps`` steps, with their twins', and conv2's last turn; a row a run.

    Columns norm, learning_rate, seed, ``loss``, ``twin`` (nats), ``turn`` (degrees a step).
    """
    runs = survival[(survival["steps"] == steps) & (survival["swept"] == swept)]
    found = states(runs, steps, ["norm", "learning_rate", "seed"])
    found = found[~found["lost"]]
    twins = _twins(survival, steps)["test_loss"]
    keys = ["norm", "learning_rate", "seed"]
    made = found[keys].assign(loss=found["test_loss"], turn=found["turn2"])
    made["twin"] = twins.loc[[tuple(key) for key in made[["norm", "seed"]].itertuples(index=False)]].array
    return made.reset_index(drop=True)


def _twins(survival: pd.DataFrame, step: int) -> pd.DataFrame:
    """Record of the twins at a step, by norm and seed."""
    twins = survival[(survival["swept"] == "neither") & (survival["step"] == step)]
    if twins.empty:
        raise MissingArmError(f"no twins whose convolutions never learn, after {step} steps")
    return twins.set_index(["norm", "seed"])


# Warm-up

WARMED = ["norm", "gain", "warm_up"]


def warm_up_edges(runs: pd.DataFrame) -> pd.DataFrame:
    """Largest octaves of every network of the warm-up table after as many steps as each warmed-up run has.

    Columns ``network``, ``warm_up`` (steps of the run that it is compared with; its own, if it is warmed up), seed,
    octave, beyond.
    """
    warmed = sorted(set(runs.loc[runs["warm_up"] > 0, "warm_up"]))
    if not warmed:
        raise MissingArmError("no runs with a warm-up")
    made = []
    for length in warmed:
        own = runs[runs["warm_up"] == length]
        step = int(own["steps"].iloc[0])
        for names, part in runs[runs["warm_up"].isin([0, length])].groupby(WARMED, sort=False):
            found = largest(states(part, step, [*WARMED, "learning_rate", "seed"]), WARMED)
            made.append(found.assign(network=_network(*names), warm_up=length))
    told = pd.concat(made, ignore_index=True)[["network", "warm_up", "seed", "octave", "beyond"]]
    told.attrs["units"] = {"network": "name", "warm_up": "gradient steps", "seed": "name", "octave": OCTAVES,
                           "beyond": "name"}  # fmt: skip
    return told


def _network(norm: str, gain: float, warm_up: int) -> str:
    if warm_up:
        return "Baseline, warmed up"
    return {"none": "Baseline" if gain == 1 else "Baseline, He's weights", "layer": "LayerNorm"}.get(norm, "BN")
