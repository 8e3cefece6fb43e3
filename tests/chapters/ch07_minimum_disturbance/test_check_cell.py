"""Chapter 07's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

from bnlab.commands import run
from bnlab.commands.parameters import ParameterError

CHAPTER = check_cells.chapter("07")


FOUR = "'none', 'batch', 'batch_prior', 'nlms_l2'"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"methods": "['none', 'none']"}, "(2 entries)"),
        ({"methods": "['none', 'none', 'batch', 'nlms_l2']"}, "('none' is there twice)"),
        ({"methods": "['none', 'batch', 'nlms_l1', 'nlms_l2']"}, "none, batch, batch_prior, nlms_l2 in it"),
        ({"rates": "[1, 1]"}, "(1.0 is there twice)"),
        ({"rates": "[1, 1e200]"}, "above 10000)"),
        ({"noises": "[10, 10]"}, "(10.0 is there twice)"),
        ({"noises": "[1e200]"}, "(above 1000000)"),
        ({"ratio_batch_sizes": "[16, 16]"}, "(16 is there twice)"),
        ({"ratio_batch_sizes": "[16, 1439]"}, "ratio_batch_sizes = [16, 1439] cannot be used: it must be at most 1438"),
        ({"probe_size": "1439"}, "probe_size = 1439 cannot be used: it must be at most 1438"),
        ({"batch_size": "1439"}, "batch_size = 1439 cannot be used: it must be at most 1438"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [
        {"methods": f"[{FOUR}, 'nlms_l1_squared']"},
        {"rates": "[1e-30, 1e4]", "noises": "[1e-30, 1e6]"},
        {"ratio_batch_sizes": "[2]", "probe_size": "1438", "batch_size": "1438"},
        {"seed": str(10**30), "tuning_seeds": "100"},
    ],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


def test_data_with_fewer_images_than_a_mini_batch_are_refused(tmp_path, folder_of_images):
    with pytest.raises(ParameterError, match="it must be of at least 64 training images"):
        run.check(CHAPTER, {"dataset": f"folder:{folder_of_images(tmp_path, 10, 6)}"})
