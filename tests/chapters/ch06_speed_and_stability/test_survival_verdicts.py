"""L-2x2 and L-Warm6: tables that must pass, must fail, stand at the threshold, or lack something; the page's words."""

import itertools

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, readable

from bnlab.chapters.ch06_speed_and_stability import survival, survival_plots, survival_prose
from bnlab.chapters.ch06_speed_and_stability import survival_verdicts as verdicts
from bnlab.chapters.ch06_speed_and_stability.survival_arms import ARMS
from bnlab.chapters.ch06_speed_and_stability.survival_verdicts import BETWEEN, FINDINGS, LIKE_BN, LIKE_GAIN, finding
from bnlab.claims.coverage import MissingArmError, NotRunError
from bnlab.claims.ledger import LedgerError

WHERE = {"scale": "full", "data": "invented"}
SEEDS = range(5)
MIDDLE = ("weight_norm", "batch_frozen_gain", "batch_detached")


def arms(edges, octaves=range(-4, 9), seeds=SEEDS, steps=300, swept=("both",), loss=1.0, learns="all"):
    """Survival runs of arms that survive up to these octaves, one for all seeds or one a seed, and their twins."""
    rows = []
    for norm, edge in edges.items():
        own = {seed: edge[seed] if isinstance(edge, list) else edge for seed in seeds}
        common = {"norm": norm, "steps": steps, "learns": learns, "diverged": False, "length1": 4.0, "length2": 6.0,
                  "gradient1": 1.0, "gradient2": 1.0, "turn1": 0.5, "turn2": 0.25, "radial1": 0.0, "radial2": 0.0,
                  "lambda_max": 1.0}  # fmt: skip
        rows += [
            {**common, "swept": place, "learning_rate": 2.0**o, "seed": seed, "step": steps, "test_loss": loss,
             "test_error": 0.1 if o <= own[seed] else 0.9}
            for place in swept for o in octaves for seed in seeds
        ]  # fmt: skip
        rows += [
            {**common, "swept": "neither", "learning_rate": 0.1, "seed": seed, "step": step, "test_loss": 0.5,
             "test_error": 0.2, "length1": 2.0, "length2": 2.0}
            for seed in seeds for step in (0, 1, steps)
        ]  # fmt: skip
    return pd.DataFrame(rows)


PLAIN = {"none": -2, "gain_channel": -3}


def edges_of(weight_norm, frozen, detached, batch=6):
    return PLAIN | dict(zip(MIDDLE, (weight_norm, frozen, detached), strict=True)) | {"batch": batch}


def only(judge, *tables, **where):
    (verdict,) = judge(*tables, **WHERE | where)
    return verdict


# Which property


def test_every_pattern_of_survivors_has_its_finding():
    """The one set of properties, forward pass, shrinking and orthogonality, whose holders are those that survive."""
    has = {"weight_norm": {"S", "O"}, "batch_frozen_gain": {"P"}, "batch_detached": {"P", "S"}}
    sets = [set(chosen) for size in (1, 2, 3) for chosen in itertools.combinations("PSO", size)]
    words = {"P": "controlled power", "S": "gradient that shrinks", "O": "orthogonality"}
    assert set(FINDINGS) == set(itertools.product([True, False], repeat=3))
    for pattern, said in FINDINGS.items():
        lives = dict(zip(MIDDLE, pattern, strict=True))
        fits = [chosen for chosen in sets if all((chosen <= has[norm]) == lives[norm] for norm in MIDDLE)]
        least = min(fits, key=len, default=None)
        if least is None:
            assert said.startswith(("no property", "each does by itself"))
        elif len(least) == 1:
            assert words[least.pop()] in said
        else:
            assert "both" in said or "together" in said


def test_likeness_at_its_thresholds():
    def like(*edges, **more):
        table = arms(edges_of(*edges, **more))
        return list(verdicts.likeness(table, survival.edges(table, 300)).values())

    assert like(5, 4, 6) == [LIKE_BN, BETWEEN, LIKE_BN]  # one octave behind BN; two
    assert like(-2, -1, -3) == [LIKE_GAIN, BETWEEN, LIKE_GAIN]  # one ahead of the constant gain; two
    assert like(0, 0, 0, batch=-1) == []  # BN two octaves beyond the constant gain: nothing can be told
    assert like(0, 0, 0, batch=0) != []
    assert "cannot be told apart" in finding({})
    like = dict(zip(MIDDLE, (BETWEEN, LIKE_BN, LIKE_BN), strict=True))
    # Exactly the arms with a controlled power survive like BN: that one lies between changes nothing.
    assert finding(like) == f"{FINDINGS[False, True, True]} (between it and the constant gain: normalised weights)"


def test_a_step_of_a_coarse_grid_is_no_difference():
    table = arms(edges_of(0, -4, 8, batch=8), octaves=(-4, 0, 4, 8)).query("norm != 'none'")
    table = pd.concat([table, arms({"none": -4}, octaves=(-4, 0, 4, 8))])
    like = verdicts.likeness(table, survival.edges(table, 300))
    assert list(like.values()) == [LIKE_GAIN, LIKE_GAIN, LIKE_BN]


def test_the_arms_are_reported():
    verdict = only(verdicts.properties, arms(edges_of(-3, -3, 5)))
    assert (verdict.verdict, verdict.statistic, verdict.seeds) == ("reported", 9, 5)
    assert "Baseline $2^{-2}$, constant gain $2^{-3}$" in verdict.measured
    assert verdict.measured.endswith(FINDINGS[False, False, True])
    assert "fixed" not in verdict.measured
    beyond = only(verdicts.properties, arms(edges_of(8, -9, 5, batch=[8, 8, 8, 7, 7])))
    assert "normalised weights at least $2^{8}$" in beyond.measured
    assert "BN with frozen backward gain below $2^{-4}$" in beyond.measured
    assert "BN at least $2^{8}$" in beyond.measured  # three of five seeds
    assert "at least" not in only(verdicts.properties, arms(edges_of(1, 1, 1, batch=[8, 8, 7, 7, 7]))).measured


def test_arms_with_nothing_but_weights_are_told_beside_the_others():
    whole, still = arms(edges_of(-3, -3, 5)), arms(edges_of(1, 6, 6), learns="weights")
    told = only(verdicts.properties, pd.concat([whole, still]))
    assert f"; {FINDINGS[False, False, True]}; with biases" in told.measured
    assert "fixed: Baseline $2^{-2}$" in told.measured
    assert told.measured.endswith(finding(dict(zip(MIDDLE, (BETWEEN, LIKE_BN, LIKE_BN), strict=True))))
    one = still[still["norm"] == "batch_frozen_gain"]
    alone = only(verdicts.properties, pd.concat([whole, one]))
    assert alone.measured.endswith("fixed: BN with frozen backward gain $2^{6}$")
    said = verdicts.forward_alone(pd.concat([whole, one]))
    assert "$2^{-3}$ is survived ($2^{6}$ with $\\gamma$ and $\\beta$ fixed), by BN $2^{6}$" in said
    words = survival_prose.arms(pd.concat([whole, still]))
    assert (words["fixed_weight_norm"], words["fixed_batch_frozen_gain"]) == ("1", "6")
    assert words["fixed_finding"] == finding(dict(zip(MIDDLE, (BETWEEN, LIKE_BN, LIKE_BN), strict=True)))
    words = survival_prose.arms(pd.concat([whole, one]))
    assert (words["fixed_batch"], words["fixed_finding"]) == ("–", "not all arms were run so")


def test_long_runs_are_told_beside_the_short():
    short = arms(edges_of(-3, -3, 5))
    long = arms(edges_of(-4, -3, 5, batch=[5] * 5), octaves=(4, 5, 6, 7), steps=3000)
    told = only(verdicts.properties, pd.concat([short, long[long["swept"] != "neither"]]))
    assert "after 3,000 steps, from these edges outwards: Baseline below $2^{4}$" in told.measured
    assert "BN $2^{5}$" in told.measured
    assert told.statistic == 9  # of the short ones


def test_what_is_missing_of_the_arms():
    whole = arms(edges_of(-3, -3, 5))
    with pytest.raises(NotRunError, match="no survival runs of the arms"):
        only(verdicts.properties, None)
    with pytest.raises(NotRunError, match="with norm weight_norm"):
        only(verdicts.properties, whole[whole["norm"] != "weight_norm"])
    with pytest.raises(NotRunError, match="survival runs of both convolutions"):
        only(verdicts.properties, whole.assign(swept=whole["swept"].replace("both", "conv1")))
    with pytest.raises(LedgerError, match="1 are missing"):
        only(verdicts.properties, whole.drop(index=whole.index[7]))
    with pytest.raises(LedgerError, match="no test error"):
        only(verdicts.properties, whole.assign(test_error=whole["test_error"].where(whole.index != 7)))
    with pytest.raises(LedgerError, match="1 seed has no interval"):
        only(verdicts.properties, arms(edges_of(-3, -3, 5), seeds=[0]))
    assert verdicts.forward_alone(None) == ""
    assert verdicts.forward_alone(whole) == (
        "; with BN's forward pass and a frozen backward gain $2^{-3}$ is survived, by BN $2^{6}$, by a constant gain "
        "$2^{-3}$"
    )


# Warm-up


def warmed(plain=0, own=0, batch=4, lengths=(20, 100), octaves=range(-2, 8), seeds=SEEDS, **others):
    """Runs of 300 steps after warm-ups; ``own`` one octave, or one a length."""
    ends = [300 + length for length in lengths]
    own = own if isinstance(own, dict) else dict.fromkeys(lengths, own)
    looks = {"plain": ("none", 1.0), "batch": ("batch", 1.0), "layer": ("layer", 1.0), "he": ("none", 6**0.5)}
    rows = []

    def add(norm, gain, warm_up, edge, steps, recorded):
        for seed in seeds:
            top = edge[seed] if isinstance(edge, list) else edge
            for o in octaves:
                rows.extend({"norm": norm, "gain": gain, "warm_up": warm_up, "learning_rate": 2.0**o, "seed": seed,
                             "steps": steps, "step": step, "diverged": False, "test_error": 0.1 if o <= top else 0.9}
                            for step in recorded)  # fmt: skip

    for name, edge in {"plain": plain, "batch": batch, **others}.items():
        add(*looks[name], 0, edge, ends[-1], [300, *ends])
    for length in lengths:
        add("none", 1.0, length, own[length], 300 + length, [300, 300 + length])
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("own", "batch", "expected"),
    [
        (3, 4, "reproduced"),  # one octave behind
        (2, 4, "not reproduced"),
        (6, 4, "reproduced"),  # beyond BN
        ([3, 3, 3, 3, 2], 4, "partly"),
        ([3, 3, 3, 2, 2], 4, "not reproduced"),
        ({20: 0, 100: 3}, 4, "reproduced"),  # one length is enough
        ({20: [3, 3, 3, 2, 2], 100: [2, 2, 2, 3, 3]}, 4, "not reproduced"),  # but the same for all seeds
        (7, 7, "not reproduced"),  # BN survives the whole grid: nobody knows how far
        (6, [4, 4, 4, 4, 7], "partly"),
        (-9, -2, "not reproduced"),  # a network that survives nothing is within an octave of nothing
    ],
)
def test_a_warm_up_within_an_octave(own, batch, expected):
    assert only(verdicts.warmed_up, warmed(own=own, batch=batch)).verdict == expected


def test_what_is_said_of_warm_ups():
    told = only(verdicts.warmed_up, warmed(plain=0, own={20: 0, 100: 2}, batch=7, layer=6, he=1))
    assert told.measured == (
        "medians after a warm-up of 20 steps: +0 octaves over no warm-up, 7 below BN, within one in 0 of 5 seeds; "
        "100 steps: +2 octaves over no warm-up, 5 below BN, within one in 0 of 5 seeds (BN survived the whole grid, "
        "which bounds it from below); beside it, octaves over Baseline: LayerNorm +6, Baseline, He's weights +1"
    )
    assert told.statistic == 7
    gains = survival_prose.warm_up(warmed(plain=0, own={20: 0, 100: 2}, batch=6)).to_dict("list")
    assert gains == {"warm_up": [20, 100], "gain": [0, 2], "behind": [6, 4]}


def test_networks_are_compared_after_as_many_steps():
    """BN that is lost after 400 steps is compared at 320 with the short warm-up, where it still lived."""
    table = warmed(own=0, batch=4)
    late = (table["norm"] == "batch") & (table["step"] == 400)
    table = table.assign(test_error=table["test_error"].where(~late, 0.9))
    found = survival.warm_up_edges(table)
    octaves = found[found["network"] == "BN"].groupby("warm_up")["octave"].first()
    assert octaves.to_dict() == {20: 4, 100: -3}


def test_what_is_missing_of_warm_ups():
    whole = warmed()
    with pytest.raises(NotRunError, match="no runs with a warm-up"):
        only(verdicts.warmed_up, None)
    with pytest.raises(MissingArmError, match="of BN"):
        only(verdicts.warmed_up, whole[whole["norm"] != "batch"])
    with pytest.raises(LedgerError, match="4 paired seeds are fewer than 5"):
        only(verdicts.warmed_up, warmed(seeds=range(4)))
    with pytest.raises(LedgerError, match="are missing"):
        only(
            verdicts.warmed_up,
            whole[~((whole["norm"] == "batch") & (whole["seed"] == 1) & (whole["learning_rate"] == 2))],
        )
    with pytest.raises(LedgerError, match="no test error"):
        only(verdicts.warmed_up, whole.assign(test_error=np.nan))
    with pytest.raises(LedgerError, match="cut short"):
        only(verdicts.warmed_up, whole[~((whole["warm_up"] == 20) & (whole["seed"] == 1) & (whole["step"] == 320))])


# The page's words and figures


def test_words_of_the_arms():
    words = survival_prose.arms(arms(edges_of(-3, -3, 5, batch=8), swept=("both", "conv1")))
    assert words["finding"] == finding(dict(zip(MIDDLE, (LIKE_GAIN, LIKE_GAIN, BETWEEN), strict=True)))
    assert words["beyond_batch"] == "at least 11"
    assert words["beyond_batch_frozen_gain"] == "0"
    assert words["worth_batch"] == "2"
    assert words["turn_batch"] == "0.25"
    assert words["eigenvalue_batch"] == "1"
    assert (words["conv1_batch"], words["conv2_batch"]) == ("8", "–")
    assert (words["best_octave"], words["best_worth"]) == ("-4", "2")
    gone = survival_prose.arms(arms(edges_of(-9, -3, 5, batch=-9)))
    assert (gone["best_octave"], gone["best_worth"]) == ("–", "–")
    assert (gone["worth_weight_norm"], gone["turn_weight_norm"]) == ("–", "–")


@pytest.mark.parametrize(
    ("edges", "loss", "expected"),
    [
        (edges_of(8, 7, 8, batch=8), 1.0, ("held", "did not hold")),  # all alike: the frozen gain's is no higher
        (edges_of(8, 6, 8, batch=8), 1.0, ("did not hold", "did not hold")),
        (edges_of(8, 8, 8, batch=8), 0.4, ("held", "did not hold")),
    ],
)
def test_predictions(edges, loss, expected):
    told = survival_prose.predictions(arms(edges, loss=loss), warmed(own=2, plain=0, batch=4))
    assert (told["survives"], told["worth"]) == expected
    assert told["warm_up"] == "held"


def test_predictions_of_worth_and_warm_up():
    table = arms(edges_of(8, 8, 8, batch=8))
    frozen = table["test_loss"].where((table["norm"] != "batch_frozen_gain") | (table["swept"] == "neither"), 3.0)
    assert survival_prose.predictions(table.assign(test_loss=frozen), warmed(own=3, plain=0))["worth"] == "held"
    for own, batch, held in ((2, 4, True), (3, 6, False), (2, 3, False)):
        told = survival_prose.predictions(table, warmed(own=own, plain=0, batch=batch))["warm_up"]
        assert told == ("held" if held else "did not hold")


def test_best_losses_are_of_rates_that_nobody_lost():
    table = arms({"none": [0, 0, 0, 0, 3]}, octaves=range(4))
    moved = table.assign(test_loss=table["test_loss"] / table["learning_rate"].where(table["swept"] == "both", 1.0))
    found = survival_prose.best_losses(moved)
    assert found[["norm", "learning_rate", "loss", "twin"]].to_numpy().tolist() == [["none", 1.0, 1.0, 0.5]]


def test_the_table_of_the_page():
    found = survival.edges(arms(edges_of(-3, -3, 5), swept=("both", "conv2")), 300)
    told = survival_prose.power_names(found)
    assert told["swept"].tolist() == ["both convolutions", "conv2 alone"] * 6 or len(told) == 12
    row = told[(told["arm"] == "BN") & (told["swept"] == "conv2 alone")].iloc[0]
    assert (row["rate"], row["octaves, interval"], row["relative"]) == ("2⁶", "6 to 6", 6.0)


@pytest.mark.usefixtures("book_style")
def test_figure_of_the_largest_octaves():
    table = arms(edges_of(-3, -9, [5, 5, 5, 5, 8]), swept=("both", "conv1", "conv2"))
    edges = survival.edges(table, 300)
    figure = readable(survival_plots.largest_octaves({"short": edges, "long": edges}))
    assert [axes.get_title() for axes in figure.axes] == ["both convolutions", "conv1 alone", "conv2 alone"]
    left = figure.axes[0]
    assert [label.get_text() for label in left.get_yticklabels()] == [survival.NAMES[norm] for norm in ARMS]
    drawn = {line.get_marker(): sorted(set(line.get_xdata())) for line in left.lines if len(line.get_xdata())}
    assert drawn["<"] == [-5.0]
    marks = np.concatenate([line.get_xdata() for line in left.lines if line.get_marker() == ">"])
    assert set(marks) == {8.0}


@pytest.mark.usefixtures("book_style")
def test_figure_of_what_a_rate_is_worth():
    table = arms({"none": 2, "batch": 6})
    left, right = readable(survival_plots.worth(survival.curves(table, 300))).axes
    line = labelled(left)["BN"]
    assert list(line.get_xdata()) == list(range(-4, 7))
    assert set(line.get_ydata()) == {2.0}
    assert set(right.lines[0].get_ydata()) == {0.25}
    wild = survival.curves(table.assign(test_loss=table["test_loss"] * 1e6), 300).assign(twin=1.0)
    left, _ = survival_plots.worth(wild).axes
    assert max(labelled(left)["BN"].get_ydata()) == survival_plots.TOP


def test_what_longer_runs_make_of_the_frozen_gain():
    short = arms(edges_of(0, 1, 5))
    assert survival_prose.gone_on(short) == ""
    behind, beyond, alike = (arms(edges_of(0, edge, 5), steps=3000).query("swept == 'both'") for edge in (-4, 0, -3))
    said = survival_prose.gone_on(pd.concat([short, behind]))
    assert said.startswith("That is after 300 steps. After 3,000 the frozen gain survives 1 octave less far than")
    assert "3 octaves beyond the constant gain" in survival_prose.gone_on(pd.concat([short, beyond]))
    assert "as far as the constant gain" in survival_prose.gone_on(pd.concat([short, alike]))
