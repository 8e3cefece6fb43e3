"""Chapter 06's experiment: which runs are made, how arms are named, and what the tables are summarised to, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from bnlab import datasets
from bnlab.chapters.ch06_speed_and_stability import channel_norms, effects, interventions
from bnlab.chapters.ch06_speed_and_stability import quick as channel_norms_quick
from bnlab.chapters.ch06_speed_and_stability.channel_norms import ARMS, FC_ARMS, arm_points, named_arms
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.executors import processes
from bnlab.sweeps.points import complete

QUICK = dict(first_rates=[1e-3], rates=[1e-3], epochs=1, arms=["baseline", "BN after both"], arm_rate=1e-3, fc_arms=[],
             stability_norms=["none"], stability_rates=[0.5], stability_steps=1, caps=[], seeds=1)  # fmt: skip
NETWORKS = ("none", "batch", "amplify", "suppress")


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=130, test=50)


@pytest.fixture(scope="module")
def quick(digits):
    given = dict(stability_norms=["none"], stability_rates=[0.5, 1e5], stability_steps=3, caps=[4.0])
    with processes() as pool:
        return channel_norms_quick.tables(digits, **QUICK | given, executor=pool)


# What is run


def test_every_arm_is_one_point_and_is_named_back():
    points = arm_points(ARMS, [1e-3], [0])
    assert len(points) == len(ARMS) + 2 * len(FC_ARMS)
    table = named_arms(pd.DataFrame([complete(point) for point in points]))
    of_paper = table[table["fc_mode"] == "paper"]
    assert of_paper["arm"].tolist() == list(ARMS)
    for mode in ("frozen", "matched"):
        assert sorted(table.loc[table["fc_mode"] == mode, "arm"]) == sorted(FC_ARMS)
        assert (table.loc[table["fc_mode"] == mode, "fc"] == mode).all()
    assert of_paper.set_index("arm").loc["FC rate matched to BN", "fc"] == "as_batch"


def test_arms_differ_from_the_baseline_in_one_thing():
    assert all(len(changes) == 1 for name, changes in ARMS.items() if name != "baseline")
    assert len({tuple(changes.items()) for changes in ARMS.values()}) == len(ARMS)


def test_parts_leave_out_what_has_no_runs(digits):
    given = dict(first_rates=[0.1], first_seeds=1, sensitivity_seeds=0, arm_rates=[0.1], arm_epochs=1, arm_seeds=1,
                 stability_rates=[0.1], stability_steps=1, stability_seeds=1, rates=[0.1], seeds=1, seed=0)  # fmt: skip
    parts = channel_norms.parts(digits, **given, epochs=0)
    assert sorted(parts) == ["arms", "first_steps", "held", "stability"]
    assert "long_runs" in channel_norms.parts(digits, **given, epochs=2)
    with pytest.raises(ValueError, match="seeds = 0 must be at least 1"):
        channel_norms.parts(digits, **given | {"first_seeds": 0}, epochs=0)


GIVEN = dict(first_rates=[0.1], first_seeds=1, sensitivity_seeds=0, arm_rates=[0.1], arm_epochs=1, arm_seeds=1,
             stability_rates=[0.1], stability_steps=1, stability_seeds=1, rates=[0.1], epochs=1, seeds=1,
             seed=0)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rates": [5.0, 5.0]}, r"rates = \[5.0, 5.0\] holds a value twice"),
        ({"rates": []}, r"rates = \[\] must be a list of at least one value"),
        ({"first_rates": [0.1, -1.0]}, "first_rates: -1.0 is not a finite number above 0"),
        ({"arm_rates": [0.1, 0.1]}, r"arm_rates = \[0.1, 0.1\] holds a value twice"),
        ({"stability_rates": [0.1, 0.3]}, r"stability_rates = \[0.1, 0.3\] must be a grid in factors of 2"),
        ({"stability_rates": [0.2, 0.1]}, "must be a grid in factors of 2, from low to high"),
        ({"arm_epochs": 0}, "arm_epochs: 0 is not a whole number of at least 1"),
        ({"stability_steps": 0}, "stability_steps: 0 is not"),
        ({"epochs": -1}, "epochs: -1 is not"),
    ],
)
def test_a_recording_refuses_before_its_first_part(digits, change, words):
    assert "long_runs" in channel_norms.parts(digits, **GIVEN)
    with pytest.raises(ValueError, match=words) as error:
        channel_norms.parts(digits, **GIVEN | change)
    assert "\n" not in str(error.value)


def test_rates_of_runs_that_are_left_out_are_not_asked_for(digits):
    assert "long_runs" not in channel_norms.parts(digits, **GIVEN | {"epochs": 0, "rates": []})


def test_a_recording_needs_the_images_of_a_mini_batch(digits):
    with pytest.raises(ValueError, match="dataset: 64 images are more than the 63 that digits"):
        channel_norms.parts(digits.subset(train=63), **GIVEN)


def test_the_quick_tables_have_the_columns_of_the_recorded_ones(quick):
    assert list(quick) == ["first_steps", "long_runs", "arms", "stability"]
    assert quick["first_steps"].groupby("norm")["step"].apply(list).to_dict() == {
        n: [0, 1, 2, 3, 4, 5] for n in NETWORKS
    }
    assert {"lambda_max", "lambda_min", "power1_5", "power2_15", "occupancy1"} <= set(quick["first_steps"])
    assert {"norm", "learning_rate", "seed", "step", "test_error", "diverged"} <= set(quick["long_runs"])
    assert list(quick["arms"])[:2] == ["arm", "fc_mode"]
    assert quick["stability"].groupby(["norm", "cap", "learning_rate"]).ngroups == 4
    for name, table in quick.items():
        assert list(table.attrs["units"]) == list(table), name
        assert (table["status"] == "ok").all()


def test_a_run_that_serves_two_tables_is_the_same_in_both(quick):
    of_norm = quick["long_runs"].query("norm == 'batch'")[["step", "test_error"]].to_numpy()
    of_arm = quick["arms"].query("arm == 'BN after both'")[["step", "test_error"]].to_numpy()
    assert np.array_equal(of_norm, of_arm)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first_rates": []}, "learning_rate = .* must be a list of at least one value"),
        ({"rates": [0.1, -1.0]}, "learning_rate = -1.0 must be a finite number above 0"),
        ({"rates": [0.1, 0.1]}, "holds a value twice"),
        ({"stability_rates": [0.0]}, "learning_rate = 0.0 must be a finite number above 0"),
        ({"arm_rate": 0.0}, "learning_rate = 0.0 must be"),
        ({"stability_norms": ["batsch"]}, "norm: 'batsch' is not one of"),
        ({"arms": ["BN after all"]}, "arms: 'BN after all' is not one of 'baseline', 'BN after both'"),
        ({"seeds": 0}, "seeds = 0 must be at least 1"),
    ],
)
def test_bad_input_is_one_line_before_anything_trains(digits, change, words, monkeypatch):
    monkeypatch.setattr(channel_norms_quick, "_run", None)  # would be called to train
    with pytest.raises(ValueError, match=words) as error:
        channel_norms_quick.tables(digits, **QUICK | change, executor=None)
    assert "\n" not in str(error.value)


# What the tables say


def runs(values, **columns):
    """One row a (norm, rate, seed, step) with the value."""
    keys = ["norm", "learning_rate", "seed", "step"]
    return pd.DataFrame([(*key, value) for key, value in values.items()], columns=[*keys, *columns.get("names", "x")])


def test_a_lost_network_is_represented_by_its_last_number():
    table = runs({("none", 3.0, 0, 3): 7.0, ("none", 3.0, 0, 4): math.inf, ("none", 3.0, 0, 5): math.nan,
                  ("batch", 3.0, 0, 5): 2.0, ("batch", 3.0, 0, 10): 9.0})  # fmt: skip
    wide = effects.reached(table, 5, "x")
    assert wide.loc[(3.0, 0)].to_dict() == {"none": 7.0, "batch": 2.0}
    with pytest.raises(ValueError, match="x: no run has a number up to step 2"):
        effects.reached(table, 2, "x")


def test_nearest_step_of_the_runs_that_went_on():
    table = pd.DataFrame({"step": [281, 937, 299], "diverged": [False, False, True]})
    assert effects.nearest_step(table, 300) == 281
    assert effects.nearest_step(table, 800) == 937
    with pytest.raises(ValueError, match="all of them diverged"):
        effects.nearest_step(table[table["diverged"]], 300)


def test_final_errors_and_who_is_lost():
    table = pd.DataFrame(
        [("a", 0.1, 0, 5, 0.3, False), ("a", 0.1, 0, 9, 0.1, False), ("b", 0.1, 0, 9, 0.85, False),
         ("c", 0.1, 0, 2, 0.4, True), ("d", 0.1, 0, 9, 0.8, False)],
        columns=["norm", "learning_rate", "seed", "step", "test_error", "diverged"],
    )  # fmt: skip
    ends = effects.final_errors(table)
    assert ends["norm"].tolist() == ["a", "b", "c", "d"]
    assert ends["test_error"].tolist() == [0.1, 0.85, 0.4, 0.8]
    assert ends["lost"].tolist() == [False, True, True, False]


def test_the_loss_of_a_network_is_in_the_next_record():
    # Losses at records 0..5 are of the networks after 0, 0, 1, 2, 3, 4 steps; the fourth network has run away.
    losses = [2.0, 2.0, 3.0, 19.0, 21.0, 2.0]
    largest = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]
    table = pd.DataFrame({"norm": "none", "learning_rate": 3.0, "seed": 0, "step": range(6), "loss": losses,
                          "lambda_max": largest})  # fmt: skip
    found = effects.before_running_away(table, 3.0)
    assert found.loc[0, ["initial", "last", "step"]].tolist() == [10.0, 12.0, 2]
    calm = effects.before_running_away(table.assign(loss=2.0), 3.0)
    assert calm.loc[0, ["last", "step"]].tolist() == [14.0, 4]  # of the fifth network no loss is known
    gone = effects.before_running_away(table.assign(loss=[2.0, 2.0, math.nan, 0, 0, 0]), 3.0)
    assert gone.loc[0, "step"] == 0
    sparse = table.assign(step=[0, 1, 2, 3, 5, 10])
    assert effects.before_running_away(sparse.assign(loss=2.0), 3.0).loc[0, "step"] == 2
    with pytest.raises(ValueError, match=r"rate = 1.0 is not in the table; it has \[3.0\]"):
        effects.before_running_away(table, 1.0)


def test_sides_and_masks_are_counted_over_both_layers():
    powers = {f"power1_{n}": 0.5 for n in range(6)} | {f"power2_{n}": 2.0 for n in range(15)} | {"power2_15": 1.0}
    row = {"norm": "none", "learning_rate": 0.1, "seed": 0, "step": 5, "occupancy1": math.nan} | powers
    made = effects.sides(pd.DataFrame([row]))
    assert made[["above", "below"]].to_numpy().tolist() == [[15, 6]]  # a power of exactly 1 is on neither side
    variant = row | {"norm": "amplify", "occupancy1": 0.5, "occupancy2": 0.25, "disagreement1": 0, "disagreement2": 1}
    masks = effects.masks(pd.DataFrame([row, variant]))
    assert masks["occupancy"].tolist() == [pytest.approx((3 + 4) / 22)]
    assert masks["disagreement"].tolist() == [pytest.approx(16 / 22)]


def arm_table(errors):
    """Two seeds an arm; errors by (arm, fc_mode)."""
    rows = [(arm, mode, 1e-3, seed, 10, value, False) for (arm, mode), pair in errors.items()
            for seed, value in enumerate(pair)]  # fmt: skip
    names = ["arm", "fc_mode", "learning_rate", "seed", "step", "test_error", "diverged"]
    return pd.DataFrame(rows, columns=names)


def test_shares_of_the_gap_by_hand():
    table = arm_table({
        ("baseline", "paper"): (0.20, 0.30), ("BN after both", "paper"): (0.10, 0.10),
        ("lower half raised", "paper"): (0.15, 0.25), ("baseline", "matched"): (0.20, 0.30),
        ("BN after both", "matched"): (0.18, 0.32), ("lower half raised", "matched"): (0.19, 0.25),
    })  # fmt: skip
    found = interventions.shares(table, 1e-3).set_index(["fc_mode", "arm", "seed"]).sort_index()
    assert found.loc[("paper", "lower half raised")]["share"].tolist() == pytest.approx([0.5, 0.25])
    assert found.loc[("paper", "BN after both")]["share"].tolist() == pytest.approx([1, 1])
    assert found.loc[("paper", "baseline")]["gain"].tolist() == [0, 0]
    matched = found.loc[("matched", "lower half raised")]
    assert matched["share"].tolist() == pytest.approx([0.1, 0.25])  # of the gap in the paper's setting
    assert matched["own_share"].tolist() == [pytest.approx(0.5), pytest.approx(math.nan, nan_ok=True)]
    summary = interventions.share_summary(found.reset_index()).set_index(["fc_mode", "arm"])
    assert summary.loc[("paper", "lower half raised"), "share"] == pytest.approx(0.375)
    assert summary.loc[("paper", "lower half raised"), ["low", "high"]].tolist() == pytest.approx([0.25, 0.5])
    in_another_order = interventions.shares(table.iloc[::-1], 1e-3).set_index(["fc_mode", "arm", "seed"]).sort_index()
    pd.testing.assert_frame_equal(in_another_order, found)
    with pytest.raises(ValueError, match="no baseline and BN after both"):
        interventions.shares(table[table["arm"] != "BN after both"], 1e-3)


def stability(lost, norm="none", cap=0.0, seed=0):
    """Runs at rates 1, 2, 4, 8 of which those given are lost."""
    return pd.DataFrame([(norm, cap, seed, rate, 20, 0.9 if rate in lost else 0.1, False) for rate in (1, 2, 4, 8)],
                        columns=["norm", "cap", "seed", "learning_rate", "step", "test_error", "diverged"])  # fmt: skip


def test_largest_rates_stop_at_the_first_that_is_lost():
    plain = [stability([4, 8]), stability([2], seed=1), stability([1, 2, 4, 8], seed=2)]
    batch = [stability([], "batch"), stability([8], "batch", seed=1), stability([1], "batch", seed=2)]
    table = pd.concat([*plain, *batch])
    found = interventions.largest_stable_rates(table.sample(frac=1, random_state=0)).set_index(["norm", "seed"])
    assert found["largest"].loc["none"].sort_index().tolist() == [2, 1, pytest.approx(math.nan, nan_ok=True)]
    assert found["beyond"].loc["none"].sort_index().tolist() == ["", "", "below"]
    assert found.loc[("batch", 0), ["largest", "beyond"]].tolist() == [8, "above"]
    ratio = interventions.rate_ratios(found.reset_index(), smallest=1)
    assert ratio.tolist() == [4, 4, 0]


def test_products_of_cap_and_rate():
    inverse = [stability([r for r in (1, 2, 4, 8) if r * cap > 8], cap=cap) for cap in (2.0, 4.0)]
    same = [stability([4, 8], cap=cap, seed=1) for cap in (2.0, 4.0, 1e6)]
    wider = [stability([4, 8], cap=cap, seed=2) for cap in (2.0, 8.0)]
    outside = [stability([] if cap == 2 else [8], cap=cap, seed=3) for cap in (2.0, 4.0)]
    found = interventions.largest_stable_rates(pd.concat([*inverse, *same, *wider, *outside, stability([2])]))
    made = interventions.products(found).set_index("seed")
    assert made.loc[0].tolist() == [8, 8, True]
    assert made.loc[1].tolist() == [4, 8, True]  # the cap that is never reached is left out
    assert made.loc[2].tolist() == [4, 16, False]
    assert made.loc[3].tolist() == [16, 16, False]  # equal, but the first lies beyond the grid


def test_headline_effects_and_holm():
    ratio = pd.DataFrame({"above": [2.0, 8.0, 4.0, 4.0, 4.0], "below": [1.0, 1.0, 1.0, 1.0, 1.0]})
    difference = pd.DataFrame({"above": [0.5, 0.5, 0.5, 0.1, 0.5], "below": [0.2] * 5})
    made = effects.headline({"A": (ratio, "ratio"), "B": (difference, "difference")}).set_index("claim")
    assert made.loc["A", "effect"] == pytest.approx(4)
    assert 2 <= made.loc["A", "low"] <= 4 <= made.loc["A", "high"] <= 8
    assert made.loc["B", "effect"] == pytest.approx(0.3)
    assert made["p_value"].tolist() == pytest.approx([1 / 32, 6 / 32])
    assert made["holm"].tolist() == pytest.approx([2 / 32, 6 / 32])
    assert made["positive"].tolist() == [5, 4]


def test_an_eigenvalue_of_zero_is_beyond_every_other():
    gone = pd.DataFrame({"above": [2.0, 4.0, 8.0, 3.0, 0.0], "below": [1.0, 0.0, 0.0, 0.0, 0.0]})
    made = effects.headline({"A": (gone, "ratio")}).iloc[0]
    assert made["effect"] == math.inf  # of 2, inf, inf, inf and a tie
    assert made["low"] == pytest.approx(1)
    assert (made["seeds"], made["positive"]) == (5, 4)
    nothing = pd.DataFrame({"above": [0.0] * 5, "below": [1.0, 1.0, 0.0, 1.0, 1.0]})
    assert effects.headline({"A": (nothing, "ratio")}).loc[0, ["effect", "high", "p_value"]].tolist() == [0, 1, 1]
    pair = pd.DataFrame({"above": [3.0] * 4, "below": [0.0, 0.0, 1.0, 1.0]})
    assert effects.headline({"A": (pair, "ratio")}).loc[0, "effect"] == math.inf  # between 3 and infinity


def test_where_there_is_no_gap_nothing_is_a_share_of_it():
    table = arm_table({
        ("baseline", "paper"): (0.10, 0.30, 0.05), ("BN after both", "paper"): (0.10, 0.10, 0.10),
        ("lower half raised", "paper"): (0.05, 0.25, 0.20),
    })  # fmt: skip
    found = interventions.shares(table, 1e-3)
    raised = found[found["arm"] == "lower half raised"].set_index("seed")
    assert raised["gain"].tolist() == pytest.approx([0.05, 0.05, -0.15])
    assert raised["share"].tolist() == [pytest.approx(x, nan_ok=True) for x in (math.nan, 0.25, math.nan)]
    summary = interventions.share_summary(found).set_index("arm").loc["lower half raised"]
    assert summary[["seeds", "share"]].tolist() == [1, pytest.approx(0.25)]
    assert np.isnan(summary[["low", "high"]].astype(float)).all()  # one seed has no interval
    assert summary["gain"] == pytest.approx(0.05)
    everywhere = interventions.share_summary(interventions.shares(table[table["seed"] != 1], 1e-3)).set_index("arm")
    assert everywhere["seeds"].tolist() == [0, 0, 0]
    assert everywhere["share"].isna().all()


def test_other_settings_are_compared_with_their_own_baseline():
    first = runs({(norm, 3.0, 0, 5): value for norm, value in zip(NETWORKS, (2.0, 4.0, 6.0, 8.0), strict=True)})
    first = first.assign(lambda_max=first["x"])
    blocks = [first.assign(gain=0.3, batch_size=64, lambda_max=first["x"] ** 2),
              first.assign(gain=1.0, batch_size=16, lambda_max=1.0)]  # fmt: skip
    by_variance = first[first["norm"].isin(["amplify", "suppress"])].assign(gain=1.0, batch_size=64, lambda_max=10.0)
    blocks.append(by_variance.assign(norm=by_variance["norm"] + "_variance"))
    made = effects.under_other_settings(first, pd.concat(blocks), "lambda_max", 3.0)
    row = made.set_index(["setting", "norm"])["ratio"].to_dict()
    assert row[("as in the paper", "batch")] == 2
    assert row[("initial weights × 0.3", "batch")] == 4
    assert row[("mini-batches of 16", "suppress")] == 1
    assert row[("variance as power", "amplify")] == 5
    assert ("variance as power", "batch") not in row
    assert set(made["eigenvalue"]) == {"max"}


def test_processes_can_be_shared_by_sweeps():
    with processes(1) as pool:
        tables = [sweeps.sweep(sweeps.grid(n=[n]), one_row, executor=pool, progress=False) for n in (1, 2)]
        assert pool.submit(abs, -3).result() == 3  # still open: whoever started it ends it
    assert [table["twice"].tolist() for table in tables] == [[2], [4]]


def one_row(point):
    """Make the table of a point, in another process."""
    return pd.DataFrame({"twice": [2 * point["n"]]})


def test_rates_of_one_layer_are_those_of_the_other_than_the_held(digits):
    """conv2 survives 1 and is lost at 2 in both seeds; conv1 survives the whole grid in one, nothing in the other."""
    lost = {"conv1": {0: (False, True), 1: (False, True)}, "conv2": {0: (False, False), 1: (True, True)}}
    rows = [
        {"held": held, "norm": "none", "seed": seed, "learning_rate": rate, "step": 5, "diverged": gone,
         "test_error": 0.9 if gone else 0.1, "test_loss": 1.0}
        for held, seeds in lost.items()
        for seed, ends in seeds.items()
        for rate, gone in zip((1.0, 2.0), ends, strict=True)
    ]  # fmt: skip
    found = interventions.rates_of_one_layer(pd.DataFrame(rows)).set_index("swept")
    assert found.loc["conv2", ["median", "least", "greatest", "beyond"]].tolist() == [1.0, 1.0, 1.0, 0]
    assert found.loc["conv1", ["median", "least", "greatest", "beyond"]].tolist() == [1.0, 0.0, 2.0, 1]
