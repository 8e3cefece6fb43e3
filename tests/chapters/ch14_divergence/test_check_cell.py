"""Chapter 14's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

CHAPTER = check_cells.chapter("14")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"batch_size": "2000"}, "batch_size = '2000' cannot be used (above 1000)"),
        ({"plain_steps": "[1e-3]"}, "plain_steps"),
        ({"bn_steps": "[0.1, 0.1]"}, "bn_steps"),
        ({"plain_steps": "[1e-3, -1]"}, "plain_steps"),
        ({"update_rate": "2e-3"}, "update_rate = 0.002 cannot be used: it must be one of plain_steps"),
        ({"depths": "[8, 21]"}, "depths = [8, 21] cannot be used: it must be 6n + 2 each"),
        ({"depths": "[8]"}, "depths"),
        ({"run_rates": "[]"}, "run_rates"),
        ({"catapult_steps": "9"}, "catapult_steps = '9' cannot be used (below 10)"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        ({"run_images": "0"}, "run_images = '0' cannot be used (below 1)"),
        ({"dataset": "digit"}, "dataset"),
    ],
)
def test_what_cannot_run_is_refused(given, words):
    check_cells.refused(CHAPTER, given, words)


@pytest.mark.parametrize(
    "given",
    [
        {"batch_size": "128"},
        {"plain_steps": "[1e-4, 0.02]", "update_rate": "0.02"},
        {"depths": "[110, 8]", "run_rates": "0.1"},
        {"seed": str(10**30)},
    ],
)
def test_what_can_run_is_taken(given):
    check_cells.taken(CHAPTER, given)


def test_small_folders_are_refused(tmp_path, folder_of_images):
    few = folder_of_images(tmp_path / "few", 10, 5)
    check_cells.refused(CHAPTER, {"dataset": f"folder:{few}"}, "batch_size = 64 cannot be used: it must be at most 40")
