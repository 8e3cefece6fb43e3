"""Markdown of a chapter, taken apart at its directives and turned into what a plain notebook shows."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}|:{3,})(?:\{([\w:.-]+)\})?[ \t]*(.*)$")
BLANK = "▢"  # in place of a number that the chapter glues
INLINE = re.compile(
    r"(?ms)^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)$"  # code
    r"|\$\$.*?\$\$|\$[^$\n]+(?:\n[^$\n]+)*\$"  # formulas
    r"|\{(?P<role>[a-z:]+)\}`(?P<target>[^`]+)`"
    r"|`[^`\n]+`"
    r"|(?<!!)\[(?P<link>[^\[\]]*)\]\((?P<address>[^()\s]*)\)"
)
ACCENTS = dict(zip("'`^~\"vck", "\u0301\u0300\u0302\u0303\u0308\u030c\u0327\u0328", strict=True))


@dataclass(frozen=True)
class Directive:
    """``{name} argument`` with its options and its body."""

    name: str
    argument: str
    options: dict[str, str]
    body: str


def blocks(text: str) -> Iterator[str | Directive]:
    """Take Markdown apart: texts and directives in order; a fence of code is text, whatever it holds."""
    lines, plain = text.split("\n"), []
    while lines:
        opened = FENCE.match(lines[0])
        if not opened or (opened[1][0] == ":" and not opened[2]):
            plain.append(lines.pop(0))
            continue
        end = next((n for n, line in enumerate(lines[1:], 1) if _closes(line, opened[1])), len(lines))
        if opened[2] is None:
            plain += lines[: end + 1]
        else:
            if "".join(plain).strip():
                yield "\n".join(plain)
            plain = []
            yield _directive(opened[2], opened[3], lines[1:end])
        del lines[: end + 1]
    if "".join(plain).strip():
        yield "\n".join(plain)


def _closes(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and set(bare) == {fence[0]}


def _directive(name: str, argument: str, body: list[str]) -> Directive:
    options = {}
    while body and (option := re.match(r":([\w-]+):[ \t]*(.*)$", body[0])):
        options[option[1]] = option[2].strip()
        del body[0]
    return Directive(name, argument.strip(), options, "\n".join(body).strip("\n"))


def plain(text: str, cite: Callable[[str, bool], str], numbers: dict[str, str], pages: set[str]) -> str:
    """Turn a chapter's Markdown into a plain notebook's: no directive, no role, no link that leads nowhere.

    Args:
        text: with roles and directives.
        cite: a key of the bibliography and whether it stands in the sentence, to words.
        numbers: "Figure 2" and the like, by label.
        pages: names of files that a link may lead to.
    """

    def shown(block: str | Directive) -> str:
        if isinstance(block, Directive):
            return _shown(block, plain(block.body, cite, numbers, pages))
        return _inline(re.sub(r"(?m)^\([\w-]+\)=\n?", "", block).strip("\n"), cite, numbers, pages)

    return "\n\n".join(part for block in blocks(text) if (part := shown(block)))


def _shown(directive: Directive, body: str) -> str:
    """Write a directive in plain Markdown."""
    kind = directive.name.split(":")[-1]
    if kind == "bibliography":
        return ""
    if kind == "math":
        return f"$$\n{body}\n$$"
    if kind.startswith("code"):
        return f"```{directive.argument}\n{body}\n```"
    title = directive.argument or kind.capitalize()
    if directive.name.startswith("prf:"):
        words = f"**{kind.capitalize()}.** " if not directive.argument else f"**{kind.capitalize()}** ({title}). "
        return words + body
    quoted = "\n".join(f"> {line}".rstrip() for line in f"**{title}**\n\n{body}".split("\n"))
    return quoted


def _inline(text: str, cite: Callable[[str, bool], str], numbers: dict[str, str], pages: set[str]) -> str:
    """Replace roles and links; code and formulas stay as they are."""

    def words(found: re.Match) -> str:
        if found["role"]:
            return _role(found["role"], found["target"], cite, numbers)
        if found["link"] is None:
            return found[0]
        shown = _inline(found["link"], cite, numbers, pages)
        address = found["address"]
        leads = "://" in address or address.partition("#")[0] in pages
        return f"[{shown}]({address})" if leads else shown

    return INLINE.sub(words, text)


def _role(name: str, target: str, cite: Callable[[str, bool], str], numbers: dict[str, str]) -> str:
    if name.startswith("glue:"):
        return BLANK
    if not name.startswith("cite:"):
        return numbers.get(target, target)
    cited = [cite(key.strip(), name == "cite:t") for key in target.split(",")]
    return ", ".join(cited) if name == "cite:t" else f"({'; '.join(cited)})"


def bibliography(text: str) -> Callable[[str, bool], str]:
    """Read the authors and years of a BibTeX file; return what names a work in a sentence or in brackets."""
    entries = {}
    for key, body in re.findall(r"(?ms)^@\w+\{([^,\s]+),(.*?)^\}", text):
        fields = dict(re.findall(r"(?m)^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", body))
        names = [_letters(name).split(",")[0].strip() for name in fields.get("author", key).split(" and ")]
        told = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
        entries[key] = (told, fields.get("year", "n.d."))

    def cite(key: str, in_sentence: bool) -> str:
        names, year = entries[key]
        return f"{names} ({year})" if in_sentence else f"{names}, {year}"

    return cite


def _letters(name: str) -> str:
    """Write BibTeX's accents as letters."""
    accented = re.sub(r"\\(['`^~\"vck])\s*\{?(\w)\}?", lambda m: m[2] + ACCENTS[m[1]], name)
    return unicodedata.normalize("NFC", re.sub(r"[{}]", "", accented))
