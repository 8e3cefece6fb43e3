"""What was once refused in the middle of a chapter, or failed there, is refused by its check cell, before any work."""

import re

import fuzzing
import pytest
from book_files import ROOT

from bnlab.claims import book
from bnlab.commands import run as rerun
from bnlab.commands.parameters import ParameterError

CHAPTERS = {chapter.number: chapter for chapter in book.chapters(ROOT)}


@pytest.fixture(scope="module")
def folders():
    with fuzzing.pictures() as names:
        yield dict(zip(("two", "few", "ten"), names, strict=True))


@pytest.mark.parametrize(
    ("number", "given", "words"),
    [
        ("01", {"epsilon": "1e299"}, "epsilon = '1e299' cannot be used (above 1)"),
        ("01", {"batch_sizes": "[2, 4, 1000]"}, "batch_sizes = [2, 4, 1000] cannot be used: it must be of at least 2"),
        ("02", {"gap_batch_size": "5"}, "gap_batch_size = 5 cannot be used: it must be a multiple of 4"),
        (
            "02",
            {"stage_rates": "[0.3, 1e6]"},
            "stage_rates = '[0.3, 1e6]' cannot be used (entry 2, '1000000.0': above 1)",
        ),
        ("04", {"images": "60000"}, "images = 60000 cannot be used: it must be at most 1438"),
        ("05", {"batch_size": "4096"}, "batch_size = 4096 cannot be used: it must be at most 1438"),
        ("05", {"learning_rates": "[1e299]"}, "learning_rates = '[1e299]' cannot be used (above 1000000)"),
        ("05", {"response_rate": "1e299"}, "response_rate = '1e299' cannot be used (above 1000000)"),
        ("06", {"learning_rates": "[5,5]"}, "learning_rates = '[5,5]' cannot be used (5.0 is there twice)"),
        ("07", {"methods": "[none, none]"}, "methods = '[none, none]' cannot be used (2 entries)"),
        ("11", {"units": "2"}, "units = '2' cannot be used (below 4)"),
        ("16", {"kappas": "[2,2,2]"}, "kappas = '[2,2,2]' cannot be used (2.0 is there twice)"),
    ],
)
def test_refused_before_any_work(number, given, words):
    with pytest.raises(ParameterError) as refusal:
        rerun.check(CHAPTERS[number], given)
    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)


def test_a_default_that_does_not_go_with_what_was_given_is_not_blamed_alone():
    with pytest.raises(ParameterError) as refusal:
        rerun.check(CHAPTERS["13"], {"train_images": "16"})
    assert str(refusal.value).startswith(
        "with train_images = 16: batch_size = 32 cannot be used: it must be at most 16"
    )


EXAMPLE = re.compile(r"(?:bnlab run |papermill book/)(\d\d)(?:_\w+\.ipynb \S+)?((?: -p \w+ (?:'[^']*'|\S+))+)")


def test_every_printed_command_is_one_that_runs():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
    found = [match for page in pages for match in EXAMPLE.findall(page.read_text(encoding="utf-8"))]
    assert len(found) >= 5
    for number, words in found:
        given = dict(re.findall(r"-p (\w+) '?([^'`]*?)'?(?= -|$)", words.rstrip("`")))
        if given.get("dataset", "digits").startswith("digits"):
            assert rerun.check(CHAPTERS[number], given).keys() == given.keys()


def test_chapter_04_needs_pictures_that_vary(folders):
    given = {"images": "10", "kernel_size": "2"}
    assert rerun.check(CHAPTERS["04"], given | {"dataset": folders["ten"]})
    with pytest.raises(ParameterError, match="it must be of pictures whose patches vary in three directions"):
        rerun.check(CHAPTERS["04"], given | {"dataset": folders["few"]})
