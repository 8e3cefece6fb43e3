"""Chapter 11's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

from bnlab.commands import run
from bnlab.commands.parameters import ParameterError

CHAPTER = check_cells.chapter("11")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"exponents": "[1, 1]"}, "exponents = '[1, 1]' cannot be used (1 is there twice)"),
        ({"exponents": "[0]"}, "exponents = '[0]' cannot be used (1 entry)"),
        ({"shifts": "[0, 0, 2]"}, "shifts = '[0, 0, 2]' cannot be used (0 is there twice)"),
        ({"rate_exponents": "[4, 4]"}, "rate_exponents = '[4, 4]' cannot be used (4 is there twice)"),
        ({"rate_exponents": "[0, 1]"}, "rate_exponents = [0, 1] cannot be used: it must be such that two of the"),
        ({"depths": "[2, 2]"}, "depths = '[2, 2]' cannot be used (2 is there twice)"),
        ({"learning_rate": "1e-320"}, "learning_rate = '1e-320' cannot be used (below 1e-12)"),
        ({"learning_rate": "1e7"}, "learning_rate = '1e7' cannot be used (above 1000000)"),
        ({"trainings": "19"}, "trainings = '19' cannot be used (below 20)"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        ({"images": "500", "width": "2048"}, "images = 500 cannot be used: it must be fewer: with width 2048"),
        ({"images": "500", "depths": "[50]"}, "images = 500 cannot be used: it must be fewer: with width 128 and 50"),
        ({"device": "gpu"}, "device = 'gpu' cannot be used"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [
        {"exponents": "[-10, 10]", "shifts": "[0, 1]", "rate_exponents": "[0, 2]"},
        {"depths": "[1]", "width": "2", "images": "10"},
        {"images": "500", "depths": "[7]"},
        {"learning_rate": "1e-12", "trainings": "200"},
        {"seed": str(10**30)},
    ],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


@pytest.mark.parametrize(
    ("images", "given", "words"),
    [
        (3, {}, "it must be of at least 32 training images, a mini-batch"),
        (5, {"batch_size": "41"}, "batch_size = 41 cannot be used: it must be at most 40"),
        (5, {"images": "41"}, "images = 41 cannot be used: it must be at most 40"),
    ],
)
def test_data_that_are_too_few_are_refused(tmp_path, folder_of_images, images, given, words):
    with pytest.raises(ParameterError) as refusal:
        run.check(CHAPTER, {"dataset": f"folder:{folder_of_images(tmp_path, 10, images)}", **given})
    assert words in str(refusal.value)
