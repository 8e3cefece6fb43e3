"""Chapter 08's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math

import pandas as pd
import pytest

from bnlab.chapters.ch08_internal_covariate_shift import cause_verdicts, distribution_verdicts, verdicts
from bnlab.chapters.ch08_internal_covariate_shift.arms import (
    BACKWARD_ONLY,
    BN,
    DETACHED,
    GRADIENT_ONLY,
    LSUV,
    NOISY,
    NONE,
    PENALTY,
    PINNED,
)
from bnlab.chapters.ch08_internal_covariate_shift.estimates import ATOM, BACKWARD, FORWARD, STANDARDISED
from bnlab.claims.ledger import LedgerError

EXACT = 0.4431
# Steps to the loss, drift at it and over the run, travelled, test error: what the tables say of each arm.
ARM = {
    NONE: (60.0, 0.2, 6.0, 0.03),
    BN: (10.0, 0.02, 0.1, 0.01),
    DETACHED: (15.0, 0.02, 0.4, 0.05),
    PINNED: (math.inf, 0.01, 0.1, 0.15),
    PENALTY: (math.inf, 0.3, 3.0, 0.25),
    GRADIENT_ONLY: (50.0, 0.15, 3.0, 0.02),
    BACKWARD_ONLY: (math.inf, 0.02, 2.0, 0.1),
    NOISY: (12.0, 0.4, 0.4, 0.02),
    LSUV: (35.0, 0.2, 4.0, 0.02),
}


def cases(forward=0.4409, empty=math.inf, slope=0.5):
    rows = [(FORWARD, 100, 1, forward, EXACT), (BACKWARD, 100, 0, empty, 1.3069)]
    rows += [(ATOM, n, 1, slope * math.log(n), math.inf) for n in (25, 100, 400)]
    rows += [(STANDARDISED, 100, 1, 2e-4, 0.0)]
    return pd.DataFrame(rows, columns=["case", "bins", "added", "estimate", "exact"])


def sigmoid(seeds=5, ratios=(20.0, 5.0, 4.0), kl=(2.5, 0.25)):
    """Two looks after the start; without BN the median moves ``ratios`` times as far, by layer."""
    rows = [
        (
            *(arm, seed, layer, step, 1.0 - 0.3 * step, 0.5, 0.0, 0.1, 0.2, *(0.5 * (step > 0) * times,) * 3),
            *(0.1, divergence, divergence, divergence),
        )
        for arm, divergence in ((NONE, kl[0]), (BN, kl[1]))
        for seed in range(seeds)
        for layer in (1, 2, 3)
        for step in (0, 1, 2)
        for times in [ratios[layer - 1] if arm == NONE else 1.0]
    ]
    names = ["arm", "seed", "layer", "step", "loss", "error", "p15", "p50", "p85", "moved", "moved_own", "moved_next"]
    return pd.DataFrame(rows, columns=[*names, "kl_normalised", "kl_input", "kl_next", "kl_input_back"])


def arms(seeds=5, drop=(), **other):
    """Each arm at two rates; at the second it never gets there and loses."""
    rows = []
    for arm, told in ARM.items():
        if arm in drop:
            continue
        for rate in (0.1, 1.0):
            for seed in range(seeds):
                steps, drift, travelled, error = told
                if rate == 1.0:
                    steps, error = math.inf, error + 0.5
                ends = (steps, steps, error, False)
                for layer in (1, 2):
                    if math.isfinite(steps):
                        at = ("loss 0.3", layer, steps, 0.29, drift, travelled, 2 * drift, 0.5, 0.5, 0.3)
                        rows.append((arm, rate, seed, *at, *ends))
                    end = ("end", layer, 100, 0.1 + rate, drift, travelled, *(math.nan,) * 4)
                    rows.append((arm, rate, seed, *end, *ends))
    names = ["arm", "learning_rate", "seed", "at", "layer", "step", "loss", "drift", "travelled", "difference", "share"]
    names += ["cosine", "cosine_matched", "steps_to_loss", "steps_to_good", "test_error", "diverged"]
    return pd.DataFrame(rows, columns=names)


GOOD = {"trajectories": sigmoid(), "arms": arms()}


def changed(table, value, column, **where):
    wanted = {name: v if isinstance(v, list) else [v] for name, v in where.items()}
    at = table[list(where)].isin(wanted).all(axis=1)
    assert at.any()
    return table.assign(**{column: table[column].astype(float).where(~at, value)})


def judged(tables=None, told=None, scale="quick"):
    tables = GOOD | (tables or {})
    told = cases() if told is None else told
    if scale == "full":
        return {v.id: v for v in verdicts.full(tables, level=0.5, data="toy", vgg_data="toys")}
    return {v.id: v for v in verdicts.quick(tables, told, level=0.5, data="toy")}


def test_everything_is_judged_once():
    assert {name: v.verdict for name, v in judged().items()} == {
        "E-KL": "reproduced",
        "E-KLBN": "reproduced",
        "E-ICS1": "reproduced",
        "E-ICS2": "reproduced",
        "E-ICS3": "reproduced",
        "E-ICS4": "reproduced",
        "E-ICS5": "not reproduced",
        "B-Mish": "reproduced",
        "L-Awais": "reproduced",
        "E-83-80": "not run at full scale",
    }
    assert list(judged(scale="full")) == [name for name in judged() if name != "E-KL"]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"forward": EXACT * 1.0099}, "reproduced"),
        ({"forward": EXACT * 1.0101}, "not reproduced"),
        ({"forward": EXACT * 0.9899}, "not reproduced"),
        ({"forward": math.inf}, "not reproduced"),
        ({"empty": 5.0}, "not reproduced"),
        ({"slope": 0.61}, "not reproduced"),
        ({"slope": 0.39}, "not reproduced"),
        ({"slope": 0.41}, "reproduced"),
    ],
)
def test_divergence(other, expected):
    assert distribution_verdicts.divergence(cases(**other)).verdict == expected


@pytest.mark.parametrize("broken", [cases(forward=math.nan), cases().query("case != @BACKWARD"), cases()[:2]])
def test_divergence_without_a_number_decides_nothing(broken):
    with pytest.raises(LedgerError):
        distribution_verdicts.divergence(broken)


def one_seed(column, value, arm=BN, **where):
    return changed(sigmoid(), value, column, arm=arm, seed=3, **where)


@pytest.mark.parametrize(
    ("claim", "table", "expected"),
    [
        ("E-KLBN", sigmoid(kl=(1.0, 1.0)), "not reproduced"),
        ("E-KLBN", one_seed("kl_input", 2.5, step=2), "partly"),
        ("E-KLBN", one_seed("kl_input", 2.4999, step=2), "reproduced"),
        ("E-KLBN", one_seed("kl_next", 9.0, step=2), "reproduced"),  # only reported
        ("E-ICS1", sigmoid(ratios=(20.0, 5.0, 1.0)), "not reproduced"),
        ("E-ICS1", sigmoid(ratios=(0.5, 0.5, 1.01)), "reproduced"),
        ("E-ICS1", one_seed("moved", 2.0, layer=3), "partly"),
        ("E-ICS2", sigmoid(ratios=(4.0, 5.0, 20.0)), "not reproduced"),
        ("E-ICS2", sigmoid(ratios=(5.0, 20.0, 4.0)), "reproduced"),  # a rank correlation of -1/2
        ("E-ICS2", sigmoid(ratios=(5.0, 4.0, 20.0)), "not reproduced"),
        ("E-ICS2", one_seed("moved", 50.0, layer=1), "partly"),
    ],
)
def test_criteria_of_the_sigmoid_network(claim, table, expected):
    assert judged({"trajectories": table})[claim].verdict == expected


def of(arm, column, value, seed=None, **where):
    where = where | {"arm": arm} | ({} if seed is None else {"seed": seed})
    return changed(arms(), value, column, **where)


def slow(arm, steps, seed=None):
    """An arm's steps to the loss and to accuracy at its good rate."""
    table = of(arm, "steps_to_loss", steps, seed, learning_rate=0.1)
    where = {"arm": arm, "learning_rate": 0.1} | ({} if seed is None else {"seed": seed})
    return changed(table, steps, "steps_to_good", **where)


MIDDLE = math.sqrt(600)  # between BN's 10 and the plain network's 60


@pytest.mark.parametrize(
    ("claim", "table", "expected"),
    [
        ("E-ICS3", of(NOISY, "drift", 0.2, at="loss 0.3"), "not reproduced"),
        ("E-ICS3", of(NOISY, "drift", 0.201, at="loss 0.3"), "reproduced"),
        ("E-ICS3", of(NOISY, "drift", 0.2, 2, at="loss 0.3"), "partly"),
        ("E-ICS3", slow(NOISY, 60.0), "not reproduced"),
        ("E-ICS3", slow(NOISY, 59.0), "reproduced"),
        ("E-ICS4", slow(PINNED, 10.0), "not reproduced"),
        ("E-ICS4", slow(PINNED, 11.0), "reproduced"),
        ("E-ICS4", slow(PINNED, 10.0, 1), "partly"),
        ("E-ICS4", slow(PENALTY, 5.0), "reproduced"),  # it does not hold still, so it does not count
        ("E-ICS4", of(PINNED, "drift", 0.2, at="end"), "not run at full scale"),  # then none does
        ("E-ICS5", of(BN, "drift", 0.1, at="loss 0.3"), "not reproduced"),  # the gradients are still calmer
        (
            "E-ICS5",
            changed(of(BN, "drift", 0.1, at="loss 0.3"), 0.2, "difference", arm=BN, at="loss 0.3"),
            "reproduced",
        ),
        (
            "E-ICS5",
            changed(of(BN, "drift", 0.099, at="loss 0.3"), 0.2, "difference", arm=BN, at="loss 0.3"),
            "not reproduced",
        ),
        ("B-Mish", of(LSUV, "test_error", 0.031), "not reproduced"),
        ("B-Mish", of(LSUV, "test_error", 0.029), "reproduced"),
        ("B-Mish", of(LSUV, "test_error", 0.031, 0), "partly"),
        ("B-Mish", of(LSUV, "travelled", 0.1), "not reproduced"),
        ("L-Awais", slow(DETACHED, MIDDLE), "reproduced"),
        ("L-Awais", slow(DETACHED, MIDDLE + 0.01), "not reproduced"),
        ("L-Awais", slow(GRADIENT_ONLY, MIDDLE), "not reproduced"),
        ("L-Awais", slow(GRADIENT_ONLY, MIDDLE, 4), "partly"),
        ("L-Awais", slow(BN, 60.0), "not reproduced"),  # nothing to explain
    ],
)
def test_criteria_of_the_arms(claim, table, expected):
    assert judged({"arms": table})[claim].verdict == expected


def test_the_convolutional_networks_decide_where_they_ran():
    calm = of(BN, "drift", 0.01, at="loss 0.3")
    shifting = changed(of(BN, "drift", 0.1, at="loss 0.3"), 0.2, "difference", arm=BN, at="loss 0.3")
    for vgg, arms_table, expected in ((shifting, calm, "reproduced"), (calm, shifting, "not reproduced")):
        found = judged({"arms": arms_table, "vgg": vgg}, scale="full")["E-ICS5"]
        assert found.verdict == expected
        assert found.measured.startswith("VGG-like: Shift with BN")
        assert " Fully connected: Shift with BN" in found.measured
    never = shifting[shifting["at"] == "end"]
    assert judged({"vgg": never}, scale="full")["E-ICS5"].verdict == "not run at full scale"


def test_numbers_of_the_convolutional_networks_are_told_where_there_are_any():
    shifting = changed(of(BN, "drift", 0.1, at="loss 0.3"), 0.2, "difference", arm=BN, at="loss 0.3")
    found = cause_verdicts.shift_numbers(shifting)
    ratios = cause_verdicts.shift_ratios(shifting)
    assert found["seeds"] == len(ratios) == 5
    assert found["difference"] == pytest.approx(ratios["difference"].median())
    assert found["like_difference"] == (ratios["difference"] >= 0.5).sum()
    assert found["cosine_none"] == shifting.loc[shifting["arm"] == NONE, "cosine"].median()
    for nothing in (None, shifting[shifting["at"] == "end"]):
        none = cause_verdicts.shift_numbers(nothing)
        assert none.keys() == found.keys()
        assert all(math.isnan(value) for value in none.values())


def test_predictions_by_seed():
    table = slow(GRADIENT_ONLY, 12.0, [0, 1])
    table = changed(table, 50.0, "steps_to_loss", arm=DETACHED, seed=[0, 2], learning_rate=0.1)
    found = cause_verdicts.predictions(table).tolist()
    assert found == ["geometry", "neither", "neither", "drift", "drift"]


@pytest.mark.parametrize("name", ["trajectories", "arms"])
def test_too_few_seeds_and_lost_numbers_decide_nothing(name):
    few = {"trajectories": sigmoid(seeds=4), "arms": arms(seeds=4)}[name]
    with pytest.raises(LedgerError):
        judged({name: few})
    column = {"trajectories": "moved", "arms": "steps_to_loss"}[name]
    with pytest.raises(LedgerError):
        judged({name: changed(GOOD[name], math.nan, column, seed=2, arm=BN)})


def test_lost_runs_decide_nothing():
    table = arms()
    with pytest.raises(LedgerError):
        judged({"arms": table[~((table["arm"] == BN) & (table["seed"] == 1))]})


def test_what_was_not_run_is_told_at_either_scale():
    for arm, claims in ((NOISY, ["E-ICS3"]), (PINNED, ["E-ICS4"]), (LSUV, ["B-Mish"]), (DETACHED, ["L-Awais"])):
        for scale in ("quick", "full"):
            found = judged({"arms": arms(drop=(arm,))}, scale=scale)
            assert [name for name in claims if found[name].verdict != "not run at full scale"] == []
    found = judged({"arms": None, "trajectories": None}, scale="full")
    assert {v.verdict for v in found.values()} == {"not run at full scale"}


def test_a_level_that_is_never_reached_is_told():
    table = arms()
    found = judged({"arms": table[table["at"] == "end"]})
    assert found["E-ICS5"].verdict == "not run at full scale"
    assert "loss" in found["E-ICS5"].measured


def test_words_and_numbers(as_said, uneven):
    tables = uneven(GOOD)
    as_said(
        quick=verdicts.quick(tables, cases(), level=0.5, data="toy"),
        full=verdicts.full(tables, level=0.5, data="MNIST", vgg_data="CIFAR-10"),
    )
