"""Code cells of a chapter without its plumbing: numbers for the text, verdicts, cards, what was recorded.

A statement of a cell that a reader sees stays, unless it only glues, judges or shows a recording. A statement of a
hidden cell stays if something that stays needs what it defines, and so do imports, name by name.
"""

import ast
import copy
import symtable
from collections.abc import Iterable
from dataclasses import dataclass, field

HIDDEN = {"remove-cell", "full-scale", "nbval-check-output"}
WIDTH = 77


@dataclass
class Statement:
    """One top-level statement of a cell: the lines it stands on, the names it binds, changes and needs."""

    node: ast.stmt
    binds: set[str]
    changes: set[str]
    needs: set[str]
    stays: bool = field(default=False)


def prune(cells: list[dict], needed: Iterable[str] = ()) -> list[str]:
    """Return the source of each code cell without its plumbing, empty where nothing stays.

    Args:
        cells: code cells in order, as a notebook holds them. A true ``"dropped"`` marks one of a section that is left
            out.
        needed: names that what follows them needs.

    Raises:
        SyntaxError: a cell is not Python.
    """
    sources = ["".join(cell["source"]) for cell in cells]
    statements = [[_statement(node) for node in ast.parse(source).body] for source in sources]
    recordings = {name for found in statements for s in found if _calls(s.node, "load") for name in s.binds}
    wanted = set(needed)
    for cell, found in zip(reversed(cells), reversed(statements), strict=True):
        hidden = _hidden(cell, found)
        for statement in reversed(found):
            _decide(statement, hidden, recordings, wanted)
    return [_written(source, found) for source, found in zip(sources, statements, strict=True)]


def names(source: str) -> tuple[set[str], set[str]]:
    """Tell which names a piece of code binds at its top level, and which it needs from before."""
    return _in_order(ast.parse(source).body)


def _in_order(body: list[ast.stmt]) -> tuple[set[str], set[str]]:
    bound, needed, late = set(), set(), set()  # late: what a function needs when it is called
    for node in body:
        inner = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        if isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try):
            head = _statement(_headless(node))
            needed |= head.needs - head.binds - bound
            bound |= head.binds
            handlers = getattr(node, "handlers", [])
            bound |= {handler.name for handler in handlers if handler.name}
            needed |= set().union(*(_statement(ast.Expr(h.type)).needs for h in handlers if h.type)) - bound
            for part in [*inner, *(handler.body for handler in handlers)]:
                binds, needs = _in_order(part)
                needed, bound = needed | (needs - bound), bound | binds
        elif isinstance(node, ast.FunctionDef):
            late |= _statement(node).needs
            bound.add(node.name)
        else:
            statement = _statement(node)
            needed, bound = needed | (statement.needs - bound - _walrus(node)), bound | statement.binds
    return bound, needed | (late - bound)


def _headless(node: ast.stmt) -> ast.stmt:
    """A compound statement without what stands in it."""
    if isinstance(node, ast.Try):
        return ast.Pass()
    bare = copy.copy(node)
    bare.body = [ast.Pass()]
    if hasattr(node, "orelse"):
        bare.orelse = []
    return bare


def _walrus(node: ast.stmt) -> set[str]:
    return {inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)}


def _decide(statement: Statement, hidden: bool, recordings: set[str], wanted: set[str]) -> None:
    """Let a statement stay or go; from the end backwards, so that ``wanted`` holds what later ones need."""
    node = statement.node
    if isinstance(node, ast.Import | ast.ImportFrom):
        node.names = [alias for alias in node.names if _bound(alias) in wanted]
        statement.stays = bool(node.names)
    elif _plumbing(node, recordings):
        statement.stays = False
    elif hidden or _calls(node, "load"):
        statement.stays = bool((statement.binds | statement.changes) & wanted)
    else:
        statement.stays = True
    if statement.stays:
        # Only a plain definition settles a name; a loop or a branch may leave an earlier one in force.
        if isinstance(node, ast.Assign | ast.FunctionDef | ast.ClassDef):
            wanted -= statement.binds
        wanted |= statement.needs


def _hidden(cell: dict, found: list[Statement]) -> bool:
    tags = set(cell["metadata"].get("tags", []))
    return bool(
        tags & HIDDEN
        or cell.get("dropped")
        or any(_calls(s.node, "claim_cards") or _calls(s.node, "provenance") for s in found)
    )


def _plumbing(node: ast.stmt, recordings: set[str]) -> bool:
    """Does a statement do nothing but glue, show cards or a recording?"""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _name(node.value.func) in ("glue", "claim_cards", "provenance")
    if isinstance(node, ast.If):
        tested = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
        shows = any(_calls(inner, name) for inner in ast.walk(node) for name in ("display", "provenance"))
        if tested & recordings and shows:
            return True
    if isinstance(node, ast.If | ast.For):
        inside = [*node.body, *node.orelse]
        shows = [
            inner for inner in inside if not isinstance(inner, ast.Assign)
        ]  # what it computes, it computes for that
        return bool(shows) and all(_plumbing(inner, recordings) for inner in shows)
    return False


def _calls(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(inner, ast.Call) and _name(inner.func) == name and (name != "load" or _of(inner.func) == "recorded")
        for inner in ast.walk(node)
    )


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _of(function: ast.expr) -> str:
    return getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""


def _statement(node: ast.stmt) -> Statement:
    table = symtable.symtable(ast.unparse(node), "cell", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    needs = {s.get_name() for s in table.get_symbols() if s.is_referenced()} | _globals(table)
    changed = [
        inner
        for inner in ast.walk(node)
        if (isinstance(inner, ast.Subscript | ast.Attribute) and not isinstance(inner.ctx, ast.Load))
        or (isinstance(node, ast.Expr) and isinstance(inner, ast.Attribute))
    ]
    return Statement(node, binds, {_root(inner) for inner in changed} - {""}, needs)


def _globals(table: symtable.SymbolTable) -> set[str]:
    """Names that functions, classes and comprehensions take from outside."""
    found = set()
    for child in table.get_children():
        # Symbol.is_global takes a function that is called "top" for a module (Python up to 3.13 at least).
        function = isinstance(child, symtable.Function)
        names = child.get_globals() if function else [s.get_name() for s in child.get_symbols() if s.is_global()]
        found |= {name for name in names if child.lookup(name).is_referenced()} | _globals(child)
    return found


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", "")


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _written(source: str, found: list[Statement]) -> str:
    """Write the statements that stay, on their own lines, with the comments above them."""
    lines = source.split("\n")
    kept: list[str] = []
    at = 0
    for statement in found:
        node = statement.node
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        above, at = lines[at:first], max(at, node.end_lineno)
        if not statement.stays:
            continue
        kept += above
        if isinstance(node, ast.Import | ast.ImportFrom):
            kept += _import(node)
        else:
            kept += lines[first:at]
    text = "\n".join(kept + (lines[at:] if kept else []))
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text.strip("\n")


def _import(node: ast.Import | ast.ImportFrom) -> list[str]:
    line = ast.unparse(node)
    if len(line) <= WIDTH or isinstance(node, ast.Import):
        return [line]
    shown = [f"    {alias.name}{f' as {alias.asname}' if alias.asname else ''}," for alias in node.names]
    return [f"from {node.module} import (", *shown, ")"]
