"""Words and numbers that the page says of the survival runs, computed: right whichever way it comes out."""

from __future__ import annotations

import math

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import survival
from bnlab.chapters.ch06_speed_and_stability.stability_prose import octaves
from bnlab.chapters.ch06_speed_and_stability.survival_verdicts import OCTAVE, finding, likeness

NORMALISED = ("weight_norm", "batch_frozen_gain", "batch_detached", "batch")
SHRINKING = ("weight_norm", "batch_detached", "batch")


def arms(table: pd.DataFrame) -> dict[str, str]:
    """What is glued of the arms: octaves beyond the constant gain, the finding, what a survivor is worth.

    ``beyond_<norm>``, ``conv1_<norm>`` and ``conv2_<norm>`` (where swept alone; a dash where they were not): median
    octaves over the seeds of the largest rate, less the constant gain's, and as they are. ``finding``.
    ``share_<norm>``: median percentage of the grid's rates survived, whatever was lost below. ``fixed_<norm>`` as
    `_fixed` says. ``worth_<norm>``: median ratio of the test loss there to the twin's; ``turn_<norm>``: median angle a
    step of the filters of conv2; ``eigenvalue_<norm>``: growth of the largest eigenvalue of its input. ``best_octave``
    and ``best_worth``: where the loss of Batch Normalization is lowest, and its ratio to the twin's there.
    """
    fixed, table = survival.learning(table, "weights"), survival.learning(table)
    steps = survival.lengths(table)[0]
    found, value = survival.edges(table, steps), survival.worth(table, steps)
    wide = found[found["swept"] == "both"].pivot(index="seed", columns="norm", values="octave")
    bounds = found[found["swept"] == "both"].pivot(index="seed", columns="norm", values="beyond")
    made = {"finding": finding(likeness(table, found)), **_fixed(fixed)}
    for norm in wide.columns:
        at_least = "at least " if (bounds[norm] == "above").mean() > 1 / 2 else ""
        made[f"beyond_{norm}"] = f"{at_least}{(wide[norm] - wide['gain_channel']).median():g}"
        own, both = value[value["norm"] == norm], found[(found["swept"] == "both") & (found["norm"] == norm)]
        made[f"share_{norm}"] = f"{100 * both['share'].median():.0f}"
        made[f"worth_{norm}"] = f"{(own['loss'] / own['twin']).median():.2g}" if len(own) else "–"
        made[f"eigenvalue_{norm}"] = f"{own['lambda_max'].median():.2g}" if len(own) else "–"
        made[f"turn_{norm}"] = f"{own['turn2'].median():.2g}" if len(own) else "–"
        for place in ("conv1", "conv2"):
            part = found[(found["swept"] == place) & (found["norm"] == norm)]
            made[f"{place}_{norm}"] = f"{part['octave'].median():g}" if len(part) else "–"
    best = best_losses(table).set_index("norm")
    known = "batch" in best.index
    made["best_octave"] = f"{math.log2(best.loc['batch', 'learning_rate']):g}" if known else "–"
    made["best_worth"] = f"{best.loc['batch', 'loss'] / best.loc['batch', 'twin']:.2g}" if known else "–"
    return made


def _fixed(table: pd.DataFrame) -> dict[str, str]:
    """``fixed_<norm>``: median octave where biases, gamma and beta do not learn; ``fixed_finding``; or dashes."""
    names = dict.fromkeys([f"fixed_{norm}" for norm in survival.NAMES], "–") | {
        "fixed_finding": "not all arms were run so"
    }
    if table.empty:
        return names
    found = survival.edges(table, survival.lengths(table)[0])
    for norm, part in found.groupby("norm"):
        at_least = "at least " if (part["beyond"] == "above").mean() > 1 / 2 else ""
        names[f"fixed_{norm}"] = f"{at_least}{part['octave'].median():g}"
    if set(survival.NAMES) <= set(found["norm"]):
        names["fixed_finding"] = finding(likeness(table, found))
    return names


def gone_on(table: pd.DataFrame) -> str:
    """Say what longer runs make of the frozen gain; nothing where there are none.

    Args:
        table: of the survival runs.
    """
    table = survival.learning(table)
    short, *longer = survival.lengths(table)
    if not longer:
        return ""
    found = survival.edges(table, longer[-1])
    wide = found[found["swept"] == "both"].pivot(index="seed", columns="norm", values="octave")
    ahead = (wide["batch_frozen_gain"] - wide["gain_channel"]).median()
    apart = octaves(f"{abs(ahead):g}")
    where = "as far as" if not ahead else f"{apart} {'beyond' if ahead > 0 else 'less far than'}"
    return (
        f"That is after {short} steps. After {longer[-1]:,} the frozen gain survives {where} the constant gain (median "
        f"of paired differences); the arms with biases, γ and β fixed were run for {short} steps only."
    )


def best_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Where each arm's test loss is lowest (median of the seeds, none lost), beside the twins': one row an arm.

    Of runs of one kind of learning.
    """
    told = survival.curves(table, survival.lengths(table)[0])
    seeds = told["seed"].nunique()
    whole = told.groupby(["norm", "learning_rate"], sort=False).filter(lambda runs: len(runs) == seeds)
    medians = whole.groupby(["norm", "learning_rate"], sort=False)[["loss", "twin"]].median().reset_index()
    return medians.loc[medians.groupby("norm", sort=False)["loss"].idxmin()].reset_index(drop=True)


def predictions(table: pd.DataFrame, warmed: pd.DataFrame) -> dict[str, str]:
    """Whether the three predictions on the page held, by the medians: "held" or "did not hold".

    ``survives``: the four normalised arms reach the grid's end within an octave, at least three beyond the constant
    gain. ``worth``: at their largest rates the loss of those whose gradient shrinks is no lower than the twins', and
    that of the frozen gain is higher than each of theirs. ``warm_up``: no length gains more than two octaves, and none
    comes within one of BN.
    """
    table = survival.learning(table)
    steps = survival.lengths(table)[0]
    edges = survival.edge_summary(survival.edges(table, steps)).set_index(["swept", "norm"])["octave"]["both"]
    end = math.log2(table.loc[(table["steps"] == steps) & (table["swept"] == "both"), "learning_rate"].max())
    survives = all(edges[norm] >= max(end - OCTAVE, edges["gain_channel"] + 3) for norm in NORMALISED)
    value = survival.worth(table, steps)
    ratio = (value["loss"] / value["twin"]).groupby(value["norm"]).median().reindex(NORMALISED)
    worth = bool((ratio[list(SHRINKING)] >= 1).all() and (ratio["batch_frozen_gain"] > ratio[list(SHRINKING)]).all())
    gains = warm_up(warmed)
    return {name: "held" if held else "did not hold" for name, held in (
        ("survives", survives), ("worth", worth),
        ("warm_up", bool((gains["gain"] <= 2 * OCTAVE).all() and (gains["behind"] > OCTAVE).all())))}  # fmt: skip


def warm_up(table: pd.DataFrame) -> pd.DataFrame:
    """Median octaves that a warm-up of each length gains over none, and that it stays behind BN; one row a length."""
    found = survival.warm_up_edges(table).pivot(index=["warm_up", "seed"], columns="network", values="octave")
    own = found["Baseline, warmed up"]
    told = pd.DataFrame({"gain": own - found["Baseline"], "behind": found["BN"] - own}).groupby("warm_up").median()
    told = told.reset_index()
    told.attrs["units"] = {"warm_up": "gradient steps", "gain": survival.OCTAVES, "behind": survival.OCTAVES}
    return told


def survived_rate(row: pd.Series) -> str:
    """Write the median largest rate of a row of an edge summary, or the bound; as text, for tables set no formulas.

    >>> survived_rate(pd.Series({"octave": 12.0, "whole_grid": 5, "none_of_it": 0, "seeds": 8}))
    'at least 2¹²'
    """
    if 2 * row["whole_grid"] > row["seeds"]:
        return f"at least 2{raised(row['octave'])}"
    if 2 * row["none_of_it"] > row["seeds"]:
        return f"less than 2{raised(row['octave'] + 1)}"
    return f"2{raised(row['octave'])}"


def raised(number: float) -> str:
    """Write a number as an exponent.

    >>> raised(-1.5)
    '⁻¹·⁵'
    """
    return f"{number:g}".translate(str.maketrans("-.0123456789", "⁻·⁰¹²³⁴⁵⁶⁷⁸⁹"))


def power_names(found: pd.DataFrame) -> pd.DataFrame:
    """Summary of edges as the page shows it: names of places and arms, the median as a power of two."""
    told = survival.edge_summary(found)
    rates = [survived_rate(row) for _, row in told.iterrows()]
    named = {"swept": told["swept"].map(survival.PLACES), "arm": told["norm"].map(survival.NAMES), "rate": rates}
    spread = [f"{low:g} to {high:g}" for low, high in zip(told["low"], told["high"], strict=True)]
    return pd.DataFrame({**named, "octaves, interval": spread, "relative": told["relative"].round(1),
                         "of the rates": [f"{100 * share:.0f} %" for share in told["share"]]})  # fmt: skip
