"""Moving averages against exact statistics in training: the log, the stages, the tables."""

import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch02_inference_and_noise import inference as experiment
from bnlab.randomness import generator
from bnlab.training.train import train


@pytest.fixture(scope="module")
def data():
    return datasets.load("digits").subset(train=48, test=20)


@pytest.fixture(scope="module")
def tables(data):
    settings = {
        "training_images": 48, "compared_images": 20, "stage_rates": [0.3, 0.003], "stage_steps": 12,
        "batch_sizes": [4, 24], "decays": [0.9, 0.0], "gap_images": 48, "seeds": 2,
    }  # fmt: skip
    jobs = experiment.parts(data, **settings)
    return {name: jobs[name]() for name in ("mismatch_decayed", "mismatch_constant", "tracks")}


def test_moving_averages_of_the_log_are_those_that_pytorch_would_have_kept(data):
    *_, (_, model, log, _) = experiment.stages(data, [0.1], 7, 8, 0, "decayed")
    plain = experiment.LeNet(norm="batch", generator=generator(0, "initialisation"))  # PyTorch's momentum of 0.1
    train(plain, data, learning_rate=0.1, steps=7, batch_size=8, generator=generator(0, "order of mini-batches"))
    averaged = experiment.with_moving_averages(model, log, 0.9)
    for name, expected in plain.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(averaged.state_dict()[name], expected, rtol=1e-5, atol=1e-6)
    assert {len(batches) for batches in log.values()} == {7}


def test_evaluation_is_not_logged(data):
    *_, (_, model, log, _) = experiment.stages(data, [0.1], 3, 8, 0, "decayed")
    experiment.test_logits(model, data)
    experiment.with_exact_statistics(model, data)
    assert {len(batches) for batches in log.values()} == {3}


def test_without_steps_of_the_weights_the_whole_set_as_batch_leaves_no_mismatch(data):
    runs = experiment.staged_runs(data, 48, 20, [1e-12], 2, [48], [0.0], [0], "decayed")
    # Decay 0: the last batch, which is the whole set; in training it normalised with the biased variance.
    assert runs["mismatch"].item() < 1e-4


def test_tables_are_whole(tables):
    decayed, constant = tables["mismatch_decayed"], tables["mismatch_constant"]
    assert len(decayed) == 2 * 2 * 2 * 2  # seeds, sizes, stages, decays
    assert len(constant) == 2 * 2 * 2
    assert set(constant["m"]) == {24}  # the middle of the sizes
    assert set(constant["rate"]) == {0.3}
    for table in tables.values():
        assert list(table.attrs["units"]) == list(table.columns)
    assert decayed["mismatch"].notna().all()


def test_first_stages_of_both_schedules_are_the_same_run(tables):
    first = [t[(t["stage"] == 0) & (t["m"] == 24)]["mismatch"].tolist() for t in list(tables.values())[:2]]
    assert first[0] == first[1]


def test_decaying_the_rate_lowers_the_mismatch(tables):
    at = tables["mismatch_decayed"].query("decay == 0.9").groupby(["seed", "m", "stage"])["mismatch"].first().unstack()
    assert (at[1] < at[0]).all()


def test_tracks_are_exact_at_stage_ends_and_averages_are_averages(tables):
    tracks = tables["tracks"]
    assert tracks[tracks["series"] == experiment.EXACT]["step"].tolist() == [12, 24]
    by = {name: rows["value"].to_numpy() for name, rows in tracks.groupby("series")}
    assert by["moving average, decay 0"] == pytest.approx(by["mini-batch"], rel=1e-6)
    slow = by["moving average, decay 0.9"]
    assert slow[0] == pytest.approx(0.1 * by["mini-batch"][0], rel=1e-6)
    assert slow[1] == pytest.approx(0.9 * slow[0] + 0.1 * by["mini-batch"][1], rel=1e-6)


def test_a_diverged_run_is_told_and_has_no_mismatch(data):
    runs = experiment.staged_runs(data, 48, 20, [1e9, 0.1], 6, [8], [0.9], [0], "decayed")
    assert runs["diverged"].all()
    assert runs["mismatch"].isna().all()


def test_same_seed_same_numbers(data, tables):
    again = experiment.staged_runs(data, 48, 20, [0.3, 0.003], 12, [4], [0.9, 0.0], [0], "decayed")
    first = tables["mismatch_decayed"].query("m == 4 and seed == 0")
    assert again["mismatch"].tolist() == first["mismatch"].tolist()


def test_more_images_than_there_are(data):
    with pytest.raises(ValueError, match="train"):
        experiment.staged_runs(data, 49, 20, [0.1], 1, [8], [0.9], [0], "decayed")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"training_images": 49}, "training_images = 49 cannot be used: it must be at most 48, all of "),
        ({"compared_images": 21}, "compared_images = 21 cannot be used: it must be at most 20, the test images of "),
        (
            {"training_images": 40, "batch_sizes": (4, 41)},
            r"batch_sizes = \(4, 41\) cannot be used: it must be at most 40",
        ),
        ({"gap_images": 49}, "gap_images = 49 cannot be used: it must be at most 48"),
        (
            {"gap_images": 16, "gap_batch_size": 20},
            "gap_batch_size = 20 cannot be used: it must be a multiple of 4 and ",
        ),
        ({"gap_batch_size": 6}, "gap_batch_size = 6 cannot be used: it must be a multiple of 4 and at most 48, gap_im"),
    ],
)
def test_limits_are_told_before_the_first_part(data, asked, words):
    kept = {"training_images": 48, "compared_images": 20, "batch_sizes": (4, 48), "gap_images": 48}
    assert experiment.parts(data, **kept)
    with pytest.raises(ValueError, match=words):
        experiment.parts(data, **kept | asked)
