"""Exercises of the built book are numbered chapter by chapter."""

from types import SimpleNamespace

from book_files import extension


def test_numbers_lead_with_the_chapter_and_other_pages_keep_theirs():
    module = extension("exercise_numbers")
    numbers = {
        "book/08_shift": {"exercise": {"a": (31,), "b": (32,)}, "figure": {"f": (7,)}},
        "book/12_law": {"figure": {"g": (8,)}},
        "book/teaching": {"exercise": {"c": (33,)}},
    }
    module.number_by_chapter(None, SimpleNamespace(toc_fignumbers=numbers))
    assert numbers == {
        "book/08_shift": {"exercise": {"a": (8, 1), "b": (8, 2)}, "figure": {"f": (7,)}},
        "book/12_law": {"figure": {"g": (8,)}},
        "book/teaching": {"exercise": {"c": (33,)}},
    }
