"""Chapter 06's criteria: tables that must pass, must fail, stand at the threshold, or lack something."""

import math

import numpy as np
import pandas as pd
import pytest

from bnlab.chapters.ch06_speed_and_stability import (
    cause_verdicts,
    comparisons,
    eigenvalue_verdicts,
    training_verdicts,
    verdicts,
)
from bnlab.claims.coverage import MissingArmError, NotRunError
from bnlab.claims.ledger import LedgerError

WHERE = {"scale": "full", "data": "invented"}
NETWORKS = ("none", "batch", "amplify", "suppress")
SEEDS = range(5)


def only(judge, *tables, **where):
    """The verdict of a judge that pronounces on one claim."""
    (verdict,) = judge(*tables, **WHERE | where)
    return verdict


def set_at(table, value, column, **where):
    """A copy of a table with one column changed in the rows where the others have these values."""
    chosen = np.logical_and.reduce([table[name] == wanted for name, wanted in where.items()])
    assert chosen.any()
    return table.assign(**{column: table[column].where(~chosen, value)})


def without(table, **where):
    chosen = np.logical_and.reduce([table[name] == wanted for name, wanted in where.items()])
    assert chosen.any()
    return table[~chosen].reset_index(drop=True)


# First steps: powers and eigenvalues


def first_steps(rates=(1e-4, 1e-3, 3.0), seeds=SEEDS, lowest=None, highest=None):
    """Steps 0 and 5; eigenvalues by network, alike in all seeds; powers on both sides of 1 everywhere."""
    lowest = lowest or {"none": 1.0, "suppress": 1.0, "batch": 3.0, "amplify": 3.0}
    highest = highest or {"none": 1000.0, "amplify": 2000.0, "batch": 50.0, "suppress": 100.0}
    rows = [
        {"norm": norm, "learning_rate": rate, "seed": seed, "step": step, "loss": 1.0, "diverged": False,
         "lambda_min": lowest[norm], "lambda_max": highest[norm], "power1_0": 0.5, "power2_0": 2.0}
        for norm in NETWORKS for rate in rates for seed in seeds for step in (0, 5)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_powers_on_both_sides():
    verdict = only(eigenvalue_verdicts.powers, first_steps())
    assert (verdict.verdict, verdict.statistic, verdict.seeds, verdict.settings) == ("reproduced", 5, 5, (3, 3))
    at_one_rate = first_steps()
    for rate in (1e-4, 1e-3):
        at_one_rate = set_at(at_one_rate, 0.9, "power2_0", learning_rate=rate, step=5, seed=3)
    verdict = only(eigenvalue_verdicts.powers, at_one_rate)
    assert (verdict.verdict, verdict.settings) == ("partly", (1, 3))
    assert "after 5 steps in all seeds at these of the 3 rates: 3" in verdict.measured
    not_at_start = set_at(first_steps(), 0.9, "power2_0", step=0, seed=0)
    verdict = only(eigenvalue_verdicts.powers, not_at_start)
    assert (verdict.verdict, verdict.statistic) == ("partly", 4)
    nowhere = only(eigenvalue_verdicts.powers, set_at(first_steps(), 0.9, "power2_0", seed=0))
    assert (nowhere.verdict, nowhere.settings) == ("not reproduced", (0, 3))


def test_a_power_at_the_threshold_is_on_neither_side():
    assert only(eigenvalue_verdicts.powers, set_at(first_steps(), 1.0, "power2_0", seed=0)).verdict == "not reproduced"
    above = math.nextafter(1.0, 2)
    assert only(eigenvalue_verdicts.powers, set_at(first_steps(), above, "power2_0", seed=0)).verdict == "reproduced"


def test_a_plain_network_that_diverged_straddles_nothing_and_one_that_is_lost_is_an_error():
    diverged = set_at(first_steps(), True, "diverged", norm="none", learning_rate=3.0, seed=2)
    ended = without(diverged, norm="none", learning_rate=3.0, seed=2, step=5)
    assert only(eigenvalue_verdicts.powers, ended).settings == (2, 3)
    at_once = set_at(first_steps(), True, "diverged", norm="none", learning_rate=3.0)  # in every seed
    at_once = without(at_once, norm="none", learning_rate=3.0, step=5)
    assert only(eigenvalue_verdicts.powers, at_once).settings == (2, 3)
    with pytest.raises(LedgerError, match="1 records of the plain network are lost"):
        only(eigenvalue_verdicts.powers, without(first_steps(), norm="none", learning_rate=3.0, seed=2, step=5))
    with pytest.raises(LedgerError, match="powers in the first steps: 1 of"):
        only(eigenvalue_verdicts.powers, set_at(first_steps(), math.nan, "power2_0", norm="none", seed=1, step=0,
                                                learning_rate=3.0))  # fmt: skip
    without_a_number = set_at(diverged, math.nan, "power2_0", norm="none", learning_rate=3.0, seed=2, step=5)
    assert only(eigenvalue_verdicts.powers, without_a_number).settings == (2, 3)
    infinite = set_at(first_steps(), math.inf, "power2_0", norm="none", seed=1)
    assert only(eigenvalue_verdicts.powers, infinite).verdict == "reproduced"  # beyond the threshold
    with pytest.raises(MissingArmError):
        only(eigenvalue_verdicts.powers, without(first_steps(), norm="none"))
    with pytest.raises(LedgerError, match="4 paired seeds are fewer than 5"):
        only(eigenvalue_verdicts.powers, first_steps(seeds=range(4)))


def test_smallest_eigenvalues_ask_for_a_direction_at_two_rates():
    verdict = only(eigenvalue_verdicts.smallest_eigenvalues, first_steps())
    assert (verdict.verdict, verdict.seeds) == ("reproduced", 5)
    assert (verdict.statistic, *verdict.interval) == pytest.approx((3, 3, 3))
    assert "above 2 in 5" in verdict.measured
    for rate in (1e-4, 1e-3):
        one = set_at(first_steps(), 0.9, "lambda_min", norm="amplify", learning_rate=rate, seed=0)
        assert only(eigenvalue_verdicts.smallest_eigenvalues, one).verdict == "partly"
    two = set_at(one, 0.9, "lambda_min", norm="amplify", learning_rate=1e-4, seed=1)  # another seed at the other rate
    assert only(eigenvalue_verdicts.smallest_eigenvalues, two).verdict == "not reproduced"


def test_equal_smallest_eigenvalues_are_not_raised():
    level = {"none": 1.0, "suppress": 0.5, "batch": 1.0, "amplify": 4.0}
    assert only(eigenvalue_verdicts.smallest_eigenvalues, first_steps(lowest=level)).verdict == "not reproduced"
    level["batch"] = math.nextafter(1.0, 2)
    verdict = only(eigenvalue_verdicts.smallest_eigenvalues, first_steps(lowest=level))
    assert verdict.verdict == "reproduced"
    assert "above 2 in 0" in verdict.measured


def test_smallest_eigenvalues_of_zero():
    """A dead channel: nothing is raised above nothing, and any number is."""
    dead = first_steps(lowest=dict.fromkeys(NETWORKS, 0.0))
    verdict = only(eigenvalue_verdicts.smallest_eigenvalues, dead)
    assert (verdict.verdict, verdict.statistic) == ("not reproduced", 1)
    revived = first_steps(lowest={"none": 0.0, "suppress": 0.0, "batch": 1e-9, "amplify": 1e-9})
    verdict = only(eigenvalue_verdicts.smallest_eigenvalues, revived)
    assert (verdict.verdict, verdict.statistic) == ("reproduced", None)


def test_smallest_eigenvalues_need_every_run():
    judge = eigenvalue_verdicts.smallest_eigenvalues
    with pytest.raises(LedgerError, match=r"first steps at rate 0.001 of batch: 1 of 5 values are not a number"):
        only(judge, without(first_steps(), norm="batch", learning_rate=1e-3, seed=2))
    with pytest.raises(LedgerError, match="has no eigenvalues after five"):
        only(judge, set_at(first_steps(), math.nan, "lambda_min", norm="batch", seed=2, step=5))
    with pytest.raises(LedgerError, match="1 of 5 values are not a number"):
        only(judge, set_at(first_steps(), math.nan, "lambda_min", norm="batch", seed=2))
    with pytest.raises(MissingArmError, match=r"no first steps at rate 0.0001 of amplify"):
        only(judge, without(first_steps(), norm="amplify"))
    with pytest.raises(LedgerError, match="4 paired seeds are fewer"):
        only(judge, first_steps(seeds=range(4)))
    table = first_steps(seeds=range(6))
    with pytest.raises(LedgerError, match="not the same seeds"):
        only(judge, table[(table["seed"] != 5) | (table["learning_rate"] != 1e-4)])
    with pytest.raises(NotRunError, match=r"no first steps with learning rate 0.0001"):
        only(judge, first_steps(rates=(1e-3, 3.0)))


def lost_at(*rates, of=5, last=3.0):
    """Whole trainings of the plain network, lost at these rates in so many of five seeds."""
    rows = [("none", rate, seed, 9, 0.9 if rate in rates and seed < of else 0.1, False)
            for rate in (1e-3, last) for seed in SEEDS]  # fmt: skip
    return pd.DataFrame(rows, columns=["norm", "learning_rate", "seed", "step", "test_error", "diverged"])


def largest(table, runs, stability=None, **where):
    return only(eigenvalue_verdicts.largest_eigenvalues, table, runs, stability, **where)


def test_largest_eigenvalues_at_each_rate_at_which_the_baseline_is_lost():
    verdict = largest(first_steps(), lost_at(3.0))
    assert (verdict.verdict, verdict.statistic, verdict.settings) == ("reproduced", pytest.approx(10), (1, 1))
    assert "at rate 3 at least 10 times in 5 of 5 seeds" in verdict.measured
    once = set_at(first_steps(), 999.9, "lambda_max", norm="none", seed=0)
    assert largest(once, lost_at(3.0)).verdict == "partly"
    twice = set_at(once, 999.9, "lambda_max", norm="none", seed=1)
    assert largest(twice, lost_at(3.0)).verdict == "not reproduced"
    two_rates = pd.concat([twice, first_steps(rates=(10.0,))], ignore_index=True)
    verdict = largest(two_rates, lost_at(3.0, 10.0), survival({"none": 1.0}))
    assert (verdict.verdict, verdict.settings) == ("partly", (1, 2))
    assert "at rate 3 at least 10 times in 3 of 5 seeds; at rate 10 at least 10 times in 5 of 5" in verdict.measured


def test_where_the_baseline_is_not_lost_there_is_nothing_to_hold_down():
    assert comparisons.losing_rates([1e-3, 3.0], lost_at(3.0), None) == [3.0]
    assert comparisons.losing_rates([1e-3, 3.0], lost_at(3.0, of=4), None) == [3.0]  # all but one
    assert comparisons.losing_rates([1e-3, 3.0], lost_at(3.0, of=3), None) == []
    assert comparisons.losing_rates([0.5, 3.0, 10.0], None, survival({"none": 1.0})) == [3.0, 10.0]
    assert comparisons.losing_rates([0.5, 3.0, 10.0], None, survival({"none": 2.0})) == [10.0]
    assert comparisons.losing_rates([3.0], lost_at(), survival({"none": 1.0})) == []  # the training itself tells
    with pytest.raises(NotRunError, match="at which Baseline is known to be lost"):
        largest(first_steps(), lost_at())
    with pytest.raises(NotRunError, match="no first steps"):
        largest(None, lost_at(3.0))


def test_infinite_largest_eigenvalues():
    wild = set_at(first_steps(), math.inf, "lambda_max", norm="none", seed=0, step=5)
    assert largest(wild, lost_at(3.0)).verdict == "reproduced"  # stands with its last number
    gone = first_steps()
    for seed in (0, 1):  # two calm networks without numbers after five steps: their last ones must not flatter
        gone = set_at(gone, math.nan, "lambda_max", norm="batch", seed=seed, step=5)
    verdict = largest(gone, lost_at(3.0))
    assert verdict.verdict == "not reproduced"
    with pytest.raises(LedgerError, match="first steps at rate 3 of batch: 1 of 5 values are not a number"):
        largest(set_at(first_steps(), math.nan, "lambda_max", norm="batch", seed=0), lost_at(3.0))


def test_zero_is_no_multiple_of_zero():
    pair = pd.DataFrame({"above": [10.0, 9.999, 0.0, 1.0, math.inf], "below": [1.0, 1.0, 0.0, 0.0, math.inf]})
    assert eigenvalue_verdicts.reaches(pair, 10).tolist() == [True, False, False, True, False]


# Whole trainings


def trainings(epochs=2, seeds=SEEDS, ends=None, rates=(1e-3, 0.01, 0.1, 3.0), of_an_epoch=10):
    """Test errors by network and rate, the same after every epoch."""
    ends = ends or {
        1e-3: {"none": 0.30, "suppress": 0.29, "batch": 0.10, "amplify": 0.11},
        0.01: {"none": 0.20, "suppress": 0.19, "batch": 0.08, "amplify": 0.09},
        0.1: {"none": 0.10, "suppress": 0.10, "batch": 0.06, "amplify": 0.06},
        3.0: {"none": 0.90, "suppress": 0.05, "batch": 0.05, "amplify": 0.90},
    }
    rows = [
        {"norm": norm, "learning_rate": rate, "seed": seed, "step": of_an_epoch * epoch, "diverged": False,
         "test_error": ends[rate][norm]}
        for norm in NETWORKS for rate in rates for seed in seeds for epoch in range(1, epochs + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_speed_at_two_rates_and_the_gap_that_closes():
    verdict = only(training_verdicts.speed, trainings())
    assert (verdict.verdict, verdict.seeds) == ("reproduced", 5)
    assert verdict.statistic == pytest.approx(18)
    slower = set_at(trainings(), 0.31, "test_error", norm="amplify", learning_rate=1e-3, seed=0)
    assert only(training_verdicts.speed, slower).verdict == "partly"
    for seed in (1, 2):
        slower = set_at(slower, 0.31, "test_error", norm="batch", learning_rate=0.01, seed=seed)
    assert only(training_verdicts.speed, slower).verdict == "partly"  # the gap still closes
    open_gap = set_at(slower, 0.30, "test_error", norm="none", learning_rate=0.1)
    assert only(training_verdicts.speed, open_gap).verdict == "not reproduced"
    only_open = set_at(trainings(), 0.30, "test_error", norm="none", learning_rate=0.1)
    assert only(training_verdicts.speed, only_open).verdict == "partly"


def test_a_gap_of_a_third_has_not_closed_below_it():
    ends = {rate: dict.fromkeys(NETWORKS, 0.0) | {"none": gap, "suppress": gap}
            for rate, gap in ((1e-3, 0.75), (0.01, 0.5), (0.1, 0.25), (3.0, 0.9))}  # fmt: skip
    assert only(training_verdicts.speed, trainings(ends=ends)).verdict == "partly"
    ends[0.1] = dict.fromkeys(NETWORKS, 0.0) | {"none": 0.2499}
    assert only(training_verdicts.speed, trainings(ends=ends)).verdict == "reproduced"
    ends[0.1] = dict.fromkeys(NETWORKS, 0.0) | {"batch": 0.2501}  # as wide the other way
    assert only(training_verdicts.speed, trainings(ends=ends)).verdict == "partly"


def test_equal_errors_are_not_faster():
    ends = {rate: dict.fromkeys(NETWORKS, 0.1) for rate in (1e-3, 0.01, 0.1, 3.0)}
    assert only(training_verdicts.speed, trainings(ends=ends)).verdict == "not reproduced"


@pytest.mark.parametrize("judge", [training_verdicts.speed, training_verdicts.stability])
def test_whole_trainings_need_every_run(judge):
    rate = 3.0 if judge is training_verdicts.stability else 1e-3
    with pytest.raises(LedgerError, match=f"whole trainings at rate {rate:g} of batch: 1 of 5 values are not a number"):
        judge(without(trainings(), norm="batch", learning_rate=rate, seed=2), **WHERE)
    with pytest.raises(LedgerError, match="1 of 5 values are not a number"):
        judge(set_at(trainings(), math.nan, "test_error", norm="batch", learning_rate=rate, seed=2, step=20), **WHERE)
    with pytest.raises(LedgerError, match="1 of 5 values are not a number"):  # cut short, and not by divergence
        judge(without(trainings(), norm="batch", learning_rate=rate, seed=2, step=20), **WHERE)
    with pytest.raises(LedgerError, match="1 of 5 values are not a number"):
        judge(set_at(trainings(), math.inf, "test_error", norm="batch", learning_rate=rate, seed=2, step=20), **WHERE)
    with pytest.raises(MissingArmError, match="of amplify"):
        judge(without(trainings(), norm="amplify"), **WHERE)
    with pytest.raises(LedgerError, match="4 paired seeds are fewer"):
        judge(trainings(seeds=range(4)), **WHERE)
    with pytest.raises(NotRunError, match="no whole trainings with learning rate"):
        judge(trainings(rates=(0.01, 0.1)), **WHERE)
    with pytest.raises(NotRunError, match="no whole trainings"):
        judge(None, **WHERE)


def test_where_everything_diverged_nothing_is_compared():
    gone = trainings().assign(diverged=True)
    for judge in (training_verdicts.speed, training_verdicts.stability):
        with pytest.raises(NotRunError, match="that did not diverge"):
            judge(gone, **WHERE)


def high(**ends):
    """Whole trainings at rate 3 alone."""
    return trainings(ends={3.0: {"none": 0.9, "amplify": 0.9, "batch": 0.05, "suppress": 0.05} | ends}, rates=(3.0,))


def stable(table, **where):
    return [verdict.verdict for verdict in training_verdicts.stability(table, **WHERE | where)]


def test_who_is_stable_and_what_the_words_mean():
    assert stable(high()) == ["reproduced", "corrected"]
    assert stable(high(batch=0.15)) == ["partly", "corrected"]  # not below 15 %
    assert stable(high(batch=0.1499)) == ["reproduced", "corrected"]
    assert stable(high(suppress=0.15)) == ["partly", "not reproduced"]
    assert stable(high(none=0.8)) == ["partly", "corrected"]  # 80 % is not above it
    assert stable(high(none=0.8, batch=0.2)) == ["not reproduced", "corrected"]
    assert stable(high(amplify=0.05, suppress=0.9)) == ["not reproduced", "reproduced"]
    once = set_at(high(), 0.1, "test_error", norm="amplify", seed=0)  # one seed may survive
    assert stable(once) == ["reproduced", "corrected"]
    assert stable(set_at(once, 0.1, "test_error", norm="amplify", seed=1)) == ["partly", "not reproduced"]
    once = set_at(high(), 0.2, "test_error", norm="suppress", seed=0)  # but none may fail to learn
    assert stable(once) == ["partly", "not reproduced"]


def test_a_network_that_diverged_is_lost_whatever_it_said_last():
    diverged = set_at(high(none=0.1), True, "diverged", norm="none")
    ended = without(diverged, norm="none", step=20)
    assert stable(ended) == ["reproduced", "corrected"]
    without_numbers = set_at(set_at(high(), True, "diverged", norm="none"), math.nan, "test_error", norm="none")
    verdict = training_verdicts.stability(without_numbers, **WHERE)[0]
    assert (verdict.verdict, verdict.statistic) == ("reproduced", pytest.approx(85))
    lost_calm = without(set_at(high(), True, "diverged", norm="batch", seed=0), norm="batch", seed=0, step=20)
    assert "BN 5.0 %" in training_verdicts.stability(lost_calm, **WHERE)[0].measured


# BN beside BN_Suppress


def beside(difference, epochs=7, error=0.02, seeds=SEEDS):
    """Whole trainings at rate 3 in which BN differs from BN_Suppress by so much after each epoch, with some scatter."""
    table = trainings(epochs, seeds=seeds, rates=(3.0,), of_an_epoch=100)
    own = table["norm"].isin(["batch", "suppress"])
    table.loc[own, "test_error"] = error
    scatter = table["seed"].map(lambda seed: (seed - 2) * 1e-4)
    other = table["norm"] == "suppress"
    shift = table["step"].map(lambda step: difference.get(step // 100, 0.0))
    return table.assign(test_error=table["test_error"] - (shift + scatter).where(other, 0.0))


def order(table, epochs=7, **where):
    return only(training_verdicts.order, table, epochs, **where)


def test_equivalence_is_asked_at_every_epoch_after_the_fifth():
    verdict = order(beside({}))
    assert (verdict.verdict, verdict.settings, verdict.seeds) == ("reproduced", (2, 2), 5)
    assert verdict.statistic < 0.05
    early = order(beside({epoch: 0.02 for epoch in range(1, 6)}))  # only what comes after the fifth decides
    assert early.verdict == "reproduced"
    assert [word in early.measured for word in (" after 1,", " after 5,", " after 7")] == [True] * 3
    for epoch in (6, 7):
        late = order(beside({epoch: 0.01}))
        assert (late.verdict, late.settings) == ("not reproduced", (1, 2))


def test_the_margin_is_half_of_batch_normalizations_error():
    curve = training_verdicts.equivalence(beside({6: 0.005, 7: -0.005}, error=0.02), 7).set_index("epoch")
    assert curve["margin"].tolist() == pytest.approx([0.01] * 7)
    assert curve.loc[[6, 7], "difference"].tolist() == pytest.approx([0.005, -0.005])
    assert order(beside(dict.fromkeys((6, 7), 0.009), error=0.02)).verdict == "reproduced"
    assert order(beside(dict.fromkeys((6, 7), 0.009), error=0.017)).verdict == "not reproduced"
    exact = beside({}, error=0.02).assign(test_error=lambda t: t["test_error"].round(2))  # no scatter at all
    assert order(exact).verdict == "reproduced"
    faultless = beside({}).assign(test_error=0.0)
    assert order(faultless).statistic == 1  # within no margin at all


def test_what_stands_before_the_first_epoch_is_no_epoch():
    table = beside({})
    first = table[table["step"] == table["step"].min()]
    started = pd.concat([first.assign(step=0), table], ignore_index=True)
    assert list(training_verdicts.equivalence(started, 7)["epoch"]) == [1, 2, 3, 4, 5, 6, 7]


def test_too_few_epochs_are_not_run_and_lost_runs_are_errors():
    with pytest.raises(NotRunError, match=r"the runs end after 5 epochs, .* after 1, .* after 5"):
        order(beside({}, epochs=5), epochs=5)
    with pytest.raises(LedgerError, match="of suppress: 1 of 5 values are not a number"):
        order(without(beside({}), norm="suppress", seed=0, step=600))
    with pytest.raises(LedgerError, match="of batch: 1 of 5 values are not a number"):
        order(set_at(beside({}), math.nan, "test_error", norm="batch", seed=0, step=600))
    with pytest.raises(LedgerError, match="4 paired seeds are fewer"):
        order(beside({}, seeds=range(4)))
    with pytest.raises(MissingArmError, match="of suppress"):
        order(without(beside({}), norm="suppress"))
    gone = set_at(beside({}), True, "diverged", norm="batch", seed=0)
    for step in range(300, 800, 100):
        gone = without(gone, norm="batch", seed=0, step=step)
    gone = set_at(gone, math.nan, "test_error", norm="batch", seed=0)
    assert order(gone).verdict == "not reproduced"  # a lost network guesses


# Causes


def arms(raised=0.30, after=0.21, seeds=SEEDS, baseline=0.30, both=0.20):
    """One record an arm and seed: the baseline, BN after both, and the two of which half of that gap is asked."""
    errors = {"baseline": baseline, "BN after both": both, "lower half raised": raised, "BN after conv2": after}
    rows = [(arm, "paper", 1e-3, seed, 10, error, False) for arm, error in errors.items() for seed in seeds]
    names = ["arm", "fc_mode", "learning_rate", "seed", "step", "test_error", "diverged"]
    return pd.DataFrame(rows, columns=names)


def share(table, **where):
    return only(cause_verdicts.shares_of_the_gap, table, **where)


def test_half_of_the_gap():
    assert share(arms()).verdict == "not reproduced"
    assert share(arms(raised=0.24, after=0.26)).verdict == "reproduced"
    assert share(arms(raised=0.24, after=0.24)).verdict == "not reproduced"  # both do it
    assert share(arms(raised=0.26, after=0.26)).verdict == "not reproduced"  # neither does
    level = arms(baseline=0.5, both=0.25, raised=0.375, after=0.4)  # half, exactly
    verdict = share(level)
    assert (verdict.verdict, verdict.statistic, verdict.interval, verdict.seeds) == ("reproduced", 0.5, (0.5, 0.5), 5)
    assert share(arms(baseline=0.5, both=0.25, raised=0.3, after=0.375)).verdict == "not reproduced"
    once = set_at(level, 0.376, "test_error", arm="lower half raised", seed=0)
    assert share(once).verdict == "partly"
    assert share(set_at(once, 0.376, "test_error", arm="lower half raised", seed=1)).verdict == "not reproduced"


def test_where_there_is_no_gap_a_seed_does_not_agree():
    level = arms(baseline=0.5, both=0.25, raised=0.3, after=0.4)
    once = set_at(level, 0.25, "test_error", arm="baseline", seed=0)
    verdict = share(once)
    assert (verdict.verdict, verdict.seeds) == ("partly", 5)
    assert "no gap in 1 of 5 seeds" in verdict.measured
    nowhere = share(arms(baseline=0.2, both=0.2))
    assert (nowhere.verdict, nowhere.seeds) == ("reported", 5)
    for seed in (1, 2, 3):
        once = set_at(once, 0.2, "test_error", arm="baseline", seed=seed)
    verdict = share(once)
    assert (verdict.verdict, verdict.interval) == ("not reproduced", None)  # one share has no interval


def test_arms_need_every_run():
    with pytest.raises(NotRunError, match="no arms with arm lower half raised"):
        share(without(arms(), arm="lower half raised"))
    with pytest.raises(NotRunError, match=r"no arms with learning rate 0.001"):
        share(arms().assign(learning_rate=0.1))
    with pytest.raises(LedgerError, match="arms of BN after conv2: 1 of 5 values are not a number"):
        share(without(arms(), arm="BN after conv2", seed=2))
    with pytest.raises(LedgerError, match="test errors: 1 of 20 records are not a number"):
        share(set_at(arms(), math.nan, "test_error", arm="BN after conv2", seed=2))
    with pytest.raises(LedgerError, match="test errors: 1 of 20 records"):
        share(set_at(arms(), math.inf, "test_error", arm="baseline", seed=2))
    with pytest.raises(LedgerError, match="cut short"):
        share(set_at(arms(), 4, "step", arm="baseline", seed=2))
    with pytest.raises(LedgerError, match="4 paired seeds are fewer"):
        share(arms(seeds=range(4)))
    gone = set_at(set_at(arms(), True, "diverged", arm="lower half raised"), math.nan, "test_error",
                  arm="lower half raised")  # fmt: skip
    assert share(gone).statistic < 0  # guesses


RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def survival(largest, seeds=SEEDS, cap=0.0):
    """Survival runs of networks that are lost above their largest rate."""
    rows = [(norm, cap, seed, rate, 20, 0.9 if rate > most else 0.1, False)
            for norm, most in largest.items() for seed in seeds for rate in RATES]  # fmt: skip
    return pd.DataFrame(rows, columns=["norm", "cap", "seed", "learning_rate", "step", "test_error", "diverged"])


def rates(table, **where):
    return only(cause_verdicts.higher_rates, table, **where)


def test_four_times_the_rate():
    verdict = rates(survival({"none": 1.0, "batch": 4.0}))
    assert (verdict.verdict, verdict.statistic, verdict.seeds) == ("reproduced", 4, 5)
    assert "lower bounds" not in verdict.measured
    assert rates(survival({"none": 1.0, "batch": 2.0})).verdict == "not reproduced"
    mixed = [survival({"none": 1.0, "batch": 4.0}, range(4)), survival({"none": 1.0, "batch": 2.0}, [4])]
    assert rates(pd.concat(mixed)).verdict == "partly"
    beyond = rates(survival({"none": 1.0, "batch": 99.0}))
    assert (beyond.verdict, beyond.statistic) == ("reproduced", 16)
    assert "lower bounds: BN survived the whole grid" in beyond.measured
    assert rates(survival({"none": 0.1, "batch": 2.0})).statistic == 4  # none survived: below the smallest rate
    assert rates(survival({"none": 1.0, "batch": 0.1})).statistic == 0


def test_a_quick_grid_that_was_moved_after_a_look_cannot_pass():
    assert rates(survival({"none": 1.0, "batch": 4.0}), scale="quick").verdict == "partly"
    assert rates(survival({"none": 1.0, "batch": 2.0}), scale="quick").verdict == "not reproduced"


def test_survival_needs_every_run():
    table = survival({"none": 1.0, "batch": 4.0})
    with pytest.raises(LedgerError, match=r"survival runs of none of 2.0: 1 of 5 values are not a number"):
        rates(without(table, norm="none", seed=1, learning_rate=2.0))
    with pytest.raises(LedgerError, match="1 of 5 values are not a number"):  # else it would pass for "none survived"
        rates(without(table, norm="none", seed=1))
    with pytest.raises(MissingArmError, match="no survival runs of batch"):
        rates(without(table, norm="batch"))
    with pytest.raises(LedgerError, match="1 of 30 records are not a number"):
        rates(set_at(table, math.nan, "test_error", norm="none", seed=1, learning_rate=2.0))
    with pytest.raises(LedgerError, match="4 paired seeds are fewer"):
        rates(survival({"none": 1.0, "batch": 4.0}, range(4)))
    with pytest.raises(NotRunError, match="no survival runs"):
        rates(None)
    diverged = set_at(table, True, "diverged", norm="none", learning_rate=2.0)
    assert rates(set_at(diverged, math.nan, "test_error", norm="none", learning_rate=2.0)).verdict == "reproduced"


def under_caps(largest, seeds=SEEDS):
    """Survival runs of the plain network under caps, with the one that is never reached."""
    parts = [survival({"none": rate}, seeds, cap) for cap, rate in largest.items()]
    return pd.concat([survival({"none": 1.0, "batch": 4.0}, seeds), *parts, survival({"none": 8.0}, seeds, 1e6)])


def product(table, **where):
    return only(cause_verdicts.capped, table, **where)


def test_the_product_of_cap_and_rate():
    verdict = product(under_caps({1.0: 8.0, 4.0: 2.0}))
    assert (verdict.verdict, verdict.statistic, verdict.seeds) == ("reproduced", 1, 5)
    assert product(under_caps({1.0: 8.0, 4.0: 4.0})).verdict == "reproduced"  # 8 and 16: a factor of 2, no more
    assert product(under_caps({1.0: 8.0, 4.0: 8.0})).verdict == "not reproduced"  # 8 and 32
    mixed = [under_caps({1.0: 8.0, 4.0: 2.0}, range(4)), under_caps({1.0: 8.0, 4.0: 8.0}, [4])]
    assert product(pd.concat(mixed)).verdict == "partly"
    beyond = product(under_caps({1.0: 99.0, 4.0: 4.0}))
    assert beyond.verdict == "not reproduced"
    assert "bounds, for at some cap the grid ended before the network did in 5 of them" in beyond.measured
    assert "bounds" not in verdict.measured
    below = product(under_caps({1.0: 0.1, 4.0: 4.0}))
    assert (below.verdict, below.statistic) == ("not reproduced", 1)
    nothing = product(under_caps({1.0: 0.1, 4.0: 0.1}))
    assert (nothing.verdict, nothing.statistic) == ("not reproduced", None)


def test_caps_need_every_run():
    with pytest.raises(NotRunError, match="caps were left to the full-scale run"):
        product(under_caps({1.0: 8.0}))
    with pytest.raises(LedgerError, match="1 of 5 values are not a number"):
        product(without(under_caps({1.0: 8.0, 4.0: 2.0}), cap=4.0, seed=0))
    with pytest.raises(LedgerError, match="4 paired seeds are fewer"):
        product(under_caps({1.0: 8.0, 4.0: 2.0}, range(4)))


# The whole chapter


def tables():
    return {"first_steps": first_steps(), "long_runs": trainings(), "arms": arms(),
            "stability": under_caps({1.0: 8.0, 4.0: 2.0})}  # fmt: skip


QUICK = {"epochs": 2, "parameters": 6582, "features": {28: 256, 32: 400}, "data": "digits"}


def test_the_quick_run_pronounces_on_every_claim_once():
    made = verdicts.quick(tables(), **QUICK)
    found = {v.id: v.verdict for v in made}
    assert found == {
        "C-Tab1": "reproduced", "C-Fig5": "reproduced", "C-Fig6": "reproduced", "C-Fig8b": "reproduced",
        "C-Fig7": "reproduced", "C-Fig8a": "reproduced", "C-Def": "corrected", "C-Order": "not run at full scale",
        "C-Sep": "not reproduced", "C-BN-LR": "partly", "C-Sup": "reproduced", "C-ICS": "not run at full scale",
        "L-2x2": "not run at full scale", "L-Warm6": "not run at full scale",
    }  # fmt: skip
    assert len(made) == len(found)
    assert {(v.scale, v.data) for v in made} == {("quick", "digits")}


def test_what_the_reader_left_out_is_not_run_and_a_missing_arm_is_an_error():
    left_out = tables() | {"first_steps": first_steps(rates=(0.1,)), "long_runs": trainings(rates=(0.1,))}
    found = {v.id: v.verdict for v in verdicts.quick(left_out, **QUICK)}
    not_run = {name for name, verdict in found.items() if verdict == "not run at full scale"}
    assert not_run == {"C-Fig6", "C-Fig7", "C-Fig8a", "C-Fig8b", "C-Def", "C-Order", "C-ICS", "L-2x2", "L-Warm6"}
    with pytest.raises(MissingArmError):
        verdicts.quick(tables() | {"long_runs": without(trainings(), norm="amplify")}, **QUICK)


@pytest.mark.parametrize(("parameters", "features"), [(6583, 400), (6582, 401)])
def test_the_architecture_is_exact(parameters, features):
    verdict = verdicts.architecture(parameters, {28: 256, 32: features}, "digits")
    assert verdict.verdict == "not reproduced"


def test_full_scale_says_what_it_is_and_what_is_not_there():
    given = {"epochs": 3, "arm_epochs": 1, "data": "MNIST"}
    made = {v.id: v for v in verdicts.full(tables(), **given)}
    assert made["C-BN-LR"].verdict == "reproduced"
    assert {v.scale for v in made.values()} == {"full"}
    assert made["C-Fig7"].data == "MNIST, 3 of the document's 20 epochs"
    assert made["C-Sep"].data == "MNIST, 1 of the document's 20 epochs"
    assert made["C-Fig5"].data == "MNIST"
    assert {v.verdict for v in verdicts.full({}, **given)} == {"not run at full scale"}
    gone = tables() | {"long_runs": without(trainings(), norm="amplify")}
    found = {v.id: v.verdict for v in verdicts.full(gone, **given)}
    assert [found[name] for name in ("C-Fig7", "C-Fig8a", "C-Def")] == ["not run at full scale"] * 3
    assert {v.scale for v in verdicts.full(tables(), **given, scale="own")} == {"own"}
    with pytest.raises(LedgerError):
        verdicts.full(tables() | {"long_runs": without(trainings(), norm="amplify", seed=0)}, **given)


def test_full_scale_says_in_how_many_other_settings():
    rows = [("nothing", "C-Fig5", "reproduced"), ("many", "C-Fig5", "partly"), ("gain 3.0", "C-Fig5", "reproduced")]
    reach = pd.DataFrame(rows, columns=["changed", "claim", "verdict"])
    made = verdicts.full(tables(), epochs=3, arm_epochs=1, data="MNIST", reach=reach)
    told = "it holds in 1 of 2 settings that the document leaves open, partly in 1; in the book's own it is reproduced"
    assert [v.id for v in made if told in v.measured] == ["C-Fig5"]


def test_every_word_that_is_said(as_said, uneven):
    given = {"epochs": 7, "arm_epochs": 3, "data": "MNIST"}
    made = uneven(tables())
    as_said(quick=verdicts.quick(made, **QUICK), full=verdicts.full(made, **given))
