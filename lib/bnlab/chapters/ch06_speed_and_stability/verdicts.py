"""Chapter 06's judgement, from tables to verdicts, by the criteria in ``book/claims.yml``: quick run and full scale.

What a reader's parameters left out of a quick run, and what a recording does not hold, is "not run at full scale"; a
run that is lost, or a number that is none, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import cause_verdicts as causes
from bnlab.chapters.ch06_speed_and_stability import eigenvalue_verdicts as eigenvalues
from bnlab.chapters.ch06_speed_and_stability import survival_verdicts as survivals
from bnlab.chapters.ch06_speed_and_stability import training_verdicts as trainings
from bnlab.chapters.ch06_speed_and_stability import unknown_verdicts
from bnlab.claims import ledger, settings_left_open
from bnlab.claims.coverage import judged
from bnlab.claims.ledger import Verdict

PARAMETERS, FEATURES = 6582, 400  # of Table 1
DOCUMENT_EPOCHS = 20


def quick(
    tables: Mapping[str, pd.DataFrame], *, epochs: int, parameters: int, features: Mapping[int, int], data: str
) -> list[Verdict]:
    """Judge the quick run.

    Args:
        tables: first_steps, long_runs, arms, stability, survival and warm_up.
        epochs: passes over the training images in the long runs.
        parameters: of the network of Table 1.
        features: that reach its last layer, by the images' side in pixels (28 and 32).
        data: the data set's title.
    """
    return [
        architecture(parameters, features, data),
        *_runs(tables, epochs, scale="quick", data={"": data}),
        _not_run("quick", data),
    ]


def full(
    tables: Mapping[str, pd.DataFrame],
    *,
    epochs: int,
    arm_epochs: int,
    data: str,
    scale: str = "full",
    reach: pd.DataFrame | None = None,
) -> list[Verdict]:
    """Judge recorded tables; those left out of the recording are not run. Arguments as in `quick`.

    ``arm_epochs`` are the passes over the training images in the arms, ``reach`` what `unknown_verdicts` finds.
    """
    by_table = {name: f"{data}, {passes} of the document's {DOCUMENT_EPOCHS} epochs"
                for name, passes in (("long_runs", epochs), ("arms", arm_epochs))}  # fmt: skip
    made = _runs(tables, epochs, scale=scale, data={"": data, **by_table})
    return settings_left_open.with_reach(made, reach, unknown_verdicts.JUDGED)


def architecture(parameters: int, features: Mapping[int, int], data: str) -> Verdict:
    """C-Tab1: so many parameters, so many features."""
    return ledger.judge(
        "C-Tab1",
        ledger.identity(parameters == PARAMETERS and features[32] == FEATURES),
        data=data,
        measured=f"{parameters:,} parameters; {features[32]} features from images of 32 pixels a side, {features[28]} "
        "from 28",
    )


def _runs(tables: Mapping[str, pd.DataFrame], epochs: int, *, scale: str, data: Mapping[str, str]) -> list[Verdict]:
    """Verdicts on everything that trains; ``data`` by table, "" for the others."""
    first, long, arms, stability = (tables.get(name) for name in ("first_steps", "long_runs", "arms", "stability"))
    plain = {"scale": scale, "data": data[""]}
    in_long = {"scale": scale, "data": data.get("long_runs", data[""])}
    in_arms = {"scale": scale, "data": data.get("arms", data[""])}
    return [
        *judged(["C-Fig5"], eigenvalues.powers, first, **plain),
        *judged(["C-Fig6"], eigenvalues.smallest_eigenvalues, first, **plain),
        *judged(["C-Fig8b"], eigenvalues.largest_eigenvalues, first, long, stability, **plain),
        *judged(["C-Fig7"], trainings.speed, long, **in_long),
        *judged(["C-Fig8a", "C-Def"], trainings.stability, long, **in_long),
        *judged(["C-Order"], trainings.order, long, epochs, **in_long),
        *judged(["C-Sep"], causes.shares_of_the_gap, arms, **in_arms),
        *judged(["C-BN-LR"], causes.higher_rates, stability, **plain),
        *judged(["C-Sup"], causes.capped, stability, tables.get("survival"), **plain),
        *judged(["L-2x2"], survivals.properties, tables.get("survival"), **plain),
        *judged(["L-Warm6"], survivals.warmed_up, tables.get("warm_up"), **plain),
    ]


def _not_run(scale: str, data: str) -> Verdict:
    """C-ICS."""
    why = (
        "not run in this chapter, whose networks have no noise after Batch Normalization; chapter 08 runs the "
        "experiment on a fully connected network (E-ICS3)"
    )
    return ledger.judge("C-ICS", "not run at full scale", measured=why, scale=scale, data=data)
