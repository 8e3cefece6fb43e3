"""Chapter 09's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math

import pytest
from smoothness_tables import (
    GOOD,
    bound,
    changed,
    conditions,
    curvatures,
    gains,
    hessians,
    lines,
    probes,
    survival,
)

from bnlab.chapters.ch09_smoothness import bound_verdicts, hessian_verdicts, landscape_verdicts, settings, verdicts
from bnlab.claims.ledger import LedgerError


def judged(**other):
    assert set(other) <= set(GOOD)
    return {one.id: one for one in verdicts.quick(GOOD | other, "toy")}


def test_everything_is_judged_once():
    found = verdicts.quick(GOOD, "toy")
    assert [(one.id, one.verdict) for one in found] == [
        ("E-Sant", "corrected"),
        ("E-SantG", "refuted"),
        ("E-SantH", "corrected"),
        ("E-Bjorck", "refuted"),
        ("E-Beta", "reproduced"),
        ("E-Lvar", "reproduced"),
        ("E-Iso", "reproduced"),
        ("E-10x", "reproduced"),
        ("E-HessK", "reproduced"),
        ("E-Lip", "reproduced"),
        ("L-Yao", "reproduced"),
        ("L-Kaur", "reproduced"),
        ("L-Ghor", "reproduced"),
    ]
    full = {one.id: (one.scale, one.data) for one in verdicts.full(GOOD, "MNIST", "CIFAR-10")}
    assert len(full) == 9
    assert full.pop("E-Beta") == ("full", "MNIST, CIFAR-10")
    assert full.pop("E-10x") == ("full", "CIFAR-10")
    assert set(full.values()) == {("full", "MNIST")}


@pytest.mark.parametrize(
    ("claim", "other", "expected"),
    [
        ("E-Sant", {"bound": bound(plain=1.0)}, "reproduced"),
        ("E-Sant", {"bound": bound(equal=1 + 2e-12)}, "not reproduced"),
        ("E-Sant", {"bound": bound(equal=1 + 0.5e-12)}, "corrected"),
        ("E-Sant", {"bound": bound(padded=1.0)}, "not reproduced"),
        ("E-SantG", {"gains": gains(1.0)}, "reproduced"),
        ("E-SantG", {"gains": gains(1.01)}, "refuted"),
        ("E-SantH", {"hessians": hessians(1e-9)}, "not reproduced"),
        ("E-SantH", {"hessians": hessians(0.9e-9)}, "corrected"),
        ("E-SantH", {"hessians": hessians().assign(along=1.0)}, "reproduced"),
        ("E-Beta", {"probes": probes(batch=100.0)}, "not reproduced"),
        ("E-Beta", {"probes": changed(probes(), 200.0, "beta", norm="batch", rule="own")}, "partly"),
        ("E-Beta", {"probes": changed(probes(), 200.0, "beta", norm="batch", seed=1)}, "partly"),
        ("E-Beta", {"probes": changed(probes(), math.inf, "beta", norm="none", seed=1)}, "reproduced"),
        ("E-Lvar", {"probes": probes(batch=10.0)}, "reproduced"),
        ("E-Lvar", {"probes": probes(batch=10.1)}, "not reproduced"),
        ("E-Lvar", {"probes": changed(probes(), 400.0, "range", norm="batch", rule="own")}, "partly"),
        ("E-Lvar", {"probes": changed(probes(), math.inf, "range", norm="none", rule="own")}, "reproduced"),
        ("E-Lvar", {"probes": changed(probes(), 400.0, "range", norm="batch", step=50)}, "reproduced"),
        ("E-Iso", {"level_lines": lines(batch=5.0)}, "not reproduced"),
        ("E-Iso", {"level_lines": changed(lines(), 6.0, "aspect", norm="batch", place="later")}, "partly"),
        ("E-10x", {"survival": survival(none=2, batch=4)}, "reproduced"),
        ("E-10x", {"survival": survival(none=2, batch=3)}, "not reproduced"),
        ("E-10x", {"survival": survival(none=0)}, "not reproduced"),
        ("E-10x", {"survival": changed(survival(), False, "survived", norm="batch", seed=2)}, "partly"),
        ("E-10x", {"survival": changed(survival(), False, "survived", norm="batch", rate=1.0)}, "not reproduced"),
        ("E-HessK", {"conditions": conditions(smaller=15)}, "reproduced"),
        ("E-HessK", {"conditions": conditions(smaller=14)}, "not reproduced"),
        ("E-HessK", {"conditions": conditions(smaller=0)}, "not reproduced"),
        ("E-Lip", {"curvatures": curvatures(gradient=1.0)}, "not reproduced"),
        (
            "E-Lip",
            {"curvatures": changed(curvatures(), 9.0, "gradient_norm", norm="batch", what="path", depth=8)},
            "partly",
        ),
        ("L-Yao", {"curvatures": curvatures(ratio=lambda depth, *_: 1.0 if depth == 8 else 0.99)}, "reproduced"),
        ("L-Yao", {"curvatures": curvatures(ratio=lambda *_: 1.0)}, "not reproduced"),
        ("L-Yao", {"curvatures": curvatures(ratio=lambda *_: 0.5)}, "not reproduced"),
        (
            "L-Yao",
            {"curvatures": curvatures(ratio=lambda d, s, _: (2 if d == 8 else 0.5) if s == "running" else 3.0)},
            "reproduced",
        ),
        (
            "L-Yao",
            {"curvatures": changed(curvatures(), 1.0, "largest", statistics="running", depth=8, seed=1)},
            "partly",
        ),
        ("L-Kaur", {"curvatures": curvatures(ratio=lambda *_: 0.5)}, "not reproduced"),
        ("L-Kaur", {"curvatures": curvatures(ratio=lambda *_: 2.0)}, "reproduced"),  # consistently larger
        (
            "L-Kaur",
            {"curvatures": curvatures(ratio=lambda d, s, _: 2.0 if (d, s) == (8, "batch") else 0.5)},
            "reproduced",
        ),
        (
            "L-Kaur",  # one of ten cells
            {"curvatures": curvatures(ratio=lambda d, s, v: 2.0 if (d, s, v) == (8, "batch", 1.9) else 0.5)},
            "not reproduced",
        ),
        ("L-Ghor", {"curvatures": curvatures(shares=(0.9, 0.2, 0.5))}, "partly"),
        ("L-Ghor", {"curvatures": curvatures(shares=(0.9, 0.9, 0.95))}, "not reproduced"),
    ],
)
def test_criteria(claim, other, expected):
    assert judged(**other)[claim].verdict == expected


def test_numbers_of_the_page_are_those_of_the_verdicts():
    told = verdicts.numbers(GOOD)
    found = judged()
    assert told["smaller"] / told["cells"] == found["L-Kaur"].statistic
    assert told["rate_batch"] / told["rate_none"] == found["E-10x"].statistic
    assert told["beta"] == told["pairs"]  # reproduced in every pair
    assert told["lip"] < 1
    assert all(type(value) in (int, float) for value in told.values())


def test_who_survives_by_dying_learns_nothing():
    table = survival(none=4, batch=2)
    table.loc[table["norm"] == "none", "after"] = 2.3  # as before: its units are dead
    found = landscape_verdicts.rates(table)
    assert found.verdict == "not reproduced"
    assert "takes the loss a tenth below the lower start: 2 with BN, 0 without" in found.measured
    assert landscape_verdicts.learnt(table)["batch"].tolist() == [2.0] * 5
    border = table.assign(after=0.9 * table["before"])
    assert (landscape_verdicts.learnt(border) == 8.0).all(axis=None)
    assert (landscape_verdicts.learnt(border.assign(after=border["after"] * 1.001)) == 0.0).all(axis=None)


def test_who_falls_from_a_high_start_to_guessing_learns_nothing():
    table = survival(none=4, batch=2)
    guessing = table["before"].min()
    table.loc[table["norm"] == "batch", "before"] *= 1.3
    table.loc[table["norm"] == "batch", "after"] = guessing
    assert (landscape_verdicts.learnt(table)["batch"] == 0).all()


def test_a_ratio_without_bound_is_told_in_words():
    found = landscape_verdicts.variation(changed(probes(), math.inf, "range", norm="none", rule="own"))
    assert "inf" not in found.measured
    assert "without bound (the plain network is lost) at their own small rates" in found.measured


def test_levels_that_not_all_have_reached_are_left_out():
    table = curvatures()
    lost = table[~((table["level"] == 1.9) & (table["depth"] == 8) & (table["seed"] == 0) & (table["norm"] == "none"))]
    with pytest.raises(LedgerError, match="one depth alone"):
        hessian_verdicts.depth(lost)
    kept = hessian_verdicts.reached(lost)
    assert sorted(kept.loc[kept["depth"] == 8, "level"].unique()) == [math.inf]


def test_running_statistics_of_no_data_are_no_cell():
    found = hessian_verdicts.cells(curvatures())
    assert len(found) == 2 * (3 + 2)


NUMBERS = [
    *(("bound", "left"), ("gains", "gain"), ("hessians", "deviation"), ("hessians", "along"), ("probes", "beta")),
    *(("probes", "range"), ("curvatures", "largest"), ("curvatures", "gradient_norm"), ("conditions", "kappa")),
    *(("level_lines", "aspect"), ("survival", "survived")),
]


@pytest.mark.parametrize(("name", "column"), NUMBERS)
def test_what_is_no_number_decides_nothing(name, column):
    with pytest.raises(LedgerError):
        judged(**{name: GOOD[name].assign(**{column: math.nan})})


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"probes": probes(4)}, "at least five"),
        ({"probes": probes().query("norm == 'none'")}, "no run of norm = 'batch'"),
        ({"probes": probes().query("kind != 'distance'")}, "no row with kind = 'distance'"),
        ({"probes": changed(probes(), math.inf, "range", norm="batch")}, "a network with BN is lost"),
        ({"curvatures": curvatures(4)}, "at least five"),
        ({"curvatures": curvatures().query("norm == 'batch'")}, "without BN|norm = 'none'"),
        ({"curvatures": changed(curvatures(), -1.0, "largest", norm="none", what="spectrum")}, "is not positive"),
        ({"conditions": conditions(draws=19)}, "20 draws are asked for, not 19"),
        ({"conditions": conditions().query("network == 'MLP'")}, "network = 'ResNet-8'"),
        ({"level_lines": lines(4)}, "at least five"),
        ({"survival": survival(4)}, "at least five"),
        ({"survival": survival().drop(index=3)}, "runs are lost"),
        ({"survival": survival().query("rate == 1")}, "one rate is no grid"),
        ({"bound": bound().query("eps == 0")}, "no row with eps > 0"),
        ({"bound": bound().query("reading == 'at the plain y'")}, "reading = 'at the BN output'"),
    ],
)
def test_what_is_missing_is_an_error(other, words):
    with pytest.raises(LedgerError, match=words):
        judged(**other)


def test_settings_must_be_alike():
    for agree in ({}, {"a": [True] * 5, "b": [True] * 6}):
        with pytest.raises(LedgerError, match="seeds; they must be there, and equal"):
            settings.across(agree)
    assert settings.across({"a": [True] * 4 + [False]}) == ("partly", (0, 1))


def test_the_published_form_of_beta_is_scale_normalised_on_request():
    found = landscape_verdicts.largest_betas(probes(), "share of ||w||", scaled=True)
    assert (found["none"] == 300).all()


def test_every_word_that_is_said(as_said):
    as_said(quick=verdicts.quick(GOOD, "toy"), full=verdicts.full(GOOD, "MNIST", "CIFAR-10"))


def test_the_text_decides_what_bjorck_et_al_argued():
    assert bound_verdicts.bjorck(conditions()).verdict == "refuted"
