"""Every chapter's exercises: enough of them, told how long and how hard they are, each with its solution."""

import re

import pytest
from book_files import CHAPTERS, ROOT, cells, source, tags
from teaching.solutions import label, parts

from bnlab.claims import book

TITLE = re.compile(r"\S.* \((\d+) minutes, (easy|medium|hard)(?:, (on paper|change a parameter))?\)")
by_name = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def taken_apart(path):
    return parts(book.read_notebook(path)["cells"])


@by_name
def test_at_least_four_each_with_minutes_and_difficulty_one_on_paper_one_that_changes_a_parameter(path):
    titles = [part.content.argument for part in taken_apart(path) if label(part)]
    assert len(titles) >= 4
    found = [TITLE.fullmatch(title) for title in titles]
    assert all(found), [title for title, match in zip(titles, found, strict=True) if not match]
    assert all(5 <= int(match[1]) <= 60 for match in found)
    assert {"on paper", "change a parameter"} <= {match[3] for match in found}
    assert len({match[2] for match in found}) >= 2, "all of one difficulty"


@by_name
def test_each_has_a_solution_that_the_build_executes(path):
    found = taken_apart(path)
    for name in filter(None, map(label, found)):
        assert re.fullmatch(rf"ex-{path.stem[:2]}-[a-z0-9-]+", name)
        code = [part.content for part in found if part.solves == name and isinstance(part.content, dict)]
        assert any("assert " in source(cell) for cell in code), f"{name} has no solution that could fail"


@by_name
def test_a_solution_is_folded_on_the_page(path):
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    starts = re.findall(r"\{solution(?:-start)?\} (\S+)\n(?::label:.*\n)?:class: dropdown\n", text)
    assert len(starts) == len(re.findall(r"\{solution(?:-start)?\} ", text))


@by_name
def test_a_check_says_what_to_try_and_not_what_is_right(path):
    for cell in cells(path, "code"):
        if "check-answer" in tags(cell):
            assert source(cell).startswith("# "), "it must begin with what each answer is"
            assert re.search(r"(?s)assert .*?, (?:hint|f?\")", source(cell)), "an assertion without a hint"


def test_the_teaching_guide_names_exercises_as_they_are():
    guide = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
    titles = {label(p): p.content.argument for path in CHAPTERS for p in taken_apart(path) if label(p)}
    named = re.findall(r"\[([^\]]+)\]\((ex-[a-z0-9-]+)\) \((\d+) min\)", guide)
    assert len(named) == guide.count("](ex-") >= 2 * len(CHAPTERS)
    for name, which, minutes in named:
        assert titles[which].startswith(f"{name} ({minutes} minutes, ")
