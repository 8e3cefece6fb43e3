"""A chapter as a worksheet, and as the same notebook with the solutions in it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from teaching import myst
from teaching.myst import Directive
from teaching.pruning import names, prune
from teaching.solutions import Part, label, parts

CHECK = "check-answer"  # tag of a solution's cell that checks the answer; a worksheet keeps it
# What answers the predictions, or is bookkeeping.
LEFT_OUT = {"At full scale", "What survives", "What did you predict?", "How it was run"}
CARD = "This chapter in short"
PREDICTIONS = "Predict first"
CHAPTER = re.compile(r"# (\d\d) · ")  # as its title begins
HEADER = (
    "*Worksheet.* Run the cells from top to bottom. ▢ stands for a number that the cells above it compute: find it. "
    "A cell below each exercise is yours; where a check follows, give your answer the name that stands there."
)
SOLVED = (
    "*Worksheet with its solutions.* Run the cells from top to bottom. ▢ stands for a number that the cells above it "
    "compute."
)
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass(frozen=True)
class Book:
    """What a chapter's text refers to: how a work is cited, and the files that links may lead to."""

    cite: Callable[[str, bool], str]
    pages: frozenset[str]


def worksheet(notebook: dict, book: Book, *, solved: bool = False) -> dict:
    """Make a chapter's worksheet: statements, answer cells and checks, or with ``solved`` the solutions in their place.

    Left out are cards, verdicts, what was recorded at full scale, and cells that only compute numbers for the text.

    Raises:
        ExerciseError: exercises and solutions that do not fit together.
        SyntaxError: a code cell that is not Python.
    """
    found = _without_bookkeeping(parts(notebook["cells"]))
    found = _pruned(found)
    numbers = _numbers(found)
    made: list[dict] = []
    for at, part in enumerate(found):
        name = label(part)
        if part.solves and not solved:
            if part.solves != _solves(found, at - 1):
                made += _answer(found, part.solves)
        elif isinstance(part.content, dict):
            made += _code(part.content, numbers)
        else:
            text = _text(part.content, numbers, book)
            made.append(_markdown(text.replace(HEADER, SOLVED) if solved else text))
        if name and not solved and not any(p.solves == name for p in found):
            made.append(_code_cell("# Your answer here."))
    kept = [cell for cell in made if "".join(cell["source"]).strip()]
    for n, cell in enumerate(kept):
        cell["id"] = f"cell-{n:03}"
    return {"cells": kept, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}


def _without_bookkeeping(found: list[Part]) -> list[Part]:
    """Leave out whole sections; their code is marked, since what follows may need it."""
    split = [piece for part in found for piece in _at_headings(part)]
    starts = [n for n, part in enumerate(split) if isinstance(part.content, str) and part.content.startswith("## ")]
    kept = split[: starts[0]] if starts else split
    for first, last in pairwise([*starts, len(split)]):
        section = split[first:last]
        title = section[0].content.split("\n")[0].removeprefix("## ").strip()
        cards = any(isinstance(p.content, dict) and "claim_cards(" in "".join(p.content["source"]) for p in section)
        if title in LEFT_OUT or cards:
            section = [
                replace(p, content=p.content | {"dropped": True}) for p in section if isinstance(p.content, dict)
            ]
        kept += section
    return [part for part in kept if not _is(part, CARD)]


def _is(part: Part, title: str) -> bool:
    return isinstance(part.content, Directive) and part.content.argument == title


def _at_headings(part: Part) -> list[Part]:
    if not isinstance(part.content, str) or part.solves:
        return [part]
    return [replace(part, content=text) for text in re.split(r"(?m)^(?=## )", part.content) if text.strip()]


def _pruned(found: list[Part]) -> list[Part]:
    """Take the plumbing out of the code; solutions stay whole, and what they need stays with them."""
    needed: set[str] = set()
    for part in found:
        if isinstance(part.content, dict) and part.solves:
            needed |= names("".join(part.content["source"]))[1]
    chapter = [n for n, part in enumerate(found) if isinstance(part.content, dict) and not part.solves]
    sources = prune([found[n].content for n in chapter], needed)
    for n, source in zip(chapter, sources, strict=True):
        found[n] = replace(found[n], content=found[n].content | {"source": source})
    return [part for part in found if not (isinstance(part.content, dict) and not "".join(part.content["source"]))]


def _numbers(found: list[Part]) -> dict[str, str]:
    """Number figures in the order of the worksheet, and exercises as the book does, with the chapter in front."""
    figures = [
        part.content["metadata"]["mystnb"]["figure"]["name"]
        for part in found
        if isinstance(part.content, dict) and "figure" in part.content["metadata"].get("mystnb", {})
    ]
    exercises = [name for part in found if (name := label(part))]
    titles = (CHAPTER.match(part.content) for part in found if isinstance(part.content, str))
    chapter = next((f"{int(title[1])}." for title in titles if title), "")
    return {name: f"Figure {n}" for n, name in enumerate(figures, 1)} | {
        name: f"Exercise {chapter}{n}" for n, name in enumerate(exercises, 1)
    }


def _text(content: str | Directive, numbers: dict[str, str], book: Book) -> str:
    def plain(text: str) -> str:
        return myst.plain(text, book.cite, numbers, set(book.pages))

    if isinstance(content, Directive) and content.name.startswith("exercise"):
        if content.name == "exercise-end":
            return ""
        head = f"### {numbers[content.options['label']]} · {content.argument}"
        return f"{head}\n\n{plain(content.body)}".rstrip()
    if isinstance(content, Directive):
        ticks = "`" * 9
        options = "".join(f":{key}: {value}\n" for key, value in content.options.items())
        text = plain(f"{ticks}{{{content.name}}} {content.argument}\n{options}{content.body}\n{ticks}")
        return f"{text}\n\n*My predictions:*" if content.argument == PREDICTIONS else text
    text = plain(content)
    return re.sub(r"\A(# [^\n]*)", rf"\1\n\n{HEADER}", text)


def _code(cell: dict, numbers: dict[str, str]) -> list[dict]:
    """A cell of the chapter, folded where the page folds it, and the caption of its figure."""
    tags = set(cell["metadata"].get("tags", []))
    made = [_code_cell("".join(cell["source"]), sorted(tags & {"parameters"}))]
    if "hide-input" in tags:
        made[0]["metadata"]["jupyter"] = {"source_hidden": True}
    figure = cell["metadata"].get("mystnb", {}).get("figure")
    if figure:
        made.append(_markdown(f"*{numbers[figure['name']]}.* {figure['caption']}"))
    return made


def _answer(found: list[Part], name: str) -> list[dict]:
    """An empty cell, and the checks of the solution behind it, silent as long as nothing is answered."""
    cells = [part.content for part in found if part.solves == name and isinstance(part.content, dict)]
    checks = ["".join(cell["source"]) for cell in cells if CHECK in cell["metadata"].get("tags", [])]
    others = ["".join(cell["source"]) for cell in cells if CHECK not in cell["metadata"].get("tags", [])]
    if not checks:
        return [_code_cell("# Your answer here.")]
    given = set().union(*(names(source)[0] for source in others))
    answers = sorted(given & set().union(*(names(source)[1] for source in checks)))
    told = [line for source in checks for line in re.match(r"(?:#.*\n)*", source)[0].splitlines()]
    empty = "\n".join(["# Your answer here.", *told, *(f"{answer} = None" for answer in answers)])
    return [_code_cell(empty), *(_code_cell(_guarded(source, answers), [CHECK]) for source in checks)]


def _guarded(source: str, answers: list[str]) -> str:
    body = re.sub(r"\A(?:#.*\n)*", "", source)
    indented = "\n".join(f"    {line}" if line else "" for line in body.split("\n"))
    unanswered = " or ".join(f"{answer} is None" for answer in answers)
    return f'if {unanswered}:\n    print("Not answered yet.")\nelse:\n{indented}\n    print("Right.")'


def _solves(found: list[Part], at: int) -> str | None:
    return found[at].solves if at >= 0 else None


def _markdown(text: str) -> dict:
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code_cell(source: str, tags: list[str] | None = None) -> dict:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "",
        "metadata": {"tags": tags} if tags else {},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }
