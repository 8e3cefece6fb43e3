"""Chapter 15's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

from bnlab.commands import run
from bnlab.commands.parameters import ParameterError

CHAPTER = check_cells.chapter("15")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"depth": "100"}, "depth = 100 cannot be used: it must be 6n + 2"),
        ({"depth": "14"}, "depth = '14' cannot be used (below 20)"),
        ({"depth": "200", "initialisation": "kaiming"}, "depth = 200 cannot be used: it must be at most 110 with"),
        ({"depth": "200", "images": "151"}, "images = 151 cannot be used: it must be at most 150 at depth 200"),
        ({"images": "15"}, "images = '15' cannot be used (below 16)"),
        ({"initialisation": "he"}, "initialisation = 'he' cannot be used"),
        ({"last_depths": "[20, 21]"}, "last_depths = [20, 21] cannot be used: it must be 6n + 2 each"),
        ({"last_depths": "[20, 20]"}, "last_depths"),
        ({"last_depths": "[116]"}, "last_depths"),
        ({"condition_depths": "[20]"}, "condition_depths"),
        ({"condition_images": "127"}, "condition_images = '127' cannot be used (below 128)"),
        ({"condition_images": "2000"}, "condition_images = 2000 cannot be used: it must be at most 1438"),
        ({"rate_factor": "1"}, "rate_factor"),
        ({"rate_steps": "0"}, "rate_steps = '0' cannot be used (below 1)"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        ({"end_seeds": "4"}, "end_seeds = '4' cannot be used (below 5)"),
        ({"device": "gpu"}, "device = 'gpu' cannot be used"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [
        {"depth": "20", "images": "16", "initialisation": "kaiming"},
        {"depth": "200", "images": "150"},
        {"last_depths": "[8, 110]", "condition_depths": "[8, 110]"},
        {"seed": str(10**30)},
        {"dataset": "digits"},
    ],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


def test_small_folders_are_refused(tmp_path, folder_of_images):
    few = {"dataset": f"folder:{folder_of_images(tmp_path, 10, 5)}"}
    with pytest.raises(ParameterError, match="images = 128 cannot be used: it must be at most 40"):
        run.check(CHAPTER, few)
