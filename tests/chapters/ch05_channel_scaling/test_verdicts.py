"""Chapter 05's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math
from dataclasses import fields, replace

import pandas as pd
import pytest

from bnlab.chapters.ch05_channel_scaling import random_scalings, verdicts
from bnlab.claims.ledger import LedgerError

GOOD = verdicts.Found(
    title="toy",
    astray=0,
    geometries=48,
    off_blocks=((1e-16, 1e-15), (1e-15, 1e-16)),
    off_printed=1.0,
    off_squared=1e-15,
    off_slope=1e-9,
    purity=(0.6, 0.8, 0.99995),
    off_kappa_slope=1e-9,
    kappa_decorrelated=(240.0, 3.0),
    kappa_alike=(199.0, 199.0),
    kappa_nudged=(100.0, 100.0 + 1e-11),
    draws=20000,
    centred_above=0,
    centred_below=0,
    amplify_falls=700,
    suppress_rises=20,
    passes=1e-15,
    moments=(0.5, -1.5),
    pooled=(0.244, 0.5),
    minors=(26, 17, 5),
    kappa_integers=(212.1, 288.2, 206.0),
    rising=(4.0, 5.0, 6.0),
    largest_share=0.5,
    bound_matrices=100,
)
NONE = verdicts.Violations(eigenvalues=120000, outside=0, fallen=0, risen=0)
ARMS = ("Baseline", "BatchNorm", "BN_Amplify", "BN_Suppress")


def responses(seeds=5):
    rows = [
        (seed, variant, layer, *((0.0, 1) if layer == "conv1" or variant in ("Baseline", "BN_Suppress") else (3.0, 0)))
        for seed in range(seeds)
        for variant in ARMS
        for layer in ("conv1", "conv2")
    ]
    return pd.DataFrame(rows, columns=["seed", "variant", "layer", "distance", "identical"])


def changed(table, value, column, **where):
    at = (table[list(where)] == pd.Series(where)).all(axis=1)
    assert at.any()
    return table.assign(**{column: table[column].where(~at, value)})


def tables(**other):
    drawn = [("as drawn", seed) for seed in range(5)] + [("BN, rate 0.1", 0)]
    kappas = {"plain": 100.0, "scaled": 60.0, "normalised": 30.0, "best": 50.0}
    good = {
        "summary": pd.DataFrame(
            [(w, s, view, kappa * (1 + s), 0.7, 0.9, 20.0) for w, s in drawn for view, kappa in kappas.items()],
            columns=["weights", "seed", "view", "kappa", "coherence", "leverage", "floor"],
        ),
        "spectra": pd.DataFrame(
            [(w, s, rank, 1 / rank, 4 / rank) for w, s in drawn for rank in (1, 2, 3)],
            columns=["weights", "seed", "rank", "plain", "scaled"],
        ),
        "participation": pd.DataFrame(
            [(w, s, r, c, share) for w, s in drawn for r in (1, 2, 3) for c, share in ((0, 0.3 * r), (1, 0.05))],
            columns=["weights", "seed", "rank", "channel", "participation"],
        ),
        "channels": pd.DataFrame(
            [(w, s, c, 0.2 + 0.1 * c + s) for w, s in drawn for c in (0, 1)],
            columns=["weights", "seed", "channel", "entering_normalised"],
        ),
        "centring": pd.DataFrame(
            [(w, s, -1e-17, 1e-16, 0.04) for w, s in drawn],
            columns=["weights", "seed", "above", "below", "largest_left"],
        ),
        "responses": responses(),
    }
    return good | other


def verdict(claim, found=GOOD, crossed=NONE, **other):
    judged = {one.id: one for one in verdicts.quick(found, crossed, tables(**other))}
    return judged[claim].verdict


def test_everything_is_judged_once():
    judged = verdicts.quick(GOOD, NONE, tables())
    assert {one.id: one.verdict for one in judged} == {
        "C-Fig4": "reproduced",
        "C-Blk": "reproduced",
        "C-Decor": "corrected",
        "C-Mix": "reproduced",
        "C-Ctl": "reproduced",
        "C-Amp0": "partly",
        "C-Cent": "reproduced",
        "C-ReLU": "reproduced",
        "C-Conv1": "reproduced",
        "E-Kappa": "refuted",
    }
    assert len(judged) == 10
    (full,) = verdicts.full(tables(), "MNIST")
    assert (full.id, full.scale, full.data, full.seeds, full.statistic) == ("C-Conv1", "full", "MNIST", 5, 3.0)


@pytest.mark.parametrize(
    ("claim", "other", "expected"),
    [
        ("C-Fig4", {"astray": 1}, "not reproduced"),
        ("C-Blk", {"off_blocks": ((1e-12, 0.0), (0.0, 0.0))}, "not reproduced"),
        ("C-Blk", {"off_blocks": ((0.0, 1e-12), (0.0, 0.0))}, "not reproduced"),
        ("C-Blk", {"off_blocks": ((0.99e-12, 0.99e-12), (0.0, 0.0))}, "reproduced"),
        ("C-Blk", {"off_blocks": ((0.0, math.inf), (0.0, 0.0))}, "not reproduced"),
        ("C-Decor", {"off_printed": 0.99e-10}, "reproduced"),
        ("C-Decor", {"off_printed": 1e-10}, "corrected"),
        ("C-Decor", {"off_squared": 1e-10}, "not reproduced"),
        ("C-Decor", {"off_squared": 0.99e-10}, "corrected"),
        ("C-Mix", {"off_slope": 1e-6}, "not reproduced"),
        ("C-Mix", {"off_slope": 0.99e-6}, "reproduced"),
        ("C-Mix", {"purity": (0.6, 0.6, 0.99995)}, "not reproduced"),
        ("C-Mix", {"purity": (0.8, 0.7, 0.99995)}, "not reproduced"),
        ("C-Mix", {"purity": (0.6, 0.8, 0.999)}, "not reproduced"),
        ("C-Mix", {"purity": (0.6, 0.8, 0.9991)}, "reproduced"),
        ("C-Ctl", {"kappa_decorrelated": (240.0, 3 * (1 + 1.01e-10))}, "not reproduced"),
        ("C-Ctl", {"kappa_decorrelated": (240.0, 3 * (1 + 0.98e-10))}, "reproduced"),
        ("C-Ctl", {"kappa_alike": (199 * (1 - 1.01e-10), 199.0)}, "not reproduced"),
        ("C-Ctl", {"kappa_alike": (199.0, 199 * (1 + 1.01e-10))}, "not reproduced"),
        ("C-Ctl", {"kappa_nudged": (100.0, 100 * (1 + 1.01e-10), 100.0)}, "not reproduced"),
        ("C-Ctl", {"kappa_nudged": (100.0, 100 * (1 - 0.98e-10), 100.0)}, "reproduced"),
        ("C-Ctl", {"kappa_nudged": (math.inf,)}, "not reproduced"),
        ("C-Ctl", {"off_kappa_slope": 1e-6}, "not reproduced"),
        ("C-Ctl", {"off_kappa_slope": 0.99e-6}, "reproduced"),
        ("C-Amp0", {"amplify_falls": 0}, "partly"),
        ("C-Amp0", {"suppress_rises": 0}, "partly"),
        ("C-Amp0", {"amplify_falls": 0, "suppress_rises": 0}, "reproduced"),
        ("C-Cent", {"centred_above": 1}, "not reproduced"),
        ("C-Cent", {"centred_below": 1}, "not reproduced"),
        ("C-ReLU", {"passes": 1e-10}, "not reproduced"),
        ("C-ReLU", {"passes": 0.99e-10}, "reproduced"),
        ("C-ReLU", {"moments": (0.0, -4.0)}, "not reproduced"),
        ("C-ReLU", {"moments": (3.99, 0.0)}, "reproduced"),
        ("E-Kappa", {"kappa_integers": (212.1, 212.1, 200.0)}, "reproduced"),
        ("E-Kappa", {"kappa_integers": (212.1, 212.2, 200.0)}, "refuted"),
        ("E-Kappa", {"minors": (26, 0, 5)}, "reproduced"),
        ("E-Kappa", {"minors": (26, 1, 5)}, "refuted"),
    ],
)
def test_criteria_of_the_page(claim, other, expected):
    assert verdict(claim, replace(GOOD, **other)) == expected


@pytest.mark.parametrize(
    ("claim", "other", "expected"),
    [
        ("C-Mix", {"outside": 1}, "not reproduced"),
        ("C-Mix", {"fallen": 1}, "reproduced"),
        ("C-Amp0", {"fallen": 1}, "not reproduced"),
        ("C-Amp0", {"risen": 1}, "not reproduced"),
        ("C-Amp0", {"outside": 1}, "partly"),
    ],
)
def test_criteria_of_the_random_matrices(claim, other, expected):
    assert verdict(claim, crossed=replace(NONE, **other)) == expected


def test_amplifying_is_wrong_where_scaling_is():
    clean = replace(GOOD, amplify_falls=0, suppress_rises=0)
    assert verdict("C-Amp0", clean, replace(NONE, fallen=1)) == "not reproduced"


@pytest.mark.parametrize("name", [field.name for field in fields(GOOD) if field.name != "title"])
def test_what_is_no_number_decides_nothing(name):
    value = getattr(GOOD, name)
    spoilt = math.nan
    if isinstance(value, tuple):
        spoilt = ((*value[0][:-1], math.nan), value[1]) if name == "off_blocks" else (*value[:-1], math.nan)
    with pytest.raises(LedgerError, match=f"{name}: 1 of "):
        verdicts.quick(replace(GOOD, **{name: spoilt}), NONE, tables())


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize(
    ("excess", "expected"), [(0.99e-10, "reproduced"), (1e-10, "not reproduced"), (-1.0, "reproduced")]
)
def test_the_mean_of_a_layer_obeys_weyl(side, excess, expected):
    table = tables()["centring"]
    assert verdict("C-Cent", centring=changed(table, excess, side, weights="BN, rate 0.1")) == expected
    with pytest.raises(LedgerError, match=f"eigenvalues {side}: 1 of 6"):
        verdict("C-Cent", centring=changed(table, math.nan, side, weights="BN, rate 0.1"))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (changed(responses(), 0, "identical", layer="conv1", variant="BN_Amplify", seed=3), "not reproduced"),
        (changed(responses(), 1, "identical", layer="conv2", variant="BatchNorm", seed=3), "not reproduced"),
        (changed(responses(), 0, "identical", layer="conv2", variant="BN_Suppress"), "reproduced"),
        (changed(responses(), 1, "identical", layer="conv2", variant="BN_Amplify"), "reproduced"),
        (changed(responses(), math.inf, "distance", layer="conv2", variant="BatchNorm", seed=0), "reproduced"),
        (changed(responses(), math.inf, "distance", layer="conv2", variant="BatchNorm"), "reproduced"),
        (responses(8), "reproduced"),
    ],
)
def test_only_the_second_layer_responds(table, expected):
    assert verdict("C-Conv1", responses=table) == expected


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (responses(4), "at least five paired seeds"),
        (responses().query("variant != 'BN_Suppress'"), "no run of variant = 'BN_Suppress'"),
        (responses().query("layer != 'conv2'"), "no row with layer = 'conv2'"),
        (responses().query("not (layer == 'conv1' and variant == 'BatchNorm' and seed == 2)"), "1 runs are lost"),
        (responses(6).query("not (layer == 'conv1' and seed == 2)"), "do not have the same seeds"),
        (changed(responses(), math.nan, "identical", layer="conv1", variant="BatchNorm"), "not a number"),
        (changed(responses(), math.nan, "distance", layer="conv2", variant="BatchNorm"), "distances: 5 of 5"),
    ],
)
def test_lost_responses_are_errors(table, words):
    for judge in (
        lambda: verdicts.quick(GOOD, NONE, tables(responses=table)),
        lambda: verdicts.full({"responses": table}, ""),
    ):
        with pytest.raises(LedgerError, match=words):
            judge()


def card(claim, found=GOOD, **other):
    (said,) = (one.measured for one in verdicts.quick(found, NONE, tables(**other)) if one.id == claim)
    return said


def test_the_baseline_is_not_counted_against_itself():
    assert "first convolution: 15 of 15 matrices of the other networks" in card("C-Conv1")
    moved = changed(responses(), 0, "identical", layer="conv1", variant="BN_Amplify", seed=3)
    assert "first convolution: 14 of 15 matrices of the other networks" in card("C-Conv1", responses=moved)


def test_the_third_toy_stands_on_its_card():
    assert "both extremes in one channel, gains within 10 % of 1: 100 to 100;" in card("C-Ctl")
    moved = replace(GOOD, kappa_nudged=(101.0, 97.5, 100.0))
    assert "both extremes in one channel, gains within 10 % of 1: 100 to 97.5;" in card("C-Ctl", moved)


@pytest.mark.parametrize(
    ("excess", "words"),
    [
        (-1e-17, "LeNet: no violation; centring leaves 4 % of its"),
        (0.99e-10, "LeNet: no violation;"),
        (2e-10, "LeNet: an eigenvalue out by 2e-10 of"),
    ],
)
def test_a_violation_in_a_layer_is_told_as_one(excess, words):
    table = changed(tables()["centring"], excess, "below", weights="BN, rate 0.1")
    assert words in card("C-Cent", centring=table)


def scaled(rows):
    return pd.DataFrame(rows, columns=["gains", "ratio", "position"])


def test_violations_are_counted_beyond_rounding():
    rows = [
        ("any", 9.0, 1 + 1.1e-10),
        ("any", 9.0, 1 + 0.9e-10),
        ("any", 0.1, -1.1e-10),
        ("any", 0.1, -0.9e-10),
        ("at least 1", 1 - 1.1e-10, 0.5),
        ("at least 1", 1 - 0.9e-10, 0.5),
        ("at least 1", 5.0, 0.5),
        ("at most 1", 1 + 1.1e-10, 0.5),
        ("at most 1", 1 + 0.9e-10, 0.5),
        ("at most 1", 0.2, 0.5),
        ("at most 1", 1.0, math.nan),  # all gains are 1
    ]
    assert verdicts.violations(scaled(rows)) == verdicts.Violations(eigenvalues=10, outside=2, fallen=1, risen=1)


def test_theorems_hold_for_drawn_matrices():
    found = verdicts.violations(random_scalings.gains_and_eigenvalues(200, 3, 2, 0))
    assert (found.outside, found.fallen, found.risen) == (0, 0, 0)
    assert 200 * 6 * 2 < found.eigenvalues <= 200 * 6 * 3


@pytest.mark.parametrize("row", [("any", math.nan, 0.5), ("any", 2.0, math.nan), ("any", 1 + 1.1e-10, math.nan)])
def test_a_lost_eigenvalue_is_an_error(row):
    with pytest.raises(LedgerError, match="not a number"):
        verdicts.violations(scaled([("any", 2.0, 0.5), row]))


def test_facts_of_the_layer_as_drawn():
    facts = verdicts.layer_facts(tables())
    assert facts["kappa"] == 300.0
    assert (facts["kappa_scaled"], facts["kappa_norm"], facts["kappa_best"]) == pytest.approx((0.6, 0.3, 0.5))
    assert facts["kappa_floor"] == pytest.approx(20 / 300)
    assert (facts["coherence"], facts["leverage"], facts["level"], facts["top_left"]) == pytest.approx((0.7, 0.9, 4, 4))
    assert (facts["purity_first"], facts["purity"], facts["purity_last"]) == pytest.approx((0.3, 0.6, 0.9))
    assert (facts["entering_low"], facts["entering_high"]) == pytest.approx((0.2, 4.3))
    assert (facts["worse"], facts["seeds"]) == (0, 5)
    table = tables()["summary"]
    worse = changed(
        changed(table, 999.0, "kappa", view="normalised", seed=3), 999.0, "kappa", view="normalised", seed=4
    )
    assert verdicts.layer_facts(tables(summary=worse))["worse"] == 2
    assert math.isnan(verdicts.layer_facts(tables(summary=table.query("view != 'best'")))["kappa_best"])
    with pytest.raises(LedgerError, match="no row with weights = 'as drawn'"):
        verdicts.layer_facts(tables(summary=table[table["weights"] != "as drawn"]))


def test_every_word_that_is_said(as_said, uneven):
    found = replace(GOOD, kappa_alike=(199.0, 198.0), kappa_nudged=(100.0, 102.0))
    crossed = verdicts.Violations(eigenvalues=120000, outside=3, fallen=2, risen=1)
    made = uneven(tables())
    as_said(quick=verdicts.quick(found, crossed, made), full=verdicts.full(made, "MNIST"))
