"""The book's own recordings: made by the library of today, or by one whose changes since are listed and explained."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

from bnlab.records import changes, experiments, recorded

FOLDER = Path(__file__).parents[2] / "data" / "recorded"


@pytest.mark.parametrize("chapter", sorted(experiments.EXPERIMENTS))
def test_a_recorded_map_of_sources_is_todays_or_explained(chapter):
    known = recorded.load(FOLDER, chapter)
    if known is None:
        return
    listed = changes.since(chapter, known.provenance["sources"], FOLDER)
    remedy = f"bnlab record {chapter}, or tools/explain_changes.py if no number can have moved"
    assert listed is not None, f"chapter {chapter} was recorded by other code: {remedy}"


def test_an_unlisted_change_is_noticed():
    known = recorded.load(FOLDER, "06").provenance["sources"]
    assert changes.since("06", known | {next(iter(known)): "0" * 64}, FOLDER) is None


@pytest.mark.parametrize("chapter", sorted(experiments.EXPERIMENTS))
def test_a_data_set_knows_its_device(chapter):
    takes = inspect.signature(import_module(experiments.module_name(chapter)).parts).parameters
    assert not {"dataset", "device"} <= set(takes)


@pytest.mark.parametrize("chapter", sorted(experiments.EXPERIMENTS))
def test_what_decides_a_number_holds_nothing_that_only_shows_it(chapter):
    from bnlab.records import keys

    found = keys.sources(experiments.module_name(chapter))
    assert not [name for name in found if name.startswith(("bnlab.figures", "bnlab.claims", "bnlab.commands"))]
