"""A chapter's check cell, asked without running the chapter: what it refuses, in which words, and what it takes."""

import pytest
from book_files import ROOT

from bnlab.claims import book
from bnlab.commands import run
from bnlab.commands.parameters import ParameterError


def chapter(number):
    return next(found for found in map(book.read_chapter, book.chapter_paths(ROOT)) if found.number == number)


def refused(chapter, given, words):
    with pytest.raises(ParameterError) as refusal:
        run.check(chapter, given)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def taken(chapter, given):
    assert set(run.check(chapter, given)) == set(given)
