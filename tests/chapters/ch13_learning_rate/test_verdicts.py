"""Chapter 13's criteria, each from both sides, at its threshold, and with what is no measurement."""

import math

import pandas as pd
import pytest
from rate_tables import (
    THREE,
    changed,
    drawn,
    largest_rates,
    noise,
    plateau,
    runs,
    sharpness,
    tables,
    warm_up,
)

from bnlab.chapters.ch13_learning_rate import (
    noise_verdicts,
    rate_verdicts,
    sharpness_verdicts,
    training_verdicts,
    verdicts,
)
from bnlab.claims.ledger import LedgerError


def judged(depth=8, found=None, **other):
    made = verdicts.quick(found or noise(), tables(**other), depth, THREE, "toy")
    return {one.id: one for one in made}


def full_scale(**other):
    return {one.id: one for one in verdicts.full(tables(**other), 110, THREE, "toy")}


def test_everything_is_judged_once():
    small = {"runs": runs().assign(epochs=20)}
    found = verdicts.quick(noise(), tables(**small), 8, THREE, "toy")
    assert [(one.id, one.verdict) for one in found] == [
        ("B-Grid", "refuted"),
        ("B-Dec", "reproduced"),
        ("B-Eq2", "reproduced"),
        ("B-LRB", "corrected"),
        ("B-LR", "reproduced"),
        ("L-Warm13", "reproduced"),
        ("B-Fig1", "not run at full scale"),
        ("B-Fig1L", "not run at full scale"),
        ("B-Best", "reproduced"),
        ("B-Tab4", "reproduced"),
        ("B-Keskar", "reproduced"),
        ("L-Iso", "reproduced"),
        ("L-Sharp", "reproduced"),
    ]
    recorded = verdicts.full(tables(), 110, THREE, "CIFAR-10")
    assert {(one.scale, one.data) for one in recorded} == {("full", "CIFAR-10")}
    assert [one.id for one in recorded] == [one.id for one in found[4:]]


def test_words_and_numbers_as_said(as_said, uneven):
    odd = uneven(tables())
    odd |= {"largest_rates": largest_rates(none=0.0013, batch=0.43), "runs": runs(none=0.615)}
    odd["sharpness"] = odd["sharpness"].assign(ratio=tables()["sharpness"]["ratio"])
    odd |= {"warm_up": warm_up(short=0.7)}
    as_said(
        quick=verdicts.quick(
            noise(rate_step=4.1, batch_step=2.2), odd | {"runs": odd["runs"].assign(epochs=9)}, 8, THREE, "toy"
        ),
        full=verdicts.full(odd, 110, THREE, "toy"),
    )


@pytest.mark.parametrize(
    ("listed", "used", "expected"),
    [((0.1, 0.003), (0.1,), "reproduced"), ((0.1, 0.003), (0.1, 0.03), "refuted")],
)
def test_grid(listed, used, expected):
    assert noise_verdicts.grid(listed, used).verdict == expected


def test_the_documents_list_has_a_hole_and_lacks_a_rate():
    found = noise_verdicts.grid(verdicts.LISTED, verdicts.USED)
    assert found.verdict == "refuted"
    assert found.statistic == pytest.approx(0.1 / 0.003)
    assert "0.03" in found.measured


@pytest.mark.parametrize(
    ("claim", "other", "expected"),
    [
        ("B-Dec", {"mean_error": 0.9e-12}, "reproduced"),
        ("B-Dec", {"mean_error": 1.1e-12}, "not reproduced"),
        ("B-Dec", {"mean_error": math.inf}, "not reproduced"),
        ("B-Eq2", {"ratios": [0.5, 0.9], "different": [1.0, 1.0]}, "reproduced"),
        ("B-Eq2", {"ratios": [1.0, 1 + 0.5e-12]}, "reproduced"),
        ("B-Eq2", {"ratios": [1.0, 1 + 2e-12]}, "not reproduced"),
        ("B-Eq2", {"drawn": drawn(with_ratio=1.041)}, "not reproduced"),
        ("B-Eq2", {"drawn": drawn(with_ratio=1.039)}, "reproduced"),
        ("B-Eq2", {"drawn": drawn(with_ratio=0.5)}, "reproduced"),
        ("B-LRB", {"rate_step": 2.0}, "reproduced"),
        ("B-LRB", {"rate_progress": 2.1}, "not reproduced"),
        ("B-LRB", {"batch_progress": 2 * (1 + 0.5e-12)}, "corrected"),
    ],
)
def test_noise(claim, other, expected):
    assert judged(found=noise(**other))[claim].verdict == expected


@pytest.mark.parametrize(
    "other",
    [
        {"mean_error": math.nan},
        {"ratios": [1.0, math.nan]},
        {"ratios": []},
        {"ratios": [1.0]},
        {"different": [math.nan, 1.0]},
        {"drawn": changed(drawn(), math.nan, "ratio", first=True)},
        {"drawn": drawn()[lambda t: t["replacement"]]},
        {"drawn": drawn()[lambda t: ~t["replacement"]]},
        {"rate_step": math.nan},
        {"batch_progress": math.nan},
    ],
)
def test_noise_that_is_no_number_decides_nothing(other):
    with pytest.raises(LedgerError):
        judged(found=noise(**other))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"none": 0.001, "batch": 0.2}, "reproduced"),  # 0.2 over 0.002: exactly a hundred
        ({"none": 0.001, "batch": 0.199}, "not reproduced"),
        ({"none": 1.0, "batch": 0.2}, "not reproduced"),
    ],
)
def test_rates_apart(other, expected):
    assert judged(largest_rates=largest_rates(**other))["B-LR"].verdict == expected


def test_rates_apart_but_for_some_seeds():
    for seeds, expected in (([0], "partly"), ([0, 5], "not reproduced")):
        table = largest_rates()
        table.loc[table["seed"].isin(seeds) & (table["norm"] == "batch"), ["survived", "lost"]] = 0.1, 0.15
        found = judged(largest_rates=table)["B-LR"]
        assert found.verdict == expected
        assert found.statistic == pytest.approx(200)


def test_only_the_deepest_network_decides_on_rates():
    table = largest_rates()
    table.loc[(table["depth"] == 8) & (table["norm"] == "batch"), ["survived", "lost"]] = 1e-5, 2e-5
    assert judged(largest_rates=table)["B-LR"].verdict == "reproduced"


def test_brackets_without_an_end_count_as_one_octave_more():
    low, high = rate_verdicts.LOWEST, rate_verdicts.HIGHEST
    table = largest_rates()
    table.loc[table["norm"] == "none", ["survived", "lost"]] = math.nan, low
    table.loc[table["norm"] == "batch", ["survived", "lost"]] = high, math.inf
    found = judged(largest_rates=table)["B-LR"]
    assert (found.verdict, found.statistic) == ("reproduced", high / low)
    made = rate_verdicts.ends(table, "toy")
    assert set(made.loc[made["norm"] == "none", "survived"]) == {low / 2}
    assert set(made.loc[made["norm"] == "batch", "lost"]) == {high * 2}


@pytest.mark.parametrize(
    "table",
    [
        largest_rates(seeds=7),
        largest_rates()[lambda t: ~((t["norm"] == "none") & (t["seed"] == 3) & (t["depth"] == 110))],
        largest_rates()[lambda t: t["norm"] == "batch"],
        pd.concat([largest_rates(), largest_rates().head(1)]),
        changed(largest_rates(), math.nan, "survived", first=True),
        changed(largest_rates(), math.nan, "lost", first=True),
        changed(largest_rates(), math.inf, "lost", first=True),
        changed(largest_rates(), 5.0, "survived", first=True),
    ],
)
def test_rates_with_a_hole_decide_nothing(table):
    with pytest.raises(LedgerError):
        rate_verdicts.apart(table)


@pytest.mark.parametrize(
    ("short", "expected"),
    [(1.0, "reproduced"), (0.0, "reproduced"), (-2.0, "reproduced"), (1.01, "not reproduced")],
)
def test_warm_up(short, expected):
    assert judged(warm_up=warm_up(short))["L-Warm13"].verdict == expected


def test_warm_up_at_some_depths_or_but_for_one_seed():
    some = warm_up()
    some.loc[(some["depth"] == 20) & (some["warmup"] == 200), ["survived", "lost"]] = 0.1, 0.2
    found = judged(warm_up=some)["L-Warm13"]
    assert (found.verdict, found.settings) == ("partly", (1, 2))
    one = warm_up()
    one.loc[(one["seed"] == 2) & (one["warmup"] == 200), ["survived", "lost"]] = 0.1, 0.2
    assert judged(warm_up=one)["L-Warm13"].verdict == "partly"


def test_only_the_longest_warm_up_decides():
    table = warm_up()
    table.loc[table["warmup"] == 50, ["survived", "lost"]] = 1e-4, 2e-4
    assert judged(warm_up=table)["L-Warm13"].verdict == "reproduced"


@pytest.mark.parametrize(
    "table",
    [
        warm_up(seeds=4),
        warm_up()[lambda t: t["norm"] == "none"],
        warm_up()[lambda t: ~((t["norm"] == "batch") & (t["seed"] == 1))],
        changed(warm_up(), math.nan, "survived", first=True),
    ],
)
def test_warm_up_with_a_hole_decides_nothing(table):
    with pytest.raises(LedgerError):
        rate_verdicts.warmed(table)


# The gain from the smallest rate to the largest is 0.8 - 0.6, half of it 0.1; the gaps are 0.4, 0.29 and 0.15.
@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, "reproduced"),
        ({"none": 0.6 + 0.0999}, "reproduced"),
        ({"none": 0.6 + 0.1001}, "not reproduced"),
        ({"none": 0.6 - 0.1001}, "not reproduced"),
        ({"test": {0.1: 0.6}}, "not reproduced"),
        ({"train": {0.001: 0.74}}, "not reproduced"),
        ({"train": {0.001: 0.76}}, "reproduced"),
        ({"lost": False}, "not reproduced"),
    ],
)
def test_figure_1_at_the_documents_scale(other, expected):
    assert full_scale(runs=runs(**other))["B-Fig1"].verdict == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, "reproduced"),
        ({"train": {0.001: 0.99}}, "reproduced"),
        ({"train": {0.001: 0.989}}, "not reproduced"),
        ({"train": {0.01: 0.84}}, "not reproduced"),
        ({"train": {0.01: 1.0, 0.001: 0.995}, "test": {0.01: 0.6}}, "not reproduced"),
    ],
)
def test_training_accuracy_at_the_documents_scale(other, expected):
    assert full_scale(runs=runs(**other))["B-Fig1L"].verdict == expected


@pytest.mark.parametrize("scale", ["quick", "full"])
def test_a_miniature_never_passes_a_claim_of_the_documents_scale(scale):
    for depth, epochs in ((20, None), (110, 164)):
        table = runs() if epochs is None else runs().assign(epochs=epochs)
        for judge in (training_verdicts.figure_1, training_verdicts.fitted):
            found = judge(table, THREE, depth, scale=scale)
            assert found.verdict == "not run at full scale"
            assert f"ResNet-{depth}" in found.measured


def test_one_seed_otherwise_is_partly_at_the_documents_scale():
    table = runs()
    table.loc[(table["seed"] == 1) & (table["norm"] == "none") & (table["rate"] == 0.001), "test_accuracy"] = 0.9
    assert full_scale(runs=table)["B-Fig1"].verdict == "partly"


def test_lost_is_what_diverged_or_guesses():
    table = runs(lost=False)
    guesses = (table["norm"] == "none") & (table["rate"] == 0.1)
    ends = training_verdicts.final(table.assign(train_loss=table["train_loss"].where(~guesses, 2.3026)))
    assert set(ends.loc[ends["lost"], "rate"]) == {0.1}
    assert set(ends.loc[ends["lost"], "norm"]) == {"none"}
    assert set(ends.loc[ends["lost"], "test_accuracy"]) == {0.1}
    diverged = training_verdicts.final(runs())
    assert diverged["lost"].sum() == 5
    learns = training_verdicts.final(table.assign(train_loss=table["train_loss"].where(~guesses, 2.2)))
    assert not learns["lost"].any()


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({}, "reproduced"),
        ({0.1: 0.5}, "reproduced"),  # up to the best one, 0.01, ten times the smallest
        ({0.1: 0.5, 0.01: 0.64}, "not reproduced"),  # the best is 0.003
        ({0.003: 0.59}, "not reproduced"),
        ({0.003: 0.6}, "not reproduced"),
        ({0.001: 0.9}, "not reproduced"),
    ],
)
def test_best_rate(test, expected):
    assert judged(runs=runs(test=test))["B-Best"].verdict == expected


@pytest.mark.parametrize(
    ("other", "expected", "settings"),
    [
        ({}, "reproduced", (3, 3)),
        ({"layer": {0.01: 0.6}}, "partly", (2, 3)),
        ({"group": {0.1: 0.6}}, "reproduced", (3, 3)),
        ({"group": {0.1: 0.599}}, "partly", (2, 3)),
        ({name: {0.01: 0.5} for name in ("layer", "group", "instance")}, "not reproduced", (0, 3)),
    ],
)
def test_variants(other, expected, settings):
    found = judged(runs=runs(variants=other))["B-Tab4"]
    assert (found.verdict, found.settings) == (expected, settings)


@pytest.mark.parametrize(
    "table",
    [
        runs(seeds=4),
        runs()[lambda t: t["norm"] != "layer"],
        runs()[lambda t: ~((t["norm"] == "group") & (t["rate"] == 0.01))],
        runs()[lambda t: ~((t["norm"] == "batch") & (t["rate"] == 0.003) & (t["seed"] == 2))],
        changed(runs(), math.nan, "test_accuracy", norm="batch", rate=0.003, seed=1),
        changed(runs(), math.nan, "train_loss", norm="instance", rate=0.01, seed=1),
        runs().iloc[:0],
    ],
)
def test_runs_with_a_hole_decide_nothing(table):
    with pytest.raises(LedgerError):
        judged(runs=table, depth=8)


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("rate", THREE)
def test_every_arm_of_figure_1_is_needed(norm, rate):
    table = runs()
    with pytest.raises(LedgerError, match=r"no run|lost"):
        training_verdicts.as_in_figure_1(table[~((table["norm"] == norm) & (table["rate"] == rate))], THREE)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"along": 1.2}, "reproduced"),
        ({"power": 0.5, "along": 1.5}, "not reproduced"),
        ({"power": 0.0, "along": 1.0}, "not reproduced"),
        ({"power": -0.5, "along": 0.4, "ratios": (1, 10, 100, 1000)}, "partly"),  # falls with B at fixed alpha
        ({"along": 1.2, "lost": 8}, "reproduced"),
    ],
)
def test_sharpness_falls_with_the_ratio(other, expected):
    assert sharpness_verdicts.keskar(sharpness(**other)).verdict == expected


def test_plane_finds_the_exponents():
    table = sharpness()
    table = table.assign(largest=3 * table["rate"] ** -0.7 * table["batch_size"] ** 0.4)
    found = sharpness_verdicts.plane(table)
    assert found.rate == pytest.approx(-0.7, abs=1e-9)
    assert found.batch == pytest.approx(0.4, abs=1e-9)
    assert max(found.rate_error, found.batch_error) < 1e-9


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"along": 1.5}, "reproduced"),
        ({"along": 1.2}, "not reproduced"),  # 1.2^3 = 1.7 on a line
        ({"along": 1.5, "error": 0.01}, "not reproduced"),
    ],
)
def test_lines_of_equal_ratio(other, expected):
    assert sharpness_verdicts.on_lines(sharpness(**other)).verdict == expected


def test_partial_correlation_by_its_formula():
    """r_xy.z = (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)), of ranks."""
    table = sharpness(along=1.5, error=0.001)
    rank = table[["test_error", "largest", "ratio"]].rank().corr().to_numpy()
    xy, xz, yz = rank[0, 1], rank[0, 2], rank[1, 2]
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    found = sharpness_verdicts.partial(table)
    assert found.correlation == pytest.approx(expected, rel=1e-9)
    assert math.atanh(found.high) - math.atanh(found.low) == pytest.approx(2 * 1.96 * math.sqrt(1.06 / 16))


@pytest.mark.parametrize(
    ("judge", "table"),
    [
        (sharpness_verdicts.keskar, sharpness(lost=9)),
        (sharpness_verdicts.on_lines, sharpness(lost=1)),
        (sharpness_verdicts.keskar, changed(sharpness(), math.nan, "largest", first=True)),
        (sharpness_verdicts.keskar, changed(sharpness(), -1.0, "largest", first=True)),
        (sharpness_verdicts.on_lines, changed(sharpness(), math.nan, "test_error", first=True)),
        (sharpness_verdicts.on_lines, sharpness().assign(test_error=0.1)),
        (sharpness_verdicts.keskar, sharpness(sizes=(4,), ratios=range(1, 21))),
        (sharpness_verdicts.on_lines, sharpness(sizes=(4,), ratios=range(1, 21))),
        (sharpness_verdicts.keskar, sharpness().drop(columns="reached")),
    ],
)
def test_sharpness_with_a_hole_decides_nothing(judge, table):
    with pytest.raises(LedgerError):
        judge(table)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"batch": 1.199}, "reproduced"),
        ({"batch": 1.201}, "not reproduced"),
        ({"batch": 0.801}, "reproduced"),
        ({"batch": 0.799}, "not reproduced"),
        ({"largest": 1.0}, "not reproduced"),
        ({"largest": 0.999}, "reproduced"),
        ({"batch": math.inf, "largest": math.inf}, "not reproduced"),
    ],
)
def test_plateau(other, expected):
    assert sharpness_verdicts.batch_sharpness(plateau(**other)).verdict == expected


def test_plateau_at_one_rate_alone_is_partly():
    table = plateau()
    table.loc[table["rate"] == 0.1, "batch"] *= 2
    found = sharpness_verdicts.batch_sharpness(table)
    assert (found.verdict, found.settings) == ("partly", (1, 2))


def test_plateau_is_of_the_second_half():
    table = plateau()
    table.loc[table["step"] <= 1000, ["batch", "largest"]] = 99.0
    assert sharpness_verdicts.batch_sharpness(table).verdict == "reproduced"


@pytest.mark.parametrize(
    "table",
    [
        plateau(seeds=4),
        plateau()[lambda t: ~((t["seed"] == 0) & (t["step"] > 1000))],
        changed(plateau(), math.nan, "batch", step=1500, seed=2),
        changed(plateau(), math.nan, "largest", step=2000, seed=2),
        plateau()[lambda t: ~((t["seed"] == 3) & (t["rate"] == 0.1))],
    ],
)
def test_plateau_with_a_hole_decides_nothing(table):
    with pytest.raises(LedgerError):
        sharpness_verdicts.batch_sharpness(table)
