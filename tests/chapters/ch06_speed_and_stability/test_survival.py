"""Survival runs: what a step did to filters, which rates are run and which long, edges and their summaries, by hand."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch06_speed_and_stability import survival, survival_arms, survival_runs
from bnlab.chapters.ch06_speed_and_stability.filter_steps import FilterSteps, ForwardPower, turns
from bnlab.chapters.ch06_speed_and_stability.survival_arms import around_the_edge, outwards, upwards
from bnlab.claims.coverage import MissingArmError
from bnlab.claims.ledger import LedgerError
from bnlab.measures.probes import LeNetProbe, probe_images
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.sweeps.points import run_jobs
from bnlab.sweeps.sweep import Sample


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=130, test=50)


@pytest.fixture(scope="module")
def here():
    """An executor in this process."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def lenet(norm="none"):
    return LeNet(norm=norm, generator=generator(0, "initialisation"))


# What a step did


def test_turns_are_right_at_all_sizes():
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    other = torch.tensor([[0.0, 5.0], [-3.0, 0.0], [7.0, 0.0], [1.0, 1e-9]], dtype=torch.float64)
    expected = torch.tensor([90.0, 180.0, 0.0, math.degrees(1e-9)], dtype=torch.float64)
    torch.testing.assert_close(turns(one, other), expected, rtol=1e-6, atol=0)


def test_steps_of_filters_by_hand():
    model, rates = lenet(), (0.5, 2.0)
    before = [layer.weight.detach().clone() for layer in (model.conv1, model.conv2)]
    gradients = [torch.randn(w.shape, generator=generator(n, "g")) for n, w in enumerate(before)]
    for layer, g, rate in zip((model.conv1, model.conv2), gradients, rates, strict=True):
        layer.weight.grad = g
        with torch.no_grad():
            layer.weight.sub_(rate * g)
    row = FilterSteps(rates)(model)
    for n, (w, g, rate) in enumerate(zip(before, gradients, rates, strict=True), 1):
        w, g = w.double().flatten(1).numpy(), g.double().flatten(1).numpy()
        after = w - rate * g
        lengths = [np.linalg.norm(x, axis=1) for x in (w, after, g)]
        angles = np.degrees(np.arccos((w * after).sum(1) / lengths[0] / lengths[1]))
        cosines = (w * g).sum(1) / lengths[0] / lengths[2]
        assert row[f"length{n}"] == pytest.approx(np.linalg.norm(after), rel=1e-5)
        assert row[f"gradient{n}"] == pytest.approx(np.linalg.norm(g), rel=1e-5)
        assert row[f"turn{n}"] == pytest.approx(float(torch.tensor(angles).median()), rel=1e-4)
        assert row[f"radial{n}"] == pytest.approx(np.sqrt((cosines**2).mean()), rel=1e-4)


def test_steps_before_the_first_and_without_numbers():
    model = lenet()
    row = FilterSteps((1.0, 1.0))(model)
    assert row["gradient1"] == row["turn1"] == row["radial1"] == 0
    assert row["length1"] > 0
    model.conv2.weight.grad = torch.full_like(model.conv2.weight, torch.inf)
    row = FilterSteps((1.0, 1.0))(model)
    assert all(math.isnan(row[name]) for name in ("gradient2", "turn2", "radial2"))


def test_forward_power_is_the_probes(digits):
    model, images = lenet("batch"), probe_images(digits, 40)
    row, known = ForwardPower(images)(model), LeNetProbe(images)(model)
    assert row["lambda_max"] == pytest.approx(known["lambda_max"], rel=1e-10)
    assert row["power_fc"] == pytest.approx(known["power_fc"], rel=1e-6)
    with torch.no_grad():
        model.conv1.weight[0] = torch.nan
    assert all(math.isnan(value) for value in ForwardPower(images)(model).values())


# What is run


def test_a_point_is_the_plain_network_but_for_what_is_said():
    whole = survival_runs.point({"norm": "batch", "swept": "conv1"}, 4.0, 3, 50)
    assert whole == {"norm": "batch", "gain": 1.0, "warm_up": 0, "swept": "conv1", "learns": "all",
                     "learning_rate": 4.0, "seed": 3, "steps": 50}  # fmt: skip


@pytest.mark.parametrize(
    ("swept", "moves"), [("both", (True, True)), ("conv1", (True, True)), ("neither", (False, False))]
)
def test_rates_of_the_convolutions(digits, swept, moves):
    setting = survival_arms._setting(digits, (3,))
    job = survival_runs.prepared(survival_runs.point({"swept": swept}, 0.5, 0, 3), setting)
    before = [layer.weight.detach().clone() for layer in (job.model.conv1, job.model.conv2)]
    run_jobs([job], setting, 16)
    layers = (job.model.conv1, job.model.conv2)
    assert tuple(not torch.equal(old, new.weight) for old, new in zip(before, layers, strict=True)) == moves
    expected = {"both": (0.5, 0.5), "conv1": (0.5, 0.1), "neither": (0.0, 0.0)}[swept]
    assert job.measurements["steps"].rates == expected


@pytest.mark.parametrize("swept", ["both", "neither"])
def test_weights_alone_learn(digits, swept):
    setting = survival_arms._setting(digits, (3,))
    group = {"norm": "batch", "swept": swept, "learns": "weights"}
    job = survival_runs.prepared(survival_runs.point(group, 0.5, 0, 3), setting)
    before = {name: parameter.detach().clone() for name, parameter in job.model.named_parameters()}
    run_jobs([job], setting, 16)
    moved = {name for name, parameter in job.model.named_parameters() if not torch.equal(parameter, before[name])}
    fc = {"fc.weight", "fc.bias"}
    assert moved == (fc if swept == "neither" else fc | {"conv1.weight", "conv2.weight"})


def test_a_warm_up_is_the_rate_that_rises():
    model = lenet()
    warm = survival_runs.WarmUp(4)
    for step, factor in ((1, 0.25), (3, 0.75), (4, 1.0), (9, 1.0)):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        warm(model, step)
        assert (model.conv1.weight.grad == factor).all()
        assert (model.conv2.weight.grad == factor).all()
        assert (model.fc.weight.grad == 1).all()
        assert (model.conv1.bias.grad == 1).all()


def made(points, lost):
    """Rows as a sweep gives them; a run is lost where ``lost(norm, octave, seed)`` says so."""
    rows = [{**p, "status": "ok", "step": p["steps"], "diverged": False,
             "test_error": 0.9 if lost(p["norm"], math.log2(p["learning_rate"]), p["seed"]) else 0.1}
            for p in points]  # fmt: skip
    return pd.DataFrame(rows)


class Runs:
    """Stands for a partial of a sweep, and remembers what it was asked."""

    def __init__(self, lost, folder=None):
        self.lost, self.keywords, self.asked = lost, {"folder": folder}, []

    def __call__(self, points):
        self.asked += points
        return made(points, self.lost)


def octaves_of(points, norm):
    return sorted({int(math.log2(p["learning_rate"])) for p in points if p["norm"] == norm})


GROUPS = [{"norm": "none"}, {"norm": "batch"}]


def test_rates_go_up_until_all_seeds_are_lost_at_one():
    run = Runs(lambda norm, octave, seed: norm == "none" and octave in (-2 + seed, 2))
    upwards(GROUPS, range(-3, 9), [0, 1], 10, run)
    assert octaves_of(run.asked, "none") == [-3, -2, -1, 0, 1, 2]
    assert octaves_of(run.asked, "batch") == list(range(-3, 9))
    run = Runs(lambda norm, octave, seed: seed == 0)  # the other seed never
    upwards(GROUPS, range(-3, 9), [0, 1], 10, run)
    assert octaves_of(run.asked, "none") == list(range(-3, 9))
    run = Runs(lambda norm, octave, seed: True)
    assert len(upwards(GROUPS, range(-3, 9), [0, 1], 10, run)) == 2 * 3 * 2


def test_of_drawn_runs_only_the_first_octaves_are_sure_to_be_recorded():
    run = Runs(lambda norm, octave, seed: False, folder=Sample(3, 0))
    upwards(GROUPS, range(-3, 9), [0, 1], 10, run)
    assert octaves_of(run.asked, "batch") == [-3, -2, -1]


def test_long_runs_stand_around_the_lower_median_edge():
    def edge(edges, grid=range(-3, 6)):
        points = [survival_runs.point({}, 2.0**o, seed, 10) for o in grid for seed in range(len(edges))]
        return around_the_edge(made(points, lambda norm, octave, seed: octave > edges[seed]), {}, grid)

    assert edge([2, 2, 2]) == [0, 1, 2, 3]
    assert edge([-1, 3, 3, 4]) == [1, 2, 3, 4]
    assert edge([0, 1, 3, 4]) == [-1, 0, 1, 2]
    assert edge([5, 5, 5]) == [3, 4, 5]
    assert edge([-9, -9, 4]) == [-3]
    # What is survived above a rate that was lost does not count.
    points = [survival_runs.point({}, 2.0**o, 0, 10) for o in range(6)]
    assert around_the_edge(made(points, lambda norm, octave, seed: octave == 2), {}, range(6)) == [0, 1, 2]


def test_long_runs_go_outwards_until_the_edge_of_every_seed_is_among_them():
    def asked(edges, first, grid=range(-9, 13)):
        run = Runs(lambda norm, octave, seed: octave > edges[seed])
        outwards([{"norm": "none"}], {0: first}, grid, range(len(edges)), 10, run)
        assert len(run.asked) == len(edges) * len(octaves_of(run.asked, "none"))  # none twice
        return octaves_of(run.asked, "none")

    assert asked([1, 0, 1], [0, 1, 2]) == [0, 1, 2]
    assert asked([1, -1, 1], [0, 1, 2]) == [-3, -2, -1, 0, 1, 2]  # one seed is lost at the lowest
    assert asked([1, 5, 1], [0, 1, 2]) == [*range(9)]  # one survives all of them, twice
    assert asked([-20, 1, 1], [0, 1, 2]) == [*range(-9, 3)]  # the grid ends
    assert asked([1, 20, 1], [0, 1, 2]) == [*range(13)]
    assert asked([-1, 4], [0, 1, 2]) == [*range(-3, 6)]


def test_groups_whose_edges_are_found_do_not_run_again():
    run = Runs(lambda norm, octave, seed: octave > {"none": 1, "batch": 4}[norm])
    outwards(GROUPS, {0: [0, 1, 2], 1: [0, 1, 2]}, range(-3, 9), [0, 1], 10, run)
    assert octaves_of(run.asked, "none") == [0, 1, 2]
    assert octaves_of(run.asked, "batch") == [0, 1, 2, 3, 4, 5]


def test_tables_of_survival(digits, here, tmp_path):
    given = {
        "arms": ("none", "batch"),
        "swept": ("both",),
        "fixed": ("batch",),
        "folder": tmp_path,
        "progress": False,
        "executor": here,
    }
    found = survival_arms.survival(digits, [0, 1, 2, 13], [0, 1], 3, 6, **given)
    assert list(found.attrs["units"]) == list(found)
    assert set(found["status"]) == {"ok"}
    fixed, found = survival.learning(found, "weights"), survival.learning(found)
    assert set(fixed["norm"]) == {"batch"}
    assert set(fixed["steps"]) == {3}
    assert fixed[fixed["swept"] == "neither"].groupby("seed")["step"].apply(list).tolist() == [[0, 1, 3]] * 2
    assert fixed[fixed["swept"] == "both"]["learning_rate"].nunique() == 4
    short = found[found["steps"] == 3]
    assert short.groupby("norm")["learning_rate"].nunique()["batch"] == 4
    assert set(short["step"]) <= {2, 3}  # of those that diverged
    twins = found[found["swept"] == "neither"]
    assert twins.groupby(["norm", "seed"])["step"].apply(list).tolist() == [[0, 1, 3, 6]] * 4
    ends = twins.groupby(["norm", "seed"])["length1"].agg(["min", "max"])
    assert (ends["min"] == ends["max"]).all()
    long = found[(found["steps"] == 6) & (found["swept"] == "both") & (found["norm"] == "batch")]
    both = short[short["norm"] == "batch"].merge(long, on=["learning_rate", "seed", "step"])
    assert len(both) > 0
    assert (both["loss_x"] == both["loss_y"]).all()  # the state at the shorter length is the same run's
    again = survival_arms.survival(digits, [0, 1, 2, 13], [0, 1], 3, 6, **given)
    pd.testing.assert_frame_equal(found, survival.learning(again))


def test_tables_of_warm_ups(digits, here):
    given = {"others": ("batch", "layer", "he"), "executor": here, "progress": False}
    found = survival_arms.warm_up(digits, [0], [0], 3, [2, 4], **given)
    steps = found.groupby(["norm", "gain", "warm_up"])["step"].apply(list)
    assert steps.loc["none", 1.0].to_dict() == {0: [3, 5, 7], 2: [3, 5], 4: [3, 5, 7]}
    assert steps.loc["layer", 1.0, 0] == [3, 5, 7]
    assert found.groupby("norm")["engine"].unique().map(list).to_dict() == {
        "none": ["numba"], "batch": ["numba"], "layer": ["torch"],
    }  # fmt: skip
    assert sorted(found["gain"].unique()) == pytest.approx([1, 6**0.5], rel=1e-5)


PARTS = dict(seed=0, steps=3, survival_octaves=[0, 1], survival_seeds=2, survival_long_steps=5, warm_up_octaves=[0],
             warm_up_lengths=[2], warm_up_seeds=1)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"survival_octaves": []}, "survival_octaves = \\[\\] must be a list of at least one value"),
        ({"survival_octaves": [0, 2]}, "survival_octaves = \\[0, 2\\] must be whole numbers, each one above"),
        ({"survival_octaves": [1, 0]}, "each one above the one before"),
        ({"warm_up_octaves": [0, 0]}, "warm_up_octaves = \\[0, 0\\] holds a value twice"),
        ({"warm_up_lengths": [0]}, "warm_up_lengths: 0 is not"),
        ({"warm_up_lengths": [2, 2]}, "warm_up_lengths = \\[2, 2\\] holds a value twice"),
        ({"survival_long_steps": 2}, "survival_long_steps: 2 is not a whole number of at least 3"),
        ({"survival_seeds": -1}, "seeds = -1 must be at least 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_before_anything_is(digits, change, words):
    assert list(survival_arms.parts(digits, **PARTS)) == ["survival", "warm_up"]
    with pytest.raises(ValueError, match=words):
        survival_arms.parts(digits, **PARTS | change)


def test_no_seeds_leave_a_part_out(digits):
    assert list(survival_arms.parts(digits, **PARTS | {"survival_seeds": 0})) == ["warm_up"]
    assert list(survival_arms.parts(digits, **PARTS | {"warm_up_seeds": 0})) == ["survival"]


# What the tables say


def runs(edges, rates=range(-2, 5), seeds=2, steps=10, **more):
    """Arms that survive up to an octave: {norm: octave}."""
    return pd.DataFrame([
        {"norm": norm, "swept": "both", "learning_rate": 2.0**o, "seed": seed, "steps": steps, "step": steps,
         "test_error": 0.1 if o <= edge else 0.9, "diverged": False, "test_loss": 1.0, **more}
        for norm, edge in edges.items() for o in rates for seed in range(seeds)
    ])  # fmt: skip


KEYS = ["norm", "learning_rate", "seed"]


def test_states_at_a_step():
    table = pd.DataFrame([
        dict(run=0, step=10, test_error=0.1, diverged=False), dict(run=0, step=20, test_error=0.9, diverged=False),
        dict(run=1, step=10, test_error=0.1, diverged=True), dict(run=1, step=14, test_error=0.1, diverged=True),
        dict(run=2, step=7, test_error=np.nan, diverged=True),
        dict(run=3, step=10, test_error=0.8, diverged=False), dict(run=3, step=20, test_error=0.81, diverged=False),
    ])  # fmt: skip
    assert survival.states(table, 10, ["run"])["lost"].tolist() == [False, False, True, False]
    assert survival.states(table, 20, ["run"])["lost"].tolist() == [True, True, True, True]
    with pytest.raises(LedgerError, match="1 of 4 were cut short of 20 steps"):
        survival.states(table[~((table["run"] == 3) & (table["step"] == 20))], 20, ["run"])
    with pytest.raises(LedgerError, match="1 of 4 have no test error after 10 steps"):
        survival.states(table.assign(test_error=table["test_error"].where(table["run"] != 3)), 10, ["run"])


def test_largest_octaves_and_what_lies_beyond():
    found = survival.states(runs({"a": 1, "b": 9, "c": -9}), 10, KEYS)
    told = survival.largest(found, ["norm"]).groupby("norm", sort=False).first()
    assert told["octave"].to_dict() == {"a": 1.0, "b": 4.0, "c": -3.0}
    assert told["beyond"].to_dict() == {"a": "", "b": "above", "c": "below"}
    assert told["share"].tolist() == pytest.approx([4 / 7, 1, 0])
    gap = found.assign(lost=found["lost"] | (found["learning_rate"] == 0.5))
    assert (survival.largest(gap, ["norm"])["octave"].groupby(gap["norm"].unique().repeat(2)).first() <= -2).all()
    with pytest.raises(LedgerError, match="survival runs of a: 1 are missing"):
        survival.largest(found.drop(index=found.index[3]), ["norm"])
    with pytest.raises(LedgerError, match="survival runs of b: those above 4 are missing"):
        survival.largest(found, ["norm"], end=32.0)


def test_rates_that_were_not_run_count_as_lost_in_the_share():
    made_of = table({"none": 0, "batch": 9}, rates=range(-2, 5))
    made_of = made_of[(made_of["norm"] == "batch") | (made_of["learning_rate"] < 4) | (made_of["swept"] == "neither")]
    found = survival.edges(made_of, 10).groupby("norm")["share"].first()
    assert found.to_dict() == pytest.approx({"none": 3 / 7, "batch": 1.0})
    lucky = made_of["test_error"].where((made_of["norm"] == "none") | (made_of["learning_rate"] != 0.5), 0.9)
    again = survival.edges(made_of.assign(test_error=lucky), 10).set_index("norm").loc["batch"].iloc[0]
    assert (again["octave"], again["share"]) == (-2, pytest.approx(6 / 7))


def twins(norms, gradients, seeds=2, steps=10):
    return pd.DataFrame([
        {"norm": norm, "swept": "neither", "learning_rate": 0.1, "seed": seed, "steps": steps, "step": step,
         "test_error": 0.2, "diverged": False, "test_loss": 0.5, "gradient1": 3 * gradients[norm],
         "gradient2": 4 * gradients[norm], "length1": 2.0, "length2": 5.0, "lambda_max": 3.0}
        for norm in norms for seed in range(seeds) for step in (0, 1, steps)
    ])  # fmt: skip


def table(edges, gradients=None, rates=range(-2, 5), **more):
    gradients = gradients or dict.fromkeys(edges, 1.0)
    moved = {"length1": 20.0, "length2": 5.0, "turn1": 1.0, "turn2": 0.25, "radial1": 0.0, "radial2": 0.5,
             "lambda_max": 12.0, "gradient1": 0.0, "gradient2": 0.0}  # fmt: skip
    return pd.concat([runs(edges, rates, **moved | more), twins(edges, gradients)], ignore_index=True)


def test_edges_relative_to_the_first_gradient():
    found = survival.edges(table({"none": 0, "batch": 3}, {"none": 1.0, "batch": 8.0}), 10)
    batch = found[found["norm"] == "batch"]
    alone = survival.edges(table({"batch": 3}), 10)
    assert alone["relative"].isna().all()
    assert batch["octave"].tolist() == [3, 3]
    assert batch["relative"].tolist() == pytest.approx([6, 6])
    told = survival.edge_summary(found).set_index("norm")
    assert told.loc["none", ["octave", "low", "high", "relative"]].tolist() == [0, 0, 0, 0]
    assert told.loc["batch", ["whole_grid", "none_of_it", "seeds"]].tolist() == [0, 0, 2]


def test_what_a_survivor_is_worth():
    made_of = table({"none": 0, "batch": 3})
    told = survival.worth(made_of, 10).set_index(["norm", "seed"])
    assert told.loc[("batch", 1)].to_dict() == {
        "octave": 3, "loss": 1.0, "twin": 0.5, "lambda_max": 4.0, "growth1": 10.0, "turn1": 1.0, "radial1": 0.0,
        "growth2": 1.0, "turn2": 0.25, "radial2": 0.5,
    }  # fmt: skip
    none_left = survival.worth(table({"none": -9, "batch": 3}), 10)
    assert set(none_left["norm"]) == {"batch"}
    drawn = survival.curves(made_of, 10)
    assert drawn.groupby("norm")["learning_rate"].max().to_dict() == {"none": 1.0, "batch": 8.0}
    assert set(drawn["twin"]) == {0.5}


def test_what_is_not_there_is_named():
    with pytest.raises(MissingArmError, match="no survival runs"):
        survival.lengths(twins(["none"], {"none": 1.0}))
    with pytest.raises(MissingArmError, match="no twins"):
        survival.edges(runs({"none": 1}), 10)
    with pytest.raises(MissingArmError, match="no runs with a warm-up"):
        survival.warm_up_edges(runs({"none": 1}, warm_up=0, gain=1.0))
