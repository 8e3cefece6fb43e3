"""What chapter 07 records: tidy tables, long ones that can be left out, refusals before the first run."""

import pytest

from bnlab import datasets
from bnlab.chapters.ch07_minimum_disturbance import arrangements, noise_sensitivity, recording
from bnlab.models.norms import NORMS
from bnlab.records import experiments


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=32).subset(train=150, test=50)


@pytest.fixture(scope="module")
def tables(digits):
    parts = recording.parts(
        digits, probe_size=12, first_epochs=1, first_seeds=1, ratio_batch_sizes=[8], ratio_steps=1, ratio_seeds=1,
        methods=["none", "nlms_l2"], rates=[0.1, 0.2], noises=[10.0], fc=["frozen"], frontier_steps=1,
        frontier_seeds=2, epochs=1, seeds=1, tuning_seeds=1, batch_size=50, seed=3,
    )  # fmt: skip
    return {name: make() for name, make in parts.items()}


def test_parts_make_tidy_tables_with_units(tables):
    assert set(tables) == {"powers", "directions", "noise_ratio", "frontier", "long_runs"}
    for table in tables.values():
        assert set(table.attrs["units"]) == set(table.columns)
        assert not table.isna().any().any()
    assert set(tables["powers"]["arrangement"]) == set(arrangements.ARRANGEMENTS)
    # 2 steps of 64 out of 150: looked at before the first, halfway and at the end; 6 channels
    assert sorted(tables["powers"]["step"].unique()) == [0, 1, 2]
    assert len(tables["powers"]) == 5 * 3 * 6
    assert len(tables["directions"]) == 5 * 3 * 2
    assert sorted(tables["frontier"].query("role == 'reported'")["seed"].unique()) == [3, 4]
    assert tables["long_runs"].query("role == 'reported'")["seed"].unique().tolist() == [3]


def test_paired_arrangements_start_equal(tables):
    start = tables["powers"].query("step == 0").set_index(["arrangement", "channel"])["power"]
    untouched = ["a: no normalisation", "b: BN after conv2", "c: NLMS"]
    for name in untouched[1:]:
        assert start[name].tolist() == start[untouched[0]].tolist()
    assert start["b: BN after conv1 and conv2"].tolist() != start[untouched[0]].tolist()
    gammas = tables["powers"].query("arrangement == 'd: BN before conv2'")
    assert (gammas[gammas["step"] == 0]["gamma"] == 1).all()
    assert (gammas[gammas["step"] == 2]["gamma"] != 1).all()


def test_long_parts_can_be_left_out(digits):
    arguments = dict(
        probe_size=12, first_epochs=1, first_seeds=1, ratio_batch_sizes=[8], ratio_steps=1, ratio_seeds=1,
        methods=["none"], rates=[0.1], noises=[10.0], fc=["frozen"], frontier_seeds=1, seeds=1, tuning_seeds=1,
        batch_size=50, seed=0,
    )  # fmt: skip
    short = recording.parts(digits, frontier_steps=0, epochs=0, **arguments)
    assert set(short) == {"powers", "directions", "noise_ratio"}
    with pytest.raises(ValueError, match="methods: 'nlms' is not one of none, batch"):
        recording.parts(digits, frontier_steps=0, epochs=0, **(arguments | {"methods": ["nlms"]}))
    with pytest.raises(ValueError, match="seeds: 0 is not a whole number of at least 1"):
        recording.parts(digits, frontier_steps=0, epochs=0, **(arguments | {"seeds": 0}))


GIVEN = dict(probe_size=12, first_epochs=1, first_seeds=1, ratio_batch_sizes=[8], ratio_steps=1, ratio_seeds=1,
             methods=["none"], rates=[0.1], noises=[10.0], fc=["frozen"], frontier_steps=1, frontier_seeds=1, epochs=1,
             seeds=1, tuning_seeds=1, batch_size=50, seed=0)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ["none", "none"]}, r"methods = \['none', 'none'\] holds a value twice"),
        ({"rates": [5.0, 5.0]}, r"rates = \[5.0, 5.0\] holds a value twice"),
        ({"rates": [0.0]}, "rates: 0.0 is not a finite number above 0"),
        ({"noises": [10.0, 10.0]}, "noises = .* holds a value twice"),
        ({"noises": [-1.0]}, "noises = .* must be above 0"),
        ({"fc": ["thawed"]}, "fc: 'thawed' is not one of 'frozen', 'trained'"),
        ({"fc": []}, r"fc = \[\] must be a list of at least one value"),
        ({"first_epochs": 0}, "first_epochs: 0 is not a whole number of at least 1"),
        ({"ratio_steps": 0}, "ratio_steps: 0 is not"),
        ({"frontier_steps": -1}, "frontier_steps: -1 is not"),
        ({"epochs": -1}, "epochs: -1 is not"),
        ({"frontier_seeds": 0}, "frontier_seeds: 0 is not a whole number of at least 1"),
        ({"tuning_seeds": 0}, "tuning_seeds: 0 is not"),
        ({"unknown_seeds": -1}, "unknown_seeds: -1 is not"),
        ({"unknown_seeds": 1, "unknown_combinations": 100}, "combinations = 100 is more than the 99 that there are"),
        ({"probe_size": 151}, "probe_size: 151 images are more than the 150 that digits"),
        ({"batch_size": 151}, "batch_size: 151 images are more"),
        ({"ratio_batch_sizes": [8, 151]}, "ratio_batch_sizes: 151 images are more"),
        ({"ratio_batch_sizes": [8, 8]}, "ratio_batch_sizes = .* holds a value twice"),
        ({"batch_size": 0}, "batch_size: 0 is not"),
    ],
)
def test_a_recording_refuses_before_its_first_part(digits, change, words):
    assert "frontier" in recording.parts(digits, **GIVEN)
    with pytest.raises(ValueError, match=words) as error:
        recording.parts(digits, **GIVEN | change)
    assert "\n" not in str(error.value)


def test_methods_are_entries_of_the_registry():
    assert set(noise_sensitivity.METHODS) <= set(NORMS)
    assert experiments.EXPERIMENTS["07"] == "ch07_minimum_disturbance.recording"
