"""Chapter 08's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

from bnlab.commands import run
from bnlab.commands.parameters import ParameterError

CHAPTER = check_cells.chapter("08")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"samples": "99999"}, "samples = '99999' cannot be used (below 100000)"),
        ({"bins": "[25, 50, 200]"}, "bins = [25, 50, 200] cannot be used: it must be a list with 100"),
        ({"bins": "[50, 100]"}, "bins = '[50, 100]' cannot be used (2 entries)"),
        ({"looks": "500"}, "looks = 500 cannot be used: it must be at most 301"),
        ({"every": "101"}, "every = 101 cannot be used: it must be at most steps = 100"),
        ({"rates": "[0.1, 0.1]"}, "rates = '[0.1, 0.1]' cannot be used (0.1 is there twice)"),
        ({"rates": "[0]"}, "rates = '[0]' cannot be used"),
        ({"activation": "swish"}, "activation = 'swish' cannot be used"),
        ({"level": "0"}, "level = '0' cannot be used (below 0.001)"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        ({"depth": "0"}, "depth = '0' cannot be used (below 1)"),
        ({"device": "gpu"}, "device = 'gpu' cannot be used"),
        ({"dataset": "digit"}, "dataset = 'digit' cannot be used"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [{"looks": "3", "sigmoid_steps": "20"}, {"rates": "[1e-6]"}, {"bins": "[10, 100, 10000]"}, {"seed": str(10**30)}],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


def test_too_few_images_are_refused(tmp_path, folder_of_images):
    given = {"dataset": f"folder:{folder_of_images(tmp_path, 10, 5)}"}
    with pytest.raises(ParameterError, match="it must be of at least 64 training images, a mini-batch; it has 40"):
        run.check(CHAPTER, given)
