"""What the page says of the first step's direction: counts by hand."""

import pandas as pd

from bnlab.chapters.ch07_minimum_disturbance import direction_prose
from bnlab.chapters.ch07_minimum_disturbance.arrangement_verdicts import PLAIN, PRIOR


def test_seeds_in_which_the_step_is_nearer_are_counted_for_either_direction():
    cosines = {(PRIOR, "channel"): 0.6, (PLAIN, "channel"): 0.2, (PRIOR, "patch"): 0.7, (PLAIN, "patch"): 0.68}
    rows = [
        (name, span, step, seed, value + (0.05 * seed if (name, span) == (PLAIN, "patch") else 0.0) - 0.1 * step)
        for (name, span), value in cosines.items() for step in (0, 1) for seed in range(5)
    ]  # fmt: skip
    found = pd.DataFrame(rows, columns=["arrangement", "span", "step", "seed", "cosine"])
    assert direction_prose.nearer_than_plain(found) == (
        "With BN before the convolution the first step is nearer than without normalisation to that of Eq. 9 in 5 of 5 "
        "seeds (medians 0.60 and 0.20) and to that with the power of the whole patch in 1 of 5 seeds (medians 0.70 and "
        "0.78)."
    )
