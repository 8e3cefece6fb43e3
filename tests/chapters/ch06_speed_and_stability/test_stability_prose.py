"""What the page says of large rates: invented tables, one for each thing that can come out."""

import math

import pandas as pd
import pytest

from bnlab.chapters.ch06_speed_and_stability import stability_prose, survival_arms
from bnlab.chapters.ch06_speed_and_stability.survival import NAMES

RATES = (1.0, 2.0, 4.0, 8.0, 16.0)
FREE = 1e6  # a cap that is never reached


def runs(largest, cap=0.0, held="none"):
    """Survival runs of the plain network, one seed a largest rate."""
    return pd.DataFrame([
        {"norm": "none", "cap": cap, "held": held, "seed": seed, "learning_rate": rate, "step": 300, "diverged": False,
         "test_error": 0.1 if rate <= edge else 0.9}
        for seed, edge in enumerate(largest) for rate in RATES
    ])  # fmt: skip


def under_caps(free, **caps):
    return pd.concat([runs([1, 1, 1]), runs(free, FREE), *(runs(e, float(c[1:])) for c, e in caps.items())])


def held(conv1, conv2):
    return pd.concat([runs(conv1, held="conv2"), runs(conv2, held="conv1")])


def test_two_rates_that_only_lose_it_together():
    said = stability_prose.one_held(runs([1, 1, 2]), held([16, 16, 8], [8, 8, 16]))
    assert "of conv2 alone: it survives 8; hold conv2 and sweep conv1 alone: 16 or more. So neither loses it" in said


def test_one_rate_that_loses_it_alone_is_named():
    said = stability_prose.one_held(runs([2, 2, 2]), held([2, 2, 1], [8, 8, 8]))
    assert said.endswith("sweep conv1 alone: 2. So a large rate of conv1 loses it by itself.")


def test_what_was_not_held_is_said():
    said = stability_prose.one_held(under_caps([4, 4, 8]), None)
    assert said.startswith("Hold conv1 at 0.1 and sweep the rate of conv2 alone: it survives 4. What")
    assert stability_prose.one_held(runs([1, 1, 1]), None) == "What a large rate of conv1 alone does was not run here."


@pytest.mark.parametrize(
    ("table", "long", "short"),
    [
        (under_caps([8, 8, 8]), "No cap that binds was tried.", "no cap on the largest was seen"),
        (under_caps([8, 8, 8], c4=[8, 4, 8], c1=[8, 8, 8]), "lowest, 4 times, the rate grows 1 times.", "no cap"),
        (under_caps([2, 2, 2], c4=[4, 4, 4], c1=[8, 8, 8]), "and 4 and 8 under caps of 4 and 1. From", "in proportion"),
        (under_caps([1, 1, 1], c4=[4, 4, 4], c1=[4, 4, 8]), "it survives 1 without a cap that binds", "but not in"),
        (pd.concat([runs([1, 1, 1]), runs([8, 8, 8], 4.0), runs([8, 8, 8], 1.0)]), "cannot be told", "no cap"),
        # The grid ends at twice the uncapped rate: four times could not be seen.
        (under_caps([8, 8, 8], c4=[16, 16, 16], c1=[16, 16, 8]), "ends at 2 times the uncapped rate, cannot show",
         "let larger rates survive; whether in proportion"),
        (under_caps([2, 2, 2], c4=[16, 16, 16], c1=[16, 16, 16]), "does not allow a rate 4 times larger", "too short"),
    ],
)  # fmt: skip
def test_caps(table, long, short):
    assert long in stability_prose.caps(table)
    assert short in stability_prose.caps_in_short(table)


def arms(edges, learns, loss=1.0):
    """Short runs of the arms that survive up to an octave each, and the twins."""
    common = {"steps": 300, "step": 300, "diverged": False, "learns": learns, "length1": 1.0, "length2": 1.0,
              "gradient1": 1.0, "gradient2": 1.0, "turn1": 1.0, "turn2": 1.0, "radial1": 0.0, "radial2": 0.0,
              "lambda_max": 1.0}  # fmt: skip
    rows = [{**common, "norm": norm, "swept": "both", "learning_rate": 2.0**octave, "seed": seed, "test_loss": loss,
             "test_error": 0.1 if octave <= edge else 0.9}
            for norm, edge in edges.items() for octave in range(8) for seed in (0, 1)]  # fmt: skip
    rows += [{**common, "norm": norm, "swept": "neither", "learning_rate": 0.1, "seed": seed, "step": step,
              "test_loss": 0.5, "test_error": 0.2}
             for norm in edges for seed in (0, 1) for step in (0, 1, 300)]  # fmt: skip
    return pd.DataFrame(rows)


def edges_of(*edges):
    assert tuple(NAMES) == survival_arms.ARMS
    return dict(zip(NAMES, edges, strict=True))


def test_the_property_that_sorts_the_arms_is_told_of_both_kinds_of_learning():
    both = pd.concat([arms(edges_of(1, 0, 4, 1, 7, 7), "all"), arms(edges_of(1, 0, 3, 7, 7, 7), "weights")])
    assert stability_prose.narrowed(both, "MNIST") == (
        "where everything learns, it takes both, a controlled power and a gradient that shrinks; orthogonality is not "
        "needed; where biases, γ and β are fixed, it is the controlled power, whatever the gradient does "
        "(MNIST, 300 steps)"
    )
    assert "fixed" not in stability_prose.narrowed(both.query("learns == 'all'"), "MNIST")
    assert stability_prose.narrowed(None, "MNIST") == "what does it is open"


def test_the_range_of_what_survivors_are_worth():
    table = arms(edges_of(1, 0, 4, 1, 7, 7), "all")
    table.loc[(table["norm"] == "batch") & (table["learning_rate"] == 4), "test_loss"] = 0.25
    assert stability_prose.worth_range(table, "batch") == "0.5 to 2"
    assert stability_prose.worth_range(table, "unknown") == "–"


def test_how_early_runs_under_a_cap_are_lost():
    guess = math.log(10)
    runs = [  # cap, rate, seed: last step, whether it diverged, losses at steps 20 and 300
        (1.0, 8.0, 0, 300, False, 1.0, 0.5), (1.0, 16.0, 0, 7, True, None, None), (1.0, 32.0, 0, 3, True, None, None),
        (1.0, 16.0, 1, 300, False, guess, guess), (4.0, 16.0, 0, 120, True, 1.0, None),
        (4.0, 16.0, 1, 300, False, 1.0, guess), (1e6, 2.0, 0, 5, True, None, None),
    ]  # fmt: skip
    rows = []
    for cap, rate, seed, end, lost, *losses in runs:
        own = {"norm": "none", "cap": cap, "learning_rate": rate, "seed": seed, "diverged": lost}
        steps = sorted({step for step in (20, 300) if step <= end} | {end})
        error = 0.1 if losses[1] == 0.5 else 0.9
        rows += [{**own, "step": step, "test_error": error, "loss": dict(zip((20, 300), losses, strict=True)).get(step)}
                 for step in steps]  # fmt: skip
    said = stability_prose.before_the_second_measure(pd.DataFrame(rows))
    assert said.startswith("Of the 4 runs under a cap at the first rate that loses one, 2 diverge, 1 of them before")
    assert said.endswith("of the 2 that end at guessing, 1 have its loss by then.")
    early = pd.DataFrame(rows).query("not (cap == 4 and seed == 0)")
    assert stability_prose.before_the_second_measure(early).endswith("a cap on the modes of the initial ℝ.")
    assert stability_prose.before_the_second_measure(early.query("step != 20")) == ""
