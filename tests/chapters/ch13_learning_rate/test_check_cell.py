"""Chapter 13's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

CHAPTER = check_cells.chapter("13")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"depths": "[8, 21]"}, "depths = [8, 21] cannot be used: it must be 6n + 2"),
        ({"depth": "10"}, "depth = 10 cannot be used: it must be 6n + 2"),
        ({"warmup_depths": "[9]"}, "warmup_depths = [9] cannot be used: it must be 6n + 2"),
        ({"rates": "[0.1, 0.01, 0.3]"}, "rates = [0.1, 0.01, 0.3] cannot be used: it must be ascending"),
        ({"rates": "[0.1, 0.3]"}, "rates = '[0.1, 0.3]' cannot be used (2 entries)"),
        ({"epochs": "[1, 2]"}, "epochs = [1, 2] cannot be used: it must be one number for each of the 5 rates"),
        ({"three": "[0.003, 0.03, 0.5]"}, "three = [0.003, 0.03, 0.5] cannot be used: it must be three of the rates"),
        ({"three": "[0.3, 0.03, 0.003]"}, "three = [0.3, 0.03, 0.003] cannot be used: it must be ascending"),
        ({"ratios": "[0.001, 0.002]"}, "ratios = [0.001, 0.002] cannot be used: it must be more"),
        ({"train_images": "5000"}, "train_images = 5000 cannot be used: it must be at most 1438"),
        ({"batch_size": "300"}, "batch_size = 300 cannot be used: it must be at most 256"),
        ({"batch_sizes": "[8, 24, 80, 501]"}, "batch_sizes = [8, 24, 80, 501] cannot be used: it must be at most 500"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        ({"level": "0"}, "level = '0' cannot be used"),
    ],
)
def test_refused_before_anything_runs(given, words):
    check_cells.refused(CHAPTER, given, words)


def test_what_fits_is_taken():
    check_cells.taken(CHAPTER, {"seeds": "5", "depths": "[8, 14]", "train_images": "300"})
