"""Chapter 06's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

from bnlab.commands import run
from bnlab.commands.parameters import ParameterError

CHAPTER = check_cells.chapter("06")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"learning_rates": "[5, 5]"}, "learning_rates = '[5, 5]' cannot be used (5.0 is there twice)"),
        ({"first_rates": "[0.1, 1e-1]"}, "(0.1 is there twice)"),
        ({"learning_rates": "[1e200]"}, "learning_rates = '[1e200]' cannot be used (above 1000000)"),
        (
            {"first_rates": "[3, 10]"},
            "first_rates = [3.0, 10.0] cannot be used: it must be a list with a rate of at most 0.1",
        ),
        ({"arm_rate": "1e200"}, "arm_rate = '1e200' cannot be used (above 1000000)"),
        ({"arms": "['baseline', 'baseline']"}, "('baseline' is there twice)"),
        ({"caps": "[4, 4]"}, "caps = '[4, 4]' cannot be used (4.0 is there twice)"),
        (
            {"stability_rates": "[1, 3]"},
            "stability_rates = [1.0, 3.0] cannot be used: it must be a grid in factors of 2",
        ),
        (
            {"stability_rates": "[2, 1]"},
            "stability_rates = [2.0, 1.0] cannot be used: it must be a grid in factors of 2",
        ),
        ({"fc_arms": "['BN after conv1']"}, "fc_arms = ['BN after conv1'] cannot be used: it must be some of the arms"),
        ({"fc_arms": "['BN after both']"}, "it must be none, or baseline and others"),
        ({"fc_arms": "['baseline', 'baseline']"}, "('baseline' is there twice)"),
        ({"survival_octaves": "[30]"}, "survival_octaves = '[30]' cannot be used (above 20)"),
        ({"warm_up_octaves": "[1, 1]"}, "(1 is there twice)"),
        ({"survival_octaves": "[]"}, "survival_octaves = '[]' cannot be used"),
        ({"survival_seeds": "1"}, "survival_seeds = '1' cannot be used"),
        ({"warm_ups": "[0]"}, "warm_ups = '[0]' cannot be used"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [
        {"stability_rates": "[0.1, 0.2, 0.4]"},
        {"stability_rates": "[7]", "caps": "[]"},
        {"fc_arms": "[]"},
        {"arms": "['baseline']", "fc_arms": "['baseline']"},
        {"arms": "['BN after conv1']", "fc_arms": "['baseline', 'BN after conv1']"},
        {"learning_rates": "[3]", "first_rates": "[1e-30, 1e6]"},
        {"seed": str(10**30)},
        {"survival_octaves": "[3, -20]", "survival_seeds": "2", "warm_ups": "[40, 7]"},
    ],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


@pytest.mark.parametrize(
    ("classes", "images", "words"),
    [(10, 6, "it must be of at least 64 training images"), (5, 20, "so many classes that guessing errs above 80%")],
)
def test_data_that_cannot_be_judged_are_refused(tmp_path, folder_of_images, classes, images, words):
    with pytest.raises(ParameterError) as refusal:
        run.check(CHAPTER, {"dataset": f"folder:{folder_of_images(tmp_path, classes, images)}"})
    assert words in str(refusal.value)
