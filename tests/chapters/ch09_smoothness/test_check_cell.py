"""Chapter 09's check cell: what the run could not use is refused before anything runs, by the name of the parameter."""

import check_cells
import pytest

CHAPTER = check_cells.chapter("09")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"depths": "[8]"}, "depths = '[8]' cannot be used (1 entry)"),
        ({"depths": "[8, 21]"}, "depths = [8, 21] cannot be used: it must be 6n + 2 each"),
        (
            {"stability_rates": "[0.1, 0.3]"},
            "stability_rates = [0.1, 0.3] cannot be used: it must be a grid in factors",
        ),
        ({"probe_every": "51"}, "probe_every = 51 cannot be used: it must be at most path_steps = 50"),
        ({"images": "5000"}, "images = 5000 cannot be used: it must be fewer: 5000 are needed"),
        ({"inits": "19"}, "inits = '19' cannot be used (below 20)"),
        ({"seeds": "4"}, "seeds = '4' cannot be used (below 5)"),
        ({"levels": "[0]"}, "levels = '[0]' cannot be used"),
        ({"common_rates": "[0.1, 0.1]"}, "common_rates = '[0.1, 0.1]' cannot be used (0.1 is there twice)"),
    ],
)
def test_refused_before_anything_runs(given, words):
    check_cells.refused(CHAPTER, given, words)
