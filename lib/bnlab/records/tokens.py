"""The source of a module as far as it decides a number: its tokens without comments, docstrings and layout.

>>> source_hash("x = 1  # one") == source_hash("x  =  1")
True
"""

import hashlib
import io
import tokenize
from collections.abc import Iterator


def source_hash(text: str) -> str:
    r"""SHA-256 over the tokens of a Python source, without comments, docstrings, blank lines, layout and newline style.

    The same on every Python from 3.11 on: an f-string is one token before 3.12 and several since, so its source text is
    taken as a whole.

    >>> source_hash('def f():\n    "Say."\n    return 1') == source_hash("def f():\r\n  return 1")
    True
    """
    digest = hashlib.sha256()
    for line in _statements(text):
        if not all(kind == "STRING" for kind, _ in line):  # a text that stands alone does nothing: a docstring
            for kind, word in (*line, ("NEWLINE", "")):
                digest.update(f"{kind} {len(word)} {word}\n".encode())
    return digest.hexdigest()


def _statements(text: str) -> Iterator[list[tuple[str, str]]]:
    """Give the tokens of each logical line as (kind, text); a change of indentation is a line of its own."""
    line: list[tuple[str, str]] = []
    for kind, word in _tokens(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")):
        if kind in ("INDENT", "DEDENT"):
            yield [(kind, "")]
        elif kind == "NEWLINE":
            yield line
            line = []
        else:
            line.append((kind, word))
    if line:
        yield line


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    # f"{x}" alone in a line is no docstring, its expression is evaluated: FSTRING, on every Python.
    lines, depth, start = text.split("\n"), 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("FSTRING_START", "TSTRING_START"):
            start, depth = (start if depth else token.start), depth + 1
        elif kind in ("FSTRING_END", "TSTRING_END"):
            depth -= 1
            if not depth:
                yield "FSTRING", _span(lines, start, token.end)
        elif depth or kind in ("COMMENT", "NL", "ENDMARKER"):
            continue
        elif kind == "STRING" and "f" in token.string[: token.string.index(token.string[-1])].lower():
            yield "FSTRING", token.string
        else:
            yield kind, token.string


def _span(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = start, end
    if first == last:
        return lines[first - 1][left:right]
    return "\n".join([lines[first - 1][left:], *lines[first : last - 1], lines[last - 1][:right]])
