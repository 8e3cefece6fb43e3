"""Chapter 10's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

from bnlab.commands import run
from bnlab.commands.parameters import ParameterError

CHAPTER = check_cells.chapter("10")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"depth": "9"}, "depth = '9' cannot be used (below 10)"),
        ({"residual_blocks": "100"}, "residual_blocks = '100' cannot be used (below 101)"),
        ({"resnet_depth": "100"}, "resnet_depth = 100 cannot be used: it must be 6n + 2"),
        ({"resnet_depth": "14"}, "resnet_depth = '14' cannot be used (below 20)"),
        ({"jacobian_batch": "100"}, "jacobian_batch = 100 cannot be used: it must be smaller: with 32 units"),
        ({"rectifier_width": "2000"}, "rectifier_width = 2000 cannot be used: it must be at most"),
        ({"width": "31"}, "width = '31' cannot be used (below 32)"),
        ({"line_depth": "101"}, "line_depth = '101' cannot be used (above 100)"),
        ({"line_width": "99"}, "line_width = '99' cannot be used (below 100)"),
        ({"resnet_images": "3"}, "resnet_images = '3' cannot be used (below 4)"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        ({"device": "gpu"}, "device = 'gpu' cannot be used"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [
        {"depth": "10", "width": "32", "batch": "16"},
        {"resnet_depth": "20"},
        {"seed": str(10**30)},
        {"points": "64", "line_width": "100", "line_depth": "100"},
    ],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


def test_small_and_many_classed_folders_are_refused(tmp_path, folder_of_images):
    few = {"dataset": f"folder:{folder_of_images(tmp_path / 'few', 10, 5)}"}
    with pytest.raises(ParameterError, match="batch = 128 cannot be used: it must be at most 40"):
        run.check(CHAPTER, few)
    many = {"dataset": f"folder:{folder_of_images(tmp_path / 'many', 11, 5)}"}
    sizes = {"batch": "16", "rectifier_width": "32"}
    with pytest.raises(ParameterError, match="of at most 10 classes"):
        run.check(CHAPTER, many | sizes)
