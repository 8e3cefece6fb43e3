"""Chapter 07's judgement, from numbers and tables to verdicts, by the criteria in ``book/claims.yml``.

What a recording does not hold is "not run at full scale"; a run that is lost, or a number that is none, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance import arrangement_verdicts as arrangements
from bnlab.chapters.ch07_minimum_disturbance import formula_verdicts as formulas
from bnlab.chapters.ch07_minimum_disturbance import noise_verdicts as noise
from bnlab.chapters.ch07_minimum_disturbance import unknown_verdicts
from bnlab.claims import ledger, settings_left_open
from bnlab.claims.coverage import judged
from bnlab.claims.ledger import Verdict


def quick(
    computed: formulas.Computed, tables: Mapping[str, pd.DataFrame], *, epochs: int, steps: int, data: str
) -> list[Verdict]:
    """Judge the quick run.

    Args:
        computed: what the cells computed on the way.
        tables: powers, directions and frontier.
        epochs: passes over the training images for which the arrangements were followed.
        steps: of the runs under noise.
        data: the data set's title.
    """
    where = {"scale": "quick", "data": data}
    short = f"{steps} steps on small images say nothing about where training settles"
    long = f"forty epochs of MNIST belong to the full-scale run, and here are {steps} steps"
    return [
        *formulas.single_step(computed, data),
        formulas.any_scale(computed.scaled),
        formulas.one_power_a_channel(computed.overshoot),
        formulas.many_pixels(computed, data),
        formulas.variance_for_power(computed.normal, _behind_bn(tables["powers"])),
        formulas.variance_estimates(computed.estimates),
        *formulas.normalised_input(computed, data),
        formulas.norms(computed.responses, data),
        *_arrangements(tables, epochs, **where),
        *judged(["C-Fig10a"], noise.under_noise, tables["frontier"], **where),
        ledger.judge("C-Fig10b", "not run at full scale", measured=short, **where),
        ledger.judge("C-99-95", "not run at full scale", measured=long, **where),
    ]


def full(
    tables: Mapping[str, pd.DataFrame],
    *,
    first_epochs: int,
    frontier_steps: int,
    epochs: int,
    data: str,
    scale: str = "full",
    reach: pd.DataFrame | None = None,
) -> list[Verdict]:
    """Judge recorded tables; those left out of the recording are not run.

    Args:
        tables: powers, directions, frontier and long_runs, as far as they were recorded.
        first_epochs: passes over the training images for which the arrangements were followed.
        frontier_steps: of the short runs under noise.
        epochs: of the long ones.
        data: the data set's title.
        scale: "full" or "own".
        reach: the verdicts in settings that the document leaves open, by `unknown_verdicts.by_setting`; None: not run.
    """
    where = {"scale": scale, "data": data}
    in_short = {"scale": scale, "data": f"{data}, {frontier_steps} steps and not {noise.DOCUMENT_EPOCHS} epochs"}
    long = tables.get("long_runs")
    made = [
        *_arrangements(tables, first_epochs, **where),
        *judged(["C-Fig10a"], noise.under_noise, tables.get("frontier"), **in_short),
        *judged(["C-Fig10b"], noise.settles_higher, long, epochs, **where),
        *judged(["C-99-95"], noise.accuracies, long, epochs, **where),
    ]
    return settings_left_open.with_reach(made, reach, unknown_verdicts.JUDGED)


def _arrangements(tables: Mapping[str, pd.DataFrame], epochs: int, *, scale: str, data: str) -> list[Verdict]:
    powers, directions = tables.get("powers"), tables.get("directions")
    where = {"scale": scale, "data": data}
    return [
        *judged(["C-Fig9"], arrangements.spreads, powers, **where),
        *judged(["C-First"], arrangements.first_step, powers, directions, **where),
        *judged(["C-Drift"], arrangements.drift, powers, directions, epochs, **where),
        *judged(["A-NLMS"], arrangements.common_placement, powers, directions, **where),
    ]


def _behind_bn(powers: pd.DataFrame) -> str:
    """What the power of a patch is behind Batch Normalization, in words."""
    first = powers[(powers["step"] == 0) & (powers["arrangement"] == arrangements.PRIOR)]
    middle = first[["power", "variation"]].median()
    return f"conv2's input behind BN: {25 * middle['power']:.1f}, scatter {middle['variation']:.2f} (medians)"
