"""What several tests of the chapter train on."""

import pytest

from bnlab import datasets


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=300, test=100)
