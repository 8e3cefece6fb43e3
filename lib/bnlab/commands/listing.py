"""What ``bnlab chapters`` says of every chapter: its parameters, their types, defaults and meaning, and its cost."""

from collections.abc import Sequence

from bnlab.claims.book import Chapter


def as_text(chapters: Sequence[Chapter]) -> str:
    """A line a chapter, and one below it a parameter."""
    lines = []
    for chapter in chapters:
        cost = "time not recorded" if chapter.seconds is None else f"{chapter.seconds:.0f} s on 2 CPU cores"
        lines.append(f"{chapter.number}  {_title(chapter)}  ({cost}, no GPU needed)")
        lines += [f"      {p.name}: {p.type} = {p.default!r:<12}  {p.meaning}" for p in chapter.parameters]
    return "\n".join(lines)


def as_facts(chapters: Sequence[Chapter]) -> list[dict[str, object]]:
    """The same as plain values."""
    return [
        {
            "chapter": chapter.number,
            "title": _title(chapter),
            "seconds": chapter.seconds,
            "parameters": [vars(parameter) for parameter in chapter.parameters],
        }
        for chapter in chapters
    ]


def _title(chapter: Chapter) -> str:
    """A chapter's title without the number that leads it on the page."""
    return chapter.title.removeprefix(f"{chapter.number} · ")
