"""The numbers that a chapter computed, put into its text: an executed notebook then reads like the built page."""

import ast
import json
import re
from collections.abc import Mapping

from bnlab.claims.markup import numbers

ROLE = re.compile(r"\{glue:text\}`(?:[^`:]*::)?([^`:]+)(?::([^`]+))?`")  # as MyST-NB reads it: page::name:format
RECORD = "application/papermill.record/text/plain"  # of what is glued and not displayed
NO_NUMBER = ("nan", "inf", "-inf")


def filled(notebook: Mapping) -> dict:
    r"""Give an executed notebook (as nbformat's JSON) with its ``{glue:text}`` roles replaced by what was computed.

    A role whose number another page computes, or no cell that ran, stays as it is typed.

    >>> glued = {"metadata": {"scrapbook": {"name": "x"}}, "data": {"text/plain": "0.1234"}}
    >>> cells = [{"cell_type": "code", "outputs": [glued]}, {"cell_type": "markdown", "source": "{glue:text}`x:.1f` m"}]
    >>> filled({"cells": cells})["cells"][1]["source"]
    '0.1 m'
    """
    told = json.loads(json.dumps(notebook))
    values = _values(told)
    for cell in told["cells"]:
        if cell["cell_type"] == "markdown":
            text = ROLE.sub(lambda role: _text(role, values), "".join(cell["source"]))
            cell["source"] = text if isinstance(cell["source"], str) else text.splitlines(keepends=True)
    return told


def _values(notebook: Mapping) -> dict[str, object]:
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            plain = output.get("data", {}).get(RECORD, output.get("data", {}).get("text/plain"))
            if name is not None and plain is not None:
                found[name] = _read("".join(plain))
    return found


def _read(plain: str) -> object:
    """Read a number, or a text, as Python shows it; anything else stays the text that it is."""
    try:
        return float(plain) if plain in NO_NUMBER else ast.literal_eval(plain)
    except (ValueError, SyntaxError):
        return plain


def _text(role: re.Match, values: Mapping[str, object]) -> str:
    name, form = role[1], role[2] or ""
    if name not in values:
        return role[0]
    try:
        return numbers(format(values[name], form))
    except (ValueError, TypeError):  # a text where a number was meant, or what has no such format
        return numbers(str(values[name]))
