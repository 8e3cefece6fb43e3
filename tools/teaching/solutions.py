"""Exercises and solutions of a chapter: which cells, and which parts of a cell, belong to which."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from teaching.myst import Directive, blocks

KINDS = ("exercise", "solution")


class ExerciseError(ValueError):
    """Exercises or solutions that do not fit together. Its text is one clear line."""


@dataclass(frozen=True)
class Part:
    """A text, an exercise's statement or a code cell; ``solves`` is the label of the exercise that it solves."""

    content: "str | Directive | dict"
    solves: str | None = None


def parts(cells: Iterable[dict]) -> list[Part]:
    """Take a notebook's cells apart into texts, statements and code, each with the exercise that it solves, if any.

    Knows ``{exercise}`` and ``{solution}`` in one cell, ``{solution-start}`` to ``{solution-end}`` (and the same for
    exercises) over several, inside other directives too, several in one cell.

    Raises:
        ExerciseError: a solution that never ends, or ends before it starts; of no exercise; an exercise twice.
    """
    solves, found = None, []
    for cell in cells:
        if cell["cell_type"] != "markdown":
            found.append(Part(cell, solves))
            continue
        for block in _flat("".join(cell["source"])):
            name = block.name if isinstance(block, Directive) else ""
            if name == "solution-start":
                if solves:
                    raise ExerciseError(f"the solution of {block.argument} starts within that of {solves}.")
                solves = block.argument
                found.append(Part("", solves))
            elif name == "solution-end":
                if not solves:
                    raise ExerciseError("a solution ends that never started.")
                solves = None
            elif name == "solution":
                found.append(Part(block.body, block.argument))
            else:
                found.append(Part(block, solves))
    if solves:
        raise ExerciseError(f"the solution of {solves} never ends.")
    _refuse_misfits(found)
    return found


def label(part: Part) -> str | None:
    """Name the exercise that a part states, None if it states none."""
    content = part.content
    if isinstance(content, Directive) and content.name in ("exercise", "exercise-start") and not part.solves:
        return content.options.get("label", "")
    return None


def _flat(text: str) -> Iterator[str | Directive]:
    """Texts and directives, those around an exercise or a solution taken off."""
    for block in blocks(text):
        if isinstance(block, Directive) and not block.name.startswith(KINDS) and _holds(block.body):
            yield from _flat(block.body)
        else:
            yield block


def _holds(text: str) -> bool:
    return any(
        isinstance(block, Directive) and (block.name.startswith(KINDS) or _holds(block.body)) for block in blocks(text)
    )


def _refuse_misfits(found: list[Part]) -> None:
    stated = [name for part in found if (name := label(part)) is not None]
    if "" in stated:
        raise ExerciseError("an exercise has no :label:.")
    if twice := {name for name in stated if stated.count(name) > 1}:
        raise ExerciseError(f"{sorted(twice)[0]} is the label of two exercises.")
    if foreign := {part.solves for part in found if part.solves} - set(stated):
        raise ExerciseError(f"{sorted(foreign)[0]} is solved, but is no exercise of the chapter.")
