"""Chapter 15's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math

import numpy as np
import pandas as pd
import pytest

from bnlab.chapters.ch15_gradients_and_activations import (
    gradient_verdicts,
    last_verdicts,
    moment_verdicts,
    printed_table,
    verdicts,
)
from bnlab.chapters.ch15_gradients_and_activations.arms import ARMS
from bnlab.claims.ledger import LedgerError

LAYERS = np.arange(19)  # of a ResNet-20
PLACES = {"none": ("convolution", "stream"), "all": ("convolution", "norm", "stream")}


def moments(rate=0.3, wave=0.0, spans=(2.0, 1.5, 3.0), seeds=5):
    """Without BN exp(rate layer), with it from 1 to a span at each place."""
    made = []
    for arm, places in PLACES.items():
        for place, span in zip(places, spans, strict=False):
            height = rate * LAYERS + wave * np.sin(LAYERS) if arm == "none" else np.log(span) * LAYERS / 18
            columns = {"arm": arm, "place": place, "layer": LAYERS, "variance": np.exp(height), "largest_mean": 2.0}
            made += [pd.DataFrame(columns | {"seed": seed}) for seed in range(seeds)]
    return pd.concat(made, ignore_index=True)


def outputs(none=10, last=5, everywhere=4, wide=3000.0, seeds=5):
    """Ten images of two classes; so many are predicted as class 0, without BN with a margin of ``wide``."""
    made = []
    for arm, count, margin in (("none", none, wide), ("last BN", last, 1.0), ("all", everywhere, 2.0)):
        for seed in range(seeds):
            for image in range(10):
                first = image < count
                row = {"arm": arm, "seed": seed, "image": image, "label": image % 2}
                made += [
                    row | {"output": 0, "logit": margin * first},
                    row | {"output": 1, "logit": margin * (not first)},
                ]
    return pd.DataFrame(made).assign(gradient=0.0)


NULLS = {3: 362.0, 9: 181.0, 15: 90.5}  # of layers 18, 54 and 90, in a ResNet-20


def gradients(with_bn=(0.5, 0.5, 0.5), none=2.0, shares=(0.9, 0.4), ranks=(0.9, 0.1), seeds=5):
    """Ratios with BN as shares of the null, and without, at every layer."""
    at = dict(zip(NULLS, with_bn, strict=True))
    made = []
    for arm in ("none", "last BN", "all"):
        for seed in range(seeds):
            for layer in LAYERS:
                null = NULLS.get(layer, 100.0)
                ratio = none if arm == "none" else at.get(layer, 0.5) * null
                made.append(
                    {
                        "arm": arm,
                        "seed": seed,
                        "layer": layer,
                        "absolute": ratio * 2.0,
                        "net": 2.0,
                        "summands": round(null**2),
                        "top_share": shares[0] if arm == "none" else shares[1],
                        "rank_correlation": ranks[0] if arm == "none" else ranks[1],
                    }
                )
    return pd.DataFrame(made)


TOPS = {"none": 1000.0, "last BN": 50.0, "last centring": 200.0, "last LayerNorm": 900.0, "all but last": 500.0}


def spectra(depths=(20, 56), seeds=5, **tops):
    tops = TOPS | {"all": 100.0} | {name.replace("_", " "): value for name, value in tops.items()}
    return pd.DataFrame(
        [
            (arm, depth, seed, tops[arm] / 2, tops[arm], tops[arm] / 10)
            for arm in ARMS
            for depth in depths
            for seed in range(seeds)
        ],
        columns=["arm", "depth", "seed", "features", "gaussian", "softmax"],
    )


def rates(depths=(20, 56), seeds=5, **survived):
    given = {arm: 2 / top for arm, top in TOPS.items()} | {"all": 0.1}
    given |= {name.replace("_", " "): value for name, value in survived.items()}
    return pd.DataFrame(
        [(arm, depth, seed, given[arm], 2 * given[arm]) for arm in ARMS for depth in depths for seed in range(seeds)],
        columns=["arm", "depth", "seed", "survived", "lost"],
    )


def conditions(grown=10.0, span=2.0, seeds=5):
    made = []
    for arm in ("none", "all"):
        for depth, at in ((8, 0.0), (20, 0.5), (56, 1.0)):
            for norm, factor in (("without", grown), ("with", span)):
                made += [(arm, depth, seed, norm, 1e4 * factor**at) for seed in range(seeds)]
    return pd.DataFrame(made, columns=["arm", "depth", "seed", "norm", "condition"])


GOOD = {
    "moments": moments(),
    "outputs": outputs(),
    "gradients": gradients(),
    "spectra": spectra(),
    "rates": rates(),
    "conditions": conditions(),
}
JUDGES = {
    "B-Fig5": (moment_verdicts.constant, "moments"),
    "B-Fig6a": (lambda table: moment_verdicts.one_negative(table, 1e-16), "outputs"),
    "B-Fig6b": (moment_verdicts.one_class, "outputs"),
    "B-Tab1": (gradient_verdicts.cancels, "gradients"),
    "B-Fig7": (gradient_verdicts.dominated, "gradients"),
    "B-AppG": (gradient_verdicts.aligned, "gradients"),
    "B-LastBN": (last_verdicts.last_alone, "rates"),
    "L-Last": (last_verdicts.sharpness, "spectra", "rates"),
    "L-Cond": (last_verdicts.conditioned, "conditions"),
}


def found(**other):
    return verdicts.Found(**{name: 1e-15 for name in verdicts.Found.__dataclass_fields__} | other)


def judged(claim, **other):
    judge, *names = JUDGES[claim]
    assert set(other) <= set(names)
    one = judge(*((GOOD | other)[name] for name in names))
    assert one.id == claim
    return one


def test_everything_is_judged_once():
    quick = verdicts.quick(found(), GOOD, "toy")
    assert [(one.id, one.verdict) for one in quick] == [
        ("B-Eq3", "reproduced"),
        ("B-Eq4", "reproduced"),
        ("B-Tab1r", "reproduced"),
        ("B-Fig5", "reproduced"),
        ("B-Fig6a", "reproduced"),
        ("B-Fig6b", "reproduced"),
        ("B-Tab1", "reproduced"),
        ("B-Fig7", "reproduced"),
        ("B-AppG", "reproduced"),
        ("B-LastBN", "not run at full scale"),
        ("L-Last", "reproduced"),
        ("L-Cond", "reproduced"),
    ]
    full = verdicts.full(found(), GOOD, "CIFAR-10 (JPEG)")
    assert [(one.id, one.verdict) for one in full] == [(one.id, one.verdict) for one in quick[3:]]
    assert {(one.scale, one.data) for one in full} == {("full", "CIFAR-10 (JPEG)")}


def mixed(make, bad, count):
    """Seeds 0 ... 4 - count of the good table, the rest of the bad one."""
    first, second = make(), make(**bad)
    return pd.concat([first[first["seed"] < 5 - count], second[second["seed"] >= 5 - count]], ignore_index=True)


@pytest.mark.parametrize(
    ("claim", "table", "expected"),
    [
        ("B-Fig5", {"moments": moments(wave=1.7)}, "not reproduced"),  # not along a line
        ("B-Fig5", {"moments": moments(rate=-0.3)}, "not reproduced"),
        ("B-Fig5", {"moments": moments(spans=(9.99, 9.99, 9.99))}, "reproduced"),
        ("B-Fig5", {"moments": moments(spans=(2.0, 2.0, 10.01))}, "partly"),
        ("B-Fig5", {"moments": moments(spans=(10.01, 10.01, 10.01))}, "not reproduced"),
        ("B-Fig5", {"moments": moments(rate=-0.3, spans=(2.0, 2.0, 10.01))}, "not reproduced"),
        ("B-Fig5", {"moments": mixed(moments, {"rate": -0.3}, 1)}, "partly"),
        ("B-Fig5", {"moments": mixed(moments, {"rate": -0.3}, 2)}, "not reproduced"),
        ("B-Fig6b", {"outputs": outputs(none=9, everywhere=8)}, "reproduced"),
        ("B-Fig6b", {"outputs": outputs(none=9, everywhere=9)}, "not reproduced"),  # as many: no more
        ("B-Fig6b", {"outputs": outputs(none=9, everywhere=1)}, "not reproduced"),  # of class 1
        ("B-Fig6b", {"outputs": mixed(outputs, {"everywhere": 10}, 1)}, "partly"),
        ("B-Fig6b", {"outputs": mixed(outputs, {"everywhere": 10}, 2)}, "not reproduced"),
        ("B-Tab1", {"gradients": gradients(none=9.0)}, "reproduced"),
        ("B-Tab1", {"gradients": gradients(none=9.05)}, "reproduced"),  # five times, to the bit
        ("B-Tab1", {"gradients": gradients(none=9.1)}, "not reproduced"),  # 5 times 9.1 is more than half of 90.5
        ("B-Tab1", {"gradients": gradients(with_bn=(0.5, 0.5, 0.5 / 1.83))}, "reproduced"),
        ("B-Tab1", {"gradients": gradients(with_bn=(0.5, 0.5, 0.5 / 1.85))}, "partly"),  # 1.85^(2/3) > 1.5
        ("B-Tab1", {"gradients": mixed(gradients, {"none": 20.0}, 1)}, "partly"),
        ("B-Tab1", {"gradients": mixed(gradients, {"none": 20.0}, 2)}, "not reproduced"),
        ("B-Fig7", {"gradients": gradients(shares=(0.51, 0.5))}, "reproduced"),
        ("B-Fig7", {"gradients": gradients(shares=(0.5, 0.4))}, "not reproduced"),
        ("B-Fig7", {"gradients": gradients(shares=(0.8, 0.8))}, "not reproduced"),
        ("B-Fig7", {"gradients": mixed(gradients, {"shares": (0.4, 0.3)}, 1)}, "partly"),
        ("B-AppG", {"gradients": gradients(ranks=(0.51, 0.9))}, "reproduced"),
        ("B-AppG", {"gradients": gradients(ranks=(0.5, 0.1))}, "not reproduced"),
        ("B-AppG", {"gradients": mixed(gradients, {"ranks": (0.4, 0.1)}, 1)}, "partly"),
        ("L-Last", {"spectra": spectra(last_BN=100.0)}, "reproduced"),
        ("L-Last", {"spectra": spectra(last_BN=100.1)}, "not reproduced"),
        ("L-Last", {"spectra": spectra(all_but_last=333.4)}, "reproduced"),
        ("L-Last", {"spectra": spectra(all_but_last=333.3)}, "not reproduced"),
        ("L-Last", {"spectra": mixed(spectra, {"last_BN": 500.0}, 1)}, "partly"),
        ("L-Last", {"spectra": mixed(spectra, {"last_BN": 500.0}, 2)}, "not reproduced"),
        ("L-Cond", {"conditions": conditions(grown=1.01, span=2.99)}, "reproduced"),
        ("L-Cond", {"conditions": conditions(grown=1.0)}, "not reproduced"),
        ("L-Cond", {"conditions": conditions(span=3.01)}, "not reproduced"),
        ("L-Cond", {"conditions": conditions(span=1 / 3.01)}, "not reproduced"),
        ("L-Cond", {"conditions": mixed(conditions, {"span": 4.0}, 1)}, "partly"),
        ("L-Cond", {"conditions": mixed(conditions, {"grown": 0.5}, 2)}, "not reproduced"),
    ],
)
def test_criteria(claim, table, expected):
    assert judged(claim, **table).verdict == expected


def test_settings_count_what_holds():
    assert judged("B-Fig5", moments=moments(spans=(20.0, 2.0, 20.0))).settings == (1, 3)
    assert judged("B-Tab1", gradients=gradients(with_bn=(0.5, 0.04, 0.5))).settings == (2, 3)
    one = spectra()
    one.loc[(one["depth"] == 56) & (one["arm"] == "last BN"), "gaussian"] = 500.0
    last = judged("L-Last", spectra=one)
    assert (last.verdict, last.settings) == ("not reproduced", (1, 2))
    slow = rates()
    slow.loc[(slow["depth"] == 20) & (slow["seed"] == 3) & (slow["arm"] == "last BN"), "survived"] = 0.2
    assert judged("B-LastBN", rates=slow).settings == (1, 2)


@pytest.mark.parametrize(
    ("given", "in_order"),
    [({}, 10), ({"none": 0.0}, 10), ({"last_BN": 0.1}, 0), ({"none": 0.04, "last_BN": 0.04}, 0), ({"all": 0.01}, 0)],
)
def test_the_order_of_the_rates_is_reported(given, in_order):
    one = judged("B-LastBN", rates=rates(**given))
    assert one.verdict == "not run at full scale"
    assert f"in this order in {in_order} of 10 runs" in one.measured


def test_rank_correlations():
    spectrum = spectra()
    assert last_verdicts.rank_correlations(spectrum, rates()).to_numpy() == pytest.approx(33 / 35)  # of all and last BN
    flat = rates(**{arm.replace(" ", "_"): 0.1 for arm in ARMS})
    assert last_verdicts.rank_correlations(spectrum, flat).isna().all(axis=None)
    assert "undefined" in judged("L-Last", rates=flat).measured


def test_an_unnormalised_network_without_any_surviving_rate():
    assert judged("L-Last", rates=rates(none=0.0)).verdict == "reproduced"


def test_rows_of_figure_six():
    facts = moment_verdicts.rows_of_figure(outputs(wide=3000.0)).set_index(["arm", "seed"])
    assert facts["signs"].all()
    assert facts.loc[("none", 0), "float32"] == 0.5  # images of class 0 have a row of zeros
    assert facts.loc[("none", 0), "cosine"] == pytest.approx(1)  # all others have the row (1, -1)
    assert facts.loc[("none", 0), "loss"] == pytest.approx(1500)
    assert facts.loc[("all", 0), "float32"] == 1
    alternating = (25 + 0 - 10) / 90  # five rows each way: |sum|^2 = 0
    assert facts.loc[("all", 0), "cosine"] == pytest.approx(alternating - 25 / 90)


@pytest.mark.parametrize(("off", "expected"), [(1e-12, "reproduced"), (1.01e-12, "not reproduced")])
def test_one_negative_entry(off, expected):
    assert moment_verdicts.one_negative(outputs(), off).verdict == expected
    assert moment_verdicts.one_negative(outputs(), -off).verdict == expected


def test_logits_too_far_apart_for_float64_have_no_sign():
    table = outputs()
    one = moment_verdicts.one_negative(table.assign(logit=1.5e308 * (2 * (table["logit"] > 0) - 1)), 1e-16)
    assert one.verdict == "not reproduced"


@pytest.mark.parametrize(
    ("claim", "given", "expected"),
    [
        ("B-Eq3", {"convolution_off": 1e-12}, "reproduced"),
        ("B-Eq3", {"convolution_off": 1.01e-12}, "not reproduced"),
        ("B-Eq4", {"kernel_off": 1.01e-12}, "not reproduced"),
        ("B-Eq4", {"kernel_differences_off": 1e-6}, "reproduced"),
        ("B-Eq4", {"kernel_differences_off": 1.01e-6}, "not reproduced"),
    ],
)
def test_formulas(claim, given, expected):
    (one,) = (v for v in verdicts.quick(found(**given), GOOD, "toy") if v.id == claim)
    assert one.verdict == expected


@pytest.mark.parametrize("name", list(verdicts.Found.__dataclass_fields__))
def test_findings_that_are_no_numbers(name):
    for judge in (verdicts.quick, verdicts.full):
        with pytest.raises(LedgerError, match=name):
            judge(found(**{name: math.nan}), GOOD, "toy")


def test_printed_ratios():
    table = printed_table.consistency()
    assert table["consistent"].all()
    assert (table["least"] < table["ratio"] + 0.05).all()
    first = table.iloc[0]
    assert (first["least"], first["most"]) == pytest.approx((7.45e-5 / 3.05e-7, 7.55e-5 / 2.95e-7))
    for ratio, consistent in (("244.1", False), ("244.3", True), ("255.8", True), ("256.1", False)):
        one = printed_table.consistency(((18, "all", "7.5e-05", "3.0e-07", ratio),))
        assert one["consistent"].item() is consistent
    assert verdicts.printed(table.assign(consistent=[True] * 5 + [False])).verdict == "not reproduced"


# Seed 2 of the arm that decides, at a place that is looked at.
PLACE = {
    "B-Fig5": ("variance", {"arm": "all", "place": "stream", "layer": 3}),
    "B-Fig6a": ("logit", {"arm": "all", "image": 3, "output": 1}),
    "B-Fig6b": ("logit", {"arm": "all", "image": 3, "output": 1}),
    "B-Tab1": ("absolute", {"arm": "all", "layer": 9}),
    "B-Fig7": ("top_share", {"arm": "all", "layer": 7}),
    "B-AppG": ("rank_correlation", {"arm": "none", "layer": 7}),
    "B-LastBN": ("survived", {"arm": "last BN", "depth": 20}),
    "L-Last": ("gaussian", {"arm": "last BN", "depth": 20}),
    "L-Cond": ("condition", {"arm": "all", "depth": 20, "norm": "with"}),
}


@pytest.mark.parametrize("claim", PLACE)
@pytest.mark.parametrize("case", ["nan", "lost value", "lost run", "lost arm", "twice", "no column"])
def test_what_is_no_measurement_decides_nothing(claim, case):
    name = JUDGES[claim][1]
    column, where = PLACE[claim]
    table = GOOD[name]
    at = (table[list(where)] == pd.Series(where)).all(axis=1) & (table["seed"] == 2)
    assert at.any()
    broken = {
        "nan": table.assign(**{column: table[column].where(~at, math.nan)}),
        "lost value": table[~at],
        "lost run": table[~((table["seed"] == 2) & (table["arm"] == where["arm"]))],
        "lost arm": table[table["arm"] != where["arm"]],
        "twice": pd.concat([table, table[at]]),
        "no column": table.drop(columns=column),
    }[case]
    if (claim, case) == ("L-Cond", "lost run"):
        broken = table[~((table["seed"] == 2) & (table["norm"] == "with"))]
    with pytest.raises(LedgerError):
        judged(claim, **{name: broken})


@pytest.mark.parametrize("claim", [claim for claim in PLACE if claim != "B-Fig6a"])
def test_few_seeds_decide_nothing(claim):
    name = JUDGES[claim][1]
    with pytest.raises(LedgerError, match="five"):
        judged(
            claim,
            **{name: GOOD[name][GOOD[name]["seed"] < 4]}
            | ({"rates": GOOD["rates"][GOOD["rates"]["seed"] < 4]} if claim == "L-Last" else {}),
        )


@pytest.mark.parametrize("value", [0.0, math.inf])
def test_a_variance_without_a_logarithm_decides_nothing(value):
    table = moments()
    at = (table["arm"] == "none") & (table["layer"] == 3) & (table["seed"] == 2)
    with pytest.raises(LedgerError, match="no line"):
        judged("B-Fig5", moments=table.assign(variance=table["variance"].where(~at, value)))


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_logits_that_overflow_decide_nothing(value):
    table = outputs()
    at = (table["arm"] == "none") & (table["image"] == 3) & (table["seed"] == 2)
    with pytest.raises(LedgerError, match="not finite"):
        judged("B-Fig6b", outputs=table.assign(logit=table["logit"].where(~at, value)))


def test_a_gradient_of_zero_decides_nothing():
    table = gradients()
    at = (table["arm"] == "all") & (table["layer"] == 9) & (table["seed"] == 2)
    with pytest.raises(LedgerError, match="not finite"):
        judged("B-Tab1", gradients=table.assign(net=table["net"].where(~at, 0.0)))


def test_what_is_said(as_said, uneven):
    tables = uneven(GOOD)
    as_said(quick=verdicts.quick(found(), tables, "toy"), full=verdicts.full(found(), tables, "CIFAR-10 (JPEG)"))
