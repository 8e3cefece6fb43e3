"""What a chapter displays besides figures: claim cards, tidy tables, notes of provenance; as HTML that fits a phone.

Each displayed output carries its content as ``bnlab`` metadata, so that another program (`bnlab ledger`, `bnlab
compare`, the ledger page) can read it back from the executed notebook.
"""

import html
import math
import re

import pandas as pd

from bnlab.claims import book
from bnlab.claims.cards import claim_cards
from bnlab.claims.markup import display, listed, mathematics, numbers
from bnlab.records import changes, recorded
from bnlab.records.provenance import PART_COMMITS, described

__all__ = ["claim_cards", "provenance", "table"]

# A tidy table longer than this is cut on the page (the whole of it is in the recorded file): pages are read on phones.
MOST_ROWS = 60

CELL = re.compile(r"<td>[^<]+</td>")

ORIGIN = "The full-scale run: data, parameters, machine, code"


def table(frame: pd.DataFrame, name: str, caption: str, digits: int = 4) -> None:
    """Display a tidy table with a caption; ``name`` is its stable name, by which two runs are compared.

    Numbers are shown with ``digits`` significant digits, very large and small ones as multiples of a power of ten, a
    missing one as a dash, and a column called ``like_this`` as "like this". The metadata holds numbers whole and names
    as they are, and what JSON does not know (a missing or infinite number) as None or as a word.
    """
    shown = frame.head(MOST_ROWS)
    rule = f"{{:.{digits}g}}".format
    body = shown.rename(columns=_words).to_html(
        index=False, border=0, classes="bn-table", float_format=rule, escape=True, na_rep="–"
    )
    body = body.replace("<th></th>", "<td></td>")  # a header without words heads nothing
    body = CELL.sub(lambda cell: numbers(cell[0]), body)
    rest = f" (first {MOST_ROWS} of {len(frame)} rows)" if len(frame) > MOST_ROWS else ""
    # tabindex: a region that scrolls must be reachable by keyboard (WCAG 2.1.1).
    display(
        f'<div class="bn-scroll" tabindex="0" role="region" aria-label="{html.escape(_plain(caption))}">'
        f'<p class="bn-caption">{mathematics(caption)}{rest}</p>{body}</div>',
        f"{caption}\n{shown.to_string(index=False, float_format=rule)}",
        {"bnlab": {"table": name, "rows": {str(column): _json(frame[column]) for column in frame}}},
    )


def provenance(result: "recorded.Recorded | None") -> None:
    """Display, folded, where a recorded full-scale result comes from: data, parameters, machine, time, commit.

    Without a result it displays nothing.
    """
    if result is None:
        return
    facts = result.provenance
    settings = ", ".join(f"{key} = {value}" for key, value in facts["parameters"].items())
    items = {
        "Data": described(facts["data"]),
        "Parameters": settings,
        "Machine": f"{facts['device']}; torch {facts['versions']['torch']}",
        "Time": f"{facts['seconds']:.0f} s on {facts['finished'][:10]}",
        "Library": f"bnlab {facts['versions']['bnlab']}, {_source(facts)}",
    }
    rows = "".join(f"<dt>{key}</dt><dd>{html.escape(value)}</dd>" for key, value in items.items())
    display(
        f'<details class="bn-origin"><summary>{ORIGIN}</summary><dl class="bn-provenance">{rows}</dl></details>',
        "\n".join(f"{key}: {value}" for key, value in items.items()),
        {"bnlab": {"provenance": facts["key"]}},
    )


def _source(facts: dict) -> str:
    """Say from which code a result comes, and what became of it since."""
    if facts["sources"] is None:
        return f"recorded from uncommitted code after commit {facts['commit'][:12]}, to be recorded again"
    stayed: dict[str, list[str]] = {}
    for name, commit in facts.get(PART_COMMITS, {}).items():
        stayed.setdefault(_named(commit), []).append(name)
    earlier = "".join(f" ({listed(names)}: {commit})" for commit, names in stayed.items())
    return f"{_named(facts['commit'])}{earlier}; sources of {len(facts['sources'])} modules, {_since(facts)}"


def _named(commit: str) -> str:
    head, dirty, _ = commit.partition("+")
    return f"commit {head[:12]}" + ("+ and changes that were not committed" if dirty else "")


def _since(facts: dict) -> str:
    """Say what became of the code since it made a result."""
    listed = changes.since(facts["chapter"], facts["sources"], book.root() / "data" / "recorded")
    if listed is None:
        return "changed since, and nothing says that the numbers are the same: record it again"
    told = dict.fromkeys(f"{change.why} ({change.checked})" for change in listed)
    return "; since then: ".join(["none of which was changed since" if not told else "changed since", *told])


def _json(column: pd.Series) -> list:
    values = [value.item() if hasattr(value, "item") else value for value in column.tolist()]  # numpy's numbers
    missing = column.isna().tolist()
    return [
        None if gone else str(value) if value in (math.inf, -math.inf) else value
        for value, gone in zip(values, missing, strict=True)
    ]


def _words(column: object) -> object:
    return (
        column.replace("_", " ")
        if isinstance(column, str) and re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", column)
        else column
    )


def _plain(text: str) -> str:
    return text.replace("$", "")
