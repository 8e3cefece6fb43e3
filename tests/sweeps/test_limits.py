"""Limits told before a recording's first part, by the name of what was given."""

import math

import pytest

from bnlab import datasets
from bnlab.sweeps import limits


def test_what_is_usable_passes():
    limits.distinct("methods", ["none", "batch"])
    limits.rates_of_a_sweep("rates", [0.1, 1e-30, 5])
    limits.enough_images(datasets.load("digits").subset(train=64), 64)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], r"rates = \[\] must be a list of at least one value"),
        ([0.1, 0.2, 1e-1], r"rates = \[0.1, 0.2, 0.1\] holds a value twice"),
        ([0.1, 0.0], "rates: 0.0 is not a finite number above 0"),
        ([math.inf], "rates: inf is not a finite number above 0"),
        ([math.nan], "rates: nan is not a finite number above 0"),
        ([True], "rates: True is not a finite number above 0"),
    ],
)
def test_rates_that_cannot_be_swept(values, words):
    with pytest.raises(ValueError, match=words):
        limits.rates_of_a_sweep("rates", values)


def test_fewer_images_than_are_asked_for():
    few = datasets.load("digits").subset(train=63)
    with pytest.raises(ValueError, match="probe_size: 64 images are more than the 63 that digits"):
        limits.enough_images(few, 64, "probe_size")
