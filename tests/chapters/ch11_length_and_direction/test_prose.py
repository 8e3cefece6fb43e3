"""What the page says of scaled starts, from invented tables and from a small run."""

import pandas as pd
import pytest

from bnlab import datasets
from bnlab.chapters.ch11_length_and_direction import comparisons, decoupling, prose
from bnlab.chapters.ch11_length_and_direction.decoupling import ARMS


def scales():
    """Spreads over the first two scales: 2 points without BN, 3 with; at the last one networks without it are lost."""
    errors = {"none": (0.1, 0.12, 0.9), "BN": (0.1, 0.13, 0.12), "BN, last layer scaled too": (0.1, 0.1, 0.2)}
    rows = [
        (arm, k, seed, error, error, arm == "none" and k == 4)
        for seed in range(20) for arm in ARMS for k, error in zip((-4, 0, 4), errors[arm], strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["arm", "exponent", "seed", "error", "error_running", "diverged"])


def test_what_is_left_without_the_scales_that_lose_the_plain_network():
    said = prose.without_the_lost(scales())
    assert "from weights multiplied by 16: over the other scales the spreads are 3.0 points with" in said
    assert "and 2.0 without (medians), below a fifth in 0 of 20 draws and below at all in 0." in said
    assert said.endswith("whose last layer is scaled as well is below a fifth, too, in 20.")
    assert prose.without_the_lost(scales().assign(diverged=False)).startswith("That is not the work of")


def test_networks_that_an_arm_lowers_are_counted():
    tops = {"none": (10, 10, 10), "BN": (5, 5, 5), "BN, statistics held": (9, 11, 12)}
    rows = [(arm, depth, seed, top) for arm, several in tops.items() for depth in (2, 5) for seed, top in
            enumerate(several)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["arm", "depth", "seed", "largest"])
    assert prose.lowered(table, "BN", 2) == "3 of 3"
    assert prose.lowered(table, "BN, statistics held", 5) == "1 of 3"


@pytest.fixture(scope="module")
def small():
    digits = datasets.load("digits", size=32).subset(train=64, test=50)
    how = {"learning_rate": 0.1, "steps": 6, "batch_size": 16}
    own, tiny = (
        decoupling.effective_rates(digits, (-2, 0, 2), (-4, 0, 4), range(2), **how, eps=eps)
        for eps in (None, prose.TINY)
    )
    return own, tiny


def test_epsilon_is_all_that_is_left_at_equal_effective_rate(small):
    """Powers of two commute with rounding: with an epsilon of nothing the losses are equal bit for bit."""
    own, tiny = (comparisons.spreads_by_rate(table) for table in small)
    assert (own["effective"] > 0).all()
    assert (tiny["effective"] == 0).all()
    assert (tiny["rate"] > 0).all()


def test_what_a_smaller_epsilon_leaves_is_told(small, monkeypatch):
    own, tiny = small
    monkeypatch.setattr(prose, "failing", lambda rates: [0, 1])
    said = prose.left_by_epsilon(own, tiny)
    assert said.startswith("With ε = 1e-20 in its place, the 2 seeds that fail have a spread of at most 0 nats")
    assert prose.left_by_epsilon(own, None) == "No seed fails here."


def test_seeds_that_fail_are_those_above_a_fifth(monkeypatch):
    spreads = pd.DataFrame({"effective": [0.1, 0.2, 0.3], "rate": [1.0, 1.0, 1.0]}, index=[4, 5, 6])
    monkeypatch.setattr(prose, "spreads_by_rate", lambda rates: spreads)
    assert prose.failing(pd.DataFrame()) == [5, 6]
