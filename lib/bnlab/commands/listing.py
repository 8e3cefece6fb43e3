"""What ``bnlab chapters`` says of every chapter: its parameters, their types, defaults and meaning, and its cost."""

from collections.abc import Mapping, Sequence

from bnlab.claims.book import Chapter


def as_text(chapters: Sequence[Chapter], may_be: Mapping[str, str] | None = None) -> str:
    """A line a chapter, and one below it a parameter; below that what it may be, where ``may_be`` says so by name."""
    lines = []
    for chapter in chapters:
        cost = "time not recorded" if chapter.seconds is None else f"{chapter.seconds:.0f} s on 2 CPU cores"
        lines.append(f"{chapter.number}  {_title(chapter)}  ({cost}, no GPU needed)")
        for p in chapter.parameters:
            lines.append(f"      {p.name}: {p.type} = {p.default!r:<12}  {p.meaning}")
            lines += [f"          {may_be[p.name]}"] if may_be and p.name in may_be else []
    return "\n".join(lines)


def as_facts(chapters: Sequence[Chapter], may_be: Mapping[str, str] | None = None) -> list[dict[str, object]]:
    """The same as plain values."""
    said = may_be or {}
    return [
        {
            "chapter": chapter.number,
            "title": _title(chapter),
            "seconds": chapter.seconds,
            "parameters": [vars(p) | ({"may_be": said[p.name]} if p.name in said else {}) for p in chapter.parameters],
        }
        for chapter in chapters
    ]


def _title(chapter: Chapter) -> str:
    """A chapter's title without the number that leads it on the page."""
    return chapter.title.removeprefix(f"{chapter.number} · ")
