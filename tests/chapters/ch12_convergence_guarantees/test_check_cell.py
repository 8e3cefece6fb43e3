"""Chapter 12's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

from bnlab.commands import run
from bnlab.commands.parameters import ParameterError

CHAPTER = check_cells.chapter("12")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bases": "[1.1, 1.1]"}, "bases = '[1.1, 1.1]' cannot be used (1.1 is there twice)"),
        ({"bases": "[4.0]"}, "bases = [4.0] cannot be used: it must be such that the last of 10 scales, base**9, is"),
        (
            {"dimension": "20"},
            "bases = [1.02, 1.05, 1.1, 1.25, 1.5, 2.0] cannot be used: it must be such that the last",
        ),
        ({"highest_rate": "2"}, "highest_rate = 2.0 cannot be used: it must be above 2"),
        ({"highest_rate": "5", "lowest_rate": "6"}, "above lowest_rate = 6"),
        ({"highest_rate": "1e200"}, "highest_rate = '1e200' cannot be used (above 1e+50)"),
        ({"lowest_rate": "1e-320"}, "lowest_rate = '1e-320' cannot be used (below 1e-50)"),
        ({"problems": "49"}, "problems = '49' cannot be used (below 50)"),
        ({"samples": "[1000, 1000, 2000]"}, "samples = '[1000, 1000, 2000]' cannot be used (1000 is there twice)"),
        ({"spreads": "[2, 2.0]"}, "spreads = '[2, 2.0]' cannot be used (2.0 is there twice)"),
        ({"spreads": "[4]"}, "spreads = '[4]' cannot be used (1 entry)"),
        ({"widths": "[64, 64, 128]"}, "widths = '[64, 64, 128]' cannot be used (64 is there twice)"),
        ({"widths": "[64, 128]"}, "widths = '[64, 128]' cannot be used (2 entries)"),
        ({"depths": "[5, 5]"}, "depths = '[5, 5]' cannot be used (5 is there twice)"),
        ({"gdnp_seeds": "19"}, "gdnp_seeds = '19' cannot be used (below 20)"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        (
            {"steps": "1000000"},
            "steps = 1000000 cannot be used: it must be fewer: with 31 rates, 5 seeds and 10 features",
        ),
        ({"images": "1000"}, "images = 1000 cannot be used: it must be fewer: with 1280 units in all layers"),
        ({"images": "200", "widths": "[64, 128, 8192]"}, "images = 200 cannot be used: it must be fewer: with 16384"),
        ({"device": "gpu"}, "device = 'gpu' cannot be used"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [
        {"bases": "[3.1]"},
        {"dimension": "3", "bases": "[4, 1]"},
        {"dimension": "100", "bases": "[1.1]"},
        {"highest_rate": "2.01", "lowest_rate": "1e-50"},
        {"problems": "50", "gdnp_seeds": "20", "batch": "32"},
        {"steps": "300000"},
        {"images": "400"},
        {"seed": str(10**30)},
    ],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


def test_more_images_than_there_are_are_refused(tmp_path, folder_of_images):
    given = {"dataset": f"folder:{folder_of_images(tmp_path, 10, 5)}", "images": "41"}
    with pytest.raises(ParameterError, match="images = 41 cannot be used: it must be at most 40"):
        run.check(CHAPTER, given)
