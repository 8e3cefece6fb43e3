"""Exercises are numbered chapter by chapter, 8.1 and 8.2: as the worksheets and the slides number them."""

import re

CHAPTER = re.compile(r"book/(\d\d)_")


def number_by_chapter(app, env) -> None:
    """Put chapter and number in the place of the running number through the whole book."""
    for page, figures in env.toc_fignumbers.items():
        chapter = CHAPTER.match(page)
        for n, name in enumerate(figures.get("exercise", {}) if chapter else (), 1):
            figures["exercise"][name] = (int(chapter[1]), n)


def setup(app) -> dict[str, bool]:
    """Connect: the running numbers are settled when the environment is updated, and used when pages are written."""
    app.connect("env-check-consistency", number_by_chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
