"""Chapter 14's criteria, each from both sides, at its threshold, and with what is no measurement or has overflowed."""

import math

import pandas as pd
import pytest

from bnlab.chapters.ch14_divergence import look_verdicts, run_verdicts, verdicts
from bnlab.chapters.ch14_divergence.looks import PLAIN, WITH_BN
from bnlab.claims.ledger import LedgerError

LAYERS = (8, 44, 80, 108)


def gradients(scale=(1000.0, 1.0), kurtosis=(20.0, 5.0), tail=(2.0, 3.0), seeds=5):
    """Pairs: without Batch Normalization, with it; layers 0 to 4, of which the third is the middle one."""
    rows = [
        (arm, seed, 0, layer, 700.0 if arm == "none" else 6.0, scale[k], kurtosis[k], tail[k])
        for k, arm in enumerate(("none", "BN"))
        for seed in range(seeds)
        for layer in range(5)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "batch", "layer", "loss", "scale", "kurtosis", "tail"])


def walks(none=(0.1, 0.2, 5.0, math.inf), bn=(0.9, 0.8, 0.7, 1.5), batches=2, seeds=5):
    sizes = {"none": (1e-5, 1e-4, 1e-3, 1e-2), "BN": (1e-4, 1e-3, 1e-2, 1e-1)}
    rows = [
        (arm, seed, batch, size, 100 * ratio, ratio)
        for arm, ratios in (("none", none), ("BN", bn))
        for seed in range(seeds)
        for batch in range(batches)
        for size, ratio in zip(sizes[arm], ratios, strict=True)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "batch", "step_size", "loss", "ratio"])


def updates(
    variance=(1.0, 10.0, 1e3, 1e5),
    before=0.6,
    after=(0.55, 0.5, 0.45, 0.4),
    off=(1e-5, 1e-4),
    last=1e9,
    first=900.0,
    seeds=5,
):
    rows = []
    for seed in range(seeds):
        for layer, end, share in zip(LAYERS, variance, after, strict=True):
            rows.append(("none", seed, 0, PLAIN, 0.0, layer, first, 1.0, 1.0, before, 2.0, 2.0))
            rows.append(("none", seed, 0, PLAIN, 0.5, layer, 50.0, 1.0, 1.0, before, 2.0, 2.0))
            rows.append(("none", seed, 0, PLAIN, 1.0, layer, last, 1.0, end, share, 2.0, 2.0))
            rows.append(("none", seed, 0, WITH_BN, 1.0, layer, 11.0, 0.0, 1.0, 0.7, *off))
    columns = ["arm", "seed", "batch", "network", "fraction", "layer", "loss", "mean", "variance", "share"]
    return pd.DataFrame(rows, columns=[*columns, "off_mean", "off_variance"])


def runs(first=900.0, crossing=2, end=math.inf, accuracy=0.1, length=203, seeds=5, rate=1e-3):
    """Runs that stay at ``first`` until they pass ten times it at ``crossing``; then infinite, or finite to the end."""
    rows = []
    for seed in range(seeds):
        for step in range(length):
            loss = first if step < crossing else 20 * max(first, 100)
            if step == crossing + 1 and math.isinf(end):
                rows.append((rate, seed, step, math.inf, accuracy, 0.1))
                break
            last = step == length - 1 and crossing < length
            rows.append((rate, seed, step, end if last else loss, accuracy, 0.1))
    return pd.DataFrame(rows, columns=["rate", "seed", "step", "loss", "accuracy", "guessing"])


def depths(survived=(1.0, 0.1, 0.01), factor=2.0, seeds=5, arms=("none",)):
    rows = [
        (arm, layers, seed, rate, factor * rate or 1e-7)
        for arm in arms
        for layers, rate in zip((8, 20, 56), survived, strict=True)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["arm", "depth", "seed", "survived", "lost"])


def catapults(squares=("monotone", "catapult", "lost"), entropy=("monotone", "monotone", "catapult"), end=0.3, seeds=5):
    """At c = 2, 4 and 6; ``end``: curvature at the end over that at the start, which is 10."""
    rows = [
        ("MLP", loss, seed, c, c / 10, 10.0, 4.0, math.inf if kind == "lost" else 40.0,
         math.inf if kind == "lost" else 0.1, 0.4, math.nan if kind == "lost" else 10 * end, kind)
        for loss, kinds in (("squares", squares), ("cross-entropy", entropy))
        for seed in range(seeds)
        for c, kind in zip((2.0, 4.0, 6.0), kinds, strict=True)
    ]  # fmt: skip
    columns = ["network", "loss", "seed", "c", "rate", "start_curvature", "first", "highest", "last", "constant"]
    return pd.DataFrame(rows, columns=[*columns, "end_curvature", "kind"])


GOOD = {
    "gradients": gradients(),
    "walks": walks(),
    "updates": updates(),
    "runs": runs(),
    "depths": depths(),
    "catapults": catapults(),
}
JUDGES = {
    "B-Fig2": (look_verdicts.gradient_tails, "gradients"),
    "B-Fig3": (look_verdicts.forgiving, "walks"),
    "B-Fig4": (look_verdicts.explodes_in_depth, "updates"),
    "B-Subset": (look_verdicts.subset, "updates"),
    "B-Mech": (look_verdicts.kept_normalised, "updates"),
    "B-Div": (run_verdicts.no_return, "runs"),
    "B-Shallow": (run_verdicts.falls_with_depth, "depths"),
    "L-Catapult": (run_verdicts.comes_back, "catapults"),
}


def verdict(claim, table):
    judge, _ = JUDGES[claim]
    one = judge(table)
    assert one.id == claim
    return one.verdict


def mixed(make, bad, count):
    """Seeds 0 ... 4 - count of the good table, the rest of another one."""
    first, second = make(), make(**bad)
    return pd.concat([first[first["seed"] < 5 - count], second[second["seed"] >= 5 - count]], ignore_index=True)


def changed(table, value, column, **where):
    at = pd.Series(True, index=table.index)
    for name, wanted in where.items():
        at &= table[name] == wanted
    assert at.any()
    return table.assign(**{column: table[column].where(~at, value)})


def test_everything_is_judged_once():
    expected = dict.fromkeys(JUDGES, "reproduced")
    quick = verdicts.quick(GOOD, "toy")
    assert {one.id: one.verdict for one in quick} == expected
    full = verdicts.full(GOOD, "CIFAR-10 (JPEG)")
    assert {one.id: one.verdict for one in full} == expected
    assert {(one.scale, one.data) for one in full} == {("full", "CIFAR-10 (JPEG)")}
    assert {one.seeds for one in quick} == {5}


@pytest.mark.parametrize(
    ("claim", "table", "expected"),
    [
        ("B-Fig2", gradients(scale=(10.0, 1.0)), "reproduced"),
        ("B-Fig2", gradients(scale=(9.99, 1.0)), "not reproduced"),
        ("B-Fig2", gradients(kurtosis=(5.0, 5.0)), "partly"),
        ("B-Fig2", gradients(tail=(3.0, 3.0)), "partly"),
        ("B-Fig2", gradients(scale=(9.0, 1.0), tail=(4.0, 3.0)), "not reproduced"),
        ("B-Fig2", mixed(gradients, {"kurtosis": (1.0, 5.0)}, 1), "partly"),
        ("B-Fig2", mixed(gradients, {"scale": (1.0, 1.0)}, 1), "not reproduced"),
        ("B-Fig3", walks(none=(0.1, 1.0, 5.0, 9.0)), "reproduced"),
        ("B-Fig3", walks(bn=(0.9, 0.8, 1.0, 1.5)), "not reproduced"),  # a ratio of 10
        ("B-Fig3", walks(none=(1.2, 0.5, 0.5, 0.5)), "reproduced"),  # the smallest stands for none
        ("B-Fig3", walks(bn=(1.1, 0.5, 0.5, 0.5)), "not reproduced"),  # 0 with Batch Normalization
        ("B-Fig3", walks(none=(0.1, 0.2, 5.0, 0.001)), "reproduced"),  # coming back at a larger step does not count
        ("B-Fig3", mixed(walks, {"bn": (0.9, 1.2, 1.2, 1.2)}, 1), "partly"),
        ("B-Fig3", mixed(walks, {"bn": (0.9, 1.2, 1.2, 1.2)}, 2), "not reproduced"),
        ("B-Fig3", changed(walks(), 2.0, "ratio", arm="BN", seed=1, batch=1, step_size=1e-2), "partly"),  # one batch
        ("B-Fig4", updates(variance=(1.0, 10.0, 100.0, 1.0)), "reproduced"),
        ("B-Fig4", updates(variance=(1.0, 10.0, 99.0, 1.0)), "not reproduced"),
        ("B-Fig4", updates(variance=(1.0, 1.0, 1e3, 1.0)), "not reproduced"),
        ("B-Fig4", updates(variance=(1.0, 1e3, 1e3, 1.0)), "not reproduced"),
        ("B-Fig4", mixed(updates, {"variance": (1.0, 0.5, 1e3, 1.0)}, 1), "partly"),
        ("B-Subset", updates(before=0.475), "partly"),  # no fall of the mean
        ("B-Subset", updates(after=(0.4, 0.45, 0.5, 0.55)), "partly"),  # rises with depth
        ("B-Subset", updates(before=0.4, after=(0.4, 0.45, 0.5, 0.55)), "not reproduced"),
        ("B-Subset", mixed(updates, {"before": 0.3}, 1), "partly"),
        ("B-Mech", updates(off=(0.99e-3, 0.0099)), "reproduced"),
        ("B-Mech", updates(off=(1.01e-3, 1e-4)), "not reproduced"),
        ("B-Mech", updates(off=(1e-5, 0.0101)), "not reproduced"),
        ("B-Mech", updates(off=(math.inf, math.inf)), "not reproduced"),
        ("B-Mech", mixed(updates, {"off": (1.0, 1.0)}, 1), "partly"),
        ("B-Div", runs(first=1000.0), "reproduced"),
        ("B-Div", runs(first=1001.0), "corrected"),
        ("B-Div", runs(crossing=50), "reproduced"),
        ("B-Div", runs(crossing=51), "not reproduced"),
        ("B-Div", runs(first=1001.0, crossing=51), "not reproduced"),
        ("B-Div", runs(end=2.3), "reproduced"),  # a dead network: its loss comes back, its accuracy does not
        ("B-Div", runs(end=2.3, accuracy=0.2), "not reproduced"),
        ("B-Div", runs(end=2.3, accuracy=0.19), "reproduced"),
        ("B-Div", runs(accuracy=0.5), "reproduced"),  # infinite: nothing recovers
        ("B-Div", mixed(runs, {"first": 1001.0}, 1), "corrected"),
        ("B-Div", pd.concat([runs(1001.0), runs(1001.0, end=2.0, accuracy=0.9, rate=2e-3)]), "not reproduced"),
        ("B-Div", mixed(lambda **k: runs(**{"first": 1001.0} | k), {"end": 2.0, "accuracy": 0.9}, 1), "partly"),
        ("B-Shallow", depths((1.0, 0.5, 0.25)), "reproduced"),  # brackets touch
        ("B-Shallow", depths((1.0, 0.51, 0.1)), "not reproduced"),
        ("B-Shallow", depths((1.0, 0.1, 0.1)), "not reproduced"),
        ("B-Shallow", mixed(depths, {"survived": (0.1, 0.1, 0.1)}, 1), "partly"),
        ("B-Shallow", mixed(depths, {"survived": (0.1, 0.1, 0.1)}, 2), "not reproduced"),
        ("L-Catapult", catapults(end=0.49), "reproduced"),
        ("L-Catapult", catapults(end=0.51), "not reproduced"),  # 2 / rate is half the curvature at the start
        ("L-Catapult", catapults(squares=("catapult", "monotone", "catapult")), "not reproduced"),  # 2 is not beyond 2
        ("L-Catapult", mixed(catapults, {"squares": ("monotone", "lost", "lost")}, 1), "not reproduced"),
    ],
)  # fmt: skip
def test_criteria(claim, table, expected):
    assert verdict(claim, table) == expected


def test_in_how_many_settings_runs_come_back():
    one = run_verdicts.comes_back(catapults())
    assert one.settings == (1, 2)
    assert run_verdicts.comes_back(catapults(entropy=("monotone", "catapult", "lost"))).settings == (2, 2)
    assert one.statistic == 10


def test_no_catapult_at_all_is_a_finding():
    one = run_verdicts.comes_back(catapults(squares=("lost",) * 3, entropy=("lost",) * 3))
    assert (one.verdict, one.statistic) == ("not reproduced", None)
    assert "at no c" in one.measured


@pytest.mark.parametrize(
    ("claim", "table", "words"),
    [
        (
            "B-Fig2",
            changed(gradients(), math.inf, "kurtosis", seed=2, layer=1),
            "A gradient overflows in 1 of the seeds",
        ),
        (
            "B-Fig4",
            changed(updates(), math.inf, "variance", seed=2, layer=80, network=PLAIN),
            "A layer overflows in 1 of",
        ),
        (
            "B-Subset",
            changed(updates(), math.inf, "share", seed=2, layer=80, network=PLAIN),
            "A layer overflows in 1 of",
        ),
        ("B-Fig4", updates(last=9000.0), "In 5 of 5 seeds the update is no diverging one"),
        ("B-Fig4", updates(first=2.0, last=999.0), "In 5 of 5 seeds the update is no diverging one"),
        ("B-Mech", mixed(updates, {"last": 10.0}, 2), "In 2 of 5 seeds the update is no diverging one"),
        ("B-Subset", mixed(updates, {"last": 10.0}, 2), "In 2 of 5 seeds the update is no diverging one"),
        ("B-Div", mixed(runs, {"crossing": 500}, 1), "Runs of 4 of 5 seeds diverge"),
        ("B-Shallow", depths((1.0, 0.1, 0.0)), "5 of 15 largest rates lie outside of those tried"),
        ("B-Shallow", changed(depths(), math.inf, "lost", depth=8, seed=1), "1 of 15 largest rates lie outside"),
    ],
)
def test_what_overflowed_or_did_not_diverge_is_told_and_decides_nothing(claim, table, words):
    one = JUDGES[claim][0](table)
    assert one.verdict == "reported"
    assert words in one.measured


def test_an_infinite_loss_of_the_update_is_a_divergence():
    assert verdict("B-Fig4", updates(last=math.inf)) == "reproduced"
    assert verdict("B-Fig4", updates(last=9001.0)) == "reproduced"


# A column that decides, and the place of one number of seed 2 in it.
PLACES = {
    "B-Fig2": ("scale", {"arm": "none", "layer": 3}),
    "B-Fig3": ("ratio", {"arm": "none", "batch": 0, "step_size": 1e-4}),
    "B-Fig4": ("variance", {"network": PLAIN, "layer": 80, "fraction": 1.0}),
    "B-Subset": ("share", {"network": PLAIN, "layer": 80, "fraction": 1.0}),
    "B-Mech": ("off_mean", {"network": WITH_BN, "layer": 80}),
    "B-Div": ("loss", {"step": 1}),
    "B-Shallow": ("survived", {"depth": 20}),
    "L-Catapult": ("end_curvature", {"kind": "catapult", "loss": "squares"}),
}


@pytest.mark.parametrize("claim", PLACES)
@pytest.mark.parametrize("case", ["nan", "lost value", "twice", "few seeds", "no column", "no row"])
def test_what_is_no_measurement_decides_nothing(claim, case):
    column, where = PLACES[claim]
    table = GOOD[JUDGES[claim][1]]
    at = table["seed"] == 2
    for name, wanted in where.items():
        at &= table[name] == wanted
    assert at.sum() == 1
    broken = {
        "nan": table.assign(**{column: table[column].where(~at, math.nan)}),
        "lost value": table[~at],
        "twice": pd.concat([table, table[at]], ignore_index=True),
        "few seeds": table[table["seed"] < 4],
        "no column": table.drop(columns=column),
        "no row": table[:0],
    }[case]
    with pytest.raises(LedgerError):
        verdict(claim, broken)


@pytest.mark.parametrize(
    ("claim", "arm"), [("B-Fig2", "BN"), ("B-Fig2", "none"), ("B-Fig3", "BN"), ("B-Shallow", "none")]
)
def test_a_lost_arm_decides_nothing(claim, arm):
    table = GOOD[JUDGES[claim][1]]
    with pytest.raises(LedgerError):
        verdict(claim, table[table["arm"] != arm])


def test_a_rate_that_a_seed_lacks_decides_nothing():
    more = pd.concat([runs(), runs(rate=2e-3, seeds=4)], ignore_index=True)
    with pytest.raises(LedgerError, match="a seed at one of the rates, is missing"):
        verdict("B-Div", more)
    with pytest.raises(LedgerError, match="beginning of a run"):
        verdict("B-Div", runs()[lambda table: (table["step"] > 0) | (table["seed"] > 0)])


def test_kinds_and_ranges_of_catapults():
    with pytest.raises(LedgerError, match="'crash' is no kind of run"):
        verdict("L-Catapult", catapults(squares=("crash",) * 3))
    with pytest.raises(LedgerError, match="no rate between 2 and 4"):
        verdict("L-Catapult", catapults()[lambda table: table["c"] != 4])
    with pytest.raises(LedgerError, match="one depth only"):
        verdict("B-Shallow", depths()[lambda table: table["depth"] == 8])
    with pytest.raises(LedgerError, match="layer 44 is not among"):
        verdict("B-Fig4", updates()[lambda table: table["layer"] != 44])


def test_the_other_arm_is_told_and_does_not_decide():
    both = pd.concat([depths(), depths((1.0, 1.0, 1.0), arms=("BN",))], ignore_index=True)
    one = run_verdicts.falls_with_depth(both)
    assert one.verdict == "reproduced"
    assert "with Batch Normalization 1.4e+00, 1.4e+00, 1.4e+00" in one.measured


KEYS = ["fraction", "step_size", "rate", "c", "start_curvature", "guessing"]


def test_every_word_and_number(as_said, uneven):
    tables = uneven(GOOD)
    for name, table in tables.items():
        for column in set(KEYS) & set(table):
            table[column] = GOOD[name][column]
    as_said(quick=verdicts.quick(tables, "toy"), full=verdicts.full(GOOD, "CIFAR-10 (JPEG)"))
