"""What decides a draw of a chapter besides its seed: its cells, its parameters, and the library's code behind them.

``bnlab reseed`` keeps these facts beside the draws, so that a page can tell whether they are still those of today.
"""

import ast
import re
from collections.abc import Mapping
from importlib.util import find_spec

from bnlab.claims import book
from bnlab.records import keys
from bnlab.records.tokens import source_hash

SHOWN = ("bnlab.figures", "bnlab.commands", "bnlab.claims.pages", "bnlab.records.recorded")  # a draw is a quick run
CHOOSING = re.compile(r"parameters\.own_run|globals|recorded\.load|book\.root|recording\.data|verdicts\.full")
TELLING = re.compile(r"glue|display|print|\w*plots\.\w+|pages\.(table|provenance)")  # calls that decide nothing


def facts(chapter: book.Chapter) -> dict[str, object]:
    """Say what decides a draw: parameters but the seed, a hash of the cells' code, and sources of the library.

    Raises:
        KeyingError: a module that the chapter imports has no source that can be read.
    """
    code = code_that_judges(book.read_notebook(chapter.path))
    return {
        "parameters": {p.name: p.default for p in chapter.parameters if p.name != "seed"},
        "code": source_hash(without_telling(code)),  # its layout decides nothing
        "sources": keys.sources(*deciding(code)),
    }


def code_that_judges(notebook: Mapping) -> str:
    """Join the code cells of a chapter up to the one that shows its claims' cards, when everything has been judged."""
    code = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            code.append(source)
            if "pages.claim_cards(" in source:
                break
    return "\n".join(code)


def without_telling(code: str) -> str:
    r"""Leave out the statements that only tell: a number for the text, a figure, a table; and loops of nothing else.

    So are those that choose what is told, the recorded run or this one: no quick verdict looks at what is recorded.

    >>> without_telling('a = 1\nfor k in range(3):\n    glue(f"n{k}", k)\nplots.lines(a)\nb = a')
    'a = 1\nb = a'
    """
    lines = code.splitlines()
    for statement in ast.walk(ast.parse(code)):
        if isinstance(statement, ast.stmt) and _tells(statement):
            first, last = statement.lineno, statement.end_lineno
            lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(line for line in lines if line.strip())


def _tells(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.If | ast.For):
        return all(map(_tells, statement.body + statement.orelse))
    if isinstance(statement, ast.Assign):
        return _chooses(statement.value)
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and TELLING.fullmatch(ast.unparse(call.func)) is not None


def _chooses(value: ast.expr) -> bool:
    """Tell whether an expression names the recorded run and calls nothing that computes."""
    calls = [ast.unparse(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)]
    named = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    about = bool({"recording", "recorded", "in_front"} & named) or "parameters.own_run" in calls
    return about and all(CHOOSING.fullmatch(call) for call in calls)


def changed(kept: Mapping, chapter: book.Chapter) -> list[str]:
    """List what is no longer as it was when the draws were made: parts of the chapter, and modules of the library.

    Modules that decide a draw today are looked at: one that no longer does was left out by a module that changed.
    """
    now = facts(chapter)
    before = {name: source for name, source in kept.get("sources", {}).items() if name in now["sources"]}
    parts = [f"chapter {chapter.number}'s {part}" for name, part in (("parameters", "parameters"), ("code", "cells"))
             if kept.get(name) != now[name]]  # fmt: skip
    return parts + keys.differing(before, now["sources"])


def deciding(code: str) -> list[str]:
    """List the library's modules that a chapter's code imports, but for those that only draw, display, or check."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = sorted(n for n in found if n.startswith("bnlab.") and not n.startswith(SHOWN) and _is_module(n))
    return [name for name in modules if not any(n.startswith("bnlab.figures") for n in keys.sources(name))]


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a name inside a module
        return False
