"""A function that takes a dataclass shows its fields, fills its defaults, and refuses as any function does."""

import inspect
from dataclasses import dataclass

import pytest

from bnlab.sweeps.settings import taking


@dataclass(frozen=True)
class Sizes:
    width: int
    depth: int = 2

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width: {self.width} is not at least 1")


@taking(Sizes)
def described(data, settings, folder=None):
    """What was asked for."""
    return data, settings, folder


def test_the_fields_are_keyword_arguments():
    assert described("images", width=5, folder="here") == ("images", Sizes(5, 2), "here")
    assert described("images", depth=3, width=1)[1] == Sizes(1, 3)
    assert described.__doc__ == "What was asked for."


def test_the_signature_shows_them():
    shown = inspect.signature(described).parameters
    assert list(shown) == ["data", "width", "depth", "folder"]
    assert shown["width"].default is inspect.Parameter.empty
    assert shown["depth"].default == 2
    assert shown["width"].annotation is int


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"width": 1, "depht": 3}, "unexpected keyword argument 'depht'"),
        ({}, "missing 1 required positional argument: 'width'"),
        ({"width": 1, "settings": Sizes(1)}, "multiple values for keyword argument 'settings'"),
    ],
)
def test_names_that_are_not_there_and_values_that_are_missing(given, words):
    with pytest.raises(TypeError, match=words):
        described("images", **given)


def test_the_dataclass_refuses_before_anything_runs():
    with pytest.raises(ValueError, match="width: 0 is not at least 1"):
        described("images", width=0)
